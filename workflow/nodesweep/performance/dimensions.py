"""A training run as the formulas of memory, time and rates see it: sizes of model and split, some maybe unknown."""

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

from nodesweep.common.errors import NodesweepError
from nodesweep.config.layout_fields import AXES, FIELDS, LayoutValues
from nodesweep.config.layout_words import Precision
from nodesweep.config.model_fields import MODEL_FIELDS, ModelSizes, default_of
from nodesweep.config.tidy_row import TidyRow, field_of
from nodesweep.config.training import WITH_FORMULA, Training
from nodesweep.config.workload import Workload
from nodesweep.sweep.broken_law import BrokenLaw
from nodesweep.sweep.constraints import broken_laws, completed
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.pipeline_split import chunk_layers, stage_layers
from nodesweep.sweep.settings import OF_TRAINING, fields_of, training_of

from .flops import ForwardFlops, Recomputed, forward_flops, padded_vocabulary, tflops_per_node
from .model_parts import ModelParts, parts_of

_IN_ROWS = tuple(row for row in FIELDS.values() if row.column and row.name not in ("variant", "ranks"))
_NEEDED = tuple(row for row in _IN_ROWS if row.follows or not (row.optional or row.of_workload))
"""Fields without which a row of results.csv is not wholly known."""
SIZES_OF_FLOPS = ("layers", "hidden_size", "sequence_length", "vocab_size", "global_batch", "tensor")
"""Sizes without which there are no FLOPs of an iteration; others have defaults."""
_RANKS_AND_BATCHES = ("ranks", "micro_batches")
_DEFAULTS = {name: row.default for name, row in FIELDS.items() if row.absent_means_default}
_OLDER_NAMES = {"ffn_width": "ffn_hidden_size"}
"""Names of sizes in calibration files of version 0.1, and what they are called since."""


class UnknownSizeError(NodesweepError):
    """A formula needs a size that is unknown; its name is the argument."""


class NoFormulaError(UnknownSizeError):
    """The model has parts that no formula is known for; the message names them."""


def unknown_parts(case: "Dimensions") -> str:
    """That a model has parts that no formula is known for, in words."""
    return f"the model has parts that no formula is known for: {case.other_parts}"


def unknown_schedule(case: "Dimensions") -> str:
    """The schedule of a pipeline that no formula is known for, in words; empty where one is, or without a pipeline.

    >>> late = Training(pipeline_schedule="zero-bubble")
    >>> unknown_schedule(Dimensions(pipeline=2, training=late)), unknown_schedule(Dimensions(pipeline=1, training=late))
    ('the zero-bubble schedule', '')
    """
    training = case.training
    if case.degree("pipeline") == 1:
        return ""
    if training.pipeline_schedule not in WITH_FORMULA:
        zero_bubble = training.pipeline_schedule == "zero-bubble"
        return "the zero-bubble schedule" if zero_bubble else "a schedule that is none of those known"
    if training.pipeline_schedule == "interleaved" and training.chunks == 1:
        return "the interleaved schedule with an unknown number of chunks"
    return ""


class Dimensions(LayoutValues, ModelSizes):
    """The sizes of one run: batches in samples, sequence and vocabulary in tokens, the vocabulary before padding.

    The sizes of one run are called a case. A size that is None or left out is unknown, and raises UnknownSizeError
    where it is asked for; ranks, DP and micro batches follow from others. `training`: with what the fields of the
    layout say over it. `frequency_ghz` None: the clock was left to the machine. `shared_cores`: ranks that run at full
    speed at once where all share one machine, None where each node has cores of its own.
    """

    precision: Precision
    training: Training
    shared_cores: int | None

    def __init__(
        self,
        *,
        frequency_ghz: float | None = None,
        precision: Precision | None = None,
        training: Training | None = None,
        shared_cores: int | None = None,
        **sizes: Any,
    ) -> None:
        kept = {name: value for name, value in sizes.items() if value is not None and name not in OF_TRAINING}
        self.__dict__.update(completed(kept))
        self.__dict__.update(
            frequency_ghz=frequency_ghz,
            precision=precision or "fp32",
            training=training_of(sizes, Training() if training is None else training),
            shared_cores=shared_cores,
        )

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in OF_TRAINING:
                recomputes = name == "recomputation" and self.activation_checkpointing
                return fields_of(self.training, recomputes)[name]
            if name not in FIELDS:
                raise AttributeError(name)
            value = default_of(name, self) if name in MODEL_FIELDS else None
            if value is None:
                raise UnknownSizeError(f"{name} is unknown")
            return value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dimensions) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        """By the axes of a layout alone: fits look runs up thousands of times."""
        return hash(tuple(map(self.__dict__.get, AXES)))

    def __repr__(self) -> str:
        return f"Dimensions({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"

    @classmethod
    def of(cls, layout: Layout) -> "Dimensions":
        """The sizes of a layout, all known."""
        fields = {name: value for name, value in layout.fields().items() if name != "variant"}
        return cls(
            **{**fields, **layout.model.sizes},
            training=layout.training,
            shared_cores=layout.machine.cores_shared_by_ranks,
        )

    @classmethod
    def in_row(cls, row: TidyRow) -> "Dimensions":
        """The sizes that a row of results.csv knows; a field that the row leaves out may have its default."""
        sizes: dict[str, Any] = {field.name: field_of(row, field) for field in _IN_ROWS}
        return cls(**sizes)

    @classmethod
    def of_row(cls, row: TidyRow, workload: Workload) -> "Dimensions | None":
        """The sizes in a row of results.csv, run by such a workload; None where one is missing or they break a law."""
        if None in [field_of(row, field) for field in _NEEDED]:
            return None
        sizes: dict[str, Any] = {field.name: field_of(row, field) for field in _IN_ROWS}
        precision = sizes["precision"] or workload.precision
        found = cls(**{**sizes, "precision": precision, "training": workload.training})
        return found if found.is_lawful else None

    @property
    def is_lawful(self) -> bool:
        """Whether all is known that the laws speak of, and obeys them."""
        sizes = {name: self.maybe(name) for name in MODEL_FIELDS}
        return self.knows("micro_batches") and not broken_laws({**self._said_by_training, **self.__dict__, **sizes})

    @property
    def _said_by_training(self) -> dict[str, Any]:
        recomputes = self.__dict__.get("activation_checkpointing")
        return {} if recomputes is None else fields_of(self.training, recomputes)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """How a calibration file holds the sizes: a mapping, what follows from others left out."""
        write = core_schema.plain_serializer_function_ser_schema(cls._to_data)
        return core_schema.no_info_plain_validator_function(cls._from_data, serialization=write)

    @classmethod
    def _from_data(cls, data: Any) -> "Dimensions":
        if isinstance(data, Dimensions):
            return data
        if not isinstance(data, dict):
            raise ValueError("sizes of a run are a mapping")
        known = {_OLDER_NAMES.get(name, str(name)): value for name, value in data.items()}
        return cls(**{**known, "training": Training.model_validate(known.get("training", {}))})

    def _to_data(self) -> dict[str, Any]:
        kept = {
            name: value
            for name, value in self.__dict__.items()
            if name not in _RANKS_AND_BATCHES and value not in (None, _DEFAULTS.get(name))
        }
        return {**kept, "training": self.training.model_dump(mode="json")}

    def changed(self, **sizes: Any) -> "Dimensions":
        """The run with other sizes; what follows from them is worked out anew unless it is given."""
        kept = {name: value for name, value in self.__dict__.items() if name not in _RANKS_AND_BATCHES}
        return Dimensions(**{**kept, **sizes})

    def knows(self, *names: str) -> bool:
        """Whether all these sizes are known."""
        return all(self.maybe(name) is not None for name in names)

    def maybe(self, name: str) -> Any | None:
        """A size, or what is worked out from sizes; None where something it needs is unknown."""
        try:
            return getattr(self, name)
        except UnknownSizeError:
            return None

    def special_size(self, name: str) -> Any | None:
        """A size of the model that is given and is not what it would be where left out; else None."""
        given = self.__dict__.get(name)
        if given is None or not MODEL_FIELDS[name].optional:
            return given
        return None if given == self.changed(**{name: None}).maybe(name) else given

    def degree(self, name: str) -> int:
        """A size that splits the ranks; 1 where nothing names it."""
        return int(self.__dict__.get(name) or 1)

    @property
    def recomputed(self) -> Recomputed:
        """What of a layer is computed again for the backward pass."""
        return self.training.recomputation if self.activation_checkpointing else "none"

    @property
    def recomputed_share(self) -> Fraction | int:
        """Which part of the layers is recomputed, where some are: all, or so many of each stage."""
        of_stage = self.__dict__.get("recomputed_layers")
        return Fraction(min(of_stage * self.degree("pipeline"), self.layers), self.layers) if of_stage else 1

    @property
    def parts(self) -> ModelParts:
        """The parts of the model; its learned positions only where something tells how many there are."""
        if self.other_parts:
            raise NoFormulaError(unknown_parts(self))
        return self._parts()

    @property
    def padded_parts(self) -> ModelParts:
        """The parts of the model with its vocabulary padded, as ranks hold it."""
        return self._parts(self.vocabulary)

    def _parts(self, vocab_size: int | None = None) -> ModelParts:
        """The parts of a model, or with another vocabulary."""
        given = self.__dict__
        if "tied_embeddings" not in given:
            given = {**given, "tied_embeddings": self.training.tied_embeddings}
        try:
            return parts_of(given, vocab_size)
        except AttributeError as error:
            raise UnknownSizeError(f"{error} is unknown") from None

    @property
    def tokens(self) -> int:
        """Tokens of one iteration."""
        return self.global_batch * self.sequence_length

    @property
    def vocabulary(self) -> int:
        """Entries of the vocabulary, padded as Megatron does."""
        return padded_vocabulary(self.vocab_size, self.tensor)

    @property
    def forward(self) -> ForwardFlops:
        """Operations of one sample in a forward pass, by the model's convention."""
        padded = self.flops_convention == "narayanan"
        return forward_flops(
            self.parts,
            self.flops_convention,
            sequence_length=self.sequence_length,
            vocab_size=self.vocabulary if padded else self.vocab_size,
            hidden_size=self.hidden_size,
        )

    @property
    def has_uneven_stages(self) -> bool:
        """Whether stages of the pipeline may have different numbers of layers."""
        rule = self.training
        return bool(
            rule.embedding_as_layer
            or rule.loss_as_layer
            or rule.balanced_stages
            or rule.first_stage_layers
            or rule.last_stage_layers
            or rule.pipeline_layout
        )

    def stage_layers(self, stage: int) -> float:
        """Layers of a pipeline stage, counted from 0; an even share where they cannot be split as the trainer would."""
        if self.has_uneven_stages:
            found = chunk_layers(self.layers, self.pipeline, self.training.chunks, self.training)
            if not isinstance(found, BrokenLaw):
                return stage_layers(found, self.pipeline)[stage]
        return self.layers / self.pipeline

    @property
    def stage_flops(self) -> float:
        """Operations of one micro batch in one pipeline stage, on a rank times the tensor-parallel ranks of it."""
        return self.micro_batch * self._sample_flops / self.pipeline / self.degree("context")

    @property
    def rank_tokens(self) -> int:
        """Tokens of a micro batch that a rank has."""
        return self.micro_batch * self.sequence_length // self.degree("context")

    @property
    def model_flops(self) -> int:
        """Operations one iteration needs, recomputation not counted."""
        return self.global_batch * self.forward.total()

    @property
    def hardware_flops(self) -> int:
        """Operations the machine does in one iteration."""
        return self.global_batch * self._sample_flops

    def tflops_per_node(self, iteration_seconds: float, recomputation: bool) -> float:
        """Rate of one node, `recomputation` counted or not, in 1e12 operations per second."""
        work = self.hardware_flops if recomputation else self.model_flops
        return tflops_per_node(work, iteration_seconds, self.nodes)

    @property
    def _sample_flops(self) -> int:
        """Operations the machine does for one sample."""
        return self.forward.total(self.recomputed, self.recomputed_share)
