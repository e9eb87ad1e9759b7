"""Fields of a layout that a block may leave to the settings of its workload, and settings as a layout then has them."""

from collections.abc import Mapping
from typing import Any, get_args

from nodesweep.config.layout_words import Sharding
from nodesweep.config.training import WITH_FORMULA, Training
from nodesweep.config.workload import Workload

SETTINGS: Mapping[str, tuple[str, ...]] = {
    "virtual_pipeline": ("training", "chunks_per_stage"),
    "sharding": ("training", "zero_stage"),
    "sequence_parallel": ("training", "sequence_parallel"),
    "recomputation": ("training", "recomputation"),
    "precision": ("precision",),
}
"""The keys of a workload that say what fields are which a block leaves out."""
OF_TRAINING = tuple(name for name, key in SETTINGS.items() if key[0] == "training")
"""The fields that say the same as a workload's `training`."""
_SHARDED = dict(enumerate(get_args(Sharding)[:4]))
"""What replicas share out by the stage of ZeRO."""


STAGE_OF = {name: min(stage, 3) for stage, name in enumerate(get_args(Sharding))}
"""The stage of ZeRO by what replicas share out; hsdp is ZeRO 3 within groups."""


def recomputes(values: Mapping[str, Any]) -> bool:
    """Whether activations are recomputed, as one of the two fields says that say so; no where neither does."""
    if values.get("activation_checkpointing") is not None:
        return bool(values["activation_checkpointing"])
    return values.get("recomputation") not in (None, "none")


def fields_of(training: Training, activation_checkpointing: bool) -> dict[str, Any]:
    """The fields of a layout that follow from a trainer's settings, and from whether it recomputes at all.

    >>> fields_of(Training(zero_stage=1), activation_checkpointing=True)["recomputation"]
    'full'
    """
    return {
        "virtual_pipeline": training.chunks,
        "sharding": _SHARDED[training.zero_stage],
        "sequence_parallel": training.sequence_parallel,
        "recomputation": training.recomputation if activation_checkpointing else "none",
    }


def usual(values: Mapping[str, Any], workload: Workload) -> dict[str, Any]:
    """What fields have that a block leaves to such a workload."""
    return {**fields_of(workload.training, recomputes(values)), "precision": workload.precision}


def settled(values: Mapping[str, Any], workload: Workload) -> dict[str, Any]:
    """The values of a block's point, with what it leaves to the workload."""
    given = {name: value for name, value in values.items() if value is not None}
    return {**values, **usual(values, workload), **given, "activation_checkpointing": recomputes(values)}


def unsaid(values: Mapping[str, Any], workload: Workload) -> frozenset[str]:
    """Names of the fields that have what the workload says."""
    return frozenset(name for name, value in usual(values, workload).items() if values.get(name) in (None, value))


def training_of(values: Mapping[str, Any], training: Training) -> Training:
    """Settings of a trainer with what the fields of a layout say over them, as far as these are known.

    >>> changed = training_of({"virtual_pipeline": 4, "sharding": "hsdp", "recomputation": "none"}, Training())
    >>> changed.pipeline_schedule, changed.chunks_per_stage, changed.zero_stage, changed.recomputation
    ('interleaved', 4, 3, 'full')
    """
    update: dict[str, Any] = {}
    chunks, sharding = values.get("virtual_pipeline"), values.get("sharding")
    if chunks is not None and chunks != training.chunks:
        update["chunks_per_stage"] = chunks
        if training.pipeline_schedule in WITH_FORMULA:
            update["pipeline_schedule"] = "interleaved" if chunks > 1 else "1f1b"
    if sharding is not None:
        update["zero_stage"] = next((stage for stage, name in _SHARDED.items() if name == sharding), 3)
    if values.get("sequence_parallel") is not None:
        update["sequence_parallel"] = values["sequence_parallel"]
    if values.get("recomputation") not in (None, "none"):
        update["recomputation"] = values["recomputation"]
    changed = {name: value for name, value in update.items() if getattr(training, name) != value}
    return training.model_copy(update=changed) if changed else training


def left_to_workload(values: Mapping[str, Any], workload: Workload) -> dict[str, Any]:
    """The fields that a block may leave to its workload, as the workload has them by its keys; None where none says."""
    says = usual(values, workload)
    given = {"precision"} & workload.model_fields_set
    given |= {name for name in OF_TRAINING if SETTINGS[name][1] in workload.training.model_fields_set}
    found = {name: says[name] if name in given else None for name in SETTINGS}
    return {**found, "activation_checkpointing": recomputes(values)}
