"""Gradient norm, clipping and Adam on the parts of the weights that are on this rank."""

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch.nn.utils import get_total_norm
from torch.optim.adam import adam

from minitrain.distributed_tensors import is_split_by_tensor, local, local_gradient
from minitrain.parallel import Grid

MAX_GRADIENT_NORM = 1.0


class Adam:
    """torch's fused Adam in its functional form: constant learning rate, no weight decay.

    The class torch.optim.Adam loads the compiler (torch._dynamo, a second per rank) when it is made, and
    works through DTensor. Adam is elementwise: the local parts of the weights suffice.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], learning_rate: float) -> None:
        self.parameters = list(parameters)
        self.learning_rate = learning_rate
        parts = [local(parameter.detach()) for parameter in self.parameters]
        self.steps = [torch.zeros((), device=part.device) for part in parts]
        self.means: list[torch.Tensor] = []
        self.squares: list[torch.Tensor] = []

    @torch.no_grad()
    def step(self, gradients: list[torch.Tensor]) -> None:
        """One update by the local gradients."""
        if not self.means:
            self.means = [torch.zeros_like(gradient) for gradient in gradients]
            self.squares = [torch.zeros_like(gradient) for gradient in gradients]
        adam(
            [local(parameter.detach()) for parameter in self.parameters],
            gradients,
            self.means,
            self.squares,
            [],
            self.steps,
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self.learning_rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )


def combine(
    grid: Grid, parameters: list[torch.nn.Parameter], loss: torch.Tensor | None, shards_data: bool
) -> tuple[float, float]:
    """The global gradient norm and the mean loss of the global batch, known to every rank.

    Each rank divides its squares by the number of ranks that hold the same values, so one sum over all ranks is
    the square of the norm over the whole model. The ranks of the last stage divide the loss in the same way.
    """
    copies = 1 if shards_data else grid.sizes["data"]
    split = [local_gradient(parameter) for parameter in parameters if is_split_by_tensor(parameter)]
    whole = [local_gradient(parameter) for parameter in parameters if not is_split_by_tensor(parameter)]
    squares = get_total_norm(split).double() ** 2 + get_total_norm(whole).double() ** 2 / grid.sizes["tensor"]
    sums = torch.zeros(2, dtype=torch.float64, device=grid.device)
    sums[0] = squares / copies
    if loss is not None:
        sums[1] = loss.double() / (grid.sizes["data"] * grid.sizes["tensor"])
    if grid.mesh is not None:
        dist.all_reduce(sums)
    square, mean_loss = sums.tolist()
    return square**0.5, mean_loss


def clip(gradients: list[torch.Tensor], norm: float) -> None:
    """Scale the gradients down to the largest global norm allowed."""
    factor = MAX_GRADIENT_NORM / (norm + 1e-6)
    if factor < 1:
        torch._foreach_mul_(gradients, factor)
