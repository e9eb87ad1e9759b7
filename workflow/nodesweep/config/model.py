"""The model of a sweep: the sizes of a decoder, by which its parameters, FLOPs and memory are counted."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from .model_fields import MODEL_FIELDS, SEPARATOR, CompletedSizes, is_plain
from .types import STRICT, Count, Name, StrictModel, Text, check_single_line

Biases = Literal["all", "attention", "qkv", "feed_forward", "none"]
Norm = Literal["layernorm", "rmsnorm", "layernorm_without_bias", "none"]
QkNorm = Literal["none", "head", "whole"]
Positions = Literal["learned", "rotary", "none"]
FlopsConvention = Literal["narayanan", "whole", "causal"]
Extra = Literal["router_bias", "attention_sinks", "shared_expert_gate", "embedding_norm", "output_bias"]

NOT_OF_A_RUN = ("name", "size", "from_", "flops_convention")
"""Keys that change no run: labels, where the others were read, and how figures are counted afterwards."""
_EXPERT_KEYS = (
    "experts_per_token",
    "expert_ffn_hidden_size",
    "shared_expert_ffn_hidden_size",
    "first_dense_layers",
    "expert_layer_interval",
)


def _config_path(value: str) -> str:
    if not check_single_line(value).endswith(".json"):
        raise ValueError(f"{value!r:.80} is no path of a Hugging Face config.json, relative to the file that names it")
    return value


def _from_or_required(schema: dict[str, Any]) -> None:
    """Let editors take a model that has `from` in place of the keys that must be there."""
    schema["anyOf"] = [{"required": ["from"]}, {"required": schema.pop("required")}]


class Model(StrictModel):
    """A decoder. What is left out is as in a GPT of 2019: GPT-2, GPT-3, and what Megatron-LM builds by default."""

    model_config = STRICT | ConfigDict(json_schema_extra=_from_or_required)

    name: Name = "model"
    """Label; the file's name where the model has a file of its own."""
    size: Text | None = None
    """Label of the Size column, such as 30B; worked out from the parameters where left out."""
    from_: Annotated[str | None, AfterValidator(_config_path), Field(alias="from")] = None
    """A Hugging Face config.json to read the keys below from, relative to this file; keys beside `from` override it."""
    layers: Count
    """Transformer layers."""
    hidden_size: Count
    """Width of the residual stream."""
    attention_heads: Count
    """Attention heads per layer; must divide hidden_size where head_width is left out."""
    kv_heads: Count | None = None
    """Heads of k and v, each shared by as many heads of q (GQA; 1 is MQA); attention_heads where left out."""
    head_width: Count | None = None
    """Width of a head (kv channels, head dim); hidden_size / attention_heads where left out. Under latent attention
    the part of q and k that is not rotated."""
    ffn_hidden_size: Count | None = None
    """Inner width of the feed-forward block; 4 x hidden_size where left out, and required with gated_ffn."""
    gated_ffn: bool = False
    """Whether the feed-forward block, and each expert, has a gate (SwiGLU, GeGLU): three matrices instead of two."""
    vocab_size: Count
    """Entries of the vocabulary, before any padding."""
    biases: Biases = "all"
    """Which matrices have biases: all of a layer, those of attention, of q, k and v alone, of feed-forward block and
    experts alone, or none."""
    norm: Norm = "layernorm"
    """Form of the norms: layernorm has a weight and a bias, rmsnorm and layernorm_without_bias a weight alone."""
    norms_per_layer: Annotated[int, Field(strict=True, ge=0, le=4)] = 2
    """Norms of a layer, of its whole width: 1 where attention and feed-forward work side by side on one norm, 4 where
    their outputs have norms too (Gemma 2)."""
    qk_norm: QkNorm = "none"
    """Norms of q and k: of each head (Qwen3, Gemma 3), or of all heads as a whole (OLMo 2)."""
    tied_embeddings: bool | None = None
    """Whether the output layer uses the embedding's weights; as workload.training says where left out."""
    positions: Positions = "learned"
    """How positions enter: a learned table of max_positions, rotary, or none of the two (such as ALiBi)."""
    max_positions: Count | None = None
    """Entries of the table of learned positions; as many as the sequence has tokens where left out."""
    experts: Annotated[int, Field(strict=True, ge=2, le=10**6)] | None = None
    """Experts of a layer that has them (MoE)."""
    experts_per_token: Count | None = None
    """Experts that work on a token (top-k)."""
    expert_ffn_hidden_size: Count | None = None
    """Inner width of an expert; ffn_hidden_size where left out."""
    shared_expert_ffn_hidden_size: Count | None = None
    """Inner width of the shared expert, which works on every token; of all shared experts together."""
    first_dense_layers: Annotated[int, Field(strict=True, ge=0, le=10**6)] = 0
    """First layers that have a feed-forward block instead of experts."""
    expert_layer_interval: Count = 1
    """Every how manyth of the layers after those has experts; the others have a feed-forward block."""
    q_lora_rank: Count | None = None
    """Width to which multi-head latent attention (MLA) compresses q; not compressed where left out."""
    kv_lora_rank: Count | None = None
    """Width to which multi-head latent attention compresses k and v; a model that has it is one of latent attention."""
    rope_head_width: Count | None = None
    """Width of the rotated part of q and k under latent attention, beside head_width."""
    value_head_width: Count | None = None
    """Width of a head of v under latent attention; head_width where left out."""
    prediction_layers: Annotated[int, Field(strict=True, ge=0, le=1000)] = 0
    """Layers after the last that predict tokens further ahead (multi-token prediction, MTP)."""
    extras: tuple[Extra, ...] = ()
    """Small parts that the other keys do not tell: biases of the router or the output layer, a sink of each attention
    head, a gate of the shared expert, a norm of the embedding."""
    other_parts: tuple[Text, ...] = ()
    """Parts that no formula is known for, such as Mamba layers. FLOPs, rates and memory then stay unknown."""
    flops_convention: FlopsConvention | None = None
    """What model FLOPs count. narayanan: eq. 3 of Narayanan et al. 2021, the default of a plain GPT. whole: each matrix
    product by its size, attention over the whole square, the default of all other models. causal: attention halved."""

    @property
    def sizes(self) -> Mapping[str, Any]:
        """The sizes by the names of their rows in config/model_fields.py; None for one that is left to its default."""
        return _sizes(self)

    @property
    def values(self) -> Mapping[str, Any]:
        """What templates know as `model`: all keys, and what they come to where they are left out."""
        return _values(self)

    @property
    def ffn_width(self) -> int | None:
        """Inner width of the feed-forward block; None where nothing says it."""
        width: int | None = self.values["ffn_width"]
        return width

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for complaint in (_complaint_of_attention(self), _complaint_of_experts(self), _complaint_of_flops(self)):
            if complaint:
                raise ValueError(complaint)
        return self


@lru_cache(maxsize=1024)  # by the model, as all layouts of a sweep have the same few
def _sizes(model: Model) -> Mapping[str, Any]:
    cells = {name: _cell(getattr(model, name)) for name in MODEL_FIELDS}
    return {name: None if value == MODEL_FIELDS[name].default else value for name, value in cells.items()}


@lru_cache(maxsize=1024)
def _values(model: Model) -> Mapping[str, Any]:
    completed = CompletedSizes(model.sizes)
    found = {name: getattr(completed, name, None) for name in MODEL_FIELDS}
    return {**dict(model), **found, "ffn_width": found["ffn_hidden_size"]}


def _cell(value: Any) -> Any:
    return SEPARATOR.join(value) if isinstance(value, tuple) else value


def _complaint_of_attention(model: Model) -> str:
    """What of the attention does not fit together; empty where all does."""
    heads, groups = model.attention_heads, model.kv_heads
    if groups is not None and heads % groups:
        return (
            f"kv_heads {groups} does not divide attention_heads {heads}: each head of k and v serves as many of q; "
            f"give a divisor of {heads}"
        )
    if model.kv_lora_rank is None:
        given = [name for name in ("q_lora_rank", "rope_head_width", "value_head_width") if getattr(model, name)]
        return (
            f"{given[0]} is a size of latent attention (MLA); give kv_lora_rank too, or leave it out" if given else ""
        )
    if groups not in (None, heads):
        return "kv_heads and kv_lora_rank exclude each other: under latent attention (MLA) each head has k and v"
    if model.head_width is None or model.rope_head_width is None:
        return "kv_lora_rank makes it latent attention (MLA); give head_width and rope_head_width of its heads too"
    if model.qk_norm != "none" or "attention_sinks" in model.extras:
        lost = "qk_norm" if model.qk_norm != "none" else "extras: attention_sinks"
        return f"{lost} is not counted under latent attention (MLA), whose norms are its own; leave it out"
    return ""


def _complaint_of_experts(model: Model) -> str:
    """What of feed-forward and experts does not fit together; empty where all does."""
    if model.experts is None:
        defaults = {name: Model.model_fields[name].default for name in _EXPERT_KEYS}
        given = [name for name, default in defaults.items() if getattr(model, name) != default]
        if given:
            return f"{given[0]} is a size of a mixture of experts; give experts, their number, or leave it out"
        wants_width = model.gated_ffn
    else:
        wants_width = (
            bool(model.first_dense_layers) or model.expert_layer_interval > 1 or not model.expert_ffn_hidden_size
        )
        if model.experts_per_token is None:
            return "experts needs experts_per_token, how many of them work on a token"
        if model.experts_per_token > model.experts:
            return f"experts_per_token {model.experts_per_token} is more than there are: experts {model.experts}"
        if model.first_dense_layers + model.expert_layer_interval > model.layers:
            return (
                f"no layer has experts: first_dense_layers {model.first_dense_layers} and expert_layer_interval "
                f"{model.expert_layer_interval} leave none of {model.layers} layers"
            )
    if wants_width and model.gated_ffn and model.ffn_hidden_size is None:
        return "gated_ffn needs ffn_hidden_size: gated blocks have no width that is usual (Llama 2 7B: 11008 of 4096)"
    return ""


def _complaint_of_flops(model: Model) -> str:
    """Why a convention of FLOPs does not hold for a model; empty where it does."""
    if model.flops_convention == "narayanan" and not is_plain(CompletedSizes(model.sizes)):
        return (
            "flops_convention narayanan holds for a plain GPT alone: no gate, no experts, as many kv_heads as "
            "attention_heads, heads that make up the hidden size; take whole or causal, or leave it out"
        )
    return ""
