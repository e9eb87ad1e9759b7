"""Where the layouts of a sweep stand by their files: one value a layout, and what all of them add up to."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from nodesweep.common.durations import in_words
from nodesweep.common.text import plain
from nodesweep.config.layout_field import LayoutField
from nodesweep.config.layout_fields import LAYOUT_FIELDS
from nodesweep.logs.reading import LogReading
from nodesweep.logs.warmup import timed, warm_up_records
from nodesweep.performance.cost import node_hours
from nodesweep.results.measure import memory_of
from nodesweep.sweep.layout import Layout

from .eta import Foreseen, Pace, seconds_left

Group = Literal["waiting", "queued", "running", "ended", "not run"]
RECENT = 10
SUBMITTING_SECONDS = 60.0
SILENT_ITERATIONS = 10
SILENT_SECONDS = 300.0
SILENT_AT_FIRST_SECONDS = 1800.0
"""A running job may hang that has said nothing for so many iterations, but never before so many seconds."""
MEMORY_SOURCES = ("log-max-reserved", "log-max-allocated", "log-node-used")


@dataclass(frozen=True)
class Standing:
    """Where a layout stands: `word` says it, for `seconds` by now, or after so many where it has ended.

    `job_id`, `key`: of its last submission. `attempt`: its number. `before`: how the one before it ended. `reason`: why
    it stands so, where there is something to say. `troubled`: somebody should look at it. `again`: the next invocation
    runs it again. `record`: of its last end. `spent_node_hours`: of all its jobs that have ended.
    """

    slug: str
    layout: Layout
    group: Group
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
    record: Mapping[str, Any] | None = None
    spent_node_hours: float = 0.0


@dataclass(frozen=True)
class Detail:
    """What the log of a run says so far: iterations done of all, seconds of one now, its memory and where that is from.

    `silent_seconds`: for how long a running job has said nothing, where that is so long that it may hang.
    """

    done: int
    total: int
    iteration_seconds: float | None = None
    memory_mib: float | None = None
    silent_seconds: float | None = None

    @property
    def left_seconds(self) -> float | None:
        """What its iterations will still take at the pace of now."""
        return None if self.iteration_seconds is None else max(self.total - self.done, 0) * self.iteration_seconds


@dataclass(frozen=True)
class Row:
    """A layout as it is shown: its name among the others, where it stands, its log, seconds foreseen an iteration."""

    label: str
    standing: Standing
    detail: Detail | None
    foreseen_seconds: float | None
    guess: bool = False

    @property
    def troubled(self) -> bool:
        """Whether somebody should look at it."""
        silent = self.detail is not None and self.detail.silent_seconds is not None
        return self.standing.troubled or (self.standing.group == "running" and silent)

    @property
    def remark(self) -> str:
        """What else is to be said of it, in one line."""
        standing, words = self.standing, []
        if self.detail is not None and self.detail.silent_seconds is not None:
            words.append(f"silent for {in_words(self.detail.silent_seconds)}, may hang")
        if standing.attempt > 1:
            before = f" after {standing.before.replace('_', ' ')}" if standing.before else ""
            words.append(f"attempt {standing.attempt}{before}")
        if standing.reason:
            words.append(plain(standing.reason, 160))
        if standing.again:
            words.append("runs again")
        return plain("; ".join(words), 200)


@dataclass(frozen=True)
class Sweep:
    """What a sweep adds up to: counts by word; seconds left, an estimate; node-hours spent, and foreseen for the rest.

    `at_once`: how many may be queued or running at once, where known. `others`: how many have run that are none of it.
    """

    name: str
    counts: Mapping[str, int]
    done: int
    total: int
    running: int
    left_seconds: float | None
    spent_node_hours: float
    left_node_hours: float | None
    budget_node_hours: float | None = None
    at_once: int | None = None
    troubled: int = 0
    others: int = 0


def detail_of(layout: Layout, record: Mapping[str, Any], reading: LogReading, silent_seconds: float | None) -> Detail:
    """What is told of a run by its log so far; `silent_seconds`: since it grew last, None for a run that has ended."""
    records = timed(reading)
    used = records[warm_up_records(reading, layout.iterations.warmup) :]
    seconds = median(row.seconds for row in used[-RECENT:]) if used else None
    sources = dict.fromkeys((layout.workload.memory_source, *MEMORY_SOURCES))
    memory = next(filter(None, (memory_of(record, reading, source) for source in sources)), None)
    done = reading.iterations_done
    least = max(SILENT_SECONDS, SILENT_ITERATIONS * seconds) if seconds else SILENT_AT_FIRST_SECONDS
    silent = silent_seconds if silent_seconds is not None and silent_seconds >= least else None
    return Detail(done, layout.iterations.total, seconds, memory.peak_mib if memory else None, silent)


_LABELLED = [row for row in LAYOUT_FIELDS.values() if not row.worked_out]
USUAL = 0.75
"""Share of the layouts that must have the same batch, sequence, AC, clock or variant for the others alone to say it."""


def labels_of(layouts: Mapping[str, Layout]) -> dict[str, str]:
    """Short names by slug: the nodes, and the fields in which layouts differ.

    Where nearly all have the same batch, sequence, AC, clock or variant only the others say theirs.
    """
    fields = {slug: layout.fields() for slug, layout in layouts.items()}
    shown = {row: {slug: row.short(values[row.name]) for slug, values in fields.items()} for row in _LABELLED}
    usual = {row: _usual(row, words.values()) for row, words in shown.items()}
    return {
        slug: " ".join(words[slug] for row, words in shown.items() if words[slug] and words[slug] != usual[row])
        for slug in fields
    }


def _usual(row: LayoutField, words: Collection[str]) -> str | None:
    """What so many layouts say of a field that it need not be said; None for the nodes, which each label names."""
    if row.name == "nodes" or not words:
        return None
    ((word, count),) = Counter(words).most_common(1)
    return word if count >= (1 if row.parallel else USUAL) * len(words) else None


_WORDS = {word: place for place, word in enumerate(("running", "ending", "held", "queued", "submitting", "pending"))}
_ORDER = {"running": 1, "queued": 2, "ended": 4, "waiting": 5, "not run": 6}


def by_importance(standing: Standing, troubled: bool) -> int:
    """What comes first where not all can be shown: trouble, what runs, what is queued, what failed, what else ended."""
    if troubled:
        return 0
    if standing.group == "ended" and standing.word != "ok":
        return 3
    return _ORDER[standing.group]


def summed(
    name: str,
    standings: Iterable[Standing],
    details: Mapping[str, Detail],
    expected: Mapping[str, Foreseen | None],
    **known: Any,
) -> Sweep:
    """All layouts together; `expected` by slug where foreseen, `known`: what else is known of the sweep."""
    standings = list(standings)
    pace = _pace(standings, details, expected)
    runs = [one for one in standings if one.group == "running"]
    waits = [one for one in standings if one.group in ("queued", "waiting")]
    left = {one.slug: _left_of(one, details.get(one.slug), pace.expected(expected.get(one.slug))) for one in runs}
    left |= {one.slug: pace.expected(expected.get(one.slug)) for one in waits}
    seconds = [[left[one.slug] for one in group] for group in (runs, waits)]
    done = sum(one.group in ("ended", "not run") for one in standings)
    passed = sum(node_hours(one.seconds or 0.0, one.layout.nodes) for one in runs)
    silent = {slug for slug, detail in details.items() if detail.silent_seconds is not None}
    return Sweep(
        name,
        _counts(standings),
        done,
        len(standings),
        len(runs),
        seconds_left(*seconds, len(runs)) if runs else None,
        sum(one.spent_node_hours for one in standings) + passed,
        _hours_left([*runs, *waits], left),
        troubled=sum(one.troubled or one.slug in silent for one in standings),
        **known,
    )


def _counts(standings: Sequence[Standing]) -> dict[str, int]:
    """How many are where: first what is under way, then what has ended, the most frequent first."""
    counts = Counter(one.word for one in standings)
    return dict(sorted(counts.items(), key=lambda item: (_WORDS.get(item[0], len(_WORDS)), -item[1])))


def _pace(
    standings: Sequence[Standing], details: Mapping[str, Detail], expected: Mapping[str, Foreseen | None]
) -> Pace:
    """What runs that went well took, and, until there are any, what those that run will take at the pace of now."""
    ended, now = Pace(), Pace()
    for one in standings:
        if one.word == "ok" and one.seconds:
            ended.ended(one.seconds, expected.get(one.slug))
        detail = details.get(one.slug)
        if one.group == "running" and detail is not None and detail.left_seconds is not None and one.seconds:
            now.ended(one.seconds + detail.left_seconds, expected.get(one.slug))
    return ended if ended.learned else now


def _left_of(standing: Standing, detail: Detail | None, expected: float | None) -> float | None:
    """What a running job will still take: by its own iterations, else by what is expected of it."""
    if detail is not None and detail.left_seconds is not None:
        return detail.left_seconds
    return None if expected is None or standing.seconds is None else max(expected - standing.seconds, 0.0)


def _hours_left(standings: Sequence[Standing], left: Mapping[str, float | None]) -> float | None:
    """Node-hours of what has not ended; None where nothing is known of some."""
    hours = [
        None if (seconds := left[one.slug]) is None else node_hours(seconds, one.layout.nodes) for one in standings
    ]
    return None if None in hours else sum(filter(None, hours))
