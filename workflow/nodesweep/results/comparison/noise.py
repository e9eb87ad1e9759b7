"""Times of the same layouts in two sweeps -> which layouts differ by more than noise, and by how much all do together.

All differences are logarithms of the ratio after to before. The difference of layout i is taken as

    y_i = shift + own_i + noise,   variance of the noise = e_i^2 + f_i^2 + scale x 2 (0.01^2 + (s / 4)^2)

with e_i and f_i the errors of its two times within their runs (`Timed`), and 1 % and a quarter of the scatter s of
single iterations (the median of all runs) by which runs of one layout differ beside that.
The differences of the other layouts show whether this is too much or too little for the machine: `scale` makes their
weighted mean square what it should be (Paule and Mandel 1982), drawn towards 1 with the weight of four layouts (the
moderated t of Smyth 2004); where they scatter more, the interval is no narrower than by them alone. `own_i` is the
difference from the weighted mean of the others, and has an interval by Student's t. Layouts that stand out are no
measure for the others: as many are taken out as Rosner's test (1983) finds, most extreme first. What all have in common
may be the drift of the machine: the interval of the shift is wider by 1.5 % and by s, since a machine on which
iterations scatter so much drifts as easily. All intervals hold together with 95 % (Bonferroni).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import median

import numpy
from scipy import optimize, stats

from nodesweep.common.arrays import FloatArray, IntArray
from nodesweep.performance.calibration.time_model import FIRST_NOISE

FALSE_ALARMS = 0.05
"""Probability that anything at all is called a difference where there is none."""
FEWEST = 4
"""Layouts measured both times from which on a shift of all can be told from the difference of one."""
MOST_INDEPENDENT = 16
"""Iterations of a run that count as independent at most: what is slower than a run is not seen within it."""
PRIOR_LAYOUTS = 4
"""The weight of the expected noise, in layouts."""
DRIFT = 0.015
"""How far the speed of a machine drifts between two sweeps, relative (one sigma)."""
UNKNOWN_SCATTER = 0.05
"""Relative scatter of the iterations of a run of which only one time is known."""
_MEDIAN = math.sqrt(math.pi / 2)
_UNIFORM = math.sqrt(3)
_NORMAL_DEVIATION, _NORMAL_QUARTILE = 1.4826, 0.6745
_LEAST, _MOST = math.log(1e-6), math.log(1e8)
_FEWEST_BLOCKS = 4
_CLIPPED = 3.0


@dataclass(frozen=True)
class MeasuredTime:
    """The time of one run: seconds per iteration, relative scatter of single iterations, relative error of the time."""

    seconds: float
    scatter: float
    error: float

    def rounded(self, rounding: float) -> "MeasuredTime":
        """With what its log may have rounded it by, in seconds: any error up to that is as likely as any other.

        >>> MeasuredTime(2.0, 0.01, 0.003).rounded(0.008 * 3**0.5).error
        0.005
        """
        return replace(self, error=math.hypot(self.error, rounding / _UNIFORM / self.seconds))

    @classmethod
    def of_series(cls, seconds: float, series: Sequence[float]) -> "MeasuredTime":
        """From all iterations the time stands for, at least two; `seconds` is their median or near it."""
        scatter = _scatter(series)
        return cls(seconds, scatter, _MEDIAN * scatter / math.sqrt(independent(series)))

    @classmethod
    def of_spread(cls, seconds: float, half_interquartile_range: float | None, records: int) -> "MeasuredTime":
        """From a row of results.csv: the order of its records is unknown, so half of them count as independent."""
        if half_interquartile_range is None:
            return cls(seconds, UNKNOWN_SCATTER, UNKNOWN_SCATTER)
        scatter = half_interquartile_range / _NORMAL_QUARTILE / seconds
        return cls(seconds, scatter, _MEDIAN * scatter / math.sqrt(min(max(records / 2, 1), MOST_INDEPENDENT)))

    @classmethod
    def of_interval(
        cls, seconds: float, half_interquartile_range: float, interval: tuple[float, float], confidence: float
    ) -> "MeasuredTime":
        """The median over several runs, with an interval that holds it so often, and the spread within the runs."""
        low, high = interval
        error = (high - low) / 2 / seconds / float(stats.norm.isf((1 - confidence) / 2))
        return cls(seconds, half_interquartile_range / _NORMAL_QUARTILE / seconds, error)


def independent(series: Sequence[float]) -> float:
    """How many independent values determine the mean as well as this series does, from 1 to MOST_INDEPENDENT.

    By blocks (Flyvbjerg and Petersen 1989): of all block lengths 1, 2, 4, ... that leave at least four blocks, the one
    whose means scatter most. Values far off the median are clipped first.

    >>> independent([1.0, 2.0] * 20), independent([1.0] * 20 + [2.0] * 20) < 6
    (16.0, True)
    """
    middle = median(series)
    reach = _CLIPPED * _scatter(series) * middle
    values = numpy.clip(series, middle - reach, middle + reach)
    most = float(min(len(values), MOST_INDEPENDENT))
    if len(values) < 2 or not values.var():
        return most
    worst, length = 0.0, 1
    while len(values) // length >= min(_FEWEST_BLOCKS, len(values)):
        number = len(values) // length
        blocks = values[: number * length].reshape(number, length).mean(axis=1)
        worst = max(worst, float(blocks.var(ddof=1)) / number)
        length *= 2
    return min(max(float(values.var(ddof=1)) / worst, 1.0), most)


def is_beyond_noise(first: MeasuredTime, second: MeasuredTime, level: float, fewest: int) -> bool:
    """Whether two times differ by more than their errors within the runs allow, but for `level` of such pairs.

    `fewest`: iterations of the shorter run, whose scatter tells its error the worse the fewer they are.
    """
    error = math.hypot(first.error, second.error)
    return abs(math.log(second.seconds / first.seconds)) > _student(level, max(fewest - 1, 1)) * error


def _scatter(series: Sequence[float]) -> float:
    """Relative standard deviation by the median absolute deviation, or the plain one where most values are equal."""
    middle = median(series)
    deviation = _NORMAL_DEVIATION * median(abs(value - middle) for value in series)
    few = len(series) / (len(series) - 0.8)  # the median absolute deviation of few values is too small
    return (deviation * few or float(numpy.std(series))) / middle


@dataclass(frozen=True)
class Interval:
    """A difference with its interval, as logarithms of ratios."""

    value: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Whether it is beyond noise."""
        return self.low > 0 or self.high < 0

    @property
    def percents(self) -> tuple[float, float, float]:
        """Value, low and high in percent of the time before."""
        value, low, high = (100 * math.expm1(min(value, 50.0)) for value in (self.value, self.low, self.high))
        return value, low, high


@dataclass(frozen=True)
class TimeDifferences:
    """The differences of all layouts that were measured both times.

    `shift`: what all have in common, None where there are too few layouts to find it. `own`: what each layout differs
    by beside the shift, or in all where there is none.
    """

    shift: Interval | None
    own: tuple[Interval, ...]


def time_differences(pairs: Sequence[tuple[MeasuredTime, MeasuredTime]]) -> TimeDifferences:
    """The differences between the times of layouts before and after, at least one layout."""
    values = numpy.array([math.log(after.seconds / before.seconds) for before, after in pairs])
    within = numpy.array([before.error**2 + after.error**2 for before, after in pairs])
    level = FALSE_ALARMS / (len(values) + 1)
    scatter = median(max(before.scatter, after.scatter) for before, after in pairs)
    between = 2 * (FIRST_NOISE**2 + (scatter / 4) ** 2)
    drift = _normal(level) * math.hypot(DRIFT, scatter)
    if len(values) < FEWEST:
        widths = numpy.hypot(_student(level, PRIOR_LAYOUTS) * numpy.sqrt(within + between), drift)
        return TimeDifferences(None, tuple(map(_around, values, widths)))
    sound = _sound(values, within, between)
    reference = _Reference(values[sound], within[sound], between)
    own = []
    for index, value in enumerate(values):
        rest = sound[sound != index]
        others = reference if rest.size == sound.size else _Reference(values[rest], within[rest], between)
        own.append(_around(value - others.mean, others.half_width(within[index], level)))
    shift = _around(reference.mean, math.hypot(reference.half_width(None, level), drift))
    return TimeDifferences(shift, tuple(own))


def _around(value: float, width: float) -> Interval:
    return Interval(float(value), float(value - width), float(value + width))


@lru_cache
def _student(level: float, free: int) -> float:
    """Half the width of an interval by Student's t with so many degrees of freedom, in standard deviations."""
    return float(stats.t.isf(level / 2, free))


@lru_cache
def _normal(level: float) -> float:
    """Half the width of an interval of a normal distribution, in standard deviations."""
    return float(stats.norm.isf(level / 2))


class _Reference:
    """The weighted mean of at least two changes, and the noise by their scatter about it.

    `within`: variances of the changes within their runs. `between`: the expected variance between runs of one layout.
    """

    def __init__(self, values: FloatArray, within: FloatArray, between: float) -> None:
        self._values, self._within, self._between = values, within, between
        free = len(values) - 1
        self._scales = [(PRIOR_LAYOUTS + free, self._scale(PRIOR_LAYOUTS, free))]
        if self._square(1.0) > free:
            self._scales.append((free, self._scale(0, free)))
        self.mean = self._mean(max(scale for _, scale in self._scales))

    def _mean(self, scale: float) -> float:
        weights = 1 / (self._within + scale * self._between)
        return float(weights @ self._values / weights.sum())

    def _square(self, scale: float) -> float:
        return float(((self._values - self._mean(scale)) ** 2 / (self._within + scale * self._between)).sum())

    def _scale(self, prior: int, free: int) -> float:
        """The scale at which the scatter about the mean is what it should be; `prior` layouts more are as expected."""

        def excess(logarithm: float) -> float:
            scale = math.exp(logarithm)
            return self._square(scale) + prior / scale - prior - free

        return (
            math.exp(optimize.brentq(excess, _LEAST, _MOST, xtol=1e-3)) if excess(_LEAST) > 0 > excess(_MOST) else 1.0
        )

    def _spreads(self, within: float | None) -> list[tuple[int, float]]:
        """Degrees of freedom and standard deviation of a change about the mean, or of the mean itself."""
        return [
            (free, math.sqrt((0.0 if within is None else within + scale * self._between) + self._variance(scale)))
            for free, scale in self._scales
        ]

    def _variance(self, scale: float) -> float:
        return float(1 / (1 / (self._within + scale * self._between)).sum())

    def half_width(self, within: float | None, level: float) -> float:
        """Half the width of the interval of another change with that variance within its runs; of the mean for None."""
        return max(_student(level, free) * spread for free, spread in self._spreads(within))

    def surprise(self, value: float, within: float) -> float:
        """The probability of another change that far off the mean by noise alone."""
        return max(
            2 * float(stats.t.sf(abs(value - self.mean) / spread, free)) for free, spread in self._spreads(within)
        )

    def most_extreme(self) -> int:
        """The index of the change that is farthest off the mean for its error."""
        scale = self._scales[-1][1]
        return int(numpy.argmax((self._values - self.mean) ** 2 / (self._within + scale * self._between)))


def _sound(values: FloatArray, within: FloatArray, between: float) -> IntArray:
    """Indices of the changes that do not stand out: at least half of them."""
    left = numpy.arange(len(values))
    sound = left
    for _ in range((len(values) - 2) // 2):
        worst = left[_Reference(values[left], within[left], between).most_extreme()]
        tried, left = len(left), left[left != worst]
        if (
            _Reference(values[left], within[left], between).surprise(values[worst], within[worst]) * tried
            <= FALSE_ALARMS
        ):
            sound = left
    return sound
