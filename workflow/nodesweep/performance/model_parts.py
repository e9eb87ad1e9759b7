"""The parts of a decoder, one row a part: what parameters it holds, and what it multiplies a token with.

Parameters, FLOPs, recomputation and the state of a rank follow from these rows. Sources: Vaswani et al. 2017 (arXiv
1706.03762); Shazeer 2020 (2002.05202) for gates; Ainslie et al. 2023 (2305.13245) for shared heads of k and v; DeepSeek
V2 and V3 (2405.04434, 2412.19437) for latent attention, shared experts and prediction layers. Products are what
Megatron-LM counts in `num_floating_point_operations`: every matrix, and the norms of latent attention and of prediction
layers, but no router, bias or other norm.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Literal

from nodesweep.config.model_fields import MODEL_FIELDS, CompletedSizes, words_in

Place = Literal["layers", "dense layers", "expert layers", "prediction layers", "first stage", "last stage"]
Split = Literal["", "tensor", "experts"]
_NORM_VECTORS = {"layernorm": 2, "rmsnorm": 1, "layernorm_without_bias": 1, "none": 0}
"""Vectors of a norm: a weight, and a bias."""
_ATTENTION_BIASES = ("all", "attention", "qkv")
"""Values of `biases` with which q, k and v have them."""


@dataclass(frozen=True)
class Part:
    """Parameters that stand once at a place, such as in each layer: `number` times a matrix and a vector.

    `group`: what people call it. `split`: what splits it over ranks, tensor parallelism or that of the experts; empty
    for what each rank has whole. `vector`: entries of biases and norms. `used`: of `number` those that work on a token.
    `products`: of those a token's products in a forward pass, with each.
    """

    group: str
    place: Place
    split: Split = ""
    rows: int = 0
    columns: int = 0
    vector: int = 0
    products: int = 0
    number: int = 1
    used: int = 1

    @property
    def parameters(self) -> int:
        """All its parameters."""
        return self.number * (self.rows * self.columns + self.vector)

    @property
    def sum(self) -> str:
        """The parameters as a sum with its numbers.

        >>> Part("experts", "expert layers", rows=4, columns=3, vector=4, number=8).sum
        '8 x (4 x 3 + 4)'
        """
        terms = [f"{self.rows} x {self.columns}"] if self.rows else []
        whole = " + ".join([*terms, str(self.vector)] if self.vector else terms)
        return whole if self.number == 1 else f"{self.number} x ({whole})"


@dataclass(frozen=True)
class ModelParts:
    """All parts of a model, and how many layers of each kind it has.

    `core_products`: of a token with each token before it, in all layers: scores, and values. `logits`: products of a
    token with the output layer, of prediction layers too.
    """

    parts: tuple[Part, ...]
    copies: Mapping[Place, int]
    core_products: int
    logits: int

    @property
    def parameters(self) -> int:
        """Parameters of the model."""
        return sum(self.by_group.values())

    @property
    def active_parameters(self) -> int:
        """Parameters that work on a token: all but those of experts that do not."""
        return sum(self.copies[part.place] * part.parameters * part.used // part.number for part in self.parts)

    @property
    def by_group(self) -> dict[str, int]:
        """Parameters by what people call them."""
        groups = dict.fromkeys(part.group for part in self.parts)
        return {
            group: sum(self.copies[part.place] * part.parameters for part in self.parts if part.group == group)
            for group in groups
        }

    @cached_property
    def products(self) -> int:
        """What the layers multiply a token with in a forward pass, the core of attention left out."""
        return sum(self.copies[part.place] * part.products * part.used for part in self.parts)


def parts_of(given: Mapping[str, Any], vocab_size: int | None = None) -> ModelParts:
    """The parts of a model by its sizes, those left out having their defaults, or with another vocabulary.

    Raises AttributeError for a size that is needed and unknown, with its name.
    """
    return _parts_of(tuple(map(given.get, MODEL_FIELDS)), given.get("sequence_length"), vocab_size)


def has_experts(sizes: Any, layer: int) -> bool:
    """Whether a layer, counted from 0, has experts instead of a feed-forward block."""
    behind = layer - sizes.first_dense_layers + 1
    return bool(sizes.experts) and behind > 0 and behind % sizes.expert_layer_interval == 0


@lru_cache(maxsize=1024)
def _parts_of(given: tuple[Any, ...], sequence_length: int | None, vocab_size: int | None) -> ModelParts:
    sizes = CompletedSizes({**dict(zip(MODEL_FIELDS, given, strict=True)), "sequence_length": sequence_length})
    if vocab_size is not None:
        sizes = CompletedSizes({**vars(sizes), "vocab_size": vocab_size})
    layers, ahead = sizes.layers, sizes.prediction_layers
    with_experts = sum(has_experts(sizes, layer) for layer in range(layers)) if sizes.experts else 0
    with_experts += ahead if has_experts(sizes, layers - 1) else 0
    copies: dict[Place, int] = {
        "layers": layers + ahead,
        "expert layers": with_experts,
        "dense layers": layers + ahead - with_experts,
        "prediction layers": ahead,
        "first stage": 1,
        "last stage": 1,
    }
    attention = _latent_attention(sizes) if sizes.kv_lora_rank else _attention(sizes)
    rows = (*_first_stage(sizes), *attention, *_blocks(sizes, copies), *_norms(sizes), *_last_stage(sizes))
    return ModelParts(
        parts=tuple(part for part in rows if part.parameters and copies[part.place]),
        copies=copies,
        core_products=copies["layers"] * _core_width(sizes),
        logits=(1 + ahead) * sizes.vocab_size * sizes.hidden_size,
    )


def _matrix(group: str, place: Place, split: Split, rows: int, columns: int, bias: bool = False) -> Part:
    """A matrix that tokens are multiplied with, and its bias, one number a row."""
    return Part(group, place, split, rows, columns, vector=rows if bias else 0, products=rows * columns)


def attention_widths(sizes: Any) -> tuple[int, int]:
    """The width of all heads of q together, and that of all heads of k, or of v."""
    if not vars(sizes).keys() & {"head_width", "kv_heads"}:
        return sizes.hidden_size, sizes.hidden_size
    return sizes.attention_heads * sizes.head_width, sizes.kv_heads * sizes.head_width


def _core_width(sizes: Any) -> int:
    """Products of a token with one other, in one layer: q with k, and a score with v."""
    if sizes.kv_lora_rank:
        return int(sizes.attention_heads * (sizes.head_width + sizes.rope_head_width + sizes.value_head_width))
    return 2 * attention_widths(sizes)[0]


def _norm(sizes: Any, width: int) -> int:
    """Parameters of a norm of this width."""
    return _NORM_VECTORS[sizes.norm] * width


def _first_stage(sizes: Any) -> Iterator[Part]:
    hidden = sizes.hidden_size
    yield Part("embedding", "first stage", "tensor", sizes.vocab_size, hidden)
    if sizes.positions == "learned" and getattr(sizes, "max_positions", 0):
        yield Part("positions", "first stage", "", sizes.max_positions, hidden)
    if "embedding_norm" in words_in(sizes.extras):
        yield Part("norms", "first stage", vector=_norm(sizes, hidden))


def _attention(sizes: Any) -> Iterator[Part]:
    hidden, (q, kv) = sizes.hidden_size, attention_widths(sizes)
    yield _matrix("attention", "layers", "tensor", q + 2 * kv, hidden, bias=sizes.biases in _ATTENTION_BIASES)
    yield _matrix("attention", "layers", "tensor", hidden, q)
    if sizes.biases in ("all", "attention"):
        yield Part("attention", "layers", vector=hidden)
    if "attention_sinks" in words_in(sizes.extras):
        yield Part("attention", "layers", "tensor", vector=sizes.attention_heads)
    if sizes.qk_norm == "head":
        yield Part("norms", "layers", vector=2 * _norm(sizes, sizes.head_width))
    elif sizes.qk_norm == "whole":
        yield Part("norms", "layers", "tensor", vector=_norm(sizes, q) + _norm(sizes, kv))


def _latent_attention(sizes: Any) -> Iterator[Part]:
    hidden, heads, q_rank, kv_rank = sizes.hidden_size, sizes.attention_heads, sizes.q_lora_rank, sizes.kv_lora_rank
    plain, rotated, value = sizes.head_width, sizes.rope_head_width, sizes.value_head_width
    has_biases = sizes.biases in _ATTENTION_BIASES
    if q_rank:
        yield _matrix("attention", "layers", "", q_rank, hidden, bias=has_biases)
        yield _matrix("attention", "layers", "tensor", heads * (plain + rotated), q_rank)
        yield Part("norms", "layers", vector=_norm(sizes, q_rank), products=q_rank)
    else:
        yield _matrix("attention", "layers", "tensor", heads * (plain + rotated), hidden)
    yield _matrix("attention", "layers", "", kv_rank + rotated, hidden, bias=has_biases)
    yield _matrix("attention", "layers", "tensor", heads * (plain + value), kv_rank)
    yield Part("norms", "layers", vector=_norm(sizes, kv_rank), products=kv_rank)
    yield _matrix("attention", "layers", "tensor", hidden, heads * value)
    if sizes.biases in ("all", "attention"):
        yield Part("attention", "layers", vector=hidden)


def _blocks(sizes: Any, copies: Mapping[Place, int]) -> Iterator[Part]:
    """Feed-forward blocks, and experts where layers have them."""
    if copies["dense layers"]:
        yield from _block(sizes, "feed-forward", "dense layers", sizes.ffn_hidden_size)
    if not copies["expert layers"]:
        return
    hidden, extras = sizes.hidden_size, words_in(sizes.extras)
    bias = sizes.experts if "router_bias" in extras else 0
    yield Part("router", "expert layers", "", sizes.experts, hidden, vector=bias)
    for part in _block(sizes, "experts", "expert layers", sizes.expert_ffn_hidden_size):
        yield replace(part, split="experts", number=sizes.experts, used=sizes.experts_per_token)
    if sizes.shared_expert_ffn_hidden_size:
        yield from _block(sizes, "shared experts", "expert layers", sizes.shared_expert_ffn_hidden_size)
    if "shared_expert_gate" in extras:
        yield Part("router", "expert layers", vector=hidden)


def _block(sizes: Any, group: str, place: Place, width: int) -> Iterator[Part]:
    hidden, has_biases = sizes.hidden_size, sizes.biases in ("all", "feed_forward")
    yield _matrix(group, place, "tensor", width * (2 if sizes.gated_ffn else 1), hidden, bias=has_biases)
    yield _matrix(group, place, "tensor", hidden, width)
    if has_biases:
        yield Part(group, place, vector=hidden)


def _norms(sizes: Any) -> Iterator[Part]:
    hidden = sizes.hidden_size
    yield Part("norms", "layers", vector=sizes.norms_per_layer * _norm(sizes, hidden))
    yield _matrix("prediction", "prediction layers", "tensor", hidden, 2 * hidden)
    yield Part("prediction", "prediction layers", vector=3 * _norm(sizes, hidden), products=3 * hidden)


def _last_stage(sizes: Any) -> Iterator[Part]:
    hidden = sizes.hidden_size
    yield Part("norms", "last stage", vector=_norm(sizes, hidden))
    if not sizes.tied_embeddings:
        yield Part("output", "last stage", "tensor", sizes.vocab_size, hidden)
    if "output_bias" in words_in(sizes.extras):
        yield Part("output", "last stage", "tensor", vector=sizes.vocab_size)
