"""The training loop of one rank."""

import gc
import platform
import time
from datetime import datetime

import torch
import torch.distributed as dist

from minitrain import report, timers
from minitrain.arguments import Arguments
from minitrain.data import NoisyChain
from minitrain.exchange import places_of
from minitrain.grid import Grid, make_grid
from minitrain.launch import Place
from minitrain.optimizer import Adam
from minitrain.parallel import build_stages
from minitrain.report import write_line
from minitrain.step import make_step


def run(given: Arguments, place: Place) -> None:
    """Build the model, train it and write the log: the whole life of one rank."""
    if place.rank == 0:
        announce(given)
    grid = make_grid(given, place)
    trainer = Trainer(given, grid)
    gc.freeze()  # what torch loaded stays to the end: no collection, the last one included, need walk it
    gc.enable()
    wait_for_all(grid)
    if grid.rank == 0:
        write_line(report.event_line("before the start of training step", datetime.now()))
    trainer.train()
    trainer.write_times()
    wait_for_all(grid)
    if grid.rank == 0:
        write_line(report.event_line("after training is done", datetime.now()))
    if grid.mesh is not None:
        dist.destroy_process_group()


def load(given: Arguments) -> None:
    """Load the parts of torch that this layout needs, so that each fork finds them loaded."""
    if given.tensor_model_parallel_size > 1 or given.shards_data:
        import torch._dynamo
        import torch.distributed.tensor.parallel
    if given.shards_data:
        import torch.distributed.fsdp
    if given.pipeline_model_parallel_size > 1:
        import torch.distributed.pipelining
    if given.recompute_granularity:
        import torch._dynamo
        import torch.utils.checkpoint  # noqa: F401


def announce(given: Arguments) -> None:
    """Write the head of the log: software, layout and arguments; rank 0 does it before anything is built."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    write_line(f"software: python {platform.python_version()}, torch {torch.__version__}, device {device}")
    write_line(report.world_line(given))
    for line in report.argument_lines(given):
        write_line(line)


def wait_for_all(grid: Grid) -> None:
    """Return when every rank has done its work so far."""
    if grid.device.type == "cuda":
        torch.cuda.synchronize()
    if grid.mesh is not None:
        dist.barrier()


class Trainer:
    """The model, the data and Adam of one rank."""

    def __init__(self, given: Arguments, grid: Grid) -> None:
        self.given, self.grid = given, grid
        stages = build_stages(given, grid)
        self.step = make_step(given, grid, stages)
        self.adam = Adam(given, grid, [named for stage in stages for named in stage.named_parameters()])
        self.places = places_of(given.seq_length, given.context_parallel_size, grid.index("context"))
        self.data = NoisyChain(given.vocab_size, given.seq_length, given.seed)

    def train(self) -> None:
        """Run all iterations and write their lines; the last rank writes the iteration lines, as in Megatron."""
        interval, start = report.Interval(), time.perf_counter()
        for iteration in range(1, self.given.train_iters + 1):
            try:
                norm, loss = self.iterate(iteration)
            except (RuntimeError, MemoryError):  # out of memory among others: say how much there was
                self.write_memory(iteration - 1)
                raise
            interval.losses.append(loss)
            if iteration % self.given.log_interval == 0 or iteration == self.given.train_iters:
                wait_for_all(self.grid)
                interval.seconds = time.perf_counter() - start
                if self.grid.rank == self.given.world_size - 1:
                    write_line(interval.line(self.given, iteration, norm))
                interval, start = report.Interval(), time.perf_counter()
            if iteration in (1, self.given.train_iters):
                self.write_memory(iteration)
            if iteration == 1:
                timers.forget()

    def write_memory(self, iteration: int) -> None:
        """Write this rank's memory line after so many iterations."""
        write_line(report.memory_now(self.grid.device.type).line(self.grid.rank, iteration))

    def write_times(self) -> None:
        """Write what the parts of an iteration took, on average without the first one; on a GPU nothing is known."""
        count = self.given.train_iters - 1
        if self.grid.device.type != "cpu" or not count:
            return
        parts = timers.parts(self.given.tensor_model_parallel_size > 1 or self.given.shards_data)
        extremes = torch.tensor([[sign * seconds / count for seconds in parts.values()] for sign in (-1, 1)])
        if self.grid.mesh is not None:
            dist.all_reduce(extremes, dist.ReduceOp.MAX)
        if self.grid.rank == self.given.world_size - 1:
            least, most = (
                dict(zip(parts, row, strict=True)) for row in (extremes * torch.tensor([[-1], [1]])).tolist()
            )
            for line in report.time_lines(least, most):
                write_line(line)

    def iterate(self, iteration: int) -> tuple[float, float]:
        """Run one iteration; returns the global gradient norm and the mean loss of the global batch."""
        tokens, targets = self.batch(iteration)
        loss = self.step(tokens, targets)
        return self.adam.step(loss)

    def batch(self, iteration: int) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """This rank's tokens and targets of an iteration: int64, [samples, tokens of this rank].

        Tokens are None on ranks without the first stage, targets on ranks without the last.
        """
        if not (self.grid.first_stage or self.grid.last_stage):
            return None, None
        count = self.given.global_batch_size // self.given.data_parallel_size
        first = (iteration - 1) * self.given.global_batch_size + self.grid.replica * count
        samples = self.data.samples(first, count)
        own = (samples[:, start : start + self.given.seq_length] for start in (0, 1))
        tokens, targets = (part[:, self.places].to(self.grid.device) for part in own)
        return tokens if self.grid.first_stage else None, targets if self.grid.last_stage else None
