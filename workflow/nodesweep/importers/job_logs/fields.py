"""The fields of a layout: what users may give, and where logs hold it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nodesweep.common.errors import NodesweepError
from nodesweep.config.columns import Kind
from nodesweep.logs.reading import LogReading

Values = dict[str, Any]
"""Fields by name; one that is unknown is absent."""


@dataclass(frozen=True)
class Word:
    """Where the value of a field comes from; `line`: of the job's files, read as one."""

    said: str
    line: int | None = None


Words = dict[str, Word]
"""Where fields come from, by name."""
MOST = 10**9
YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_RECOMPUTES = "Activation Checkpointing Information"
"""What DeepSpeed prints when it first recomputes activations."""


@dataclass(frozen=True)
class Field:
    """A field: the kind of its values, its column in the tidy table, and the settings that hold it, best first."""

    kind: Kind
    column: str
    settings: tuple[str, ...] = ()


FIELDS = {
    "nodes": Field("count", "nodes", ("nnodes",)),
    "ranks_per_node": Field("count", "ranks_per_node", ("num_local_procs", "nproc_per_node")),
    "ranks": Field("count", "ranks", ("world_size", "global_num_gpus")),
    "data": Field("count", "data", ("data_parallel_size", "dp")),
    "tensor": Field("count", "tensor", ("tensor_model_parallel_size", "model_parallel_size", "tp")),
    "pipeline": Field("count", "pipeline", ("pipeline_model_parallel_size", "pipe_parallel_size", "pp")),
    "micro_batch": Field(
        *("count", "micro_batch_samples"),
        settings=("micro_batch_size", "train_micro_batch_size_per_gpu", "mbs", "batch_size"),
    ),
    "global_batch": Field("count", "global_batch_samples", ("global_batch_size", "train_batch_size")),
    "sequence_length": Field("count", "sequence_length_tokens", ("seq_length", "sequence_length")),
    "activation_checkpointing": Field("yes_no", "activation_checkpointing"),
    "frequency_ghz": Field("number", "frequency_ghz"),
    "layers": Field("count", "layers", ("num_layers",)),
    "hidden_size": Field("count", "hidden_size", ("hidden_size",)),
    "attention_heads": Field("count", "attention_heads", ("num_attention_heads",)),
    "ffn_hidden_size": Field("count", "", ("ffn_hidden_size",)),
    "vocab_size": Field("count", "vocab_size", ("vocab_size", "padded_vocab_size")),
}
"""What --set and --pattern may give; ffn_hidden_size has no column, the size of the model follows from it."""
_BESIDE = {
    "context": ("context_parallel_size", "cp", "ds_sequence_parallel_size", "sequence_parallel_size"),
    "accumulation": ("gradient_accumulation_steps", "grad_accum", "gas"),
    "local_batch": ("local_batch_size",),
    "replicas": ("dp_replicate",),
    "shards": ("dp_shard",),
    "experts": ("num_experts", "num_moe_experts"),
}
"""What is no column and yet matters."""


def parsed(name: str, text: str, place: str) -> Any:
    """A value as a user writes it; raises NodesweepError for one the field cannot have."""
    kind, word = FIELDS[name].kind, text.strip().casefold()
    if kind == "yes_no" and word in YES + NO:
        return word in YES
    if kind == "count" and word.isascii() and word.isdecimal() and len(word) <= 10 and 1 <= int(word) <= MOST:
        return int(word)
    if kind == "number":
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if 0 < value <= 100:
            return value
    wanted = {"yes_no": "yes or no", "count": f"a whole number from 1 to {MOST}", "number": "a number from 0 to 100"}
    raise NodesweepError(f"{place}: {name} {text!r:.40} is not {wanted[kind]}")


def given(settings: list[str]) -> Values:
    """The values of `--set NAME=VALUE`, later ones over earlier; raises NodesweepError."""
    values: Values = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or name not in FIELDS:
            raise NodesweepError(f"--set {setting!r:.80}: write NAME=VALUE with one of {', '.join(FIELDS)}")
        values[name] = parsed(name, text, "--set")
    return values


def told(reading: LogReading) -> tuple[Values, Words, list[str]]:
    """What a log says of its layout, where it says so, and what of that a reader must know."""
    settings = dict(reading.arguments)
    if reading.world_size is not None:
        settings.setdefault("world_size", str(reading.world_size))
    values, words = Values(), Words()
    for name, choice in ({name: field.settings for name, field in FIELDS.items()} | _BESIDE).items():
        setting, value = _count(settings, choice)
        if value is not None:
            values[name], words[name] = value, Word(setting, reading.argument_at.get(setting))
    batches = {row.global_batch_samples: row.line for row in reading.iterations if row.global_batch_samples}
    remarks = []
    if batches:
        values["global_batch"], line = list(batches.items())[-1]
        words["global_batch"] = Word("the batch of its last iteration", line)
    if len(batches) > 1:
        remarks.append(f"GBS goes from {next(iter(batches))} to {values['global_batch']}: rates are of the last")
    if values.get("experts", 1) > 1:
        remarks.append(f"a mixture of {values['experts']} experts: no TFLOPs by the formula, which is of dense models")
    recomputes, partly, setting = _recomputation(settings, reading.matched)
    if recomputes is not None:
        values["activation_checkpointing"] = recomputes
        words["activation_checkpointing"] = Word(setting, reading.argument_at.get(setting))
    if partly:
        remarks.append(f"{partly} recomputation: neither with nor without AC, no TFLOPs with recomputation")
    return values, words, remarks


def precision(reading: LogReading) -> str | None:
    """The number format of matrix products, None where the log does not tell."""
    settings = dict(reading.arguments)
    said = settings.get("precision", "")
    for name in ("bf16", "fp16"):
        if settings.get(name) == "True" or {"bfloat16": "bf16"}.get(said, said) == name:
            return name
    return "fp32" if settings.get("bf16") == settings.get("fp16") == "False" else None


def _count(settings: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, int | None]:
    """The first of some settings that is a whole number, and that; of a list with one entry, that entry."""
    for name in names:
        word = settings.get(name, "").strip("[]")
        if word.isascii() and word.isdecimal() and len(word) <= 10 and 1 <= int(word) <= MOST:
            return name, int(word)
    return "", None


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
        return True, "", next(name for name, said in full.items() if said)
    if granularity not in ("", "None", "none"):
        return None, granularity, how
    if settings.get("recompute_activations") == "True":
        return None, "selective", "recompute_activations"
    off = {asked: settings.get(asked) == "False", how: bool(granularity), method: method in settings}
    return next(((False, "", name) for name, said in off.items() if said), (None, "", ""))
