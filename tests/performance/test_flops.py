"""FLOPs of an iteration and the rates that follow."""

import doctest

from nodesweep.performance import flops
from nodesweep.performance.dimensions import Dimensions

TINY = {"layers": 2, "hidden_size": 4, "sequence_length": 8, "vocab_size": 100, "global_batch": 3, "tensor": 1}


def test_doctests():
    """The figures of the study and the paddings in the docstrings hold."""
    assert doctest.testmod(flops) == (0, 7)


def test_iteration_flops_by_hand():
    """24 k B s L h^2 (1 + s/(6h) + V/(16 L h)) with V = 128 is 24 * 4 * 3 * 8 * 2 * 16 * (1 + 1/3 + 1) = 172032."""
    assert flops.hardware_flops(**TINY, activation_checkpointing=True) == 172032


def test_recomputation_is_a_fourth_pass():
    """Model FLOPs count three passes, whether or not a fourth recomputes activations."""
    with_recomputation = flops.hardware_flops(**TINY, activation_checkpointing=True)
    assert flops.hardware_flops(**TINY, activation_checkpointing=False) == with_recomputation * 3 // 4
    assert Dimensions(**TINY, activation_checkpointing=True).model_flops == with_recomputation * 3 // 4


def test_rates():
    """6e12 operations in 2 s on 3 nodes are 1 TFLOP/s per node; 2048 such nodes are 2 of the study's PFLOP/s."""
    assert flops.tflops_per_node(6e12, 2.0, 3) == 1.0
    assert flops.aggregate_petaflops(1.0, 2048) == 2.0
