"""How long a sweep will still take, by what its runs took and what is foreseen of the others; durations in words."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from nodesweep.performance.cost import SECONDS_PER_HOUR
from nodesweep.performance.forecast import Forecast
from nodesweep.sweep.layout import Layout

from .decisions import Decisions
from .progress import Progress
from .records import seconds_of

MOST_OBSERVED = 500
LEAST_SECONDS = 1.0


@dataclass(frozen=True)
class Foreseen:
    """Seconds that a whole run is foreseen to take; `sure` where that rests on runs or on the config."""

    seconds: float
    sure: bool


def foreseen(layout: Layout, found: Forecast) -> Foreseen | None:
    """What a forecast says of a whole run; None where nothing is known of its time."""
    if found.time is None or found.node_hours is None:
        return None
    sure = not found.time.guess or layout.expected_seconds is not None
    return Foreseen(found.node_hours * SECONDS_PER_HOUR / layout.nodes, sure)


@dataclass
class Pace:
    """What the runs of a sweep took, and against what was foreseen of them."""

    _took: list[float] = field(default_factory=list)
    _ratios: list[float] = field(default_factory=list)
    _typical: float | None = None
    _ratio: float | None = None

    @property
    def learned(self) -> bool:
        """Whether any run has told."""
        return self._typical is not None

    def ended(self, seconds: float, before: Foreseen | None) -> None:
        """Take in a run that went through."""
        if seconds <= 0:
            return
        self._took = [*self._took[-MOST_OBSERVED:], seconds]
        self._typical = median(self._took)
        if before is not None and before.seconds > 0:
            self._ratios = [*self._ratios[-MOST_OBSERVED:], seconds / before.seconds]
            self._ratio = median(self._ratios)

    def expected(self, before: Foreseen | None) -> float | None:
        """Seconds a layout may take: as foreseen, corrected by what others took; None where nothing tells.

        >>> pace = Pace()
        >>> pace.ended(20, Foreseen(10, True))
        >>> pace.expected(Foreseen(30, False)), pace.expected(None), Pace().expected(Foreseen(30, False))
        (60.0, 20, None)
        """
        if before is not None and self._ratio is not None:
            return before.seconds * self._ratio
        return before.seconds if before is not None and before.sure else self._typical


def seconds_left(running: Sequence[float | None], waiting: Sequence[float | None], at_once: int) -> float | None:
    """Seconds until all is done: what runs has so much left, what waits takes so long; None without a basis.

    What nothing is known of is taken to be like the others. Never less than a second while something is left.

    >>> seconds_left([10.0, 30.0], [20.0, None], 2), seconds_left([], [40.0], 4), seconds_left([None], [], 1)
    (40.0, 40.0, None)
    """
    known = [seconds for seconds in (*running, *waiting) if seconds is not None]
    if not known:
        return None
    typical = sum(known) / len(known)
    all_left = [typical if seconds is None else seconds for seconds in (*running, *waiting)]
    return max(max(all_left), sum(all_left) / max(at_once, 1), LEAST_SECONDS)


class Estimate:
    """Learns from each run that went well, and says what is left."""

    def __init__(self, layouts: Mapping[str, Layout], decisions: Decisions | None):
        self._layouts = layouts
        self._decisions = decisions
        self._pace = Pace()

    def ended(self, slug: str, record: Mapping[str, Any]) -> None:
        """Take in how a run ended."""
        if record["outcome"] == "ok" and (seconds := seconds_of(record)) is not None:
            self._pace.ended(seconds, self._foreseen(slug))

    def progress(
        self, running: Mapping[str, float], opened: int, left: Collection[str], outcomes: dict[str, int], total: int
    ) -> Progress:
        """How far a launcher is that has so many jobs open, of which some run, for so many seconds.

        `left`: the layouts that were handed over and are not done with. `total`: how many will be handed over.
        """
        done = sum(outcomes.values())
        total = max(total, done + len(left))
        seconds = self._seconds_left(running, left, total - done - len(left)) if running and done < total else None
        return Progress(done, total, len(running), opened - len(running), outcomes, seconds)

    def _seconds_left(self, running: Mapping[str, float], left: Collection[str], unheard: int) -> float | None:
        """As many run at once as now; of `unheard` layouts nothing is known but their number."""
        runs = []
        for slug, seconds in running.items():
            expected = self._expected(slug)
            runs.append(None if expected is None else max(expected - seconds, 0.0))
        waits = [self._expected(slug) for slug in left if slug not in running]
        return seconds_left(runs, [*waits, *[None] * unheard], len(running))

    def _expected(self, slug: str) -> float | None:
        return self._pace.expected(self._foreseen(slug))

    def _foreseen(self, slug: str) -> Foreseen | None:
        layout = self._layouts.get(slug)
        if layout is None or self._decisions is None:
            return None
        return foreseen(layout, self._decisions.forecast(slug))
