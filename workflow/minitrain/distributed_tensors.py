"""Tensors that may be split over the ranks (DTensor), and the part of them that is on this rank.

DTensor is imported for the type checker alone: where nothing is split, loading it would only slow the start.
"""

from typing import TYPE_CHECKING, TypeGuard

import torch

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor, Placement


def is_distributed(tensor: torch.Tensor) -> TypeGuard["DTensor"]:
    """Whether a tensor is a DTensor: `placements` is an attribute of DTensor alone."""
    return hasattr(tensor, "placements")


def local(tensor: torch.Tensor) -> torch.Tensor:
    """The part of a tensor that is on this rank."""
    return tensor._local_tensor if is_distributed(tensor) else tensor


def local_gradient(parameter: torch.nn.Parameter) -> torch.Tensor:
    """This rank's part of a parameter's gradient.

    Raises RuntimeError where there is no gradient, or where it is not split as the parameter is.
    """
    gradient = parameter.grad
    if gradient is None:
        raise RuntimeError(f"no gradient for a parameter of shape {list(parameter.shape)}")
    if _placements(gradient) != _placements(parameter):
        raise RuntimeError(f"gradient split {_placements(gradient)}, parameter split {_placements(parameter)}")
    return local(gradient)


def is_split_by_tensor(parameter: torch.nn.Parameter) -> bool:
    """Whether the ranks of a tensor-parallel group hold different parts of a parameter."""
    if not is_distributed(parameter):
        return False
    names = parameter.device_mesh.mesh_dim_names or ()
    splits = dict(zip(names, parameter.placements, strict=True))
    return "tensor" in splits and splits["tensor"].is_shard()


def _placements(tensor: torch.Tensor) -> "tuple[Placement, ...] | None":
    """How a tensor is split over each dimension of its mesh; None for a plain tensor."""
    return tensor.placements if is_distributed(tensor) else None
