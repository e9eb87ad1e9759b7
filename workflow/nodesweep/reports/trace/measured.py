"""How the figures of a measured run are traced: statistics of its log, and the scheduler's accounts."""

from collections.abc import Callable

from nodesweep.results.measurement import IterationStatistics, Measurement
from nodesweep.schedulers import SCHEDULERS

from .facts import RunFacts, RunTracer, Trace

MOST_VALUES = 12
MEMORY_FIGURES = {
    "log-max-allocated": "the highest 'max allocated' of all ranks",
    "log-max-reserved": "the highest 'max reserved' of all ranks",
    "log-node-used": "the highest report of a node's memory in use",
}


def usage(name: str, facts: RunFacts) -> Trace:
    """A figure of the scheduler's accounts."""
    if facts.record is None or facts.status != "ended":
        return Trace((facts.outlook,))
    if getattr(facts.record.usage, name) in (None, ""):
        return Trace((f"{facts.record_place}: usage.{name}: the scheduler's accounts do not say",))
    scheduler = facts.record.scheduler
    accounts = SCHEDULERS[scheduler].accounts if scheduler in SCHEDULERS else {}
    field = accounts.get(name, f"the accounts of {scheduler}")
    return Trace((f"{facts.record_place}: usage.{name}, from {field}",))


def measured(trace: Callable[[RunFacts, Measurement], Trace]) -> RunTracer:
    """A figure of the measurement; where there is none, why."""
    return lambda facts: trace(facts, facts.measurement) if facts.measurement else Trace((facts.missing,))


def statistic(trace: Callable[[RunFacts, Measurement, IterationStatistics], Trace]) -> RunTracer:
    """A statistic of the records; where there is none, why."""

    def traced(facts: RunFacts, measurement: Measurement) -> Trace:
        if measurement.statistics is None:
            return Trace((f"{facts.log}: no line of an iteration with its time",))
        return trace(facts, measurement, measurement.statistics)

    return measured(traced)


def memory(facts: RunFacts, measurement: Measurement) -> Trace:
    """The peak, its rank and its source."""
    peak = measurement.memory
    asked = f"memory_source is {measurement.settings.memory_source}: {facts.setting(('workload', 'memory_source'))}"
    if peak is None:
        return Trace((f"no such figure in {facts.log} or {facts.record_place}", asked))
    if peak.line is None:
        text = usage("memory_bytes", facts).sentences[0]
        return Trace((f"{text}, / 2^20: {peak.source}", asked))
    rank = f", of rank {peak.rank}" if peak.rank is not None else ""
    text = f"{facts.log}:{peak.line}: {MEMORY_FIGURES[peak.source]}{rank}"
    return Trace((text, asked), (peak.line,))


def _listed(values: list[float]) -> str:
    if len(values) <= MOST_VALUES:
        return " ".join(map(repr, values))
    return f"{' '.join(map(repr, values[:5]))} ... {' '.join(map(repr, values[-5:]))}"


def _used_rows(measurement: Measurement) -> list[tuple[float, float | None, int]]:
    """Seconds, log TFLOPs per rank and line of the records used."""
    series = measurement.series
    columns = zip(series.seconds, series.log_tflops_per_rank, series.line, strict=True)
    used = set(measurement.used)
    rows = [row for place, row in enumerate(columns) if place in used]
    return [(seconds, tflops, line) for seconds, tflops, line in rows if seconds is not None]


def left_out(facts: RunFacts, measurement: Measurement) -> str:
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


def last_record(facts: RunFacts, measurement: Measurement, statistics: IterationStatistics) -> Trace:
    """The last record of the log with a time."""
    series = measurement.series
    line = series.line[series.iteration.index(statistics.last_iteration)]
    return Trace((f"{facts.log}:{line}",), (line,))


def records(facts: RunFacts, measurement: Measurement, statistics: IterationStatistics) -> tuple[str, ...]:
    """The records used, and why others were not."""
    lines = [line for *_, line in _used_rows(measurement)]
    span = f"iterations {statistics.first_iteration} to {statistics.last_iteration}"
    used = f"{facts.log}:{lines[0]}-{lines[-1]}: {statistics.records_used} records, {span}, as {measurement.read_as}"
    paused = statistics.paused_iteration
    pause = () if paused is None else (f"iteration {paused} is left out: it holds the time the run was suspended",)
    return used, left_out(facts, measurement), *pause


def _deciding(statistic: str, pairs: list[tuple[float, int]]) -> tuple[int, ...]:
    """Lines of the one or two middle records for a median, of the lowest and the highest record for a mean."""
    ordered = sorted(pairs)
    low, high = ((len(ordered) - 1) // 2, len(ordered) // 2) if statistic == "median" else (0, -1)
    return tuple(sorted({ordered[low][1], ordered[high][1]}))


def seconds(fixed: str, facts: RunFacts, measurement: Measurement, statistics: IterationStatistics) -> Trace:
    """The `fixed` statistic of the seconds, or where empty the configured one."""
    rows = [(value, line) for value, _, line in _used_rows(measurement)]
    name = fixed or measurement.settings.statistic
    values = f"{name} of {_listed([value for value, _ in rows])} s"
    chosen = () if fixed else (f"which statistic: {facts.setting(('statistic',))}",)
    found = (values, *records(facts, measurement, statistics), *_sources(statistics), *chosen)
    return Trace(found, _deciding(name, rows))


def _sources(statistics: IterationStatistics) -> tuple[str, ...]:
    """Which figures of the log the seconds are from, and their roundings."""
    return tuple(f"by {source.words}" for source in statistics.sources)


def rounding(facts: RunFacts, measurement: Measurement, statistics: IterationStatistics) -> Trace:
    """By how much the seconds may be off since the log rounds its figures."""
    if statistics.iteration_seconds_rounding is None:
        return Trace(("measured by an older version, which did not know it",))
    text = "what the statistic changes by where each time is off by half a unit of the last digit that is printed"
    return Trace((text, *_sources(statistics)))


def spread(facts: RunFacts, measurement: Measurement, statistics: IterationStatistics) -> Trace:
    """The half interquartile range."""
    if statistics.iteration_seconds_half_interquartile_range is None:
        return Trace(("a single record has no spread",))
    values = _listed([value for value, *_ in _used_rows(measurement)])
    text = f"half of the upper quartile less the lower, interpolated, of {values} s"
    return Trace((text, *records(facts, measurement, statistics)))


def log_tflops(fixed: str, facts: RunFacts, measurement: Measurement, statistics: IterationStatistics) -> Trace:
    """The TFLOPs that the log itself gives, by the `fixed` statistic or where empty the configured one."""
    rows = [(tflops, line) for _, tflops, line in _used_rows(measurement) if tflops is not None]
    if not rows:
        return Trace((f"{facts.log}: its records have no TFLOPs",))
    name = fixed or measurement.settings.statistic
    values = f"{name} of {_listed([tflops for tflops, _ in rows])} per rank, x {facts.dimensions.ranks_per_node} ranks"
    return Trace((values, *records(facts, measurement, statistics)), _deciding(name, rows))


def loss(place: int, facts: RunFacts, measurement: Measurement) -> Trace:
    """The loss at a place among the losses of the log: 0 for the first, -1 for the last."""
    series = measurement.series
    lines = [line for loss, line in zip(series.loss, series.line, strict=True) if loss is not None]
    if not lines:
        return Trace((f"{facts.log}: its records have no loss",))
    return Trace((f"{facts.log}:{lines[place]}",), (lines[place],))
