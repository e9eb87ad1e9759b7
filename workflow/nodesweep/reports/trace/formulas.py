"""Formulas with their numbers filled in, as a reader can work them out again."""

from nodesweep.config.layout_fields import LAYOUT_FIELDS
from nodesweep.config.model import Model
from nodesweep.performance.dimensions import SIZES_OF_FLOPS, Dimensions, unknown_parts
from nodesweep.performance.flops import CONVENTIONS, PASSES, Recomputed, aggregate_petaflops, tflops_per_node
from nodesweep.performance.model_parts import ModelParts, Part
from nodesweep.sweep.layout import Layout


def tokens_per_second(dimensions: Dimensions, seconds: float) -> tuple[str, ...]:
    """Tokens per second: tokens of an iteration over its seconds."""
    if not dimensions.knows("global_batch", "sequence_length"):
        return _unknown(dimensions, "global_batch", "sequence_length")
    batch, sequence, tokens = dimensions.global_batch, dimensions.sequence_length, dimensions.tokens
    return ("GBS x sequence length / sec/it", f"= {batch} x {sequence} / {seconds!r} = {tokens / seconds!r}")


def rate(dimensions: Dimensions, seconds: float, recomputation: bool) -> tuple[str, ...]:
    """TFLOPs of a node, recomputation counted or not: the formula, its numbers, and what they are."""
    if dimensions.other_parts:
        return (f"empty: {unknown_parts(dimensions)}",)
    needed = [*SIZES_OF_FLOPS, "nodes", *(["activation_checkpointing"] if recomputation else [])]
    if not dimensions.knows(*needed):
        return _unknown(dimensions, *needed)
    work = dimensions.hardware_flops if recomputation else dimensions.model_flops
    recomputed = dimensions.recomputed if recomputation else "none"
    eq_3 = dimensions.flops_convention == "narayanan" and dimensions.ffn_hidden_size == 4 * dimensions.hidden_size
    formula, numbers, *symbols = _eq_3(dimensions, recomputed) if eq_3 else _by_parts(dimensions, recomputed)
    uncounted = "3 passes: forward and two backward; recomputation is not counted"
    return (
        f"{formula} / (sec/it x nodes x 10^12), {CONVENTIONS[dimensions.flops_convention]}",
        f"= {numbers} / ({seconds!r} x {dimensions.nodes} x 10^12)",
        f"= {work} / ({seconds!r} x {dimensions.nodes} x 10^12) = {tflops_per_node(work, seconds, dimensions.nodes)!r}",
        f"k: {_PASSES_IN_WORDS[recomputed] if recomputation else uncounted}",
        *symbols,
    )


_PASSES_IN_WORDS = {
    "full": "4 passes: forward, two backward, and forward again for the recomputation",
    "none": "3 passes: forward and two backward; nothing is recomputed (AC is off)",
    "selective": "3 passes: forward and two backward; 4 B s^2 L h more for the core of attention, computed again",
}


def _eq_3(case: Dimensions, recomputed: Recomputed) -> tuple[str, ...]:
    """Eq. 3 of Narayanan et al. for a feed-forward block of 4 h, its numbers, and what the vocabulary is padded to."""
    sequence, layers, width, batch = case.sequence_length, case.layers, case.hidden_size, case.global_batch
    whole = (
        f"{_passes(case, recomputed)} x 24 x {batch} x {sequence} x {layers} x {width}^2 x (1 + {sequence} / "
        f"(6 x {width}) + {case.vocabulary} / (16 x {layers} x {width}))"
    )
    if recomputed == "selective":
        whole = f"({whole} + 4 x {batch} x {sequence}^2 x {layers} x {width})"
    return "k x 24 B s L h^2 (1 + s / (6 h) + V / (16 L h))", whole, _padded(case)


def _by_parts(case: Dimensions, recomputed: Recomputed) -> tuple[str, ...]:
    """The formula from what the parts of a model multiply, its numbers, and what these are."""
    parts, tokens, of_core = case.parts, case.sequence_length, 1 if case.flops_convention == "causal" else 2
    core = ("" if of_core == 1 else "2 ") + "s C"
    core_numbers = f"{of_core} x {tokens} x {parts.core_products}"
    layers, numbers = f"2 P + {core}", f"2 x {parts.products} + {core_numbers}"
    passes = _passes(case, recomputed)
    if case.flops_convention == "narayanan":
        formula = f"B s k ({layers} + 1.5 V h)"
        numbers = f"{passes} x ({numbers} + 1.5 x {case.vocabulary} x {case.hidden_size})"
    else:
        formula = f"B s (k ({layers}) + 6 V h)"
        numbers = f"({passes} x ({numbers}) + 6 x {parts.logits})"
    if recomputed == "selective":
        formula, numbers = f"({formula} + B s {core})", f"({numbers} + {core_numbers})"
    products = {group: sum(p.products * p.used * parts.copies[p.place] for p in of) for group, of in _groups(parts)}
    counted = " + ".join(f"{group} {count}" for group, count in products.items() if count)
    return (
        formula,
        f"{case.global_batch} x {tokens} x {numbers}",
        f"P: products of a token with the layers: {counted} = {parts.products}",
        f"C: products of a token with each token of its sample, scores and values of all layers: {parts.core_products}",
        _padded(case) if case.flops_convention == "narayanan" else f"V h: of the output layer: {parts.logits}",
    )


def _passes(case: Dimensions, recomputed: Recomputed) -> str:
    """How often the layers work on a token, as a number or a sum."""
    share = case.recomputed_share if recomputed == "full" else 0
    return str(PASSES + share) if share in (0, 1) else f"({PASSES} + {share.numerator} / {share.denominator})"


def _padded(case: Dimensions) -> str:
    return f"V: {case.vocab_size} padded to a multiple of 128 x MP {case.tensor}: {case.vocabulary}"


def _groups(parts: ModelParts) -> list[tuple[str, list[Part]]]:
    return [(group, [part for part in parts.parts if part.group == group]) for group in parts.by_group]


def aggregate(dimensions: Dimensions, tflops: float | None) -> tuple[str, ...]:
    """PetaFLOPs of all nodes: TFLOPs of a node times nodes."""
    if tflops is None or not dimensions.knows("nodes"):
        return ("no TFLOPs by the formula to multiply",)
    petaflops = aggregate_petaflops(tflops, dimensions.nodes)
    return ("TFLOPs x nodes / 1024", f"= {tflops!r} x {dimensions.nodes} / 1024 = {petaflops!r}")


def _unknown(dimensions: Dimensions, *names: str) -> tuple[str, ...]:
    return (f"unknown: {', '.join(name for name in names if not dimensions.knows(name))}",)


def parameters(model: Model) -> tuple[str, ...]:
    """The number of parameters of a model, part by part; one line where no formula counts them."""
    case = Dimensions(**model.sizes)
    if case.other_parts:
        return (f"unknown: {unknown_parts(case)}",)
    parts = case.parts
    sums = {}
    for group, of in _groups(parts):
        places = {part.place: [one.sum for one in of if one.place == part.place] for part in of}
        sums[group] = " + ".join(_times(parts.copies[place], terms) for place, terms in places.items())
    return (
        f"parameters: {', '.join(sums)}",
        f"= {' + '.join(sums.values())} = {parts.parameters}",
    )


def _times(copies: int, terms: list[str]) -> str:
    whole = " + ".join(terms)
    if copies == 1:
        return whole
    return f"{copies} x {whole}" if whole.isdecimal() else f"{copies} x ({whole})"


def world(layout: Layout) -> str:
    """The ranks of a layout, from its nodes."""
    return f"nodes x ranks per node = {layout.nodes} x {layout.ranks_per_node} = {layout.ranks}"


_PARALLEL = [row for row in LAYOUT_FIELDS.values() if row.parallel]
PARALLEL_PRODUCT = " x ".join(row.symbol for row in _PARALLEL)
"""The product of the parallel sizes in symbols; it is the number of ranks."""


def replicas(layout: Layout) -> str:
    """The data-parallel size, from the product of all parallel sizes."""
    named = [row for row in _PARALLEL if not (row.absent_means_default and row.is_default(getattr(layout, row.name)))]
    others = " x ".join(str(getattr(layout, row.name)) for row in named if not row.follows)
    follows = next(row.symbol for row in _PARALLEL if row.follows)
    return (
        f"{' x '.join(row.symbol for row in named)} = ranks: {follows} = {layout.ranks} / ({others}) = {layout.data}, "
        f"with ranks = {layout.nodes} nodes x {layout.ranks_per_node}"
    )
