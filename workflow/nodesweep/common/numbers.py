"""Numbers and short values as text: the only place that rounds."""

import math
from typing import Any

from .markdown import inert
from .units import GIB, MIB

UNKNOWN = "-"


def rounded(value: float | None, decimals: int, significant: int) -> str:
    """A number with `decimals` digits after the point, or more where that leaves fewer than `significant` figures.

    >>> rounded(17212.8, 1, 3), rounded(0.5124, 1, 3), rounded(0.00623, 2, 2), rounded(0.0445, 1, 1)
    ('17212.8', '0.512', '0.0062', '0.04')
    >>> rounded(None, 1, 1)
    '-'
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    magnitude = math.floor(math.log10(abs(value))) if value else 0
    return f"{value:.{max(decimals, significant - 1 - magnitude)}f}"


def count(value: int | None) -> str:
    """A whole number."""
    return UNKNOWN if value is None else str(value)


def word(value: str | None) -> str:
    """A name or label."""
    return inert(value) if value else UNKNOWN


def with_unit(value: float | None, unit: str) -> str:
    """A number and its unit.

    >>> with_unit(2.0, "GHz"), with_unit(2.25, "GHz"), with_unit(None, "GHz")
    ('2.0GHz', '2.25GHz', '-')
    """
    return UNKNOWN if value is None else f"{value!r}{unit}"


def yes_no(value: bool | None) -> str:
    """`Yes` or `No`."""
    return UNKNOWN if value is None else "Yes" if value else "No"


def memory(mib: float | None) -> str:
    """A peak: `29138.6 MiB`."""
    return UNKNOWN if mib is None else f"{mib:.1f} MiB"


def gib(count: float) -> str:
    """Bytes in a column headed [GiB].

    >>> gib(2**30 * 1.54)
    '1.5'
    """
    return f"{count / GIB:.1f}"


def binary_size(count: float) -> str:
    """Bytes with their unit: to a tenth of a MiB, from 1 GiB on to a hundredth of one.

    >>> binary_size(2**30 * 1.5), binary_size(2**20 * 315.94)
    ('1.50 GiB', '315.9 MiB')
    """
    return f"{count / GIB:.2f} GiB" if count >= GIB else f"{count / MIB:.1f} MiB"


def four_figures(value: float | None) -> str:
    """Four figures, whole from 1000 on.

    >>> four_figures(253.06), four_figures(12430.4), four_figures(0.54321), four_figures(None)
    ('253.1', '12430', '0.5432', '-')
    """
    return UNKNOWN if value is None else f"{value:.0f}" if value >= 1000 else f"{value:.4g}"


def saved(iterations: int | None, node_hours: float | None) -> str:
    """Iterations that were saved, and their node-hours.

    >>> saved(36, 12.3456), saved(0, 0.0), saved(None, None)
    ('36 (12.35 node-h)', '0', '-')
    """
    if iterations is None:
        return UNKNOWN
    return f"{iterations} ({four_figures(node_hours)} node-h)" if iterations else "0"


def anything(value: Any) -> str:
    """A field of a layout, whatever its kind."""
    return yes_no(value) if isinstance(value, bool) else word(None if value is None else str(value))


def energy(joules: float | None) -> str:
    """Watt-hours to three figures.

    >>> energy(5_400_000.0), energy(None)
    ('1500', '-')
    """
    return UNKNOWN if joules is None else rounded(joules / 3600, 0, 3)


def percent(value: float | None) -> str:
    """A share: `42.5 %`.

    >>> percent(42.53), percent(None)
    ('42.5 %', '-')
    """
    return UNKNOWN if value is None else f"{value:.1f} %"


def from_to(low: float, high: float) -> str:
    """Two percentages, with a decimal where they would look alike.

    >>> from_to(53.98, 72.92), from_to(44.81, 45.23)
    ('54 to 73', '44.8 to 45.2')
    """
    decimals = 1 if f"{low:.0f}" == f"{high:.0f}" else 0
    return f"{low:.{decimals}f} to {high:.{decimals}f}"


def percents_between(ends: tuple[float, float] | None) -> str:
    """Between what a share lies, to stand behind it; empty where that is not known.

    >>> percents_between((53.98, 72.92)), percents_between(None)
    ('(54 to 73)', '')
    """
    return f"({from_to(*ends)})" if ends else ""


def signed_percent(value: float | None) -> str:
    """A difference: `+9.8 %`.

    >>> signed_percent(9.84), signed_percent(-0.04), signed_percent(None)
    ('+9.8 %', '-0.0 %', '-')
    """
    return UNKNOWN if value is None else f"{value:+.1f} %"


def interval(value: float | None, low: float | None, high: float | None) -> str:
    """A predicted time and the interval around it.

    >>> interval(3554.1, 3511.76, 3597.0), interval(None, None, None)
    ('3554.1 (3511.8 to 3597.0)', '-')
    """
    if value is None:
        return UNKNOWN
    return f"{rounded(value, 1, 3)} ({rounded(low, 1, 3)} to {rounded(high, 1, 3)})"
