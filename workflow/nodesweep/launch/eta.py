"""How long a sweep will still take, by what its runs took and what is foreseen of the others."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from .forecasts import ExpectedRun

MOST_OBSERVED = 500
LEAST_SECONDS = 1.0
ExpectedOf = Callable[[str], ExpectedRun | None]
"""What the whole run of a layout, by slug, is foreseen to take."""


@dataclass
class RunTimes:
    """What the runs of a sweep took, and against what was foreseen of them."""

    _took: list[float] = field(default_factory=list)
    _ratios: list[float] = field(default_factory=list)
    _typical: float | None = None
    _ratio: float | None = None

    @property
    def learned(self) -> bool:
        """Whether any run has told."""
        return self._typical is not None

    def add(self, seconds: float, expected: ExpectedRun | None) -> None:
        """Take in a run that went through."""
        if seconds <= 0:
            return
        self._took = [*self._took[-MOST_OBSERVED:], seconds]
        self._typical = median(self._took)
        if expected is not None and expected.seconds > 0:
            self._ratios = [*self._ratios[-MOST_OBSERVED:], seconds / expected.seconds]
            self._ratio = median(self._ratios)

    def corrected(self, expected: ExpectedRun | None) -> float | None:
        """Seconds a layout may take: as foreseen, corrected by what others took; None where nothing tells.

        >>> times = RunTimes()
        >>> times.add(20, ExpectedRun(10, True))
        >>> times.corrected(ExpectedRun(30, False)), times.corrected(None), RunTimes().corrected(ExpectedRun(30, False))
        (60.0, 20, None)
        """
        if expected is not None and self._ratio is not None:
            return expected.seconds * self._ratio
        return expected.seconds if expected is not None and expected.sure else self._typical


@dataclass(frozen=True)
class OpenRun:
    """A run that has started: its seconds so far, and what its own iterations will still take, where known."""

    seconds: float | None
    left_by_log: float | None = None


@dataclass(frozen=True)
class TimeLeft:
    """Seconds until all is done, None without a basis; `by_slug`: what each layout alone will still take."""

    seconds: float | None
    by_slug: Mapping[str, float | None]


def time_left(
    times: RunTimes, expected: ExpectedOf, running: Mapping[str, OpenRun], waiting: Collection[str], others: int = 0
) -> TimeLeft:
    """What running and waiting layouts will still take, if as many run at once as now.

    `others`: how many more layouts there are of which nothing but their number is known.
    """
    left = {slug: _left_of(run, times.corrected(expected(slug))) for slug, run in running.items()}
    takes = {slug: times.corrected(expected(slug)) for slug in waiting}
    seconds = None
    if running:
        seconds = seconds_left(list(left.values()), [*takes.values(), *[None] * others], len(running))
    return TimeLeft(seconds, left | takes)


def _left_of(run: OpenRun, expected: float | None) -> float | None:
    """What a run will still take: by its own iterations, else by what is expected of it."""
    if run.left_by_log is not None:
        return run.left_by_log
    return None if expected is None or run.seconds is None else max(expected - run.seconds, 0.0)


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
