"""Matched rows of two sweeps -> what is to be said of each layout, and whether it is a regression."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nodesweep.config.tidy_row import TidyRow

from .matching import MatchedRows, match
from .noise import Interval, MeasuredTime, TimeDifferences, time_differences

DifferenceVerdict = Literal[
    "slower", "faster", "no difference beyond noise", "cannot say", "worse outcome", "better outcome", "other outcome"
]
VERDICTS: tuple[DifferenceVerdict, ...] = (
    *("worse outcome", "slower", "cannot say", "other outcome", "better outcome", "faster"),
    "no difference beyond noise",
)
"""In the order of a reader's interest."""


@dataclass(frozen=True)
class ComparedSweep:
    """One sweep: what it is called, its rows, and by slug the seconds of the iterations that stand for a run."""

    name: str
    rows: Sequence[TidyRow]
    series: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class ComparedLayout:
    """One layout in two sweeps.

    `difference`: of the seconds per iteration, in percent. `own`: its interval beside the shift of all. `regression`:
    whether it is worse by more than noise and tolerance.
    """

    before: TidyRow
    after: TidyRow
    verdict: DifferenceVerdict
    seconds: tuple[float, float] | None = None
    difference: float | None = None
    own: Interval | None = None
    regression: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Comparison:
    """Two sweeps compared; `tolerance` in percent. `shift_regression`: whether all together are slower by more."""

    before: str
    after: str
    tolerance: float
    matched: MatchedRows
    layouts: tuple[ComparedLayout, ...]
    differences: TimeDifferences | None
    shift_regression: bool

    @property
    def regression(self) -> bool:
        """Whether anything got worse: a layout, all of them together, or one that is not there any more."""
        return self.shift_regression or bool(self.matched.vanished) or any(one.regression for one in self.layouts)


def compare(before: ComparedSweep, after: ComparedSweep, tolerance: float) -> Comparison:
    """Compare two sweeps; `tolerance` in percent of the time before."""
    matched = match(before.rows, after.rows)
    statistic = _statistic(matched)
    timed = {}
    for number, pair in enumerate(matched.pairs):
        times = tuple(
            _timed(row, side.series.get(row["slug"], ()), statistic)
            for row, side in zip(pair, (before, after), strict=True)
        )
        if None not in times and _outcome(pair[0]) == _outcome(pair[1]):
            timed[number] = times
    found = time_differences(list(timed.values())) if timed else None
    own = dict(zip(timed, found.own, strict=True)) if found else {}
    layouts = [
        _compared(pair, timed.get(number), own.get(number), tolerance) for number, pair in enumerate(matched.pairs)
    ]
    layouts.sort(key=lambda one: VERDICTS.index(one.verdict))
    shift = found.shift if found else None
    slower = shift is not None and shift.low > 0 and shift.percents[0] > tolerance
    return Comparison(before.name, after.name, tolerance, matched, tuple(layouts), found, slower)


def _statistic(matched: MatchedRows) -> str | None:
    """The statistic all rows have in common as their time; the median where they differ."""
    used = {row["statistic"] for pair in matched.pairs for row in pair if row["iteration_seconds"] is not None}
    return None if len(used) <= 1 else "median"


def _timed(row: TidyRow, series: Sequence[float], statistic: str | None) -> MeasuredTime | None:
    known = (row["iteration_seconds_median"] if statistic else None) or row["iteration_seconds"]
    if known is None or not 0 < known < math.inf:
        return None
    good = [value for value in series if 0 < value < math.inf]
    if len(good) > 1:
        return MeasuredTime.of_series(known, good)
    spread = row["iteration_seconds_half_interquartile_range"]
    known_spread = spread if spread is not None and 0 <= spread < math.inf else None
    return MeasuredTime.of_spread(known, known_spread, row["records_used"] or 1)


def _compared(pair: tuple[TidyRow, TidyRow], timed: Any, own: Interval | None, tolerance: float) -> ComparedLayout:
    outcomes = tuple(_outcome(row) for row in pair)
    seconds = (timed[0].seconds, timed[1].seconds) if timed else None
    difference = 100 * (seconds[1] / seconds[0] - 1) if seconds else None
    if outcomes[0] != outcomes[1]:
        better, worse = outcomes[1] == "ok", outcomes[0] == "ok"
        verdict: DifferenceVerdict = "better outcome" if better else "worse outcome" if worse else "other outcome"
        return ComparedLayout(*pair, verdict, seconds, difference, None, worse, f"{outcomes[0]}, then {outcomes[1]}")
    if own is None or difference is None:
        missing = "never measured" if not any(row["iteration_seconds"] for row in pair) else "measured only once"
        return ComparedLayout(*pair, "cannot say", seconds, difference, None, False, f"{outcomes[0]}, {missing}")
    if not own.sure:
        return ComparedLayout(*pair, "no difference beyond noise", seconds, difference, own)
    if own.value < 0:
        return ComparedLayout(*pair, "faster", seconds, difference, own)
    return ComparedLayout(*pair, "slower", seconds, difference, own, max(difference, own.percents[0]) > tolerance)


def _outcome(row: TidyRow) -> str:
    """How it ended, or where it stands."""
    return (row["outcome"] or row["source"] if row["state"] == "ended" else row["state"]) or "unknown"
