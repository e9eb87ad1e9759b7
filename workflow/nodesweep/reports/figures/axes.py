"""Which values of an axis are labelled, and how far a figure's values may be off."""

import math
from collections.abc import Iterable

from nodesweep.config.tidy_row import TidyRow, number_of

LEAST_APART = 0.075
"""Share of a logarithmic axis between two labels, at least."""
NARROW = 5
"""Values that differ by less are labelled in equal steps."""


def ticks(values: Iterable[int]) -> tuple[int, ...]:
    """The values of an axis that can be labelled side by side, doublings of the least first.

    >>> ticks([1, 2, 4, 8])
    (1, 2, 4, 8)
    >>> ticks([192, 384, 576, 768, 1152, 1536, 3072, 4608, 6144])
    (192, 384, 576, 768, 1152, 1536, 3072, 4608, 6144)
    """
    known = sorted(set(values))
    if not known:
        return ()
    width = math.log2(known[-1] / known[0]) or 1.0
    doublings = [value for value in known if math.log2(value / known[0]).is_integer()]
    found: list[int] = []
    for value in [*doublings, *known]:
        if all(abs(math.log2(value / other)) / width >= LEAST_APART for other in found):
            found.append(value)
    return tuple(sorted(found))


def heights(least: float, most: float) -> tuple[float, ...]:
    """Round values to label on a logarithmic axis of times: some, and no more than there is room for.

    >>> heights(56.0, 17212.8)
    (100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0)
    >>> heights(0.42, 0.55)
    (0.42, 0.44, 0.46, 0.48, 0.5, 0.52, 0.54)
    """
    if most < NARROW * least:
        rough = (most - least) / 7 or least / 10
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(step * power for step in (1, 2, 5, 10) if step * power >= 0.999 * rough)
        first = math.ceil(least / step * (1 - 1e-9))
        found = [first * step + number * step for number in range(20)]
    else:
        steps = (1, 2, 5) if most < 1e4 * least else (1,)
        powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
        found = [step * 10.0**power for power in powers for step in steps]
    return tuple(float(f"{value:.6g}") for value in found if least <= value * (1 + 1e-9) and value <= most * (1 + 1e-9))


def slower_and_faster(row: TidyRow) -> tuple[float | None, float | None]:
    """Factors on the time of a row between which another run of it lies; None where that is not known.

    >>> run = {"iteration_seconds": 2.0, "iteration_seconds_error": 0.1}
    >>> slower_and_faster({**run, "run_seconds_low": None, "run_seconds_high": None})
    (1.05, 0.95)
    """
    seconds, error = number_of(row, "iteration_seconds"), number_of(row, "iteration_seconds_error")
    low, high = number_of(row, "run_seconds_low"), number_of(row, "run_seconds_high")
    if seconds and low and high and high > low:  # of its runs
        return high / seconds, low / seconds
    if not seconds or not error or error >= seconds:
        return None, None
    return 1 + error / seconds, 1 - error / seconds
