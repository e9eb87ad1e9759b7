"""Whether the iterations of a run that still goes on are enough: its median is known as well as somebody asked for.

What is asked is how far the median so far may lie from that of the whole run. Iterations of one run are not
independent, and looking after each of them until chance is kind is no measurement, so that all of this must hold:

- looks are few, each with 15 % more records than the one before, and share the allowed share of errors among them;
- the two records that hold the median (`common/median_interval.py`) are within the asked precision, their ranks taken
  as far from the middle as runs above and below the median, longer than chance makes them, call for;
- a straight drift through all records, with its error, would move the median of the whole run by no more either.

A change that comes later, and that nothing before tells of, cannot be foreseen.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from nodesweep.common.median_interval import median_interval
from nodesweep.config.sweep import EnoughIterations
from nodesweep.logs.reading import LogReading
from nodesweep.logs.warmup import warm_up_records

from .outcome import Verdict

LOOKS_APART = 1.15
RULE = "the launcher ended the job, since its iterations were enough"


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


def is_enough(seconds: Sequence[float], total: int, percent: float, confidence: float, least: int) -> bool:
    """Whether the median of these records is, with `confidence`, within `percent` of that of all `total` of them.

    `seconds`: of all records after warm-up, in their order. Decided by the last look that they allow.
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
    if interval is None or max(typical - interval.low, interval.high - typical) > allowed:
        return False
    slope, slope_error = _drift(values)
    drift = (abs(slope) + deviations * slope_error * math.sqrt(longer)) * (total - count) / 2
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
    first, second = _pairs(count)
    slope = float(np.median((values[second] - values[first]) / (second - first)))
    left = values - slope * np.arange(count)
    scatter = 1.4826 * float(np.median(np.abs(left - np.median(left))))
    return slope, scatter * math.sqrt(12 / count**3)


def done_enough(reading: LogReading, iterations: int, warmup: int, asked: EnoughIterations) -> bool:
    """Whether a log that still grows shows enough of so many iterations; False for one that is not read with certainty.

    So is a log of no known format or with lines that are almost records, with gaps, restarts or records without a time,
    of another number of iterations, with a failure in it, or with a loss that is not a number.
    """
    records, interval = reading.iterations, reading.log_interval
    if reading.format is None or not reading.shows_start or not interval or reading.restarts:
        return False
    if reading.near_misses or reading.signatures or any(row.seconds is None or row.is_nan for row in records):
        return False
    if {row.total for row in records} - {None, iterations} or reading.iterations_done >= iterations:
        return False
    steps = {after.number - before.number for before, after in pairwise(records[1:])}
    if steps != {interval}:
        return False
    used = [row.seconds for row in records[warm_up_records(reading, warmup) :] if row.seconds is not None]
    left = (iterations - reading.iterations_done) // interval
    return is_enough(used, len(used) + left, asked.percent, asked.confidence, asked.least)


def verdict_of_enough(reading: LogReading, iteration: int, requested: int) -> Verdict | None:
    """How a job ended that was cancelled since its first iterations were enough; None where its log lacks them."""
    latest = reading.latest
    if latest is None or latest.is_nan or not iteration <= reading.iterations_done < requested or reading.restarts:
        return None
    shown = f"line {latest.line}: iteration {reading.iterations_done} of {requested}"
    where = f"stopped at iteration {iteration}: enough"
    note = f"{where}, {requested - reading.iterations_done} of {requested} iterations saved"
    return Verdict("ok", where, shown, note, RULE, "ok")


@lru_cache(maxsize=256)
def _pairs(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.triu_indices(count, 1)
