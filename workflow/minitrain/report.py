"""The lines of the log, in Megatron's formats."""

import math
import os
import resource
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path

from minitrain.arguments import Arguments

PROCESS_STATUS = Path("/proc/self/status")
MEBIBYTE = 2**20


def write_line(text: str) -> None:
    """Write one line to stdout by one system call, so that the lines of many ranks do not tear each other."""
    os.write(1, f"{text}\n".encode())


def world_line(given: Arguments) -> str:
    """The line by which Megatron announces the layout."""
    context = given.context_parallel_size
    return (
        f"using world size: {given.world_size}, data-parallel-size: {given.data_parallel_size}, "
        + (f"context-parallel-size: {context}, " if context > 1 else "")
        + f"tensor-model-parallel size: {given.tensor_model_parallel_size}, "
        f"pipeline-model-parallel size: {given.pipeline_model_parallel_size} "
    )


def argument_lines(given: Arguments) -> list[str]:
    """Megatron's dump of the arguments, sorted, names dotted to 48 columns, with what never changes here."""
    values = {entry.name: getattr(given, entry.name) for entry in fields(given)}
    chunk = given.num_layers_per_virtual_pipeline_stage
    values |= {
        "data_parallel_size": given.data_parallel_size,
        "virtual_pipeline_model_parallel_size": given.stages // given.pipeline_model_parallel_size if chunk else None,
        "expert_tensor_parallel_size": 1,
        "group_query_attention": given.num_query_groups != given.num_attention_heads,
        "use_megatron_fsdp": given.data_parallel_sharding_strategy != "no_shard",
        "untie_embeddings_and_output_weights": True,
        "attention_backend": "auto",
        "attention_dropout": 0.0,
        "hidden_dropout": 0.0,
        "moe_router_load_balancing_type": "none" if given.num_experts else None,
    }
    return [
        "------------------------ arguments ------------------------",
        *(f"  {name} {'.' * (48 - len(name))} {values[name]}" for name in sorted(values)),
        "-------------------- end of arguments ---------------------",
    ]


def time_lines(least: dict[str, float], most: dict[str, float]) -> list[str]:
    """Seconds of the parts of an iteration, the least and the most of all ranks, in the form of Megatron's timers."""
    return [
        "(min, max) time across ranks (ms):",
        *(
            f"    {part} {'.' * (47 - len(part))}: ({1000 * least[part]:.2f}, {1000 * most[part]:.2f})"
            for part in least
            if most[part] > 0
        ),
    ]


def event_line(event: str, now: datetime) -> str:
    """The line of a named moment, e.g. `[after training is done] datetime: 2026-11-22 20:30:01 `."""
    return f"[{event}] datetime: {now:%Y-%m-%d %H:%M:%S} "


def iteration_flops(given: Arguments) -> float:
    """Floating-point operations of an iteration over all ranks: what is recomputed, and the whole square of attention.

    Each matrix product by its size: P of a layer's weights that a token is multiplied with, C of the core of attention.
    A pass forward is 2 (P + C) a token, backward twice that, recomputed layers one more, or one more of C (selective).
    A plain GPT is counted by Narayanan et al. 2021, equation 3, which counts the output layer once more where all is
    recomputed and three quarters of that where nothing is.
    """
    hidden, width = given.hidden_size, given.kv_channels * given.num_attention_heads
    keys = given.kv_channels * given.num_query_groups
    matrices = 3 if given.swiglu else 2
    blocks = matrices * hidden * given.ffn_hidden_size
    if given.num_experts:
        blocks = given.moe_router_topk * matrices * hidden * given.moe_ffn_hidden_size + given.num_experts * hidden
    layers = given.num_layers * (2 * hidden * (width + keys) + blocks)
    core = given.num_layers * 2 * given.seq_length * width
    output = given.vocab_size * hidden
    plain = not given.swiglu and not given.num_experts and keys == width == hidden
    share = given.recomputed_layers * given.stages / given.num_layers
    operations = 6 * (layers + core) + 2 * share * (layers + core)
    operations += (1.5 * (3 + share) if plain else 6) * output
    operations += 2 * core if given.recompute_granularity == "selective" else 0
    return given.global_batch_size * given.seq_length * operations


@dataclass
class Interval:
    """The losses and the seconds since the last iteration line."""

    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def line(self, given: Arguments, iteration: int, gradient_norm: float) -> str:
        """The iteration line (Megatron-DeepSpeed's); times and losses are means over the interval.

        The loss is left out when it was NaN in every iteration, as Megatron does.
        """
        numbers = [loss for loss in self.losses if not math.isnan(loss)]
        seconds = self.seconds / len(self.losses)
        batch, tokens = given.global_batch_size, given.global_batch_size * given.seq_length
        rate = 1 / (seconds * given.world_size)
        loss = [f"lm loss: {sum(numbers) / len(numbers):.6E}"] if numbers else []
        parts = [
            f" iteration {iteration:8d}/{given.train_iters:8d}",
            f"consumed samples: {iteration * batch:12d}",
            f"consumed tokens: {iteration * tokens:12d}",
            f"elapsed time per iteration (ms): {seconds * 1000:.1f}",
            f"learning rate: {given.lr:.3E}",
            f"global batch size: {batch:5d}",
            *loss,
            "loss scale: 1.0",
            f"grad norm: {gradient_norm:.3f}",
            f"actual seqlen: {given.seq_length:5d}",
            "number of skipped iterations:   0",
            f"number of nan iterations: {len(self.losses) - len(numbers):3d}",
            f"samples per second: {batch / seconds:.3f}",
            f"tokens per gpu per second (tgs): {tokens * rate:.3f}",
            f"TFLOPs: {iteration_flops(given) * rate / 1e12:.2f} |",
        ]
        return " | ".join(parts)


@dataclass(frozen=True)
class Memory:
    """One rank's memory, in MiB ("MB" in the log, as in Megatron)."""

    allocated: float
    max_allocated: float
    reserved: float
    max_reserved: float

    def line(self, rank: int, iteration: int) -> str:
        """Megatron's memory line."""
        return (
            f"[Rank {rank}] (after {iteration} iterations) memory (MB) | allocated: {self.allocated:.1f} | "
            f"max allocated: {self.max_allocated:.1f} | reserved: {self.reserved:.1f} | "
            f"max reserved: {self.max_reserved:.1f}"
        )


def memory_now(device: str) -> Memory:
    """The memory of this process up to this moment.

    CUDA's allocator states all four figures. On the CPU "allocated" is the resident set now (VmRSS) and "max
    allocated" its peak (VmHWM, kept by the kernel); "reserved" is the data segment (VmData: what `ulimit -d`
    limits, thread stacks included) and "max reserved" its peak. Of that the kernel keeps none, but tensors are
    resident as long as they are there: the data segment was larger than now by as much as the resident set was.
    Without /proc the peak resident set (getrusage) stands for all four.
    """
    if device == "cuda":
        from torch import cuda

        return Memory(
            allocated=cuda.memory_allocated() / MEBIBYTE,
            max_allocated=cuda.max_memory_allocated() / MEBIBYTE,
            reserved=cuda.memory_reserved() / MEBIBYTE,
            max_reserved=cuda.max_memory_reserved() / MEBIBYTE,
        )
    if not PROCESS_STATUS.exists():
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return Memory(allocated=peak, max_allocated=peak, reserved=peak, max_reserved=peak)
    status = process_status()
    return Memory(
        allocated=status["VmRSS"],
        max_allocated=status["VmHWM"],
        reserved=status["VmData"],
        max_reserved=status["VmData"] + status["VmHWM"] - status["VmRSS"],
    )


def process_status() -> dict[str, float]:
    """The sizes that the kernel states for this process: MiB by name (VmRSS, VmHWM, VmData, ...)."""
    rows = (line.split() for line in PROCESS_STATUS.read_text().splitlines())
    return {row[0].rstrip(":"): int(row[1]) / 1024 for row in rows if row and row[-1] == "kB"}
