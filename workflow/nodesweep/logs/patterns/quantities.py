"""Numbers as logs print them: patterns, units, and a row for each quantity that stands in a line.

Patterns take time linear in a line's length. A line's text ends with a newline unless its writer was cut off, so a
number must be followed by something to count.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, lru_cache

from nodesweep.common.text_pattern import TextMatch, TextPattern

from .regex import Pattern

NUMBER = r"[-+]?(?:\d{1,18}(?:\.\d{0,18})?(?:[eE][-+]?\d{1,3})?|[nN][aA][nN]|[iI][nN][fF])"
COUNT = r"\d{1,12}"

ONE = Decimal(1)
BEFORE_TEXT = 8
"""In a pattern that begins with its text at most so many characters stand before it."""
DECIMAL_SUFFIXES = {
    suffix: Decimal(10) ** (3 * power) for power, suffix in enumerate(("", "K", "M", "B", "T", "P", "E"))
}
DECIMAL_SUFFIXES["G"] = DECIMAL_SUFFIXES["B"]
_MIB = Decimal(2) ** 20
MIB_OF_UNIT = {
    "": ONE,
    **{f"{prefix}iB": Decimal(1024) ** power / 1024 for power, prefix in enumerate("KMGT")},
    "B": 1 / _MIB,
    "KB": Decimal(1000) / _MIB,
    "MB": Decimal(10) ** 6 / _MIB,
    "GB": Decimal(10) ** 9 / _MIB,
    "TB": Decimal(10) ** 12 / _MIB,
}
"""Printed units of memory in MiB."""
SECONDS = {"": ONE, "s": ONE, "ms": Decimal("1e-3"), "us": Decimal("1e-6"), "m": Decimal(60), "h": Decimal(3600)}
TFLOPS = {
    "": ONE,
    **{
        f"{prefix}{word}": Decimal(1000) ** power / Decimal(10) ** 12
        for power, prefix in enumerate(("", "K", "M", "G", "T", "P"))
        for word in ("FLOPS", "FLOP/s")
    },
}


@dataclass(frozen=True, eq=False)
class Quantity:
    """A number in a line: the first group of its pattern, in the unit the second names, if there is a second.

    `name`: a field of `Iteration`, a peak of memory, or a total of the whole run. `label`: as the log calls it.
    `factor`: from the printed unit to the name's. `units`: factors of units printed beside the number. `text`: plain
    text that lines with it hold; `text_first`: whether the pattern begins there, except for a few characters.
    `figures`: how many significant figures of it count, where zeros at its end are left out or put on; 0 where it is
    rounded to the last digit printed.
    """

    name: str
    label: str
    pattern: Pattern | TextPattern
    factor: Decimal = ONE
    units: Mapping[str, Decimal] | None = None
    text: str = ""
    text_first: bool = False
    figures: int = 0

    def read(self, line: str) -> float | None:
        """The number in a line, in the name's unit, exact to the last digit: 1001.0 ms are 1.001 s.

        None where the line does not hold it; NaN for what is printed instead of a number.
        """
        match = self._match(line)
        return None if match is None else self._value(match)

    def read_rounded(self, line: str) -> tuple[float, float] | None:
        """The number in a line, and by how much it may be rounded: half a unit of its last digit, in the name's unit.

        1001.0 ms are 1.001 s and rounded by 0.00005 s at most. None where the line does not hold it.
        """
        match = self._match(line)
        return None if match is None else (self._value(match), self._rounding(match))

    def _match(self, line: str) -> TextMatch | None:
        at = line.find(self.text)
        return self._search(line, at - BEFORE_TEXT if self.text_first and at > BEFORE_TEXT else 0) if at >= 0 else None

    def _value(self, match: TextMatch) -> float:
        if self._as_printed:
            try:
                return float(match[1])
            except (ValueError, TypeError):
                pass  # 1,000 or 0:14:31.66
        return self._converted(match)

    def _rounding(self, match: TextMatch) -> float:
        half = _half_unit(match[1] or "", self.figures)
        if self._as_printed:
            return half
        if self.units is None:
            return half * self._float_factor
        return half * float(self.factor * self.units.get(match[2] or "", ONE))

    @cached_property
    def _float_factor(self) -> float:
        return float(self.factor)

    @cached_property
    def _search(self) -> Callable[[str, int], TextMatch | None]:
        return self.pattern.compiled.search if isinstance(self.pattern, Pattern) else self.pattern.search

    @cached_property
    def _as_printed(self) -> bool:
        return self.factor is ONE and self.units is None

    def _converted(self, match: TextMatch) -> float:
        factor = self.factor if self.units is None else self.factor * self.units.get(match[2] or "", ONE)
        try:
            number = _decimal(match[1] or "")
            return float(number * factor) if number.is_finite() else float(number)
        except (ArithmeticError, ValueError):
            return math.nan


def quantity(
    name: str,
    label: str,
    template: str,
    *,
    factor: Decimal | str = ONE,
    units: Mapping[str, Decimal] | None = None,
    value: str = NUMBER,
    figures: int = 0,
) -> Quantity:
    """A quantity whose pattern is `template` with LABEL and VALUE put in; VALUE takes the printed unit along."""
    if units is not None:
        words = "|".join(re.escape(word) for word in sorted(units, key=len, reverse=True) if word)
        value = rf"({value})[ \t]?({words})?(?!\w)"
    else:
        value = rf"({value})"
    pattern = template.replace("LABEL", re.escape(label)).replace("VALUE", value)
    first = template.index("LABEL") <= min(template.index("VALUE"), BEFORE_TEXT)
    factor = ONE if factor in (ONE, "1") else Decimal(factor)
    return Quantity(name, label, Pattern(pattern), factor, units, text=label, text_first=first, figures=figures)


BAR_END = r"(?=\s|\|)"
BAR_FIELD = rf"\| LABEL: {{0,4}}VALUE{BAR_END}"
"""Template of a field between bars, such as `| lm_loss: 9.5 |`."""


def suffixed_quantity(name: str, label: str, factor: str = "1", figures: int = 0) -> Quantity:
    """A field between bars whose number may end in K, M, B or T."""
    return quantity(name, label, BAR_FIELD, factor=factor, units=DECIMAL_SUFFIXES, figures=figures)


_RATE = r"[<\d:?]{4,20}, {1,3}VALUELABEL[,\]]"
PROGRESS_BAR_RATES = (quantity("seconds", "s/it", _RATE), quantity("iterations_per_second", "it/s", _RATE))
"""The rate that a progress bar of tqdm prints, either way round."""


def finite(value: float | None) -> float | None:
    """The value, or None for what is no finite number."""
    return value if value is not None and math.isfinite(value) else None


def _half_unit(text: str, figures: int = 0) -> float:
    """Half a unit of the last digit of a printed number, or of the last of its first figures where only so many count.

    >>> _half_unit("20298.3"), _half_unit("6,785"), _half_unit("1.00e+3"), _half_unit("4.4", 3), _half_unit("24.40", 3)
    (0.05, 0.5, 5.0, 0.005, 0.05)
    """
    if not figures and "e" not in text and "E" not in text:
        point = text.find(".")
        return _half_of(point + 1 - len(text) if point >= 0 else 0)
    mantissa, _, exponent = text.replace("E", "e").partition("e")
    whole, _, fraction = mantissa.lstrip("+-").partition(".")
    last, significant = -len(fraction), (whole + fraction).lstrip("0")
    if figures and significant:
        last += len(significant) - figures
    try:
        return _half_of(last + int(exponent or 0))
    except ValueError:
        return 0.0  # no number either, by the pattern of a user


@lru_cache
def _half_of(power: int) -> float:
    return float(f"5e{power - 1}")


def _decimal(text: str) -> Decimal:
    """A number with or without separators of thousands, or the seconds of a duration such as `1 day, 0:14:31.66`."""
    if ":" not in text:
        return Decimal(text.replace(",", ""))
    days, _, clock = text.rpartition(", ")
    hours, minutes, seconds = (["0", *clock.split(":")])[-3:]
    return (
        (Decimal(days.split()[0] if days else 0) * 24 + Decimal(hours)) * 3600
        + Decimal(minutes) * 60
        + Decimal(seconds)
    )
