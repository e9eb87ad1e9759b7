"""Formulas with their numbers filled in, as a reader can work them out again."""

from nodesweep.config.layout_fields import LAYOUT_FIELDS
from nodesweep.config.model import Model
from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.flops import (
    PASSES,
    PASSES_WITH_RECOMPUTATION,
    aggregate_petaflops,
    padded_vocabulary,
    parameter_count,
    tflops_per_node,
)
from nodesweep.sweep.layout import Layout


def tokens_per_second(dimensions: Dimensions, seconds: float) -> tuple[str, ...]:
    """Tokens per second: tokens of an iteration over its seconds."""
    if not dimensions.knows("global_batch", "sequence_length"):
        return _unknown(dimensions, "global_batch", "sequence_length")
    batch, sequence, tokens = dimensions.global_batch, dimensions.sequence_length, dimensions.tokens
    return ("GBS x sequence length / sec/it", f"= {batch} x {sequence} / {seconds!r} = {tokens / seconds!r}")


def rate(dimensions: Dimensions, seconds: float, recomputation: bool) -> tuple[str, ...]:
    """TFLOPs of a node, recomputation counted or not: the formula, its numbers, and what they are."""
    needed = ["layers", "hidden_size", "sequence_length", "vocab_size", "global_batch", "tensor", "nodes"]
    needed += ["activation_checkpointing"] if recomputation else []
    if not dimensions.knows(*needed):
        return _unknown(dimensions, *needed)
    work = dimensions.hardware_flops if recomputation else dimensions.model_flops
    recomputed = recomputation and dimensions.activation_checkpointing
    core = recomputed and dimensions.recomputes_core_only
    passes = PASSES_WITH_RECOMPUTATION if recomputed and not core else PASSES
    vocabulary = padded_vocabulary(dimensions.vocab_size, dimensions.tensor)
    sequence, layers, width = dimensions.sequence_length, dimensions.layers, dimensions.hidden_size
    batch = dimensions.global_batch
    whole = (
        f"{passes} x 24 x {batch} x {sequence} x {layers} x {width}^2 x (1 + {sequence} / (6 x {width}) + "
        f"{vocabulary} / (16 x {layers} x {width}))"
    )
    if core:
        whole = f"({whole} + 4 x {batch} x {sequence}^2 x {layers} x {width})"
    passes_in_words = {
        (True, True): "4 passes: forward, two backward, and forward again for the recomputation",
        (True, False): "3 passes: forward and two backward; nothing is recomputed (AC is off)",
    }
    uncounted = "3 passes: forward and two backward; recomputation is not counted"
    counted = passes_in_words.get((recomputation, recomputed), uncounted)
    if core:
        counted = "3 passes: forward and two backward; 4 B s^2 L h more for the core of attention, computed again"
    return (
        "k x 24 B s L h^2 (1 + s / (6 h) + V / (16 L h)) / (sec/it x nodes x 10^12), by Narayanan et al. 2021, eq. 3",
        f"= {whole} / ({seconds!r} x {dimensions.nodes} x 10^12)",
        f"= {work} / ({seconds!r} x {dimensions.nodes} x 10^12) = {tflops_per_node(work, seconds, dimensions.nodes)!r}",
        f"k: {counted}",
        f"V: {dimensions.vocab_size} padded to a multiple of 128 x MP {dimensions.tensor}: {vocabulary}",
    )


def aggregate(dimensions: Dimensions, tflops: float | None) -> tuple[str, ...]:
    """PetaFLOPs of all nodes: TFLOPs of a node times nodes."""
    if tflops is None or not dimensions.knows("nodes"):
        return ("no TFLOPs by the formula to multiply",)
    petaflops = aggregate_petaflops(tflops, dimensions.nodes)
    return ("TFLOPs x nodes / 1024", f"= {tflops!r} x {dimensions.nodes} / 1024 = {petaflops!r}")


def _unknown(dimensions: Dimensions, *names: str) -> tuple[str, ...]:
    return (f"unknown: {', '.join(name for name in names if not dimensions.knows(name))}",)


def parameters(model: Model) -> tuple[str, ...]:
    """The number of parameters of a model."""
    layers, width, inner, vocabulary = model.layers, model.hidden_size, model.ffn_width or 0, model.vocab_size
    count = parameter_count(layers=layers, hidden_size=width, ffn_width=inner, vocab_size=vocabulary)
    return (
        "parameters: L (4 h^2 + 2 h f + 2 f + 10 h) + V h, f being the feed-forward width",
        f"= {layers} x (4 x {width}^2 + 2 x {width} x {inner} + 2 x {inner} + 10 x {width}) + {vocabulary} x {width} "
        f"= {count}",
    )


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
