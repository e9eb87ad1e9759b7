"""What the status of all layouts of a sweep adds up to."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nodesweep.common.outcomes import is_result
from nodesweep.performance.cost import node_hours

from .eta import OpenRun, RunTimes, time_left
from .forecasts import ExpectedRun
from .status import LayoutStatus, LogProgress, may_hang

_WORDS = {word: place for place, word in enumerate(("running", "ending", "held", "queued", "submitting", "pending"))}
_ORDER = {"running": 1, "queued": 2, "ended": 4, "waiting": 5, "not run": 6}


@dataclass(frozen=True)
class SweepStatus:
    """What a sweep adds up to: counts by word; seconds left, an estimate; node-hours spent, and foreseen for the rest.

    `budget_node_hours`: what the config allows. `at_once`: how many may be queued or running at once, where known.
    `troubled`: how many layouts somebody should look at. `others`: how many have run that are none of the sweep.
    `total` is of runs, `layouts` of what they are runs of. `may_end_early`: whether what is left may take less than is
    foreseen, as iterations may be enough before they are all done.
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
    layouts: int = 0
    may_end_early: bool = False


def by_importance(status: LayoutStatus, troubled: bool) -> int:
    """What comes first where not all can be shown: trouble, what runs, what is queued, what failed, what else ended."""
    if troubled:
        return 0
    if status.group == "ended" and not is_result(status.word):
        return 3
    return _ORDER[status.group]


def sweep_status(
    name: str,
    layouts: Sequence[LayoutStatus],
    progress: Mapping[str, LogProgress],
    expected: Mapping[str, ExpectedRun | None],
    *,
    budget_node_hours: float | None = None,
    at_once: int | None = None,
    others: int = 0,
) -> SweepStatus:
    """All layouts together; `progress`: of running layouts by their logs, `expected`: whole runs, both by slug."""
    runs = {one.slug: one for one in layouts if one.group == "running"}
    waits = {one.slug: one for one in layouts if one.group in ("queued", "waiting")}
    running = {slug: OpenRun(one.seconds, _left_by_log(progress.get(slug))) for slug, one in runs.items()}
    left = time_left(_run_times(layouts, running, expected), expected.get, running, waits)
    passed = sum(node_hours(one.seconds or 0.0, one.layout.nodes) for one in runs.values())
    return SweepStatus(
        name=name,
        counts=_counts(layouts),
        done=sum(one.group in ("ended", "not run") for one in layouts),
        total=len(layouts),
        running=len(runs),
        left_seconds=left.seconds,
        spent_node_hours=sum(one.spent_node_hours for one in layouts) + passed,
        left_node_hours=_hours_left([*runs.values(), *waits.values()], left.by_slug),
        budget_node_hours=budget_node_hours,
        at_once=at_once,
        troubled=sum(one.troubled or may_hang(progress.get(one.slug)) for one in layouts),
        others=others,
        layouts=len({one.layout.row for one in layouts}),
        may_end_early=any(one.layout.iterations.enough for one in (*runs.values(), *waits.values())),
    )


def _left_by_log(progress: LogProgress | None) -> float | None:
    return progress.left_seconds if progress is not None else None


def _counts(layouts: Iterable[LayoutStatus]) -> dict[str, int]:
    """How many are where: first what is under way, then what has ended, the most frequent first."""
    counts = Counter(one.word for one in layouts)
    return dict(sorted(counts.items(), key=lambda item: (_WORDS.get(item[0], len(_WORDS)), -item[1])))


def _run_times(
    layouts: Iterable[LayoutStatus], running: Mapping[str, OpenRun], expected: Mapping[str, ExpectedRun | None]
) -> RunTimes:
    """What runs that went well took, and, until there are any, what those that run will take at the pace of now."""
    ended, now = RunTimes(), RunTimes()
    for one in layouts:
        if is_result(one.word) and one.seconds:
            ended.add(one.seconds, expected.get(one.slug))
        run = running.get(one.slug)
        if run is not None and run.left_by_log is not None and run.seconds:
            now.add(run.seconds + run.left_by_log, expected.get(one.slug))
    return ended if ended.learned else now


def _hours_left(layouts: Iterable[LayoutStatus], left: Mapping[str, float | None]) -> float | None:
    """Node-hours of what has not ended; None where nothing is known of some."""
    hours = 0.0
    for one in layouts:
        seconds = left[one.slug]
        if seconds is None:
            return None
        hours += node_hours(seconds, one.layout.nodes)
    return hours
