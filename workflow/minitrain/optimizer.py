"""Gradients of all ranks brought together, their norm, clipping, and Adam on the weights that this rank updates."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch.nn.utils import get_total_norm
from torch.optim.adam import adam

from minitrain.arguments import Arguments
from minitrain.distributed_tensors import is_split_by_tensor, local, local_gradient
from minitrain.exchange import gather_into, reduce_scatter_into
from minitrain.grid import Grid
from minitrain.timers import timed

MAX_GRADIENT_NORM = 1.0
BUCKET_ELEMENTS = 25 * 2**20 // 4
Named = Iterable[tuple[str, torch.nn.Parameter]]


@dataclass(frozen=True)
class Family:
    """Parameters that the same ranks hold.

    `group`: ranks that hold the same and have seen other tokens, None where there are none or FSDP looks after them.
    `divisor`: by it the sum of their gradients becomes that of the mean loss. `holders`: ranks that hold the same
    gradients when they have been brought together.
    """

    parameters: list[torch.nn.Parameter]
    group: dist.ProcessGroup | None
    divisor: int
    holders: int

    @property
    def buckets(self) -> Iterator[list[torch.nn.Parameter]]:
        """The parameters, some at a time."""
        bucket: list[torch.nn.Parameter] = []
        for parameter in self.parameters:
            if bucket and sum(local(each).numel() for each in [*bucket, parameter]) > BUCKET_ELEMENTS:
                yield bucket
                bucket = []
            bucket.append(parameter)
        if bucket:
            yield bucket


def families(given: Arguments, grid: Grid, named: Named) -> list[Family]:
    """All parameters: those split by tensor parallelism, those that its ranks all hold, and experts."""
    named = list(named)
    experts = [parameter for name, parameter in named if ".experts." in name]
    others = [parameter for name, parameter in named if ".experts." not in name]
    split = [parameter for parameter in others if is_split_by_tensor(parameter)]
    whole = [parameter for parameter in others if not is_split_by_tensor(parameter)]
    copies = grid.group("group", "data", "context")
    of_experts = grid.group("expert_group", "expert_data") if experts else None
    kept = {"none": None, "hsdp": given.num_distributed_optimizer_instances}.get(given.sharding, 1)
    found = [
        (split, copies, kept or given.copies),
        (whole, copies, (kept or given.copies) * given.tensor_model_parallel_size),
        (experts, of_experts, kept or given.expert_copies),
    ]
    own = given.shards_data
    return [
        Family(members, None if own else group, 1 if own else given.copies, holders)
        for members, group, holders in found
        if members
    ]


class Sums:
    """Gradients in fp32: autograd's own, or, of bf16 weights, sums over the micro batches."""

    def __init__(self, parameters: list[torch.nn.Parameter]) -> None:
        self.parameters = parameters
        self.sums: dict[torch.nn.Parameter, torch.Tensor] = {}
        for parameter in parameters:
            if parameter.dtype == torch.bfloat16:
                self.sums[parameter] = torch.zeros_like(local(parameter.detach()), dtype=torch.float32)
                parameter.register_post_accumulate_grad_hook(self._add)  # type: ignore[no-untyped-call]

    def _add(self, parameter: torch.Tensor) -> None:
        assert isinstance(parameter, torch.nn.Parameter)
        self.sums[parameter] += local_gradient(parameter)
        parameter.grad = None

    def of(self, parameter: torch.nn.Parameter) -> torch.Tensor:
        """This rank's part of a parameter's gradient; schedules that work out those of weights later call no hook."""
        if parameter not in self.sums:
            return local_gradient(parameter)
        if parameter.grad is not None:
            self._add(parameter)
        return self.sums[parameter]

    def forget(self) -> None:
        """Start again at zero."""
        for parameter in self.parameters:
            parameter.grad = None
        if self.sums:
            torch._foreach_zero_(list(self.sums.values()))


class Updated:
    """A bucket of parameters that this rank updates: wholly, or a share of it (ZeRO 1)."""

    def __init__(self, bucket: list[torch.nn.Parameter], family: Family, sums: Sums, shared: bool) -> None:
        self.bucket, self.family, self.sums = bucket, family, sums
        self.group = family.group if shared else None
        self.masters = self._values() if bucket[0].dtype == torch.bfloat16 else None

    @torch.no_grad()
    def gradients(self) -> list[torch.Tensor]:
        """The gradients of what this rank updates, brought together over the ranks of the family."""
        own, group, divisor = (
            [self.sums.of(parameter) for parameter in self.bucket],
            self.family.group,
            self.family.divisor,
        )
        if group is None:
            if divisor > 1:
                torch._foreach_div_(own, divisor)
            return own
        if self.group is not None:
            flat = _flat(own, group.size()).div_(divisor)
            share = flat.new_empty(flat.numel() // group.size())
            reduce_scatter_into(share, flat, group=group)
            return [share]
        flat = torch.cat([gradient.flatten() for gradient in own]).div_(divisor)
        dist.all_reduce(flat, group=group)
        _copy(own, flat)
        return own

    def values(self) -> list[torch.Tensor]:
        """The weights that this rank updates, in fp32."""
        return self.masters or self._values()

    def _values(self) -> list[torch.Tensor]:
        weights = [local(parameter.detach()) for parameter in self.bucket]
        if self.group is None:
            return [weight.float() for weight in weights]  # fp32 weights are themselves
        size, rank = self.group.size(), self.group.rank()
        return [_flat(weights, size).chunk(size)[rank].float().clone()]

    @torch.no_grad()
    def publish(self, values: list[torch.Tensor]) -> None:
        """Put updated values into the model, those of the other ranks included."""
        weights = [local(parameter.detach()) for parameter in self.bucket]
        if self.group is not None:
            share = values[0].to(weights[0].dtype)
            flat = share.new_empty(share.numel() * self.group.size())
            gather_into(flat, share, group=self.group)
            _copy(weights, flat)
        elif self.masters is not None:
            torch._foreach_copy_(weights, values)


def _flat(tensors: list[torch.Tensor], ranks: int) -> torch.Tensor:
    """Tensors one after the other, and zeros behind them so that all divides among the ranks."""
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    return torch.nn.functional.pad(flat, (0, -flat.numel() % ranks))


def _copy(tensors: list[torch.Tensor], flat: torch.Tensor) -> None:
    """Fill tensors with what stands one after the other."""
    sizes = [tensor.numel() for tensor in tensors]
    pieces = torch.split(flat[: sum(sizes)], sizes)
    torch._foreach_copy_(tensors, [piece.view_as(old) for piece, old in zip(pieces, tensors, strict=True)])


class Adam:
    """torch's fused Adam in its functional form: constant learning rate, no weight decay.

    The class torch.optim.Adam loads the compiler (torch._dynamo, a second per rank) when it is made, and
    works through DTensor. Adam is elementwise: the local parts of the weights suffice, or parts of these.
    DDP will not do for the gradients: it takes no DTensor parameters, and its module form reduces after each
    micro batch of a pipeline.
    """

    def __init__(self, given: Arguments, grid: Grid, named: Named) -> None:
        self.grid, self.learning_rate = grid, given.lr
        self.families = families(given, grid, named)
        self.sums = Sums([parameter for family in self.families for parameter in family.parameters])
        self.updated = [
            Updated(bucket, family, self.sums, given.sharding == "zero1")
            for family in self.families
            for bucket in family.buckets
        ]
        self.steps: list[torch.Tensor] = []
        self.means: list[torch.Tensor] = []
        self.squares: list[torch.Tensor] = []

    def step(self, loss: torch.Tensor | None) -> tuple[float, float]:
        """One update by the gradients of all ranks; returns their global norm, and the mean loss of all ranks."""
        with timed("gradient-sync"):
            gradients = [updated.gradients() for updated in self.updated]
        with timed("optimizer"):
            sums = self._sums(gradients, loss)
        with timed("gradient-sync"):  # here the ranks that are done wait for the slowest, of other stages too
            if self.grid.mesh is not None:
                dist.all_reduce(sums)
        with timed("optimizer"):
            square, mean_loss = sums.tolist()
            norm = square**0.5
            flat = [gradient for part in gradients for gradient in part]
            factor = MAX_GRADIENT_NORM / (norm + 1e-6)
            if factor < 1:
                torch._foreach_mul_(flat, factor)
            self._update(flat)
            self.sums.forget()
        return norm, mean_loss

    @torch.no_grad()
    def _update(self, gradients: list[torch.Tensor]) -> None:
        """Adam, and its result in the model."""
        if not self.means:
            self.steps = [torch.zeros((), device=gradient.device) for gradient in gradients]
            self.means = [torch.zeros_like(gradient) for gradient in gradients]
            self.squares = [torch.zeros_like(gradient) for gradient in gradients]
        values = [updated.values() for updated in self.updated]
        adam(
            [value for part in values for value in part],
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
        for updated, part in zip(self.updated, values, strict=True):
            updated.publish(part)

    def _sums(self, gradients: list[list[torch.Tensor]], loss: torch.Tensor | None) -> torch.Tensor:
        """What this rank adds to the square of the global gradient norm, and to the mean loss of the global batch.

        Each rank divides its squares by the number of ranks that hold the same values, so one sum over all ranks is
        the square of the norm over the whole model. The ranks of the last stage divide the loss in the same way.
        """
        sums = torch.zeros(2, dtype=torch.float64, device=self.grid.device)
        for family in self.families:
            own = [part for updated, part in zip(self.updated, gradients, strict=True) if updated.family is family]
            sums[0] += get_total_norm([tensor for part in own for tensor in part]).double() ** 2 / family.holders
        if loss is not None:
            names = ("group", "data", "context", "tensor")
            sums[1] = loss.double() / torch.tensor([self.grid.sizes[name] for name in names]).prod()
        return sums
