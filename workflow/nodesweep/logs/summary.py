"""Summarise a log: the figures that a careful reader would write down."""

from collections.abc import Iterable
from statistics import median

from .memory import highest
from .reading import LogReading
from .warmup import second_holds_first, warm_up

Summary = dict[str, str | int | float | dict[str, str] | None]
"""Figures of a log by name, None where the log has none."""


def summary(reading: LogReading) -> Summary:
    """Figures by name, None where the log has none; medians are of the records after warm-up.

    Memory is in MiB, TFLOPs per device as the log counts them. Figures of the whole run come with their own names.
    """
    records = reading.iterations
    dropped, _ = warm_up(reading)
    steady = records[dropped:]
    return {
        "format": reading.format.name if reading.format else None,
        "n_iteration_records": len(records),
        "first_iteration": records[0].number if records else None,
        "last_iteration": records[-1].number if records else None,
        "train_iters": _planned(reading),
        "log_interval": reading.log_interval,
        "exclude_first_k_records": dropped,
        "median_elapsed_s": _median(row.seconds for row in steady),
        "median_tflops_per_gpu": _median(row.tflops for row in steady),
        "median_hardware_tflops_per_gpu": _median(row.hardware_tflops for row in steady),
        "median_samples_per_s": _median(row.samples_per_second for row in steady),
        "median_tokens_per_s": _median(row.tokens_per_second for row in steady),
        "median_tokens_per_s_per_gpu": _median(row.tokens_per_second_per_rank for row in steady),
        "median_power_w_per_gpu": _median(row.power_watts for row in steady),
        "median_mfu_pct": _median(row.mfu_percent for row in steady),
        "loss_first": records[0].loss if records else None,
        "loss_last": next((row.loss for row in reversed(records) if not row.cut), None),
        "records_without_lm_loss": sum(row.loss is None and not row.cut for row in records),
        "skipped_iterations_total": _skipped(reading),
        "nan_iterations_total": sum(row.nan for row in records),
        "global_batch_size_last": records[-1].global_batch_samples if records else None,
        "global_batch_size_tokens": records[-1].global_batch_tokens if records else None,
        "restarts": reading.restarts,
        **_memory(reading),
        "node_memory_mib": reading.node_memory.peak_used_mib if reading.node_memory else None,
        "args": dict(reading.arguments),
        "n_args_lines": reading.argument_lines,
        **{name: total.value for name, total in reading.totals.items()},
    }


def _planned(reading: LogReading) -> int | None:
    """Iterations the run was to do, as its records or its arguments say."""
    total = next((row.total for row in reversed(reading.iterations) if row.total is not None), None)
    steps = reading.totals.get("train_steps")
    arguments = dict(reading.arguments)
    planned = [
        arguments[name] for name in ("train_iters", "train_steps", "total_steps") if arguments.get(name, "").isdecimal()
    ]
    return total or (int(steps.value) if steps else None) or (int(planned[0]) if planned else None)


def _skipped(reading: LogReading) -> int:
    """Iterations skipped: those of all records, or what DeepSpeed's engine counts from the start of the run."""
    engine = reading.totals.get("ds_skipped_steps")
    records = sum(row.skipped for row in reading.iterations[second_holds_first(reading) :])
    return records or (int(engine.value) if engine else 0)


def _memory(reading: LogReading) -> Summary:
    ranks, node = reading.rank_memory, reading.node_memory
    reserved, allocated = (highest(ranks, f"peak_{figure}_mib") for figure in ("reserved", "allocated"))
    return {
        "memory_ranks_reported": len(ranks) or (node.ranks if node else 0),
        "peak_reserved_mib": reserved.peak_reserved_mib if reserved else None,
        "peak_reserved_rank": reserved.rank if reserved else None,
        "peak_allocated_mib": allocated.peak_allocated_mib if allocated else None,
    }


def _median(values: Iterable[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return median(present) if present else None
