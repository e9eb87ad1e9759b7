"""The times of the runs of one layout: their median, how far they reach, and an interval of the median over runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from nodesweep.common.median_interval import median_interval, widest_median_interval
from nodesweep.common.numbers import four_figures

WANTED_CONFIDENCE = 0.95
"""How often the interval is to hold the median; few runs hold it less often."""


@dataclass(frozen=True)
class TimesOfRuns:
    """Seconds per iteration over the runs of a layout.

    `low`, `high`: the interval that holds the median over runs with probability `confidence`, by order statistics
    (no distribution is assumed); of fewer than six runs it is all they span. Two runs or more.
    """

    runs: int
    seconds: float
    lowest: float
    highest: float
    low: float
    high: float
    confidence: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "TimesOfRuns":
        """Of the times of at least two runs.

        >>> found = TimesOfRuns.of([1.5, 1.2, 1.3])
        >>> found.seconds, found.low, found.high, found.confidence
        (1.3, 1.2, 1.5, 0.75)
        """
        found = median_interval(seconds, WANTED_CONFIDENCE) or widest_median_interval(seconds)
        if found is None:
            raise ValueError(f"{len(seconds)} runs have no interval")
        lowest, highest = min(seconds), max(seconds)
        return cls(len(seconds), median(seconds), lowest, highest, found.low, found.high, found.confidence)

    @property
    def reach_percent(self) -> float:
        """Half the width of the interval, in percent of the median."""
        return 100 * (self.high - self.low) / 2 / self.seconds

    @property
    def words(self) -> str:
        """How well the runs agree, in words."""
        level = f"{100 * self.confidence:.4g} %"
        return (
            f"{self.runs} runs, {four_figures(self.low)} to {four_figures(self.high)} s an iteration, "
            f"{self.reach_percent:.2g} % to either side (such an interval holds the median over runs with {level})"
        )
