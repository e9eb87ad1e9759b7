"""Figures of a measured run -> where they come from; what is known of a layout and its run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from nodesweep.config.loader import Key, dotted
from nodesweep.config.sweep import Sweep
from nodesweep.performance.dimensions import Dimensions
from nodesweep.results.measurement import IterationStatistics, Measurement
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.schedulers import SCHEDULERS
from nodesweep.sweep.layout import Layout

MOST_VALUES = 12
MEMORY_FIGURES = {
    "log-max-allocated": "the highest 'max allocated' of all ranks",
    "log-max-reserved": "the highest 'max reserved' of all ranks",
    "log-node-used": "the highest report of a node's memory in use",
}


@dataclass(frozen=True)
class Trace:
    """Where a value comes from, one sentence a line; `lines`: those of the log that decide it."""

    said: tuple[str, ...]
    lines: tuple[int, ...] = ()


class Known(Protocol):
    """What is known of a run, be it one of a sweep or an old job; the fields are those of `Facts`."""

    @property
    def status(self) -> str: ...
    @property
    def outlook(self) -> str: ...
    @property
    def record(self) -> TerminalRecord | None: ...
    @property
    def record_place(self) -> str: ...
    @property
    def measurement(self) -> Measurement | None: ...
    @property
    def missing(self) -> str: ...
    @property
    def shape(self) -> Dimensions: ...
    @property
    def log(self) -> str: ...
    def setting(self, key: Key) -> str:
        """Where a setting of the run was made."""


@dataclass(frozen=True)
class Facts:
    """What is known of a layout of a sweep and of its last run.

    `block`, `conditions`: the numbers of its block and of the entries under `when` that hold. `where`: place of a key
    of the config, None where it was left out. `outlook`: what becomes of it in words. `record_place`, `journal_place`:
    file and line of the terminal record and of the last event. `missing`: why there is no measurement. Files are named
    as in the layout's folder.
    """

    layout: Layout
    sweep: Sweep
    block: int
    conditions: tuple[int, ...]
    where: Callable[[Key], str | None]
    status: str
    outlook: str
    journal_place: str
    record: TerminalRecord | None
    record_place: str
    measurement: Measurement | None
    missing: str

    @property
    def shape(self) -> Dimensions:
        """What its rates follow from."""
        return Dimensions.of(self.layout)

    @property
    def log(self) -> str:
        """The log that was measured."""
        return self.measurement.log_name if self.measurement else "no log"

    def setting(self, key: Key) -> str:
        """Where a setting of this layout was made; entries under `when` come before the sweep's own."""
        for number in reversed(self.conditions):
            changes: Any = getattr(self.sweep.when[number], str(key[0]), None)
            for part in key[1:]:
                changes = changes.get(part) if isinstance(changes, Mapping) else None
            if changes is not None:
                return f"{self.where(('when', number, *key))}, since {self.sweep.when[number].if_}"
        return self.where(key) or f"{dotted(key)} left out, its default: config/README.md"

    def axis(self, name: str) -> str:
        """Where an axis of its block was given."""
        key = ("layouts", self.block, name)
        return self.where(key) or f"{dotted(key)} left out, its default: config/README.md"


Tracer = Callable[[Facts], Trace]
RunTracer = Callable[[Known], Trace]


def usage(name: str, facts: Known) -> Trace:
    """A figure of the scheduler's accounts."""
    if facts.record is None or facts.status != "ended":
        return Trace((facts.outlook,))
    if getattr(facts.record.usage, name) in (None, ""):
        return Trace((f"{facts.record_place}: usage.{name}: the scheduler's accounts do not say",))
    scheduler = facts.record.scheduler
    accounts = SCHEDULERS[scheduler].accounts if scheduler in SCHEDULERS else {}
    field = accounts.get(name, f"the accounts of {scheduler}")
    return Trace((f"{facts.record_place}: usage.{name}, from {field}",))


def measured(trace: Callable[[Known, Measurement], Trace]) -> RunTracer:
    """A figure of the measurement; where there is none, why."""
    return lambda facts: trace(facts, facts.measurement) if facts.measurement else Trace((facts.missing,))


def statistic(trace: Callable[[Known, Measurement, IterationStatistics], Trace]) -> RunTracer:
    """A statistic of the records; where there is none, why."""

    def traced(facts: Known, measurement: Measurement) -> Trace:
        if measurement.statistics is None:
            return Trace((f"{facts.log}: no line of an iteration with its time",))
        return trace(facts, measurement, measurement.statistics)

    return measured(traced)


def memory(facts: Known, measurement: Measurement) -> Trace:
    """The peak, its rank and its source."""
    peak = measurement.memory
    asked = f"memory_source is {measurement.settings.memory_source}: {facts.setting(('workload', 'memory_source'))}"
    if peak is None:
        return Trace((f"no such figure in {facts.log} or {facts.record_place}", asked))
    if peak.line is None:
        said = usage("memory_bytes", facts).said[0]
        return Trace((f"{said}, / 2^20: {peak.source}", asked))
    rank = f", of rank {peak.rank}" if peak.rank is not None else ""
    said = f"{facts.log}:{peak.line}: {MEMORY_FIGURES[peak.source]}{rank}"
    return Trace((said, asked), (peak.line,))


def _listed(values: list[float]) -> str:
    if len(values) <= MOST_VALUES:
        return " ".join(map(repr, values))
    return f"{' '.join(map(repr, values[:5]))} ... {' '.join(map(repr, values[-5:]))}"


def _used_rows(measurement: Measurement, statistics: IterationStatistics) -> list[tuple[float, float | None, int]]:
    """Seconds, log TFLOPs per rank and line of the records used."""
    series = measurement.series
    rows = zip(series.seconds, series.log_tflops_per_rank, series.line, strict=True)
    with_time = [(seconds, tflops, line) for seconds, tflops, line in rows if seconds is not None]
    return with_time[statistics.records_dropped :]


def left_out(facts: Known, measurement: Measurement) -> str:
    """How many records were left out and by which rules."""
    found = measurement.left_out
    if found is None or not found.records:
        return "no record was left out as warm-up"
    rules = [
        (found.configured, f"the config ({facts.setting(('iterations', 'warmup'))})"),
        (found.by_format, f"what is known of {measurement.read_as} ({found.format_reason})"),
        (found.by_times, "their times, far off the later ones'"),
    ]
    reasons = [f"{count} by {reason}" for count, reason in rules if count]
    most = "; the most counts" if len(reasons) > 1 else ""
    stays = "; one record stays" if found.records < max(count for count, _ in rules) else ""
    return f"{found.records} left out as warm-up: {', '.join(reasons)}{most}{stays}"


def last_record(facts: Known, measurement: Measurement, statistics: IterationStatistics) -> Trace:
    """The last record of the log with a time."""
    *_, line = _used_rows(measurement, statistics)[-1]
    return Trace((f"{facts.log}:{line}",), (line,))


def records(facts: Known, measurement: Measurement, statistics: IterationStatistics) -> tuple[str, ...]:
    """The records used, and why others were not."""
    lines = [line for *_, line in _used_rows(measurement, statistics)]
    span = f"iterations {statistics.first_iteration} to {statistics.last_iteration}"
    used = f"{facts.log}:{lines[0]}-{lines[-1]}: {statistics.records_used} records, {span}, as {measurement.read_as}"
    return used, left_out(facts, measurement)


def _deciding(statistic: str, pairs: list[tuple[float, int]]) -> tuple[int, ...]:
    """Lines of the record or the two in the middle; of a mean, those of the lowest and the highest."""
    ordered = sorted(pairs)
    low, high = ((len(ordered) - 1) // 2, len(ordered) // 2) if statistic == "median" else (0, -1)
    return tuple(sorted({ordered[low][1], ordered[high][1]}))


def seconds(fixed: str, facts: Known, measurement: Measurement, statistics: IterationStatistics) -> Trace:
    """The `fixed` statistic of the seconds, or where empty the configured one."""
    rows = [(value, line) for value, _, line in _used_rows(measurement, statistics)]
    name = fixed or measurement.settings.statistic
    values = f"{name} of {_listed([value for value, _ in rows])} s"
    chosen = () if fixed else (f"which statistic: {facts.setting(('statistic',))}",)
    return Trace((values, *records(facts, measurement, statistics), *chosen), _deciding(name, rows))


def spread(facts: Known, measurement: Measurement, statistics: IterationStatistics) -> Trace:
    """The half interquartile range."""
    if statistics.iteration_seconds_half_interquartile_range is None:
        return Trace(("a single record has no spread",))
    values = _listed([value for value, *_ in _used_rows(measurement, statistics)])
    said = f"half of the upper quartile less the lower, interpolated, of {values} s"
    return Trace((said, *records(facts, measurement, statistics)))


def log_tflops(fixed: str, facts: Known, measurement: Measurement, statistics: IterationStatistics) -> Trace:
    """The log's own figure, by the `fixed` statistic or where empty the configured one."""
    rows = [(tflops, line) for _, tflops, line in _used_rows(measurement, statistics) if tflops is not None]
    if not rows:
        return Trace((f"{facts.log}: its records have no TFLOPs",))
    name = fixed or measurement.settings.statistic
    values = f"{name} of {_listed([tflops for tflops, _ in rows])} per rank, x {facts.shape.ranks_per_node} ranks"
    return Trace((values, *records(facts, measurement, statistics)), _deciding(name, rows))


def loss(place: int, facts: Known, measurement: Measurement) -> Trace:
    """The loss at a place among those of the log."""
    series = measurement.series
    lines = [line for loss, line in zip(series.loss, series.line, strict=True) if loss is not None]
    if not lines:
        return Trace((f"{facts.log}: its records have no loss",))
    return Trace((f"{facts.log}:{lines[place]}",), (lines[place],))
