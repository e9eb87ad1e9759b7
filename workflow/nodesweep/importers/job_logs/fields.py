"""The fields of a job's layout, as users give them and as logs name them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, get_args

from pydantic import Field

from nodesweep.common.errors import NodesweepError
from nodesweep.common.text import plain
from nodesweep.config.layout_field import Kind
from nodesweep.config.layout_fields import PARALLEL
from nodesweep.config.model import Model
from nodesweep.config.model_fields import MODEL_FIELDS, SEPARATOR
from nodesweep.config.trainer_model import model_said, parts_unknown
from nodesweep.config.trainer_settings import fields_said
from nodesweep.importers.layout_values import MOST_COUNT, TOLD_FIELDS, LayoutValue
from nodesweep.logs.reading import LogReading

JobValues = dict[str, LayoutValue]
"""Fields of a job by name, and settings that are no field and yet matter; one that is unknown is absent."""


@dataclass(frozen=True)
class ValueOrigin:
    """Where the value of a field comes from, in words; `line`: of the job's files, read as one."""

    text: Annotated[str, Field(alias="said")]
    line: int | None = None


ValueOrigins = dict[str, ValueOrigin]
"""Where the values of fields come from, by name."""
YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
MOST_NUMBER = 100
MOST_CHARACTERS = 80
_RECOMPUTES = "Activation Checkpointing Information"
"""What DeepSpeed prints when it first recomputes activations."""


_OF_FIELDS: dict[str, tuple[Kind, tuple[str, ...]]] = {
    name: (row.kind, row.logged_as or (name,))
    for name, row in {**TOLD_FIELDS, **PARALLEL}.items()
    if row.logged_as or row.kind == "count"
}
"""Kinds of fields and the settings that hold them, best first; a count that trainers call nothing else has its name."""
_AXES = (
    "virtual_pipeline",
    "sharding",
    "sharding_group",
    "sequence_parallel",
    "recomputed_layers",
    "precision",
    "offload",
)
"""Axes that several settings of trainers tell of."""
_BESIDE: dict[str, tuple[Kind, tuple[str, ...]]] = {
    "accumulation": ("count", ("gradient_accumulation_steps", "grad_accum", "gas")),
    "local_batch": ("count", ("local_batch_size",)),
    "replicas": ("count", ("dp_replicate",)),
    "shards": ("count", ("dp_shard",)),
}
"""Settings that are no field and yet matter."""


_WANTED: dict[Kind, str] = {
    "yes_no": "yes or no",
    "count": f"a whole number from 1 to {MOST_COUNT}",
    "number": f"a number from 0 to {MOST_NUMBER}",
    "word": f"text of at most {MOST_CHARACTERS} characters",
}


def parsed(name: str, text: str, place: str) -> LayoutValue:
    """A value as a user writes it; raises NodesweepError for one that the field cannot have."""
    row = TOLD_FIELDS[name]
    words = tuple(row.words) or _words_of_model(name)
    if row.of_model and row.kind == "count" and row.default == 0 and text.strip() == "0":
        return 0
    value = value_of(row.kind, text) if not words else row.word(text) if row.words else _one_of(words, text)
    if value is None:
        wanted = f"one of {', '.join(words)}" if words else _WANTED[row.kind]
        raise NodesweepError(f"{place}: {name} {text!r:.40} is not {wanted}")
    return value


def _words_of_model(name: str) -> tuple[str, ...]:
    """The words that a size of the model has as values; empty for one that has numbers, or any text."""
    found = get_args(Model.model_fields[name].annotation) if name in MODEL_FIELDS else ()
    flat = [word for one in found for word in (get_args(one) or (one,))]
    return tuple(word for word in flat if isinstance(word, str))


def _one_of(words: tuple[str, ...], text: str) -> str | None:
    """Words of a list of words, between `;`, as a cell has them; None where one is none of them."""
    given = [word.strip().casefold() for word in text.split(";")]
    return SEPARATOR.join(given) if set(given) <= set(words) else None


def value_of(kind: Kind, text: str) -> LayoutValue | None:
    """A value of a kind as people and logs write it; None for one that is not of the kind.

    >>> value_of("count", " 8 "), value_of("count", "0"), value_of("yes_no", "on"), value_of("number", "2.2")
    (8, None, True, 2.2)
    """
    word = text.strip()
    if kind == "yes_no":
        return {**dict.fromkeys(YES, True), **dict.fromkeys(NO, False)}.get(word.casefold())
    if kind == "count":
        is_whole = word.isascii() and word.isdecimal() and len(word) <= len(str(MOST_COUNT))
        return int(word) if is_whole and 1 <= int(word) <= MOST_COUNT else None
    if kind == "word":
        return plain(word, MOST_CHARACTERS) or None
    try:
        number = float(word)
    except ValueError:
        return None
    return number if 0 < number <= MOST_NUMBER else None


def values_of_settings(settings: list[str]) -> JobValues:
    """The values of `--set NAME=VALUE`, later ones over earlier; raises NodesweepError."""
    values: JobValues = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or name not in TOLD_FIELDS:
            raise NodesweepError(f"--set {setting!r:.80}: write NAME=VALUE with one of {', '.join(TOLD_FIELDS)}")
        values[name] = parsed(name, text, "--set")
    return values


def layout_in_log(reading: LogReading) -> tuple[JobValues, ValueOrigins, list[str]]:
    """The fields that a log names, where it names them, and remarks on what of that a reader must know."""
    settings = dict(reading.arguments)
    if reading.world_size is not None:
        settings.setdefault("world_size", str(reading.world_size))
    values, origins = JobValues(), ValueOrigins()
    for name, (kind, choice) in (_OF_FIELDS | _BESIDE).items():
        setting, value = _first(settings, kind, choice)
        if value is not None:
            values[name], origins[name] = value, ValueOrigin(setting, reading.argument_at.get(setting))
    remarks = []
    batches = {row.global_batch_samples: row.line for row in reading.iterations if row.global_batch_samples}
    if batches:
        batch, line = list(batches.items())[-1]
        values["global_batch"], origins["global_batch"] = batch, ValueOrigin("the batch of its last iteration", line)
        if len(batches) > 1:
            remarks.append(f"GBS goes from {next(iter(batches))} to {batch}: rates are of the last")
    at = reading.argument_at
    for name, (value, setting) in (_axes(settings) | model_said(settings)).items():
        values.pop(name, None)
        origins.pop(name, None)
        if value is not None:
            values[name], origins[name] = value, ValueOrigin(setting, at.get(setting))
    if parts := parts_unknown(settings):
        values["other_parts"] = SEPARATOR.join(parts)
        origins["other_parts"] = ValueOrigin("the arguments named there")
    recomputes, partly, setting = _recomputation(settings, reading.matched)
    if recomputes is not None:
        values["activation_checkpointing"] = recomputes
        origins["activation_checkpointing"] = ValueOrigin(setting, reading.argument_at.get(setting))
    if partly == "selective" and _repeats_core_alone(settings):
        values |= {"activation_checkpointing": True, "recomputation": "selective"}
        place = ValueOrigin(setting, reading.argument_at.get(setting))
        origins |= {"activation_checkpointing": place, "recomputation": place}
    elif partly:
        remarks.append(f"{partly} recomputation: neither with nor without AC, no TFLOPs with recomputation")
    return values, origins, remarks


def _axes(settings: Mapping[str, str]) -> dict[str, tuple[LayoutValue | None, str]]:
    """Axes that settings speak of otherwise than by a number of their own name; None for one that means nothing."""
    if settings.get("deepspeed") == "False":  # Megatron-DeepSpeed has a stage of ZeRO by default, and does not use it
        settings = {name: value for name, value in settings.items() if name != "zero_stage"}
    said = fields_said(settings)
    found: dict[str, tuple[LayoutValue | None, str]] = {
        name: (said[name].value, said[name].name) for name in _AXES if name in said
    }
    if settings.get("bf16") == settings.get("fp16") == "False" and "precision" not in said:
        found["precision"] = ("fp32", "bf16")
    if any(settings.get(name) == "None" for name in ("num_experts", "num_moe_experts")):
        # Megatron-LM prints the tensor parallelism of experts for models without any
        found |= dict.fromkeys(("expert", "expert_tensor"), (None, "num_experts"))
    return found


def _first(settings: Mapping[str, str], kind: Kind, names: tuple[str, ...]) -> tuple[str, LayoutValue | None]:
    """The first of some settings that holds a value of a kind, and that value; of a list with one entry, that entry."""
    values = ((name, value_of(kind, settings[name].strip("[]"))) for name in names if name in settings)
    return next(((name, value) for name, value in values if value is not None), ("", None))


def _repeats_core_alone(settings: Mapping[str, str]) -> bool:
    """Whether selective recomputation is that of the core of attention, as in Megatron-LM where nothing else is named.

    >>> _repeats_core_alone({"recompute_granularity": "selective", "recompute_modules": "['core_attn']"})
    True
    >>> _repeats_core_alone({"recompute_granularity": "selective", "recompute_modules": "['moe_act', 'layernorm']"})
    False
    """
    if not settings.keys() & {"recompute_granularity", "recompute_activations"}:
        return False
    modules = settings.get("recompute_modules", "None")
    return modules == "None" or modules.strip("[]'\" ") == "core_attn"


def _recomputation(settings: Mapping[str, str], matched: Mapping[str, int]) -> tuple[bool | None, str, str]:
    """Whether all activations are recomputed, None where unknown; how, where only some are; and by which setting."""
    how = next((name for name in ("recompute_granularity", "activation_checkpointing_mode") if name in settings), "")
    granularity, method = settings.get(how, ""), "activations_checkpoint_method"
    asked = "checkpoint_activations"
    full = {
        asked: settings.get(asked) == "True",
        how: granularity == "full",
        method: settings.get(method, "None") != "None",
        _RECOMPUTES: bool(matched.get(_RECOMPUTES)),
    }
    if any(full.values()):
        return True, "", next(name for name, is_so in full.items() if is_so)
    if granularity not in ("", "None", "none"):
        return None, granularity, how
    if settings.get("recompute_activations") == "True":
        return None, "selective", "recompute_activations"
    off = {asked: settings.get(asked) == "False", how: bool(granularity), method: method in settings}
    return next(((False, "", name) for name, is_so in off.items() if is_so), (None, "", ""))
