"""The sizes of a model: one row a size. config/layout_fields.py tells what lists these rows.

A size that a model leaves out has a default, those of a GPT of 2019 (GPT-2); some follow from other sizes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .layout_field import LayoutField, row_of, rows_of

NUMBER_OF = r"(?:(?:number|num|no|n|total|count)(?: of)? )?"


SEPARATOR = "; "
"""Between the words of a size that is a list, in a cell."""


def _size(**facts: Any) -> Any:
    """A row of a size that a model may leave out."""
    return row_of(**{"axis": False, "of_model": True, "optional": True, "sets_problem": True, **facts})


@dataclass(frozen=True, kw_only=True)
class ModelSizes:
    """The sizes of a model that a layout's time and memory depend on, as attributes."""

    layers: int = row_of(
        meaning="transformer layers",
        symbol="num-layers",
        label="layers",
        axis=False,
        of_model=True,
        sets_problem=True,
        logged_as=("num_layers",),
        checked_in_log=True,
        headings=rf"{NUMBER_OF}(?:transformer )?layers|nlayers|(?:レイヤー?|層)数",
    )
    hidden_size: int = row_of(
        meaning="width of the residual stream",
        symbol="hidden-size",
        label="hidden",
        axis=False,
        of_model=True,
        shown_with="attention_heads",
        sets_problem=True,
        logged_as=("hidden_size",),
        checked_in_log=True,
        headings=r"hidden(?: ?(?:size|dim(?:ension)?))?|d model|model dim(?:ension)?"
        r"|embedding (?:size|dim(?:ension)?)|隠れ(?:層|状態)?(?:の)?(?:次元|サイズ)数?|隠れ層|埋め込み次元数?",
    )
    attention_heads: int = row_of(
        meaning="attention heads per layer",
        symbol="num-attention-heads",
        label="heads",
        axis=False,
        of_model=True,
        shown_with="attention_heads",
        sets_problem=True,
        logged_as=("num_attention_heads",),
        checked_in_log=True,
        headings=rf"{NUMBER_OF}(?:attention |attn )?heads|nheads|(?:アテンション|注意)?ヘッド数",
    )
    vocab_size: int = row_of(
        meaning="entries of the vocabulary",
        symbol="vocab-size",
        label="vocabulary",
        axis=False,
        of_model=True,
        sets_problem=True,
        in_tables="never",
        logged_as=("vocab_size", "padded_vocab_size"),
        headings=r"(?:padded )?vocab(?:ulary)?(?: size)?|語彙(?:数|サイズ)",
    )
    ffn_hidden_size: int = _size(
        meaning="inner width of the feed-forward block",
        symbol="ffn-hidden-size",
        label="FFN",
        logged_as=("ffn_hidden_size", "intermediate_size"),
        headings=r"ffn(?: hidden)?(?: (?:size|dim))?|intermediate size|feed ?forward (?:size|width)",
        default_of=lambda sizes: None if sizes.gated_ffn else 4 * sizes.hidden_size,
    )
    kv_heads: int = _size(
        meaning="heads of k and v, each shared by as many heads of q (GQA, MQA)",
        symbol="num-query-groups",
        label="KV heads",
        logged_as=("num_query_groups", "num_key_value_heads", "n_kv_heads"),
        headings=rf"{NUMBER_OF}(?:kv|key ?value|query) (?:heads|groups)",
        default_of=lambda sizes: sizes.attention_heads,
    )
    head_width: int = _size(
        meaning="width of a head; under latent attention the part of q and k that is not rotated",
        symbol="kv-channels",
        label="head width",
        logged_as=("kv_channels", "head_dim"),
        headings=r"head ?(?:dim(?:ension)?|width|size)|kv channels",
        default_of=lambda sizes: (
            None if sizes.hidden_size % sizes.attention_heads else sizes.hidden_size // sizes.attention_heads
        ),
    )
    gated_ffn: bool = _size(
        kind="yes_no",
        meaning="whether the feed-forward block has a gate (SwiGLU, GeGLU): three matrices instead of two",
        symbol="gated-ffn",
        label="gated FFN",
        default=False,
        logged_as=("swiglu", "gated_linear_unit"),
        headings=r"swiglu|gated(?: ffn)?",
    )
    biases: str = _size(
        kind="word",
        meaning="which matrices have biases: all, attention, qkv, feed_forward or none",
        symbol="biases",
        default="all",
    )
    norm: str = _size(
        kind="word",
        meaning="form of the norms: layernorm, rmsnorm, layernorm_without_bias or none",
        symbol="norm",
        default="layernorm",
    )
    norms_per_layer: int = _size(meaning="norms of a layer", symbol="norms-per-layer", label="norms", default=2)
    qk_norm: str = _size(
        kind="word", meaning="norms of q and k: none, head (of each head) or whole", symbol="qk-norm", default="none"
    )
    tied_embeddings: bool = _size(
        kind="yes_no",
        meaning="whether the output layer uses the embedding's weights",
        symbol="tied-embeddings",
        label="tied embeddings",
        default_of=lambda sizes: sizes.training.tied_embeddings,
    )
    positions: str = _size(
        kind="word", meaning="how positions enter: learned, rotary or none", symbol="positions", default="learned"
    )
    max_positions: int = _size(
        meaning="entries of the table of learned positions",
        symbol="max-position-embeddings",
        label="positions",
        logged_as=("max_position_embeddings",),
        default_of=lambda sizes: sizes.sequence_length,
    )
    experts: int = _size(
        meaning="experts of a layer that has them",
        symbol="num-experts",
        label="experts",
        logged_as=("num_experts", "num_moe_experts", "num_local_experts", "n_routed_experts"),
        headings=rf"{NUMBER_OF}(?:moe |routed )?experts",
        default=0,
    )
    experts_per_token: int = _size(
        meaning="experts that work on a token",
        symbol="moe-router-topk",
        label="experts per token",
        logged_as=("moe_router_topk", "num_experts_per_tok"),
        headings=r"(?:moe )?(?:router )?top ?k|(?:active )?experts/token",
        default_of=lambda sizes: None if sizes.experts else 0,
    )
    expert_ffn_hidden_size: int = _size(
        meaning="inner width of an expert",
        symbol="moe-ffn-hidden-size",
        label="expert FFN",
        logged_as=("moe_ffn_hidden_size", "moe_intermediate_size"),
        headings=r"(?:moe|expert) ffn(?: hidden)?(?: (?:size|dim))?|moe intermediate size",
        default_of=lambda sizes: sizes.ffn_hidden_size,
    )
    shared_expert_ffn_hidden_size: int = _size(
        meaning="inner width of the expert that works on every token, of all such together",
        symbol="moe-shared-expert-intermediate-size",
        label="shared expert FFN",
        logged_as=("moe_shared_expert_intermediate_size", "shared_expert_intermediate_size"),
        default=0,
    )
    first_dense_layers: int = _size(
        meaning="first layers without experts",
        symbol="first-dense-layers",
        label="dense layers first",
        logged_as=("first_k_dense_replace",),
        default=0,
    )
    expert_layer_interval: int = _size(
        meaning="every how manyth of the other layers has experts",
        symbol="expert-layer-interval",
        label="experts every",
        logged_as=("moe_layer_freq", "decoder_sparse_step"),
        default=1,
    )
    q_lora_rank: int = _size(
        meaning="width to which latent attention compresses q", symbol="q-lora-rank", label="q rank", default=0
    )
    kv_lora_rank: int = _size(
        meaning="width to which latent attention (MLA) compresses k and v",
        symbol="kv-lora-rank",
        label="kv rank",
        default=0,
    )
    rope_head_width: int = _size(
        meaning="width of the part of q and k that latent attention rotates",
        symbol="qk-rope-head-dim",
        label="rotated",
        default=0,
    )
    value_head_width: int = _size(
        meaning="width of a head of v under latent attention",
        symbol="v-head-dim",
        label="value width",
        default_of=lambda sizes: sizes.head_width,
    )
    prediction_layers: int = _size(
        meaning="layers that predict tokens further ahead (MTP)",
        symbol="mtp-num-layers",
        label="MTP",
        logged_as=("mtp_num_layers", "num_nextn_predict_layers"),
        default=0,
    )
    extras: str = _size(
        kind="word",
        meaning="small parts that the other sizes do not tell, such as router_bias",
        symbol="extras",
        default="",
    )
    flops_convention: str = _size(
        kind="word",
        meaning="what the FLOPs count: narayanan, whole or causal",
        symbol="FLOPs",
        sets_problem=False,
        default_of=lambda sizes: "narayanan" if is_plain(sizes) else "whole",
    )
    other_parts: str = _size(
        kind="word", meaning="parts of the model that no formula is known for", symbol="other-parts", default=""
    )


def is_plain(sizes: Any) -> bool:
    """Whether a model is a plain GPT: heads that make up the hidden size, no gate, no experts, nothing compressed."""
    given = vars(sizes)
    if any(given.get(name) for name in ("gated_ffn", "experts", "kv_lora_rank", "prediction_layers", "other_parts")):
        return False
    if not given.keys() & {"kv_heads", "head_width"}:
        return True
    heads, hidden = sizes.attention_heads, sizes.hidden_size
    return bool(sizes.kv_heads == heads and sizes.head_width * heads == hidden)


MODEL_FIELDS: dict[str, LayoutField] = rows_of(ModelSizes)
"""The rows of a model's sizes by name."""


def default_of(name: str, sizes: Any) -> Any:
    """What a size of the model is that was left out; None where nothing tells. `sizes` has the others as attributes."""
    row = MODEL_FIELDS[name]
    return row.default if row.default_of is None else row.default_of(sizes)


def places_of_experts(numbers: Sequence[int], layers: int) -> tuple[int, int] | None:
    """The `first_dense_layers` and `expert_layer_interval` by which just these layers, counted from 0, have experts.

    None where no values do.

    >>> places_of_experts([1, 3, 5], 6), places_of_experts([3, 4, 5], 6), places_of_experts([0, 2, 4], 6)
    ((0, 2), (3, 1), None)
    """
    if not numbers:
        return None
    interval = numbers[1] - numbers[0] if len(numbers) > 1 else layers - numbers[0]
    first = numbers[0] - interval + 1
    even = interval > 0 and list(numbers) == [*range(numbers[0], layers, interval)]
    return (first, interval) if even and first >= 0 else None


class CompletedSizes(ModelSizes):
    """Sizes of a model as attributes, those that are left out as they follow from the others."""

    def __init__(self, sizes: Mapping[str, Any]) -> None:
        self.__dict__.update({name: value for name, value in sizes.items() if value is not None})

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name not in MODEL_FIELDS or (value := default_of(name, self)) is None:
                raise AttributeError(name)
            return value


def words_in(cell: str) -> list[str]:
    """The words of a size that is a list, such as `extras`, as one cell holds them.

    >>> words_in("router_bias; attention_sinks"), words_in("")
    (['router_bias', 'attention_sinks'], [])
    """
    return cell.split(SEPARATOR) if cell else []
