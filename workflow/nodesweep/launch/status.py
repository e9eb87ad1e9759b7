"""Where the layouts of a sweep stand by their files: one value a layout, and what all of them add up to."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Literal

from nodesweep.common.durations import in_words
from nodesweep.common.outcomes import is_result
from nodesweep.common.text import plain
from nodesweep.config.layout_field import LayoutField
from nodesweep.config.layout_fields import LAYOUT_FIELDS
from nodesweep.config.parameters import parameter_fields
from nodesweep.logs.reading import LogReading
from nodesweep.logs.warmup import timed, warm_up_records
from nodesweep.results.measure import memory_of
from nodesweep.results.measurement import Measurement
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.sweep.layout import Layout

StatusGroup = Literal["waiting", "queued", "running", "ended", "not run"]
RECENT = 10
SILENT_ITERATIONS = 10
SILENT_SECONDS = 300.0
SILENT_AT_FIRST_SECONDS = 1800.0
"""A running job may hang that has said nothing for so many iterations, but never before so many seconds."""
MEMORY_SOURCES = ("log-max-reserved", "log-max-allocated", "log-node-used")


@dataclass(frozen=True)
class LayoutStatus:
    """Where a layout stands: `word` says it, for `seconds` by now, or after so many where it has ended.

    `job_id`, `key`: of its last submission. `attempt`: its number. `before`: how the one before it ended. `reason`: why
    it stands so, where there is something to say. `troubled`: somebody should look at it. `again`: the next invocation
    runs it again. `record`: of its last end. `spent_node_hours`: of all its jobs that have ended.
    """

    slug: str
    layout: Layout
    group: StatusGroup
    word: str
    seconds: float | None = None
    job_id: str = ""
    key: str = ""
    scheduler: str = ""
    attempt: int = 0
    before: str = ""
    reason: str = ""
    troubled: bool = False
    again: bool = False
    record: TerminalRecord | None = None
    spent_node_hours: float = 0.0


@dataclass(frozen=True)
class LogProgress:
    """What the log of a run says so far: iterations done of all, seconds of one now, the highest memory.

    `silent_seconds`: for how long a running job has said nothing, where that is so long that it may hang.
    """

    done: int
    total: int
    iteration_seconds: float | None = None
    memory_mib: float | None = None
    silent_seconds: float | None = None

    @property
    def left_seconds(self) -> float | None:
        """What the remaining iterations will still take at the pace of now."""
        return None if self.iteration_seconds is None else max(self.total - self.done, 0) * self.iteration_seconds


def may_hang(progress: LogProgress | None) -> bool:
    """Whether the log of a running job has not grown for so long that it may hang."""
    return progress is not None and progress.silent_seconds is not None


@dataclass(frozen=True)
class StatusRow:
    """A layout as it is shown: its name among the others, where it stands, its log, seconds foreseen an iteration.

    `guess`: the seconds foreseen rest on no run.
    """

    label: str
    status: LayoutStatus
    progress: LogProgress | None
    foreseen_seconds: float | None
    guess: bool = False

    @property
    def troubled(self) -> bool:
        """Whether somebody should look at it."""
        return self.status.troubled or (self.status.group == "running" and may_hang(self.progress))

    @property
    def remark(self) -> str:
        """What else is to be said of it, in one line."""
        status, words = self.status, []
        if self.progress is not None and self.progress.silent_seconds is not None:
            words.append(f"silent for {in_words(self.progress.silent_seconds)}, may hang")
        if status.attempt > 1:
            before = f" after {status.before.replace('_', ' ')}" if status.before else ""
            words.append(f"attempt {status.attempt}{before}")
        if status.reason:
            words.append(plain(status.reason, 160))
        if status.again:
            words.append("runs again")
        return plain("; ".join(words), 200)


def log_progress(
    layout: Layout, record: TerminalRecord | None, reading: LogReading, silent_seconds: float | None
) -> LogProgress:
    """What is told of a run by its log so far; `silent_seconds`: since it grew last, None for a run that has ended."""
    records = timed(reading)
    used = records[warm_up_records(reading, layout.iterations.warmup) :]
    recent = [row.seconds for row in used[-RECENT:] if row.seconds is not None]
    seconds = median(recent) if recent else None
    sources = dict.fromkeys((layout.workload.memory_source, *MEMORY_SOURCES))
    memory = next(filter(None, (memory_of(record, reading, source) for source in sources)), None)
    done = reading.iterations_done
    least = max(SILENT_SECONDS, SILENT_ITERATIONS * seconds) if seconds else SILENT_AT_FIRST_SECONDS
    silent = silent_seconds if silent_seconds is not None and silent_seconds >= least else None
    return LogProgress(done, layout.iterations.total, seconds, memory.peak_mib if memory else None, silent)


def measured_progress(layout: Layout, measured: Measurement) -> LogProgress:
    """What is told of an ended run by what was measured of it."""
    total, numbers = layout.iterations.total, measured.series.iteration
    done = total if is_result(measured.record.outcome) else min(max(numbers, default=0), total)
    recent = [seconds for seconds in measured.series.seconds if seconds is not None][-RECENT:]
    memory = measured.memory.peak_mib if measured.memory else None
    return LogProgress(done, total, median(recent) if recent else None, memory)


_LABELLED = [row for row in LAYOUT_FIELDS.values() if not row.worked_out]
USUAL = 0.75
"""Share of the layouts that must have the same batch, sequence, AC, clock or variant for the others alone to say it."""


def labels_of(layouts: Mapping[str, Layout]) -> dict[str, str]:
    """Short names by slug: the nodes, and the fields in which layouts differ.

    Where nearly all have the same batch, sequence, AC, clock or variant only the others say theirs.
    """
    fields = {slug: {**layout.values(), **dict.fromkeys(layout.unsaid)} for slug, layout in layouts.items()}
    rows = (*_LABELLED, *parameter_fields(layout.parameters for layout in layouts.values()).values())
    shown = {row: {slug: row.short(values.get(row.name)) for slug, values in fields.items()} for row in rows}
    usual = {row: _usual(row, words.values()) for row, words in shown.items()}
    labels = {
        slug: " ".join(words[slug] for row, words in shown.items() if words[slug] and words[slug] != usual[row])
        for slug in fields
    }
    if all(layout.repeat == 1 for layout in layouts.values()):
        return labels
    return {slug: f"{label} run {layouts[slug].repeat}" for slug, label in labels.items()}


def _usual(row: LayoutField, words: Collection[str]) -> str | None:
    """What so many layouts say of a field that it need not be said; None for the nodes, which each label names."""
    if row.name == "nodes" or not words:
        return None
    ((word, count),) = Counter(words).most_common(1)
    return word if count >= (1 if row.parallel else USUAL) * len(words) else None
