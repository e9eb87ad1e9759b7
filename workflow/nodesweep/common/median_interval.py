"""Where the median lies that a few values were drawn about, whatever their distribution.

Each value lies below the true median with probability 1/2, so the number of values below it is binomial. The median
lies between the k-th smallest and the k-th largest of n values unless fewer than k of them lie on one side of it, and
how often that happens is known exactly: 3 values hold it between lowest and highest in 75 of 100 cases, 6 in 96.9, 20
between the 6th and the 15th in 95.9. Values are taken as independent; those that come one after another in time may not
be.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class MedianInterval:
    """Two of the values, the true median between them, and the share of cases (0 to 1) in which such two hold it."""

    low: float
    high: float
    confidence: float


@lru_cache(maxsize=4096)
def median_ranks(count: int, confidence: float) -> tuple[int, float] | None:
    """Of `count` values, the largest rank k whose k-th smallest and k-th largest hold the median with `confidence`.

    With the share of cases (0 to 1) in which they really do; None where lowest and highest hold it less often.
    """
    if count < 2:
        return None
    rank = count // 2
    share = math.comb(count, rank) / 2**count
    held = share if count == 2 * rank else 2 * share
    while held < confidence and rank > 1:
        share *= rank / (count - rank + 1)
        rank -= 1
        held += 2 * share
    return (rank, held) if held >= confidence else None


def median_interval(values: Iterable[float], confidence: float) -> MedianInterval | None:
    """The narrowest two values, equally far from both ends, that hold the median with `confidence` (0 to 1) or more.

    None where there are too few values for it.
    """
    ordered = sorted(values)
    ranks = median_ranks(len(ordered), confidence)
    if ranks is None:
        return None
    rank, held = ranks
    return MedianInterval(ordered[rank - 1], ordered[-rank], held)


def widest_median_interval(values: Iterable[float]) -> MedianInterval | None:
    """Lowest and highest value, and the share of cases in which they hold the median; None for fewer than two."""
    ordered = sorted(values)
    return MedianInterval(ordered[0], ordered[-1], 1 - 2.0 ** (1 - len(ordered))) if len(ordered) > 1 else None
