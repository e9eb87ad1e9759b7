"""Floating point operations of one training iteration, by three conventions, and the rates that follow from them.

Symbols: B global batch in samples, s sequence length, L layers, h hidden size, V vocabulary; P products that the layers
multiply a token with (performance/model_parts.py), and s C those of the core of attention, scores and values, with the
s tokens of its sample. k counts passes: one forward and two backward, and one more forward of the layers that are
recomputed, those of each stage where not all are.

narayanan: eq. 3 of Narayanan et al. 2021 (arXiv 2104.04473), B s k (2 P + 2 s C + 1.5 V h), V padded. Of a GPT whose
feed-forward block is 4 h wide P = 12 L h^2 and C = 2 L h, and it is 24 k B s L h^2 (1 + s / (6 h) + V / (16 L h)).
whole: B s (k (2 P + 2 s C) + 6 V h), V not padded, and the output layer in three passes, as it is never recomputed.
causal: whole with half of C, as a token has scores with those before it alone: what Megatron-LM counts (core
0.17).

Windows of attention count as if there were none. Selective recomputation repeats the core of attention alone, 2 s C for
a token (Korthikanti et al. 2022, arXiv 2205.05198, section 5).
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from nodesweep.common.units import TERA

from .model_parts import ModelParts

VOCABULARY_MULTIPLE = 128
PASSES = 3
CONVENTIONS = {
    "narayanan": "by Narayanan et al. 2021, eq. 3",
    "whole": "each matrix product by its size, attention over the whole square",
    "causal": "each matrix product by its size, attention over half of the square, as Megatron-LM counts",
}
"""What stands behind a rate, in words."""
Recomputed = Literal["none", "selective", "full"]


@dataclass(frozen=True)
class ForwardFlops:
    """Operations that one sample takes in a forward pass: of the layers' matrices, the core of attention, the output.

    `output`: one third of what a convention counts for it without recomputation; `output_again`: what it counts
    more for it where layers are recomputed.
    """

    layers: int
    core: int
    output: int
    output_again: int = 0

    def total(self, recomputed: Recomputed = "none", share: Fraction | int = 1) -> int:
        """Operations of a training step of one sample; `share`: of the layers that are recomputed."""
        once = PASSES * (self.layers + self.core + self.output)
        if recomputed == "none":
            return once
        again = self.core if recomputed == "selective" else self.layers + self.core + self.output_again
        return once + (again if share == 1 else int(share * again))


def forward_flops(
    parts: ModelParts, convention: str, *, sequence_length: int, vocab_size: int, hidden_size: int
) -> ForwardFlops:
    """Operations of one sample in a forward pass by a convention; `vocab_size` padded for narayanan alone.

    A layer of h = 1 with 12 parameters, by eq. 3: 6 tokens x (24 + 4 x 6 + 1.5 x 128) a pass, 24 x 6 x (1 + 1 + 8).

    >>> from nodesweep.performance.model_parts import parts_of
    >>> parts = parts_of({"layers": 1, "hidden_size": 1, "attention_heads": 1, "vocab_size": 128, "tied_embeddings": 1})
    >>> by_eq_3 = forward_flops(parts, "narayanan", sequence_length=6, vocab_size=128, hidden_size=1)
    >>> by_eq_3.total(), by_eq_3.total("full"), by_eq_3.total("selective")
    (4320, 5760, 4464)
    >>> causal = forward_flops(parts, "causal", sequence_length=6, vocab_size=128, hidden_size=1)
    >>> causal.total()  # 3 x 6 x (24 + 2 x 6) + 6 x 6 x 128
    5256
    """
    tokens = sequence_length
    layers, core = 2 * tokens * parts.products, 2 * tokens**2 * parts.core_products
    if convention == "narayanan":
        output = tokens * 3 * vocab_size * hidden_size // 2
        return ForwardFlops(layers, core, output, output)
    return ForwardFlops(layers, core // 2 if convention == "causal" else core, 2 * tokens * parts.logits)


def padded_vocabulary(vocab_size: int, tensor: int) -> int:
    """Round the vocabulary up as Megatron does, so that every tensor rank holds a multiple of 128 rows.

    >>> padded_vocabulary(50257, 1), padded_vocabulary(50257, 4), padded_vocabulary(50304, 1)
    (50304, 50688, 50304)
    """
    multiple = VOCABULARY_MULTIPLE * tensor
    return -(-vocab_size // multiple) * multiple


def tflops_per_node(flops: float, iteration_seconds: float, nodes: int) -> float:
    """Rate of one node, in 1e12 operations per second."""
    return flops / (iteration_seconds * nodes * TERA)


def aggregate_petaflops(tflops_per_node: float, nodes: int) -> float:
    """Rate of all nodes in the study's unit: TFLOPs * Nodes / 1024.

    >>> aggregate_petaflops(0.75, 3072)
    2.25
    """
    return tflops_per_node * nodes / 1024
