"""Formulas with their numbers filled in, as a reader can work them out again."""

from .flops import (
    PASSES,
    PASSES_WITH_RECOMPUTATION,
    aggregate_petaflops,
    hardware_flops,
    model_flops,
    padded_vocabulary,
    parameter_count,
    tflops_per_node,
)
from .layout import Layout


def tokens_per_second(layout: Layout, seconds: float) -> tuple[str, ...]:
    """Tokens of an iteration over its seconds."""
    batch, sequence = layout.global_batch, layout.sequence_length
    return ("GBS x sequence length / sec/it", f"= {batch} x {sequence} / {seconds!r} = {batch * sequence / seconds!r}")


def rate(layout: Layout, seconds: float, recomputation: bool) -> tuple[str, ...]:
    """TFLOPs of a node, recomputation counted or not: the formula, its numbers, and what they are."""
    model, sequence, width = layout.model, layout.sequence_length, layout.model.hidden_size
    recomputed = recomputation and layout.activation_checkpointing
    passes = PASSES_WITH_RECOMPUTATION if recomputed else PASSES
    vocabulary = padded_vocabulary(model.vocab_size, layout.tensor)
    shape = {
        "layers": model.layers,
        "hidden_size": width,
        "sequence_length": sequence,
        "vocab_size": model.vocab_size,
        "global_batch": layout.global_batch,
        "tensor": layout.tensor,
    }
    work = hardware_flops(**shape, activation_checkpointing=True) if recomputed else model_flops(**shape)
    said = {
        (True, True): "4 passes: forward, two backward, and forward again for the recomputation",
        (True, False): "3 passes: forward and two backward; nothing is recomputed (AC is off)",
    }
    counted = said.get((recomputation, recomputed), "3 passes: forward and two backward; recomputation is not counted")
    return (
        "k x 24 B s L h^2 (1 + s / (6 h) + V / (16 L h)) / (sec/it x nodes x 10^12), by Narayanan et al. 2021, eq. 3",
        f"= {passes} x 24 x {layout.global_batch} x {sequence} x {model.layers} x {width}^2 x (1 + {sequence} / (6 x "
        f"{width}) + {vocabulary} / (16 x {model.layers} x {width})) / ({seconds!r} x {layout.nodes} x 10^12)",
        f"= {work} / ({seconds!r} x {layout.nodes} x 10^12) = {tflops_per_node(work, seconds, layout.nodes)!r}",
        f"k: {counted}",
        f"V: {model.vocab_size} padded to a multiple of 128 x MP {layout.tensor}: {vocabulary}",
    )


def aggregate(layout: Layout, tflops: float) -> tuple[str, ...]:
    """The rate of all nodes."""
    petaflops = aggregate_petaflops(tflops, layout.nodes)
    return ("TFLOPs x nodes / 1024", f"= {tflops!r} x {layout.nodes} / 1024 = {petaflops!r}")


def parameters(layout: Layout) -> tuple[str, ...]:
    """Parameters of the model."""
    model = layout.model
    layers, width, inner, vocabulary = model.layers, model.hidden_size, model.ffn_width, model.vocab_size
    count = parameter_count(layers=layers, hidden_size=width, ffn_width=inner, vocab_size=vocabulary)
    return (
        "parameters: L (4 h^2 + 2 h f + 2 f + 10 h) + V h, f being the feed-forward width",
        f"= {layers} x (4 x {width}^2 + 2 x {width} x {inner} + 2 x {inner} + 10 x {width}) + {vocabulary} x {width} "
        f"= {count}",
    )


def world(layout: Layout) -> str:
    """Ranks of the run."""
    return f"nodes x ranks per node = {layout.nodes} x {layout.ranks_per_node} = {layout.ranks}"


def replicas(layout: Layout) -> str:
    """DP from DP x MP x PP = ranks."""
    return (
        f"DP x MP x PP = ranks: DP = {layout.ranks} / ({layout.tensor} x {layout.pipeline}) = {layout.data}, "
        f"with ranks = {layout.nodes} nodes x {layout.ranks_per_node}"
    )
