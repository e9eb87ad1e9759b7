"""FLOPs of an iteration and the rates that follow."""

import doctest

import pytest

from nodesweep.performance import flops
from nodesweep.performance.dimensions import Dimensions

TINY = {"layers": 2, "hidden_size": 4, "sequence_length": 8, "vocab_size": 100, "global_batch": 3, "tensor": 1}


def test_doctests():
    """The sums and the paddings in the docstrings hold."""
    assert doctest.testmod(flops) == (0, 8)


@pytest.mark.parametrize(
    ("seconds", "nodes", "tensor", "rate"),
    [(17212.8, 48, 1, 0.95), (3720.0, 192, 4, 1.1), (2338.8, 384, 8, 0.88), (313.6, 3072, 4, 0.82)],
)
def test_the_study(seconds, nodes, tensor, rate):
    """The TFLOPs of a 30B model on Fugaku are those of its hand-kept table."""
    case = Dimensions(
        layers=48,
        hidden_size=7168,
        sequence_length=2048,
        vocab_size=50304,
        global_batch=1536,
        nodes=nodes,
        tensor=tensor,
        activation_checkpointing=True,
    )
    assert round(case.tflops_per_node(seconds, recomputation=True), 2) == rate


def test_iteration_flops_by_hand():
    """24 k B s L h^2 (1 + s/(6h) + V/(16 L h)) with V = 128 is 24 * 4 * 3 * 8 * 2 * 16 * (1 + 1/3 + 1) = 172032."""
    assert Dimensions(**TINY, activation_checkpointing=True).hardware_flops == 172032


def test_recomputation_is_a_fourth_pass():
    """Model FLOPs count three passes, whether or not a fourth recomputes activations."""
    with_recomputation = Dimensions(**TINY, activation_checkpointing=True).hardware_flops
    assert Dimensions(**TINY, activation_checkpointing=False).hardware_flops == with_recomputation * 3 // 4
    assert Dimensions(**TINY, activation_checkpointing=True).model_flops == with_recomputation * 3 // 4


def test_rates():
    """6e12 operations in 2 s on 3 nodes are 1 TFLOP/s per node; 2048 such nodes are 2 of the study's PFLOP/s."""
    assert flops.tflops_per_node(6e12, 2.0, 3) == 1.0
    assert flops.aggregate_petaflops(1.0, 2048) == 2.0
