"""Forward and backward pass of one iteration: micro batch after micro batch, or by torch's pipeline schedules."""

import contextlib
from collections.abc import Callable

import torch

from minitrain import timers
from minitrain.arguments import Arguments
from minitrain.grid import Grid
from minitrain.model import Stage

# tokens (first stage, else None), targets (last stage, else None) -> mean loss of this rank's tokens (last stage)
Step = Callable[[torch.Tensor | None, torch.Tensor | None], torch.Tensor | None]


def make_step(given: Arguments, grid: Grid, stages: list[Stage]) -> Step:
    """The function that runs forward and backward of one iteration and leaves gradients that no other rank has seen."""
    step = _pipeline_step(given, grid, stages) if grid.sizes["pipeline"] > 1 else _plain_step(given, stages[0])

    def full_step(tokens: torch.Tensor | None, targets: torch.Tensor | None) -> torch.Tensor | None:
        with _vocabulary_split_loss(grid), timers.timed("forward-backward"):
            return step(tokens, targets)

    return full_step


def _vocabulary_split_loss(grid: Grid) -> contextlib.AbstractContextManager[None]:
    """The context in which cross-entropy works on logits split by vocabulary, forward and backward."""
    if grid.sizes["tensor"] == 1:
        return contextlib.nullcontext()
    from torch.distributed.tensor.parallel import loss_parallel

    return loss_parallel()


def _plain_step(given: Arguments, stage: Stage) -> Step:
    """The step of a single stage: one micro batch after the other, gradients accumulate, sharded where FSDP does."""

    def step(tokens: torch.Tensor | None, targets: torch.Tensor | None) -> torch.Tensor:
        if tokens is None or targets is None:
            raise ValueError("a single stage is both ends of the pipeline: it needs tokens and targets")
        size = given.micro_batch_size
        total = torch.zeros((), device=tokens.device)
        for inputs, labels in zip(torch.split(tokens, size), torch.split(targets, size), strict=True):
            loss: torch.Tensor = stage(inputs, labels) / given.micro_batches
            torch.autograd.backward(loss)
            total += loss.detach()
        return total

    return step


def _pipeline_step(given: Arguments, grid: Grid, stages: list[Stage]) -> Step:
    """The step of a pipeline, by torch's schedules; the last stage computes the loss."""
    from torch.distributed import pipelining

    group = grid.submesh("pipeline").get_group()
    indices = range(grid.index("pipeline"), given.stages, grid.sizes["pipeline"])
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
        for stage, index in zip(stages, indices, strict=True)
    ]
    for part in parts:
        for name in ("forward_one_chunk", "backward_one_chunk", "backward_weight_one_chunk"):
            setattr(part, name, timers.timing("passes", getattr(part, name)))
    kind = {
        "1f1b": pipelining.Schedule1F1B,
        "gpipe": pipelining.ScheduleGPipe,
        "interleaved": pipelining.ScheduleInterleaved1F1B,
        "zero-bubble": pipelining.ScheduleInterleavedZeroBubble,
    }[given.pipeline_schedule]
    schedule = kind(
        parts if given.pipeline_schedule in ("interleaved", "zero-bubble") else parts[0],
        given.micro_batches,
        loss_fn=lambda loss, target: loss / given.micro_batches,
        scale_grads=False,
    )

    def step(tokens: torch.Tensor | None, targets: torch.Tensor | None) -> torch.Tensor | None:
        losses: list[torch.Tensor] = []
        inputs = () if tokens is None else (tokens,)
        labels = {} if targets is None else {"targets": targets}
        schedule.step(*inputs, target=targets, losses=losses, return_outputs=False, **labels)
        return torch.stack(losses).detach().sum() if losses else None

    return step


def _example(given: Arguments, tokens: bool) -> torch.Tensor:
    """An example, on the meta device, of what enters a stage: tokens, or hidden states."""
    shape = (given.micro_batch_size, given.seq_length // given.context_parallel_size)
    if tokens:
        return torch.empty(shape, dtype=torch.int64, device="meta")
    dtype = torch.bfloat16 if given.bf16 else torch.float32
    return torch.empty((*shape, given.hidden_size), dtype=dtype, device="meta", requires_grad=True)
