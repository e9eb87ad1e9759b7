"""What a rank does where nothing is split: tensors are local, and absent neighbours or gradients are errors."""

import pytest
import torch
from trainer_runs import options

from minitrain.arguments import read_arguments
from minitrain.distributed_tensors import is_distributed, is_split_by_tensor, local, local_gradient
from minitrain.grid import make_grid
from minitrain.launch import Place


def test_plain_tensor_is_local():
    """A plain parameter is not distributed, not split, and its local part is the parameter itself."""
    parameter = torch.nn.Parameter(torch.ones(2, 3))
    assert not is_distributed(parameter)
    assert not is_split_by_tensor(parameter)
    assert local(parameter) is parameter


def test_local_gradient_of_a_plain_parameter():
    """The gradient of the sum of 2 x w is 2 for each w."""
    parameter = torch.nn.Parameter(torch.ones(2))
    torch.autograd.backward((2 * parameter).sum())
    assert local_gradient(parameter).tolist() == [2.0, 2.0]


def test_absent_gradient_is_named():
    """A parameter without a gradient is an error that names its shape."""
    with pytest.raises(RuntimeError, match=r"^no gradient for a parameter of shape \[2, 3\]$"):
        local_gradient(torch.nn.Parameter(torch.ones(2, 3)))


def test_single_rank_has_no_neighbours():
    """A single rank is at coordinate 0 of every dimension and at both ends of the pipeline, without other ranks."""
    grid = make_grid(read_arguments(options(), 1), Place())
    assert [grid.index(name) for name in ("pipeline", "data", "tensor")] == [0, 0, 0]
    assert grid.first_stage and grid.last_stage
    with pytest.raises(ValueError, match="along the dimension tensor"):
        grid.submesh("tensor")
