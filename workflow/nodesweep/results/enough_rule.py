"""Whether the first iterations of a run are enough: its median is known as well as somebody asked for.

What is asked is how far the median so far may lie from that of the whole run. Iterations of one run are not
independent, and looking after each of them until chance is kind is no measurement, so that all of this must hold:

- looks are few, each with 15 % more records than the one before, and share the allowed share of errors among them;
- the two records that hold the median (`common/median_interval.py`) are within the asked precision, their ranks taken
  as far from the middle as runs above and below the median, longer than chance makes them, call for;
- a straight drift through all records, with its error, would move the median of the whole run by no more either.

What records may be off since a log rounds its figures is added to both: records that look alike may be as far apart as
that, and may drift by as much without showing it.

A change that comes later, and that nothing before tells of, cannot be foreseen.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from nodesweep.common.median_interval import median_interval

LOOKS_APART = 1.15
MOST_POINTS = 256
"""Of a straight line: more records are taken together, since its pairs grow with their square."""


def looks(least: int, total: int) -> tuple[int, ...]:
    """After how many records of `total` a run is looked at, the first time with `least`.

    >>> looks(10, 20)
    (10, 12, 14, 17)
    """
    found = []
    while least < total:
        found.append(least)
        least = max(least + 1, math.ceil(least * LOOKS_APART))
    return tuple(found)


def is_enough(
    seconds: Sequence[float], total: int, percent: float, confidence: float, least: int, rounding: float = 0.0
) -> bool:
    """Whether the median of these records is, with `confidence`, within `percent` of that of all `total` of them.

    `seconds`: of all records after warm-up, in their order; `rounding`: by how many seconds each may be off. Decided by
    the last look that they allow.
    """
    past = [count for count in looks(least, total) if count <= len(seconds)]
    if not past:
        return False
    count = past[-1]
    values = np.asarray(seconds[:count], dtype=float)
    typical = float(np.median(values))
    allowed = typical * percent / 100
    deviations = NormalDist().inv_cdf(1 - (1 - confidence) / len(looks(least, total)) / 2)
    longer = _variance_factor(np.sign(values - typical))
    wider = 2 * NormalDist().cdf(deviations * math.sqrt(longer * (1 - count / total))) - 1
    interval = median_interval(values.tolist(), wider)
    if interval is None or max(typical - interval.low, interval.high - typical) + rounding > allowed:
        return False
    slope, slope_error = _drift(values)
    unseen = 2 * rounding / (count - 1)
    drift = (abs(slope) + deviations * slope_error * math.sqrt(longer) + unseen) * (total - count) / 2
    return drift <= allowed


def _variance_factor(signs: NDArray[np.float64]) -> float:
    """By how much the variance of the median is that of independent records: from how above and below follow."""
    signs = signs - signs.mean()
    count, total = len(signs), 0.0
    variance = float(signs @ signs)
    if not variance:  # all alike
        return 1.0
    for lag in range(1, count // 2):
        correlation = float(signs[lag:] @ signs[:-lag]) / variance + 1 / count
        if correlation <= 0:
            break
        total += correlation
    return 1 + 2 * total


def _drift(values: NDArray[np.float64]) -> tuple[float, float]:
    """The median slope through all pairs of records (Theil and Sen), and its standard error from what is left."""
    count = len(values)
    together = math.ceil(count / MOST_POINTS)
    points = np.median(values[: count // together * together].reshape(-1, together), axis=1)
    first, second = _pairs(len(points))
    slope = float(np.median((points[second] - points[first]) / (second - first))) / together
    left = values - slope * np.arange(count)
    scatter = 1.4826 * float(np.median(np.abs(left - np.median(left))))
    return slope, scatter * math.sqrt(12 / count**3)


@lru_cache(maxsize=64)
def _pairs(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.triu_indices(count, 1)
