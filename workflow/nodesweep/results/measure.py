"""Measures an ended run: what its log and its terminal record say -> a Measurement."""

from dataclasses import replace
from statistics import fmean, median, quantiles

from nodesweep.common.units import MIB
from nodesweep.config.memory_sources import MEMORY_SOURCES, by_scheduler
from nodesweep.logs.finest import sources, with_finest_seconds
from nodesweep.logs.memory import highest
from nodesweep.logs.reading import READER_VERSION, Iteration, LogReading
from nodesweep.logs.warmup import timed, warm_up_by_rule, warm_up_records
from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.flops import tflops_per_node
from nodesweep.sweep.layout import Layout

from .checks import amounts_of, flags_of_layout, flags_of_log
from .measurement import IterationSeries, IterationStatistics, MeasuredMemory, Measurement, MeasurementSettings
from .suspension import paused_record
from .terminal_record import TerminalRecord


def measure(layout: Layout, record: TerminalRecord, reading: LogReading, settings: MeasurementSettings) -> Measurement:
    """Measure the run of `layout` that ended as `record` says and whose log gave `reading`."""
    measured = measure_log(Dimensions.of(layout), layout.slug, record, reading, settings)
    return replace(measured, flags=(*measured.flags, *flags_of_layout(layout, reading, measured.statistics)))


def measure_log(
    case: Dimensions, slug: str, record: TerminalRecord, reading: LogReading, settings: MeasurementSettings
) -> Measurement:
    """Measure a run of which no more than its sizes are known, some of them maybe not."""
    finest = with_finest_seconds(reading, amounts_of(case))
    records = finest.iterations
    statistics = _statistics(case, record, finest, settings)
    losses = [row.loss for row in records if row.loss is not None]
    return Measurement(
        slug=slug,
        record=record,
        settings=settings,
        reader_version=READER_VERSION,
        log_name=record.log,
        log_size_bytes=reading.size_bytes,
        log_modified_ns=reading.modified_ns,
        series=_series(records),
        statistics=statistics,
        memory=memory_of(record, reading, settings.memory_source),
        first_loss=losses[0] if losses else None,
        last_loss=losses[-1] if losses else None,
        flags=flags_of_log(case, record, reading, statistics, settings.statistic),
        read_as=reading.format.name if reading.format else "",
        left_out=warm_up_by_rule(finest, settings.warmup),
        log_unpacked_bytes=reading.unpacked_bytes,
    )


def _statistics(
    case: Dimensions, record: TerminalRecord, reading: LogReading, settings: MeasurementSettings
) -> IterationStatistics | None:
    records = timed(reading)
    if not records:
        return None
    dropped = warm_up_records(reading, settings.warmup)
    paused = paused_record(records[dropped:], reading.log_interval or 1, record.usage.suspended_seconds)
    used = tuple(row for row in records[dropped:] if row is not paused)
    seconds = [row.seconds for row in used if row.seconds is not None]
    values = {"median": median(seconds), "mean": fmean(seconds)}
    chosen = values[settings.statistic]
    log_tflops = _log_tflops_per_node(case.maybe("ranks_per_node"), used)
    return IterationStatistics(
        records_dropped=dropped,
        records_used=len(used),
        first_iteration=records[dropped].number,
        last_iteration=records[-1].number,
        iteration_seconds=chosen,
        iteration_seconds_median=values["median"],
        iteration_seconds_mean=values["mean"],
        iteration_seconds_half_interquartile_range=half_interquartile_range(seconds),
        **rates_of(case, chosen),
        log_tflops_per_node=log_tflops[settings.statistic],
        log_tflops_per_node_median=log_tflops["median"],
        log_tflops_per_node_mean=log_tflops["mean"],
        paused_iteration=paused.number if paused else None,
        iteration_seconds_rounding=_rounding(used),
        sources=sources(used, amounts_of(case)),
    )


def rates_of(case: Dimensions, seconds: float) -> dict[str, float | None]:
    """The rates that follow from the seconds of an iteration, by the fields of `IterationStatistics`."""
    return {
        "tokens_per_second": case.tokens / seconds if case.maybe("tokens") else None,
        "tflops_per_node": _tflops_per_node(case, "hardware_flops", seconds),
        "model_tflops_per_node": _tflops_per_node(case, "model_flops", seconds),
    }


def _rounding(used: tuple[Iteration, ...]) -> float:
    """By how much median and mean of seconds may be off: what they are where each is off as far as its rounding lets.

    >>> _rounding((Iteration(1, 1, seconds=2.0, seconds_rounding=0.25), Iteration(2, 2, seconds=3.0)))
    0.125
    """
    pairs = [(row.seconds, row.seconds_rounding) for row in used if row.seconds is not None]
    times, low, high = ([seconds + sign * rounding for seconds, rounding in pairs] for sign in (0, -1, 1))
    worst = max(abs(statistic(one) - statistic(times)) for statistic in (median, fmean) for one in (low, high))
    return float(f"{worst:.6g}")  # 5e-05, not 5.00000001e-05


def _tflops_per_node(case: Dimensions, work: str, seconds: float) -> float | None:
    """The rate of a node by its work in an iteration; None where a size is unknown."""
    operations, nodes = case.maybe(work), case.maybe("nodes")
    return tflops_per_node(operations, seconds, nodes) if operations and nodes else None


def _log_tflops_per_node(ranks_per_node: int | None, used: tuple[Iteration, ...]) -> dict[str, float | None]:
    """TFLOPs of a node by the log's own figures, by each statistic; None where the log has none."""
    of_ranks = [row.tflops for row in used if row.tflops is not None]
    return {
        name: statistic(of_ranks) * ranks_per_node if of_ranks and ranks_per_node else None
        for name, statistic in (("median", median), ("mean", fmean))
    }


def half_interquartile_range(values: list[float]) -> float | None:
    """Half the distance between the quartiles, interpolated between the values.

    >>> half_interquartile_range([1.0, 2.0, 3.0, 4.0, 5.0])
    1.0
    """
    if len(values) < 2:
        return None
    low, _, high = quantiles(values, n=4, method="inclusive")
    return (high - low) / 2


def _series(records: tuple[Iteration, ...]) -> IterationSeries:
    return IterationSeries(
        iteration=tuple(row.number for row in records),
        seconds=tuple(row.seconds for row in records),
        loss=tuple(row.loss for row in records),
        log_tflops_per_rank=tuple(row.tflops for row in records),
        line=tuple(row.line for row in records),
    )


def memory_of(record: TerminalRecord | None, reading: LogReading, source: str) -> MeasuredMemory | None:
    """The peak memory of a run by a source, None where it has none; `record` is None while a job runs."""
    usage = record.usage if record is not None else None
    if source == "scheduler" and usage is not None and usage.memory_bytes:
        return MeasuredMemory(usage.memory_bytes / MIB, by_scheduler(usage.memory_of), None, None)
    if source == "log-node-used" and reading.node_memory is not None:
        return MeasuredMemory(reading.node_memory.peak_used_mib, source, None, reading.node_memory.line)
    figure = MEMORY_SOURCES[source].of_rank
    rank = highest(reading.rank_memory, figure) if figure else None
    return MeasuredMemory(getattr(rank, figure), source, rank.rank, rank.line) if rank else None
