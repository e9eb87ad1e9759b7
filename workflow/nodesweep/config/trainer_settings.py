"""What settings of trainers mean: one row a setting that memory and time depend on.

Settings are read from the command line of a workload, from a config that its `setup` writes, and from dumps of
arguments in logs. Names are written as in a dump: small letters, `_` for `-`, and `.` between a section and its key.
To add a setting, add a row; where several rows give the same field a value, the later one counts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .pipeline_layout import check_layout, chunks_of

Settings = Mapping[str, str]
"""Values of a trainer's settings, as text, by name; a flag without a value is `true`."""
_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_NOTHING = ("", "none", "null")


@dataclass(frozen=True)
class TrainerSetting:
    """A setting of trainers, and what it makes of a field of the layout or of the workload's `training`.

    `value`: the field's value by the setting's text and all settings; None where the setting says nothing of it.
    """

    name: str
    field: str
    value: Callable[[str, Settings], Any]


@dataclass(frozen=True)
class SaidSetting:
    """The value of a field, and the setting that says so: its name and its text.

    `key`: of the workload, where the words are that hold the setting; empty where it was not read off a workload.
    """

    value: Any
    name: str
    text: str
    key: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        return self.name if self.text == "true" else f"{self.name} {self.text}"


def is_on(settings: Settings, *names: str) -> bool:
    """Whether one of these flags is set."""
    return any(_plain(settings.get(name, "")) in _YES for name in names)


def fields_said(settings: Settings) -> dict[str, SaidSetting]:
    """The fields that settings speak of, by name.

    >>> said = fields_said({"bf16": "true", "fp8_format": "hybrid", "use_distributed_optimizer": "true"})
    >>> {name: (one.value, str(one)) for name, one in said.items()}
    {'sharding': ('zero1', 'use_distributed_optimizer'), 'precision': ('fp8', 'fp8_format hybrid')}
    """
    found: dict[str, SaidSetting] = {}
    for row in SETTINGS:
        text = settings.get(row.name)
        if text is not None and (value := row.value(_plain(text), settings)) is not None:
            found[row.field] = SaidSetting(value, row.name, text)
    return found


def _plain(text: str) -> str:
    """A text as it is compared: without quotes and the name of an enumeration before it."""
    return text.strip("\"' ").casefold().rpartition("attnbackend.")[2]


def _flag(on: Any, off: Any = None) -> Callable[[str, Settings], Any]:
    """What a flag means where it is set, and where it is named and not set."""
    return lambda text, settings: on if text in _YES else off if text in _NO else None


def _word(words: Mapping[str, Any], other: Any = None) -> Callable[[str, Settings], Any]:
    """What each value means, and any other but none."""
    return lambda text, settings: None if text in _NOTHING else words.get(text, other)


def _with(names: tuple[str, ...], value: Callable[[str, Settings], Any]) -> Callable[[str, Settings], Any]:
    """What a setting means where one of some flags is set."""
    return lambda text, settings: value(text, settings) if is_on(settings, *names) else None


def _count(text: str, settings: Settings | None = None) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 and int(text) > 0 else None


def _drops_out(text: str, settings: Settings) -> bool | None:
    """Whether masks of dropout are kept: not where both of Megatron's rates are 0."""
    rates = [_plain(settings.get(name, "0.1")) for name in ("hidden_dropout", "attention_dropout")]
    try:
        return any(float(rate) > 0 for rate in rates)
    except ValueError:
        return None


def _chunks(text: str, settings: Settings) -> int | None:
    """Chunks of a stage by the layers of each; None where they do not divide."""
    per_chunk, layers = _count(text), _count(settings.get("num_layers", ""))
    stages = _count(settings.get("pipeline_model_parallel_size", "1"))
    if not (per_chunk and layers and stages):
        return None
    layers += is_on(settings, "account_for_embedding_in_pipeline_split")
    layers += is_on(settings, "account_for_loss_in_pipeline_split")
    return None if layers % (stages * per_chunk) else layers // (stages * per_chunk)


def _layout(text: str, settings: Settings) -> str | None:
    """The layout of a pipeline, which small letters do not tell from others."""
    layout = settings["pipeline_model_parallel_layout"].strip("\"' ")
    try:
        return check_layout(layout)
    except ValueError:
        return None


def _chunks_of_layout(text: str, settings: Settings) -> int | None:
    layout, stages = _layout(text, settings), _count(settings.get("pipeline_model_parallel_size", "1"))
    chunks = len(chunks_of(layout)) if layout else 0
    return None if not chunks or not stages or chunks % stages else chunks // stages


def _chunks_said(settings: Settings) -> int | None:
    """Chunks of a stage by the last of the settings that tell of them; None where one does, by what is unknown."""
    rows = [(name, value) for name, value in _ROWS["virtual_pipeline"] if name in settings]
    said = [value(_plain(settings[name]), settings) for name, value in rows]
    named = any(_plain(settings[name]) not in _NOTHING for name, _ in rows)
    return next((chunks for chunks in reversed(said) if chunks), None if named else 1)


def _recomputed(text: str, settings: Settings) -> int | None:
    """Layers of a stage that are recomputed: Megatron's block method takes so many of each of its chunks."""
    full = _plain(settings.get("recompute_granularity", "full")) == "full"
    if not full or _plain(settings.get("recompute_method", "")) != "block":
        return None
    of_chunk, chunks = _count(text), _chunks_said(settings)
    return of_chunk * chunks if of_chunk and chunks else None


def _hybrid(text: str, settings: Settings) -> str | None:
    """HSDP, where several groups share out the weights each."""
    strategy = _STRATEGIES.get(_plain(settings.get("data_parallel_sharding_strategy", "")), "zero3")
    return "hsdp" if (_count(text) or 0) > 1 and strategy == "zero3" else None


def _group(text: str, settings: Settings) -> int | None:
    """Ranks that share one copy of what is shared out, where several groups of a known size do: parts of DP x CP."""
    if is_on(settings, *_MEGATRON_FSDP) and _plain(settings.get("data_parallel_sharding_strategy", "")) == "no_shard":
        return None
    groups, data = _count(text), _count(settings.get("data_parallel_size", ""))
    context = _count(settings.get("context_parallel_size", "1"))
    if not (groups and data and context) or groups == 1 or data * context % groups:
        return None
    return data * context // groups


def _replicates_shards(text: str, settings: Settings) -> str | None:
    """HSDP, where groups that hold the weights together have several copies; DDP where each rank holds all."""
    several, shards = (_count(text) or 0) > 1, settings.get("parallelism.data_parallel_shard_degree", "-1")
    return ("none" if shards == "1" else "hsdp") if several else None


def _replicated_shards(text: str, settings: Settings) -> int | None:
    return _count(text) if (_count(settings.get("parallelism.data_parallel_replicate_degree", "")) or 1) > 1 else None


_PRECISIONS = {
    **dict.fromkeys(("bf16", "bfloat16", "bf16-mixed", "bf16-true", "mixed_bf16"), "bf16"),
    **dict.fromkeys(("fp16", "float16", "half", "16", "16-mixed", "fp16-mixed"), "fp16"),
    **dict.fromkeys(("fp32", "float32", "float", "32", "32-true"), "fp32"),
}
_STAGES = {"0": "none", "1": "zero1", "2": "zero2", "3": "zero3"}
_STRATEGIES = {"no_shard": "none", "optim": "zero1", "optim_grads": "zero2", "optim_grads_params": "zero3"}
_MEGATRON_FSDP = ("use_megatron_fsdp", "use_custom_fsdp")
_GRANULARITIES = {"full": "full", "selective": "selective"}
_SCHEDULES = {
    **{name: name for name in ("1f1b", "gpipe", "interleaved")},
    "interleaved1f1b": "interleaved",
    **dict.fromkeys(("zero-bubble", "interleavedzerobubble", "zbvzerobubble", "dualpipev"), "zero-bubble"),
}

_ROWS: dict[str, tuple[tuple[str, Callable[[str, Settings], Any]], ...]] = {
    "sharding": (
        ("use_distributed_optimizer", _flag("zero1", "none")),
        ("zero_stage", _word(_STAGES)),
        ("zero_optimization.stage", _word(_STAGES)),
        ("use_torch_fsdp2", _flag("zero3")),
        ("use_megatron_fsdp", _flag("zero3")),
        ("data_parallel_sharding_strategy", _with(_MEGATRON_FSDP, _word(_STRATEGIES))),
        ("num_distributed_optimizer_instances", _with(_MEGATRON_FSDP, _hybrid)),
        ("parallelism.data_parallel_shard_degree", _word({"1": "none"}, "zero3")),
        ("parallelism.fsdp_reshard_after_forward", _word({"never": "zero2"})),
        ("parallelism.data_parallel_replicate_degree", _replicates_shards),
    ),
    "sharding_group": (
        ("num_distributed_optimizer_instances", _with((*_MEGATRON_FSDP, "use_distributed_optimizer"), _group)),
        ("parallelism.data_parallel_shard_degree", _replicated_shards),
    ),
    "virtual_pipeline": (
        ("num_layers_per_virtual_pipeline_stage", _chunks),
        ("num_virtual_stages_per_pipeline_rank", _count),
        ("pipeline_model_parallel_layout", _chunks_of_layout),
        ("virtual_pipeline_model_parallel_size", _count),
    ),
    "pipeline_schedule": (
        ("pipeline_schedule", _word(_SCHEDULES, "other")),
        ("parallelism.pipeline_parallel_schedule", _word(_SCHEDULES, "other")),
        ("parallelism.pipeline_parallel_schedule_csv", _word({}, "other")),
    ),
    "micro_batch_group": (("microbatch_group_size_per_virtual_pipeline_stage", _count),),
    "embedding_as_layer": (
        ("account_for_embedding_in_pipeline_split", _flag(True)),
        ("parallelism.pipeline_parallel_first_stage_less_layers", _flag(True)),
    ),
    "loss_as_layer": (
        ("account_for_loss_in_pipeline_split", _flag(True)),
        ("parallelism.pipeline_parallel_last_stage_less_layers", _flag(True)),
    ),
    "first_stage_layers": (("decoder_first_pipeline_num_layers", _count),),
    "last_stage_layers": (("decoder_last_pipeline_num_layers", _count),),
    "pipeline_layout": (("pipeline_model_parallel_layout", _layout),),
    "sequence_parallel": (("sequence_parallel", _flag(True, False)),),
    "recomputation": (
        ("checkpoint_activations", _flag("full", "none")),
        ("activations_checkpoint_method", _word({}, "full")),
        ("activations_checkpoint_granularity", _word(_GRANULARITIES)),
        ("recompute_activations", _flag("selective")),
        ("recompute_granularity", _word(_GRANULARITIES)),
        ("activation_checkpoint.mode", lambda text, settings: "none" if text == "none" else _GRANULARITIES.get(text)),
    ),
    "recomputed_layers": (("recompute_num_layers", _recomputed),),
    "precision": (
        ("precision", _word(_PRECISIONS)),
        ("training.dtype", _word(_PRECISIONS)),
        ("training.mixed_precision_param", _word(_PRECISIONS)),
        ("fp16.enabled", _flag("fp16")),
        ("bf16.enabled", _flag("bf16")),
        ("fp16", _flag("fp16")),
        ("bf16", _flag("bf16")),
        ("fp8", _word(dict.fromkeys(_NO), "fp8")),
        ("fp8_format", _word({}, "fp8")),
        ("fp8_recipe", lambda text, settings: "mxfp8" if text == "mxfp8" and _asks_fp8(settings) else None),
        ("quantize.linear.float8.recipe_name", _word({}, "fp8")),
        ("quantize.linear.mx.recipe_name", _word({}, "mxfp8")),
        ("fp4", _word(dict.fromkeys(_NO), "nvfp4")),
        ("fp4_format", _word({}, "nvfp4")),
    ),
    "offload": (
        ("optimizer_cpu_offload", _flag("optimizer", "none")),
        ("zero_optimization.offload_optimizer.device", _word({"cpu": "optimizer", "nvme": "optimizer"})),
        ("zero_optimization.offload_param.device", _word({"cpu": "parameters", "nvme": "parameters"})),
        ("training.enable_cpu_offload", _flag("parameters", "none")),
        ("cpu_offloading_num_layers", lambda text, settings: "activations" if _count(text) else None),
        ("fine_grained_activation_offloading", _flag("activations")),
    ),
    "flash_attention": (
        ("use_flash_attn", _flag(True)),
        ("use_flash_attn_v2", _flag(True)),
        ("use_flash_attn_triton", _flag(True)),
        ("attention_backend", _word({"flash": True, "fused": True, "auto": True, "unfused": False, "local": False})),
        ("transformer_impl", _word({"local": False})),
    ),
    "dropout": (("hidden_dropout", _drops_out), ("attention_dropout", _drops_out)),
    "tied_embeddings": (("untie_embeddings_and_output_weights", _flag(False, True)),),
}


def _asks_fp8(settings: Settings) -> bool:
    return any(_plain(settings.get(name, "")) not in (*_NOTHING, *_NO) for name in ("fp8", "fp8_format"))


SETTINGS: tuple[TrainerSetting, ...] = tuple(
    TrainerSetting(name, field, value) for field, rows in _ROWS.items() for name, value in rows
)
"""All rows, by field in the order in which later ones count."""
ALSO_READ: tuple[str, ...] = (
    "context_parallel_size",
    "data_parallel_size",
    "num_layers",
    "pipeline_model_parallel_size",
    "recompute_method",
    "use_custom_fsdp",
)
"""Settings that give no field a value themselves, and that the values of rows depend on."""
