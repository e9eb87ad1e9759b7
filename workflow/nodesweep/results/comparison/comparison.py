"""Matched rows of two sweeps -> the verdict on each layout, and whether it is a regression."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from nodesweep.common.outcomes import NOT_RUN, is_result, is_undecided
from nodesweep.config.tidy_row import TidyRow, count_of, number_of, required_text, text_of

from .matching import MatchedRows, RowPair, match
from .noise import Interval, MeasuredTime, TimeDifferences, time_differences

DifferenceVerdict = Literal[
    "worse outcome",
    "slower",
    "cannot say",
    "not run",
    "other outcome",
    "better outcome",
    "faster",
    "no difference beyond noise",
]
VERDICTS: tuple[DifferenceVerdict, ...] = get_args(DifferenceVerdict)
"""In the order of a reader's interest."""


@dataclass(frozen=True)
class ComparedSweep:
    """One sweep: its name, its rows, and by slug the seconds of the iterations that stand for a run."""

    name: str
    rows: Sequence[TidyRow]
    series: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class ComparedLayout:
    """One layout in two sweeps.

    `difference`: of the seconds per iteration, in percent. `own`: its interval beside the shift of all. `regression`:
    whether it is worse by more than noise and tolerance. `reason`: why times are not compared.
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
    timed = _timed_pairs(before, after, matched)
    found = time_differences(list(timed.values())) if timed else None
    own = dict(zip(timed, found.own, strict=True)) if found else {}
    layouts = [
        _compared(pair, timed.get(number), own.get(number), tolerance) for number, pair in enumerate(matched.pairs)
    ]
    layouts.sort(key=lambda one: VERDICTS.index(one.verdict))
    shift = found.shift if found else None
    slower = shift is not None and shift.low > 0 and shift.percents[0] > tolerance
    return Comparison(before.name, after.name, tolerance, matched, tuple(layouts), found, slower)


def _timed_pairs(
    before: ComparedSweep, after: ComparedSweep, matched: MatchedRows
) -> dict[int, tuple[MeasuredTime, MeasuredTime]]:
    """The times of the pairs that ended alike and were measured both times, by the number of the pair."""
    column = _time_column(matched)
    timed = {}
    for number, (old, new) in enumerate(matched.pairs):
        first, second = _measured_time(old, before, column), _measured_time(new, after, column)
        if first is not None and second is not None and _outcome(old) == _outcome(new):
            timed[number] = first, second
    return timed


def _time_column(matched: MatchedRows) -> str:
    """The column of the time of all rows: their own statistic where they have one in common, else the median."""
    used = {row["statistic"] for pair in matched.pairs for row in pair if row["iteration_seconds"] is not None}
    return "iteration_seconds" if len(used) <= 1 else "iteration_seconds_median"


def _measured_time(row: TidyRow, sweep: ComparedSweep, column: str) -> MeasuredTime | None:
    seconds = number_of(row, column) or number_of(row, "iteration_seconds")
    if seconds is None or not 0 < seconds < math.inf:
        return None
    series = [value for value in sweep.series.get(required_text(row, "slug"), ()) if 0 < value < math.inf]
    rounding = number_of(row, "iteration_seconds_rounding") or 0.0
    if not 0 <= rounding < math.inf:
        rounding = 0.0
    if (over_runs := _over_runs(row, seconds)) is not None:
        return over_runs.rounded(rounding)
    if len(series) > 1:
        return MeasuredTime.of_series(seconds, series).rounded(rounding)
    spread = number_of(row, "iteration_seconds_half_interquartile_range")
    if spread is not None and not 0 <= spread < math.inf:
        spread = None
    return MeasuredTime.of_spread(seconds, spread, count_of(row, "records_used") or 1).rounded(rounding)


def _over_runs(row: TidyRow, seconds: float) -> MeasuredTime | None:
    """The time of a layout that ran several times, with the error that the interval over its runs stands for."""
    low, high, percent = (number_of(row, f"run_seconds_{name}") for name in ("low", "high", "confidence_percent"))
    if low is None or high is None or percent is None or not (0 < low <= high < math.inf and 0 < percent < 100):
        return None
    spread = number_of(row, "iteration_seconds_half_interquartile_range") or 0.0
    return MeasuredTime.of_interval(seconds, spread, (low, high), percent / 100)


def _compared(
    pair: RowPair, timed: tuple[MeasuredTime, MeasuredTime] | None, own: Interval | None, tolerance: float
) -> ComparedLayout:
    before, after = pair
    outcomes = _outcome(before), _outcome(after)
    seconds = (timed[0].seconds, timed[1].seconds) if timed else None
    difference = 100 * (seconds[1] / seconds[0] - 1) if seconds else None
    regression, reason = False, ""
    if outcomes[0] != outcomes[1] or outcomes[0] in NOT_RUN:
        verdict, own, reason = _of_outcomes(outcomes), None, f"{outcomes[0]}, then {outcomes[1]}"
        regression = verdict == "worse outcome"
    elif own is None or difference is None:
        missing = "never measured" if not any(row["iteration_seconds"] for row in pair) else "measured only once"
        verdict, own, reason = "cannot say", None, f"{outcomes[0]}, {missing}"
    elif not own.sure:
        verdict = "no difference beyond noise"
    elif own.value < 0:
        verdict = "faster"
    else:
        verdict, regression = "slower", max(difference, own.percents[0]) > tolerance
    return ComparedLayout(before, after, verdict, seconds, difference, own, regression, reason)


def _of_outcomes(outcomes: tuple[str, str]) -> DifferenceVerdict:
    """The verdict on a layout that ended in another way than before, or was not run."""
    if any(outcome in NOT_RUN for outcome in outcomes):
        return "not run"
    if any(map(is_undecided, outcomes)):
        return "cannot say"
    if is_result(outcomes[1]):
        return "better outcome"
    return "worse outcome" if is_result(outcomes[0]) else "other outcome"


def _outcome(row: TidyRow) -> str:
    """How a run ended, or its state."""
    ended = text_of(row, "outcome") or text_of(row, "source")
    return (ended if row["state"] == "ended" else text_of(row, "state")) or "unknown"
