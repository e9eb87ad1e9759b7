"""Floating point operations of one training iteration of a GPT, and the rates that follow from them.

Source: Narayanan et al. 2021 (arXiv 2104.04473), equation 3:
F = 24 k B s L h^2 (1 + s / (6 h) + V / (16 L h)), with B the global batch in samples, s the sequence length,
L layers, h the hidden size and V the padded vocabulary. k counts passes through the layers: one forward and
two backward, and one more forward where activation checkpointing recomputes it. Selective recomputation repeats the
core of attention alone, 4 B s^2 L h: the two products with the s x s scores (Korthikanti et al. 2022, section 5).
"""

from nodesweep.common.units import TERA

VOCABULARY_MULTIPLE = 128
PASSES = 3
PASSES_WITH_RECOMPUTATION = 4


def padded_vocabulary(vocab_size: int, tensor: int) -> int:
    """Round the vocabulary up as Megatron does, so that every tensor rank holds a multiple of 128 rows.

    >>> padded_vocabulary(50257, 1), padded_vocabulary(50257, 4), padded_vocabulary(50304, 1)
    (50304, 50688, 50304)
    """
    multiple = VOCABULARY_MULTIPLE * tensor
    return -(-vocab_size // multiple) * multiple


def parameter_count(*, layers: int, hidden_size: int, ffn_width: int, vocab_size: int) -> int:
    """Parameters of the model, its embedding counted once.

    >>> parameter_count(layers=1, hidden_size=2, ffn_width=8, vocab_size=10)  # 16 + 32 + 16 + 20 and the embedding
    104
    """
    layer = 4 * hidden_size**2 + 2 * hidden_size * ffn_width + 2 * ffn_width + 10 * hidden_size
    return layers * layer + vocab_size * hidden_size


def hardware_flops(
    *,
    layers: int,
    hidden_size: int,
    sequence_length: int,
    vocab_size: int,
    global_batch: int,
    tensor: int,
    activation_checkpointing: bool,
    selective: bool = False,
) -> int:
    """Operations the machine does in one iteration over all ranks, recomputation included, of all or `selective`.

    >>> hardware_flops(layers=1, hidden_size=1, sequence_length=6, vocab_size=128, global_batch=1, tensor=1,
    ...                activation_checkpointing=True)  # 24 * 4 * 6 * (1 + 1 + 8)
    5760
    >>> hardware_flops(layers=1, hidden_size=1, sequence_length=6, vocab_size=128, global_batch=1, tensor=1,
    ...                activation_checkpointing=True, selective=True)  # 24 * 3 * 6 * (1 + 1 + 8), and 4 * 6^2
    4464
    """
    passes = PASSES_WITH_RECOMPUTATION if activation_checkpointing and not selective else PASSES
    core = 4 * layers * hidden_size * sequence_length
    vocabulary_term = 3 * padded_vocabulary(vocab_size, tensor) * hidden_size // 2
    work = passes * (24 * layers * hidden_size**2 + core + vocabulary_term)
    return global_batch * sequence_length * (work + (core if activation_checkpointing and selective else 0))


def tflops_per_node(flops: float, iteration_seconds: float, nodes: int) -> float:
    """Rate of one node, in 1e12 operations per second.

    Figures of a 30B model on Fugaku, against its hand-kept table:

    >>> def rate(seconds, nodes, tensor):
    ...     flops = hardware_flops(layers=48, hidden_size=7168, sequence_length=2048, vocab_size=50304,
    ...                            global_batch=1536, tensor=tensor, activation_checkpointing=True)
    ...     return round(tflops_per_node(flops, seconds, nodes), 2)
    >>> rate(17212.8, 48, 1), rate(3720.0, 192, 4), rate(2338.8, 384, 8), rate(313.6, 3072, 4)
    (0.95, 1.1, 0.88, 0.82)
    """
    return flops / (iteration_seconds * nodes * TERA)


def aggregate_petaflops(tflops_per_node: float, nodes: int) -> float:
    """Rate of all nodes in the study's unit: TFLOPs * Nodes / 1024.

    >>> aggregate_petaflops(0.75, 3072)
    2.25
    """
    return tflops_per_node * nodes / 1024
