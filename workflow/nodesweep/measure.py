"""One ended run -> its Measurement: series, steady-state statistics, memory, rates, and where each came from.

Statistics are derived from the series and never replace it. A measurement knows the settings and the log it was made
from, so that it is made again exactly when one of them has changed.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from statistics import fmean, median, quantiles
from typing import Any, Literal

from nodesweep.config.machine import peak_of
from nodesweep.logs.memory import highest
from nodesweep.logs.reading import READER_VERSION, Iteration, LogReading
from nodesweep.logs.trainers.custom import key_of
from nodesweep.logs.trainers.formats import Format
from nodesweep.logs.warmup import LeftOut, left_out, timed, warm_up_records
from nodesweep.performance.dimensions import Shape
from nodesweep.sweep.layout import Layout

from . import plausible
from .performance import flops

SCHEMA = 3
PRINTED_TFLOPS_STEP = 0.01
TFLOPS_TOLERANCE = 0.02
ARGUMENTS = {
    "num_layers": lambda layout: layout.model.layers,
    "hidden_size": lambda layout: layout.model.hidden_size,
    "num_attention_heads": lambda layout: layout.model.attention_heads,
    "seq_length": lambda layout: layout.sequence_length,
    "micro_batch_size": lambda layout: layout.micro_batch,
    "global_batch_size": lambda layout: layout.global_batch,
    "tensor_model_parallel_size": lambda layout: layout.tensor,
    "pipeline_model_parallel_size": lambda layout: layout.pipeline,
    "data_parallel_size": lambda layout: layout.data,
}
"""Arguments a trainer prints, by Megatron's names, and what the layout says they are."""


@dataclass(frozen=True)
class Settings:
    """What a measurement depends on beside the log; `warmup` in iterations, None to go by the log's format alone."""

    warmup: int | None
    statistic: Literal["median", "mean"]
    memory_source: str
    log_format: str

    @classmethod
    def of(cls, layout: Layout, statistic: Literal["median", "mean"]) -> "Settings":
        """Those of a layout."""
        return cls(
            layout.iterations.warmup, statistic, layout.workload.memory_source, key_of(layout.workload.log_format)
        )


@dataclass(frozen=True)
class Memory:
    """The figure shown as memory: the highest over ranks and its line.

    `rank` is None for a node's or a job's own figure, `line` for one that the scheduler gives.
    """

    peak_mib: float
    source: str
    rank: int | None
    line: int | None


@dataclass(frozen=True)
class Series:
    """The records of a log, one entry each; None where the log has no such figure, or no finite one."""

    iteration: tuple[int, ...]
    seconds: tuple[float | None, ...]
    loss: tuple[float | None, ...]
    log_tflops_per_rank: tuple[float | None, ...]
    line: tuple[int, ...]


@dataclass(frozen=True)
class Statistics:
    """What stands for the records `first_iteration` to `last_iteration`, the first `records_dropped` left out.

    `iteration_seconds` is the statistic asked for; the half interquartile range is None for a single record.
    `log_tflops_per_node` is the log's own figure times the ranks of a node, None where the log has none. Rates are None
    where what they follow from is unknown, as it may be of a log found somewhere.
    """

    records_dropped: int
    records_used: int
    first_iteration: int
    last_iteration: int
    iteration_seconds: float
    iteration_seconds_median: float
    iteration_seconds_mean: float
    iteration_seconds_half_interquartile_range: float | None
    tokens_per_second: float | None
    tflops_per_node: float | None
    model_tflops_per_node: float | None
    log_tflops_per_node: float | None
    log_tflops_per_node_median: float | None
    log_tflops_per_node_mean: float | None

    @property
    def scatter(self) -> float | None:
        """The half interquartile range, relative."""
        spread = self.iteration_seconds_half_interquartile_range
        return None if spread is None else spread / self.iteration_seconds


@dataclass(frozen=True)
class Measurement:
    """All that is known of one ended run.

    `record`: the job's terminal record as the executor wrote it, verdict included. `flags`: what a reader of the
    table must know, one short phrase each. `first_loss`, `last_loss`: of the whole series, nats per token.
    `read_as`: the format of the log, empty where it has no record. `left_out`: None where no record has a time.
    """

    slug: str
    record: dict[str, Any]
    settings: Settings
    reader_version: int
    log_name: str
    log_size_bytes: int
    log_modified_ns: int
    series: Series
    statistics: Statistics | None
    memory: Memory | None
    first_loss: float | None
    last_loss: float | None
    flags: tuple[str, ...]
    read_as: str
    left_out: LeftOut | None
    schema: int = SCHEMA

    def made_from(self, record: Mapping[str, Any], settings: Settings, size_bytes: int, modified_ns: int) -> bool:
        """Whether measuring again would give the same: same reader, settings, record and unchanged log."""
        return (self.schema, self.reader_version, self.record, self.settings) == (
            SCHEMA,
            READER_VERSION,
            dict(record),
            settings,
        ) and (self.log_size_bytes, self.log_modified_ns) == (size_bytes, modified_ns)

    def to_json(self) -> str:
        """The text of measurement.json, a line for each field."""
        words = (f' "{name}": {_json(value)}' for name, value in asdict(self).items())
        return "{\n" + ",\n".join(words) + "\n}\n"

    @classmethod
    def from_json(cls, text: str) -> "Measurement":
        """Read what `to_json` wrote; raises ValueError, KeyError or TypeError on anything else."""
        values = json.loads(text)
        statistics, memory, dropped = (values.pop(name) for name in ("statistics", "memory", "left_out"))
        return cls(
            settings=Settings(**values.pop("settings")),
            series=Series(**{name: tuple(column) for name, column in values.pop("series").items()}),
            statistics=Statistics(**statistics) if statistics else None,
            memory=Memory(**memory) if memory else None,
            flags=tuple(values.pop("flags")),
            left_out=LeftOut(**dropped) if dropped else None,
            **values,
        )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def measure(layout: Layout, record: Mapping[str, Any], reading: LogReading, settings: Settings) -> Measurement:
    """Measure the run of `layout` that ended as `record` says and whose log gave `reading`."""
    measured = measure_log(Shape.of(layout), layout.slug, record, reading, settings)
    return replace(
        measured,
        flags=(*measured.flags, *_above_peak(layout, measured.statistics), *_arguments_differ(layout, reading)),
    )


def measure_log(
    shape: Shape, slug: str, record: Mapping[str, Any], reading: LogReading, settings: Settings
) -> Measurement:
    """Measure a run of which no more than its shape is known, and that not wholly."""
    records = reading.iterations
    statistics = _statistics(shape, reading, settings)
    losses = [row.loss for row in records if row.loss is not None]
    return Measurement(
        slug=slug,
        record=dict(record),
        settings=settings,
        reader_version=READER_VERSION,
        log_name=str(record.get("log") or ""),
        log_size_bytes=reading.size_bytes,
        log_modified_ns=reading.modified_ns,
        series=_series(records),
        statistics=statistics,
        memory=memory_of(record, reading, settings.memory_source),
        first_loss=losses[0] if losses else None,
        last_loss=losses[-1] if losses else None,
        flags=(*_flags(shape, record, reading, statistics), *_implausible(shape, reading, statistics)),
        read_as=reading.format.name if reading.format else "",
        left_out=left_out(reading, settings.warmup),
    )


def _statistics(shape: Shape, reading: LogReading, settings: Settings) -> Statistics | None:
    records = timed(reading)
    if not records:
        return None
    dropped = warm_up_records(reading, settings.warmup)
    used = records[dropped:]
    seconds = [row.seconds for row in used]
    values = {"median": median(seconds), "mean": fmean(seconds)}
    chosen = values[settings.statistic]
    log_tflops = _log_tflops_per_node(shape.ranks_per_node, used)
    return Statistics(
        records_dropped=dropped,
        records_used=len(used),
        first_iteration=used[0].number,
        last_iteration=used[-1].number,
        iteration_seconds=chosen,
        iteration_seconds_median=values["median"],
        iteration_seconds_mean=values["mean"],
        iteration_seconds_half_interquartile_range=_half_interquartile_range(seconds),
        tokens_per_second=shape.tokens / chosen if shape.tokens else None,
        tflops_per_node=_tflops(shape.hardware_flops, chosen, shape.nodes),
        model_tflops_per_node=_tflops(shape.model_flops, chosen, shape.nodes),
        log_tflops_per_node=log_tflops[settings.statistic],
        log_tflops_per_node_median=log_tflops["median"],
        log_tflops_per_node_mean=log_tflops["mean"],
    )


def _log_tflops_per_node(ranks_per_node: int | None, used: tuple[Iteration, ...]) -> dict[str, float | None]:
    """The log's own figure by each statistic; None where it has none."""
    of_ranks = [row.tflops for row in used if row.tflops is not None]
    return {
        name: statistic(of_ranks) * ranks_per_node if of_ranks and ranks_per_node else None
        for name, statistic in (("median", median), ("mean", fmean))
    }


def _tflops(work: int | None, seconds: float, parts: int | None) -> float | None:
    """The rate of one of so many nodes or ranks; None where something is unknown."""
    return flops.tflops_per_node(work, seconds, parts) if work and parts else None


def _half_interquartile_range(values: list[float]) -> float | None:
    """Half the distance between the quartiles, interpolated between the values.

    >>> _half_interquartile_range([1.0, 2.0, 3.0, 4.0, 5.0])
    1.0
    """
    if len(values) < 2:
        return None
    low, _, high = quantiles(values, n=4, method="inclusive")
    return (high - low) / 2


def _series(records: tuple[Iteration, ...]) -> Series:
    return Series(
        iteration=tuple(row.number for row in records),
        seconds=tuple(row.seconds for row in records),
        loss=tuple(row.loss for row in records),
        log_tflops_per_rank=tuple(row.tflops for row in records),
        line=tuple(row.line for row in records),
    )


def memory_of(record: Mapping[str, Any], reading: LogReading, source: str) -> Memory | None:
    """The figure of a source, None where it has none; `record` may be empty while a job runs."""
    usage = record.get("usage") or {}
    if source == "scheduler" and usage.get("memory_bytes"):
        return Memory(usage["memory_bytes"] / 2**20, f"scheduler, of a {usage['memory_of']}", None, None)
    if source == "log-node-used" and reading.node_memory is not None:
        return Memory(reading.node_memory.peak_used_mib, source, None, reading.node_memory.line)
    figure = {"log-max-allocated": "peak_allocated_mib", "log-max-reserved": "peak_reserved_mib"}.get(source)
    rank = highest(reading.rank_memory, figure) if figure else None
    return Memory(getattr(rank, str(figure)), source, rank.rank, rank.line) if rank else None


def _flags(
    shape: Shape, record: Mapping[str, Any], reading: LogReading, statistics: Statistics | None
) -> tuple[str, ...]:
    flags = []
    if capped := (record.get("usage") or {}).get("power_capped"):
        flags.append(f"power was capped at {capped}")
    if statistics is not None:
        records = timed(reading)
        flags += _few_records(records, statistics)
        flags += _tflops_differ(shape, reading.format, records[statistics.records_dropped :])
    if reading.restarts:
        flags.append(f"restarted {reading.restarts} times")
    return tuple(flags)


def _few_records(records: tuple[Iteration, ...], statistics: Statistics) -> list[str]:
    if len(records) == 1:
        return ["1 iteration only"]
    return [f"iteration {statistics.last_iteration} only"] if statistics.records_used == 1 else []


def _above_peak(layout: Layout, statistics: Statistics | None) -> list[str]:
    """A flag where the rates of a layout are above what its nodes can do."""
    if statistics is None or statistics.tflops_per_node is None or statistics.model_tflops_per_node is None:
        return []
    peak = peak_of(layout.machine, layout.workload.precision, layout.frequency_ghz)
    return plausible.above_peak(peak, statistics.tflops_per_node, statistics.model_tflops_per_node)


def _implausible(shape: Shape, reading: LogReading, statistics: Statistics | None) -> list[str]:
    """Flags of figures that contradict each other, or scatter too much."""
    if statistics is None:
        return []
    used = timed(reading)[statistics.records_dropped :]
    seconds = [row.seconds for row in used if row.seconds is not None]
    return [
        *plausible.stamps_differ(reading, statistics.first_iteration),
        *plausible.spread_too_large(seconds, statistics.iteration_seconds_half_interquartile_range),
        *plausible.rates_differ(used, shape.global_batch, shape.tokens, shape.ranks),
    ]


def _tflops_differ(shape: Shape, form: Format | None, used: tuple[Iteration, ...]) -> list[str]:
    """A flag where the log's own TFLOPs differ from the formula's by more than their rounding and 2 %."""
    counts_all = form is not None and form.counts_recomputation
    work = shape.hardware_flops if counts_all else shape.model_flops
    pairs = [(row.tflops, _tflops(work, row.seconds, shape.ranks)) for row in used if row.tflops is not None]
    differing = [
        (logged, counted)
        for logged, counted in pairs
        if counted is not None and abs(logged - counted) > PRINTED_TFLOPS_STEP / 2 + TFLOPS_TOLERANCE * counted
    ]
    if not differing:
        return []
    logged, counted = differing[0]
    return [f"log says {logged:g} TFLOPs per rank, formula {counted:.3g}"]


def _arguments_differ(layout: Layout, reading: LogReading) -> list[str]:
    """A flag for each argument in the log that is not what the layout says."""
    logged = dict(reading.arguments)
    said = {name: logged[name] for name in ARGUMENTS if logged.get(name, "").isdecimal()}
    if reading.world_size is not None:
        said["world_size"] = str(reading.world_size)
    meant = {**{name: of(layout) for name, of in ARGUMENTS.items()}, "world_size": layout.ranks}
    return [f"log says {name} {value}, not {meant[name]}" for name, value in said.items() if int(value) != meant[name]]
