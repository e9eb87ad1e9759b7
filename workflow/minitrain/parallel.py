"""The ranks as a grid, and the model spread over it: tensor, pipeline and data parallelism."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from minitrain.arguments import Arguments
from minitrain.distributed_tensors import is_distributed, local, local_gradient
from minitrain.launch import Place
from minitrain.model import Stage, initial_value

DIMENSIONS = ("pipeline", "data", "tensor")
BUCKET_ELEMENTS = 25 * 2**20 // 4

# tokens (first stage, else None), targets (last stage, else None) -> mean loss of the replica's samples (last stage)
Step = Callable[[torch.Tensor | None, torch.Tensor | None], torch.Tensor | None]


@dataclass(frozen=True)
class Grid:
    """This rank in the grid pipeline x data x tensor, tensor fastest (Megatron's order).

    `mesh` has the dimensions of more than one rank only, and is None on a single rank.
    """

    rank: int
    device: torch.device
    sizes: dict[str, int]
    mesh: DeviceMesh | None

    def index(self, dimension: str) -> int:
        """This rank's coordinate in a dimension."""
        if self.mesh is None or self.sizes[dimension] == 1:
            return 0
        return self.mesh.get_local_rank(dimension)

    def submesh(self, dimension: str) -> DeviceMesh:
        """This rank and the ranks that differ from it in one dimension alone; ValueError on a single rank."""
        if self.mesh is None:
            raise ValueError(f"a single rank has no other ranks along the dimension {dimension}")
        return self.mesh[dimension]

    @property
    def first_stage(self) -> bool:
        """Whether this rank holds the embedding."""
        return self.index("pipeline") == 0

    @property
    def last_stage(self) -> bool:
        """Whether this rank holds the head, and so computes the loss."""
        return self.index("pipeline") == self.sizes["pipeline"] - 1


def make_grid(given: Arguments, place: Place) -> Grid:
    """Connect to the other ranks and arrange all of them in the grid."""
    sizes = {
        "pipeline": given.pipeline_model_parallel_size,
        "data": given.data_parallel_size,
        "tensor": given.tensor_model_parallel_size,
    }
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", place.local_rank % torch.cuda.device_count())
        torch.cuda.set_device(device)
    if place.world_size == 1:
        return Grid(rank=0, device=device, sizes=sizes, mesh=None)
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        init_method=f"tcp://{place.address}:{place.port}",
        rank=place.rank,
        world_size=place.world_size,
        timeout=timedelta(minutes=given.distributed_timeout_minutes),
    )
    split = tuple(name for name in DIMENSIONS if sizes[name] > 1)
    mesh = init_device_mesh(device.type, tuple(sizes[name] for name in split), mesh_dim_names=split)
    return Grid(rank=place.rank, device=device, sizes=sizes, mesh=mesh)


def build_stages(given: Arguments, grid: Grid) -> list[Stage]:
    """This rank's stages, split, on the device and initialised: one stage, or several when interleaved."""
    indices = range(grid.index("pipeline"), given.stages, grid.sizes["pipeline"])
    split = grid.sizes["tensor"] > 1 or given.shards_data
    with torch.device("meta") if split else grid.device:
        stages = [Stage(given, index) for index in indices]
    for stage in stages:
        if grid.sizes["tensor"] > 1:
            split_tensors(stage, grid.submesh("tensor"))
        if given.recompute_granularity == "full":
            recompute_layers(stage)
        if given.shards_data:
            shard_over_replicas(stage, grid.submesh("data"))
        if split:
            stage.to_empty(device=grid.device)
        initialise(stage, given)
    return stages


def split_tensors(stage: Stage, mesh: DeviceMesh) -> None:
    """Split a stage for tensor parallelism: columns then rows in each half of a layer, the head by vocabulary.

    The embedding is split by hidden size: split by vocabulary, DTensor would make its gradient whole on every rank.
    """
    import torch._dynamo  # noqa: F401  DTensor loads it on first use: better now than in iteration 1
    from torch.distributed.tensor import Replicate, Shard
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    plan = {
        "embedding.tokens": ColwiseParallel(output_layouts=Replicate()),
        "layers.*.attention.qkv": ColwiseParallel(),
        "layers.*.attention.projection": RowwiseParallel(),
        "layers.*.mlp.up": ColwiseParallel(),
        "layers.*.mlp.down": RowwiseParallel(),
        "head.output": ColwiseParallel(output_layouts=Shard(-1), use_local_output=False),
    }
    absent = [part for part in ("embedding", "head") if getattr(stage, part) is None]
    plan = {name: style for name, style in plan.items() if name.split(".")[0] not in absent}
    parallelize_module(stage, mesh, plan, src_data_rank=None)


def recompute_layers(stage: Stage) -> None:
    """Recompute the activations of every layer (torch's non-reentrant checkpoint, in its module form)."""
    import torch._dynamo  # noqa: F401  checkpoint loads it on first use: better now than in iteration 1
    from torch.distributed._composable.checkpoint_activation import checkpoint

    for layer in stage.layers.values():
        checkpoint(layer, preserve_rng_state=False)


def shard_over_replicas(stage: Stage, mesh: DeviceMesh) -> None:
    """Shard a stage by FSDP2, which gathers each layer when it is needed and the rest of the stage together."""
    from torch.distributed.fsdp import fully_shard

    for layer in stage.layers.values():
        fully_shard(layer, mesh=mesh)
    fully_shard(stage, mesh=mesh)


@torch.no_grad()
def initialise(stage: Stage, given: Arguments) -> None:
    """Give each parameter its initial value, one whole parameter in memory at a time."""
    for name, parameter in stage.named_parameters():
        value = initial_value(name, parameter.shape, given)
        if is_distributed(parameter):
            from torch.distributed.tensor import distribute_tensor

            value = distribute_tensor(
                value.to(parameter.device), parameter.device_mesh, parameter.placements, src_data_rank=None
            )
        local(parameter).copy_(local(value))


def make_step(given: Arguments, grid: Grid, stages: list[Stage]) -> Step:
    """The function that runs forward and backward of one iteration and leaves averaged gradients."""
    step = _pipeline_step(given, grid, stages) if grid.sizes["pipeline"] > 1 else _plain_step(given, stages[0])
    averages = grid.sizes["data"] > 1 and not given.shards_data
    parameters = [parameter for stage in stages for parameter in stage.parameters()]

    def full_step(tokens: torch.Tensor | None, targets: torch.Tensor | None) -> torch.Tensor | None:
        with _vocabulary_split_loss(grid):
            loss = step(tokens, targets)
        if averages:
            average_gradients(parameters, grid.submesh("data").get_group())
        return loss

    return full_step


def _vocabulary_split_loss(grid: Grid) -> contextlib.AbstractContextManager[None]:
    """The context in which cross-entropy works on logits split by vocabulary, forward and backward."""
    if grid.sizes["tensor"] == 1:
        return contextlib.nullcontext()
    from torch.distributed.tensor.parallel import loss_parallel

    return loss_parallel()


def _plain_step(given: Arguments, stage: Stage) -> Step:
    """The step of a single stage: one micro batch after the other, gradients accumulate."""

    def step(tokens: torch.Tensor | None, targets: torch.Tensor | None) -> torch.Tensor:
        if tokens is None or targets is None:
            raise ValueError("a single stage is both ends of the pipeline: it needs tokens and targets")
        size = given.micro_batch_size
        pieces = zip(torch.split(tokens, size), torch.split(targets, size), strict=True)
        total = torch.zeros((), device=tokens.device)
        for number, (inputs, labels) in enumerate(pieces, start=1):
            if given.shards_data:
                _reduce_gradients(stage, number == given.micro_batches)
            loss: torch.Tensor = stage(inputs, labels) / given.micro_batches
            torch.autograd.backward(loss)
            total += loss.detach()
        return total

    return step


def _reduce_gradients(stage: Stage, wanted: bool) -> None:
    """Tell FSDP2 whether the next backward pass reduces the gradients over the replicas or only adds them up."""
    from torch.distributed.fsdp import FSDPModule

    assert isinstance(stage, FSDPModule), "fully_shard makes the stage an FSDPModule"
    stage.set_requires_gradient_sync(wanted)


def _pipeline_step(given: Arguments, grid: Grid, stages: list[Stage]) -> Step:
    """The step of a pipeline, by torch's schedules; the last stage computes the loss."""
    from torch.distributed import pipelining

    group = grid.submesh("pipeline").get_group()
    parts = [
        pipelining.PipelineStage(
            stage,
            index,
            given.stages,
            grid.device,
            input_args=_example(given, index == 0),
            output_args=_example(given, False) if index < given.stages - 1 else torch.empty((), device="meta"),
            group=group,
        )
        for stage, index in zip(
            stages, range(grid.index("pipeline"), given.stages, grid.sizes["pipeline"]), strict=True
        )
    ]
    kind = {
        "1f1b": pipelining.Schedule1F1B,
        "gpipe": pipelining.ScheduleGPipe,
        "interleaved": pipelining.ScheduleInterleaved1F1B,
    }[given.pipeline_schedule]
    several = given.pipeline_schedule == "interleaved"
    schedule = kind(parts if several else parts[0], given.micro_batches, loss_fn=lambda loss, target: loss)

    def step(tokens: torch.Tensor | None, targets: torch.Tensor | None) -> torch.Tensor | None:
        losses: list[torch.Tensor] = []
        inputs = () if tokens is None else (tokens,)
        labels = {} if targets is None else {"targets": targets}
        schedule.step(*inputs, target=targets, losses=losses, return_outputs=False, **labels)
        return torch.stack(losses).detach().mean() if losses else None

    return step


def _example(given: Arguments, tokens: bool) -> torch.Tensor:
    """An example, on the meta device, of what enters a stage: tokens, or hidden states."""
    shape = (given.micro_batch_size, given.seq_length)
    if tokens:
        return torch.empty(shape, dtype=torch.int64, device="meta")
    return torch.empty((*shape, given.hidden_size), device="meta", requires_grad=True)


@torch.no_grad()
def average_gradients(parameters: list[nn.Parameter], group: dist.ProcessGroup) -> None:
    """Replace each gradient by its mean over the replicas (replicated data parallelism, once per iteration).

    DDP will not do: it takes no DTensor parameters, and its module form reduces after each micro batch of a pipeline.
    """
    gradients = [local_gradient(parameter) for parameter in parameters]
    replicas = group.size()
    while gradients:
        bucket: list[torch.Tensor] = []
        elements = 0
        while gradients and (not bucket or elements + gradients[-1].numel() <= BUCKET_ELEMENTS):
            bucket.append(gradients.pop())
            elements += bucket[-1].numel()
        flat = torch.cat([gradient.flatten() for gradient in bucket]).div_(replicas)
        dist.all_reduce(flat, group=group)
        pieces = torch.split(flat, [gradient.numel() for gradient in bucket])
        torch._foreach_copy_(bucket, [piece.view_as(old) for piece, old in zip(pieces, bucket, strict=True)])
