"""A training run as the formulas of memory and time see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nodesweep.config.training import Training
from nodesweep.config.types import Precision
from nodesweep.config.workload import Workload
from nodesweep.sweep.layout import Layout

from . import flops
from .flops import hardware_flops, padded_vocabulary, tflops_per_node

_COLUMNS = {
    "nodes": "nodes",
    "ranks_per_node": "ranks_per_node",
    "data": "data",
    "tensor": "tensor",
    "pipeline": "pipeline",
    "micro_batch": "micro_batch_samples",
    "global_batch": "global_batch_samples",
    "sequence_length": "sequence_length_tokens",
    "activation_checkpointing": "activation_checkpointing",
    "layers": "layers",
    "hidden_size": "hidden_size",
    "attention_heads": "attention_heads",
    "vocab_size": "vocab_size",
}


_DEFAULT = Training()


@dataclass(frozen=True)
class Case:
    """Sizes of model and split: batches in samples, `sequence_length` and `vocab_size` in tokens, before padding.

    `shared_cores`: ranks that run at full speed at once, where all share one machine.
    """

    nodes: int
    ranks_per_node: int
    data: int
    tensor: int
    pipeline: int
    micro_batch: int
    global_batch: int
    sequence_length: int
    activation_checkpointing: bool
    layers: int
    hidden_size: int
    attention_heads: int
    vocab_size: int
    ffn_width: int
    frequency_ghz: float | None = None
    precision: Precision = "fp32"
    training: Training = _DEFAULT
    shared_cores: int | None = None

    @classmethod
    def of(cls, layout: Layout) -> "Case":
        """That of a layout."""
        return cls(
            nodes=layout.nodes,
            ranks_per_node=layout.ranks_per_node,
            data=layout.data,
            tensor=layout.tensor,
            pipeline=layout.pipeline,
            micro_batch=layout.micro_batch,
            global_batch=layout.global_batch,
            sequence_length=layout.sequence_length,
            activation_checkpointing=layout.activation_checkpointing,
            layers=layout.model.layers,
            hidden_size=layout.model.hidden_size,
            attention_heads=layout.model.attention_heads,
            vocab_size=layout.model.vocab_size,
            ffn_width=layout.model.ffn_width,
            frequency_ghz=layout.frequency_ghz,
            precision=layout.workload.precision,
            training=layout.workload.training,
            shared_cores=layout.machine.cores_shared_by_ranks,
        )

    @classmethod
    def of_row(cls, row: Mapping[str, Any], workload: Workload) -> "Case | None":
        """That of a row of results.csv, run by such a workload; None where the row lacks a size or breaks its law."""
        sizes = {name: row[column] for name, column in _COLUMNS.items()}
        if None in sizes.values():
            return None
        case = cls(
            **sizes,
            ffn_width=4 * sizes["hidden_size"],
            frequency_ghz=row["frequency_ghz"],
            precision=workload.precision,
            training=workload.training,
        )
        return case if case.lawful else None

    @property
    def lawful(self) -> bool:
        """Whether ranks, batch and layers split as they must."""
        split = self.data * self.tensor * self.pipeline
        parts = (self.global_batch % (self.data * self.micro_batch), self.layers % self.pipeline)
        return self.nodes * self.ranks_per_node == split and parts == (0, 0) and self.micro_batches > 0

    @property
    def micro_batches(self) -> int:
        """Micro batches each replica works through in one iteration."""
        return self.global_batch // (self.data * self.micro_batch)

    @property
    def tokens(self) -> int:
        """Tokens of one iteration."""
        return self.global_batch * self.sequence_length

    @property
    def vocabulary(self) -> int:
        """Entries of the vocabulary, padded as Megatron does."""
        return padded_vocabulary(self.vocab_size, self.tensor)

    @property
    def stage_flops(self) -> float:
        """Operations of one micro batch in one pipeline stage, over its tensor-parallel ranks together."""
        return self._flops(self.micro_batch, self.activation_checkpointing) / self.pipeline

    def tflops_per_node(self, iteration_seconds: float, recomputation: bool) -> float:
        """Rate of one node, `recomputation` counted or not, in 1e12 operations per second."""
        work = self._flops(self.global_batch, recomputation and self.activation_checkpointing)
        return tflops_per_node(work, iteration_seconds, self.nodes)

    def _flops(self, samples: int, activation_checkpointing: bool) -> int:
        return hardware_flops(
            layers=self.layers,
            hidden_size=self.hidden_size,
            sequence_length=self.sequence_length,
            vocab_size=self.vocab_size,
            global_batch=samples,
            tensor=self.tensor,
            activation_checkpointing=activation_checkpointing,
            selective=self.training.recomputation == "selective",
        )


@dataclass(frozen=True)
class Shape:
    """Sizes of a run that its rates depend on; None is unknown. Batch in samples, sequence and vocabulary in tokens.

    `selective`: checkpointing recomputes the core of attention alone.
    """

    nodes: int | None
    ranks_per_node: int | None
    tensor: int | None
    global_batch: int | None
    sequence_length: int | None
    activation_checkpointing: bool | None
    layers: int | None
    hidden_size: int | None
    vocab_size: int | None
    selective: bool = False

    @classmethod
    def of(cls, layout: Layout) -> "Shape":
        """That of a layout, all known."""
        return cls(
            nodes=layout.nodes,
            ranks_per_node=layout.ranks_per_node,
            tensor=layout.tensor,
            global_batch=layout.global_batch,
            sequence_length=layout.sequence_length,
            activation_checkpointing=layout.activation_checkpointing,
            layers=layout.model.layers,
            hidden_size=layout.model.hidden_size,
            vocab_size=layout.model.vocab_size,
            selective=layout.workload.training.recomputation == "selective",
        )

    @property
    def ranks(self) -> int | None:
        """Ranks of the whole run."""
        return self.nodes * self.ranks_per_node if self.nodes and self.ranks_per_node else None

    @property
    def tokens(self) -> int | None:
        """Tokens of one iteration."""
        return self.global_batch * self.sequence_length if self.global_batch and self.sequence_length else None

    @property
    def model_flops(self) -> int | None:
        """Operations one iteration needs, recomputation not counted."""
        return self._flops(False)

    @property
    def hardware_flops(self) -> int | None:
        """Operations the machine does in one iteration."""
        return None if self.activation_checkpointing is None else self._flops(self.activation_checkpointing)

    def _flops(self, activation_checkpointing: bool) -> int | None:
        sizes = {
            name: getattr(self, name)
            for name in ("layers", "hidden_size", "sequence_length", "vocab_size", "global_batch", "tensor")
        }
        if None in sizes.values():
            return None
        return flops.hardware_flops(
            **sizes, activation_checkpointing=activation_checkpointing, selective=self.selective
        )
