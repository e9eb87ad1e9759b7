"""The runs of a 30B model on Fugaku as observations: times of June (11 runs), times and memory of April (5 runs)."""

from nodesweep.performance.calibration.observations import Observation
from nodesweep.performance.dimensions import Dimensions

LIMIT_MIB = 29150
JUNE = [
    # nodes, DP, MP, seconds per iteration
    (192, 1, 4, 3534.8833),
    (384, 2, 4, 1841.59885),
    (768, 4, 4, 982.7666),
    (1152, 6, 4, 701.6585),
    (1536, 8, 4, 558.6969),
    (3072, 16, 4, 353.8192),
    (6144, 32, 4, 252.05295),
    (576, 2, 6, 1516.9546),
    (1152, 4, 6, 806.28395),
    (2304, 8, 6, 465.1534),
    (4608, 16, 6, 297.1933),
]
APRIL = [
    # nodes, DP, MP, AC, seconds per iteration, MiB, out of memory
    (192, 1, 4, True, 3720.0, 16622.7, False),
    (384, 1, 8, True, 2338.8, 14356.7, False),
    (3072, 16, 4, True, 313.6, 16632.9, False),
    (48, 1, 1, True, 17212.8, 29138.6, True),
    (384, 1, 8, False, None, 29087.7, True),
]


def case_of(nodes: int, data: int, tensor: int, recomputed: bool = True, global_batch: int = 1536) -> Dimensions:
    """A case of the study: 48 stages, micro batches of one sample of 2048 tokens; MP 6 needs another hidden size."""
    hidden, heads = (7176, 78) if tensor == 6 else (7168, 56)
    return Dimensions(
        nodes=nodes,
        ranks_per_node=1,
        data=data,
        tensor=tensor,
        pipeline=48,
        micro_batch=1,
        global_batch=global_batch,
        sequence_length=2048,
        activation_checkpointing=recomputed,
        layers=48,
        hidden_size=hidden,
        attention_heads=heads,
        vocab_size=50257,
        ffn_hidden_size=4 * hidden,
    )


def june() -> list[Observation]:
    """The runs of June."""
    return [
        Observation(f"june-n{nodes}-mp{tensor}", case_of(nodes, data, tensor), seconds, None)
        for nodes, data, tensor, seconds in JUNE
    ]


def april() -> list[Observation]:
    """The runs of April; two ran out of memory."""
    return [
        Observation(f"april-n{nodes}-mp{tensor}", case_of(nodes, data, tensor, recomputed), seconds, mib, limited)
        for nodes, data, tensor, recomputed, seconds, mib, limited in APRIL
    ]
