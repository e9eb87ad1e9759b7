"""What the templates of a workload know of a layout: its fields, the parts of its sweep, and what follows from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

from nodesweep.config.machine import Machine
from nodesweep.config.model import Model
from nodesweep.config.model_fields import MODEL_FIELDS, CompletedSizes
from nodesweep.config.parameters import ParameterValue, is_variable, value_text
from nodesweep.config.sweep import Iterations, Variant
from nodesweep.config.workload import Workload

Context = Mapping[str, Any]
"""What templates know, by name."""
_PLACES = {"slug": "", "directory": ".", "python": "python3", "repository": "."}
"""What no setting depends on, and a layout knows only when its script is written."""
_STAGE_RULES = (
    "embedding_as_layer",
    "loss_as_layer",
    "first_stage_layers",
    "last_stage_layers",
    "pipeline_layout",
)
"""Keys of `training` that leave no layers over, by saying how they are split over stages."""


class HasParts(Protocol):
    """What has the parts of a sweep that a layout runs with: the layout itself, or what is to become one."""

    @property
    def model(self) -> Model:
        """The model that is trained."""

    @property
    def machine(self) -> Machine:
        """The machine that it runs on."""

    @property
    def workload(self) -> Workload:
        """What the job runs."""

    @property
    def variant(self) -> Variant | None:
        """The named environment it runs in, if any."""

    @property
    def iterations(self) -> Iterations:
        """How long the run is."""

    @property
    def parameters(self) -> Mapping[str, ParameterValue]:
        """The free parameters that its block gives, by name."""


@dataclass(frozen=True)
class Parts:
    """The parts of a sweep that a layout is to run with."""

    model: Model
    machine: Machine
    workload: Workload
    variant: Variant | None
    iterations: Iterations
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)


def environment_of(parts: HasParts) -> dict[str, str]:
    """The variables of the command by name; their holes are not filled yet."""
    variables = {name: value_text(value) for name, value in parts.parameters.items() if is_variable(name)}
    of_variant = parts.variant.env if parts.variant else {}
    return parts.machine.environment | parts.workload.environment | variables | of_variant


def context_of(values: Mapping[str, Any], parts: HasParts) -> Context:
    """What templates know of a layout whose script is not written yet; `values`: its fields by name."""
    given = parts.workload.training.model_fields_set
    training = {name: value if name in given else None for name, value in parts.workload.training}
    return {
        **_PLACES,
        **parts.parameters,
        **values,
        **derived_values(values, parts.model, training),
        "model": _words_of(parts.model),
        "machine": parts.machine,
        "training": training,
        "environment": environment_of(parts),
        "iterations": parts.iterations.total,
    }


def derived_values(values: Mapping[str, Any], model: Model, training: Mapping[str, Any]) -> dict[str, Any]:
    """What templates know of a layout beside its fields, by the names in config/expressions.py.

    >>> model = Model(layers=126, hidden_size=8, attention_heads=2, vocab_size=16)
    >>> derived_values({"pipeline": 8, "virtual_pipeline": 2, "global_batch": 64, "data": 4, "context": 1}, model, {})
    {'uneven_stages': True, 'layers_per_chunk': 8, 'replica_batch': 16, 'sharding_groups': 1, 'group_data': 4}
    """
    chunks, context = values["pipeline"] * (values.get("virtual_pipeline") or 1), values.get("context") or 1
    split_by_rule = any(training.get(name) is not None for name in _STAGE_RULES)
    uneven = bool(model.layers % chunks) and (model.layers + 2) % chunks == 0 and not split_by_rule
    sharing = values["data"] * context
    group = values.get("sharding_group") or sharing
    return {
        "uneven_stages": uneven,
        "layers_per_chunk": -(-(model.layers + 2 * uneven) // chunks),
        "replica_batch": values["global_batch"] // values["data"],
        "sharding_groups": sharing // group,
        "group_data": group // context,
    }


@lru_cache(maxsize=1024)
def _words_of(model: Model) -> Mapping[str, Any]:
    return model_words(model, model.sizes)


def model_words(model: Model, sizes: Mapping[str, Any]) -> dict[str, Any]:
    """What templates know as `model`: its keys, what they come to where left out, and what follows from them.

    `expert_layer_pattern`: which layers have experts, as Megatron-LM writes it. `shared_experts`: how many experts the
    shared one is as wide as; None where it is no whole number of them.
    """
    completed = CompletedSizes(sizes)
    found = {name: getattr(completed, name, None) for name in MODEL_FIELDS}
    wide, shared = found["expert_ffn_hidden_size"], found["shared_expert_ffn_hidden_size"] or 0
    return {
        **model.values,
        **found,
        "ffn_width": found["ffn_hidden_size"],
        "expert_layer_pattern": _pattern(completed),
        "shared_experts": shared // wide if wide and shared % wide == 0 else None,
    }


def _pattern(sizes: CompletedSizes) -> str:
    """The layers that have experts: none of the first ones, then every how manyth.

    >>> _pattern(CompletedSizes({"layers": 61, "first_dense_layers": 3}))
    '([0]*3+[1]*58)'
    >>> _pattern(CompletedSizes({"layers": 5, "expert_layer_interval": 2}))
    '([0,1]*2+[0]*1)'
    """
    dense, interval = sizes.first_dense_layers, sizes.expert_layer_interval
    whole, left = divmod(sizes.layers - dense, interval)
    cycle = ",".join(["0"] * (interval - 1) + ["1"])
    parts = [("0", dense), (cycle, whole), ("0", left)]
    return "(" + "+".join(f"[{part}]*{times}" for part, times in parts if times) + ")"
