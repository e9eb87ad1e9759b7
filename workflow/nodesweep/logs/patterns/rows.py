"""The words of the tables that describe logs: lines, figures, records, and how numbers are printed.

Patterns take time linear in a line's length. Each line names markers: plain text of which every such line holds one. A
line's text ends with a newline unless its writer was cut off, so a number must be followed by something to count.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Literal

from .regex import Pattern

NUMBER = r"[-+]?(?:\d{1,18}(?:\.\d{0,18})?(?:[eE][-+]?\d{1,3})?|[nN][aA][nN]|[iI][nN][fF])"
COUNT = r"\d{1,12}"

ONE = Decimal(1)
BEFORE_TEXT = 8
"""In a pattern that begins with its text at most so many characters stand before it."""
CLOSING = ("]", "}")
PLAIN: Mapping[str, Decimal] = {"": ONE}
DECIMAL_SUFFIXES = {
    suffix: Decimal(10) ** (3 * power) for power, suffix in enumerate(("", "K", "M", "B", "T", "P", "E"))
}
DECIMAL_SUFFIXES["G"] = DECIMAL_SUFFIXES["B"]
_MIB = Decimal(2) ** 20
MIB = {
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
class Line:
    """A line that says one thing: text of which it holds one, and its pattern."""

    markers: tuple[str, ...]
    pattern: Pattern


@dataclass(frozen=True, eq=False)
class Figure:
    """A number in a line: the first group of its pattern, in the unit the second names, if there is a second.

    `name`: a field of `Iteration`, a peak of memory, or a figure of the whole run. `label`: as the log calls it.
    `factor`: from the printed unit to the name's. `units`: factors of units printed beside the number. `text`: plain
    text that lines with it hold; `text_first`: whether the pattern begins there, but for a few characters.
    """

    name: str
    label: str
    pattern: Pattern
    factor: Decimal = ONE
    units: Mapping[str, Decimal] | None = None
    text: str = ""
    text_first: bool = False

    def read(self, line: str) -> float | None:
        """Its number in a line, in its unit, exact to the last digit: 1001.0 ms are 1.001 s. None where it is not.

        NaN for what is printed instead of a number.
        """
        at = line.find(self.text)
        match = self._search(line, at - BEFORE_TEXT if self.text_first and at > BEFORE_TEXT else 0) if at >= 0 else None
        if match is None:
            return None
        if self._as_printed:
            try:
                return float(match[1])
            except (ValueError, TypeError):
                pass  # 1,000 or 0:14:31.66
        return self._converted(match)

    @cached_property
    def _search(self) -> Callable[[str, int], re.Match[str] | None]:
        return self.pattern.compiled.search if isinstance(self.pattern, Pattern) else self.pattern.search

    @cached_property
    def _as_printed(self) -> bool:
        return self.factor is ONE and self.units is None

    def _converted(self, match: re.Match[str]) -> float:
        factor = self.factor if self.units is None else self.factor * self.units.get(match[2] or "", ONE)
        try:
            number = _decimal(match[1] or "")
            return float(number * factor) if number.is_finite() else float(number)
        except (ArithmeticError, ValueError):
            return math.nan


@dataclass(frozen=True, eq=False)
class Record:
    """The line of an iteration: its head with groups `number` and, where printed, `total`; then its figures.

    `tail`: what every whole line of it ends with, so that one torn in two is known; empty where unknown.
    `first_number`: what the first iteration of a run is called. `derive`: how seconds follow where none are printed:
    "clock" from the time stamps of lines, "tokens" from tokens of a batch and tokens per second. `rank`: 0 for lines
    made to be read, higher for those that only stand in where a log has no others (progress bars, engines). `needed`:
    figures without which the line is not whole. `logs_first`: the first iteration always has a record. `before`:
    how many characters before the head its figures may begin. `trailing`:
    figures of the last record on lines of their own, each with the plain text it stands behind. `leading`: a figure of
    the next record on a line of its own, and the seconds there that tell whose it is. `is_bar`: it is a
    progress bar, of which a log may hold several, told apart by their totals. `numbered_by`: the bar drawn before
    lines that do not say which iteration they are. `leaves_out_nan`: a loss that is not a number is left out.
    `counts_epochs`: totals may be those of an epoch.
    """

    name: str
    head: Line
    figures: tuple[Figure, ...] = ()
    tail: str = ""
    first_number: int = 1
    derive: str = ""
    rank: int = 0
    needed: frozenset[str] = frozenset()
    logs_first: bool = False
    before: int = 0
    trailing: tuple[tuple[str, Figure], ...] = ()
    leading: "tuple[Figure, Figure] | None" = None
    is_bar: bool = False
    numbered_by: "Record | None" = None
    leaves_out_nan: bool = False
    counts_epochs: bool = False

    def behind(self, text: str) -> str:
        """What stands in a line behind its records: nothing, or what another process wrote there."""
        end = max((head.end() for head in self.head.pattern.finditer(text)), default=len(text))
        closed = text.find(self.tail, end) + 1 if self.tail in CLOSING else 0
        return text[max(end, closed or text.rfind(" |", end) + 2) :]


def figure(
    name: str,
    label: str,
    template: str,
    *,
    factor: Decimal | str = ONE,
    units: Mapping[str, Decimal] | None = None,
    value: str = NUMBER,
) -> Figure:
    """A figure whose pattern is `template` with LABEL and VALUE put in; VALUE takes the printed unit along."""
    if units is not None:
        words = "|".join(re.escape(word) for word in sorted(units, key=len, reverse=True) if word)
        value = rf"({value})[ \t]?({words})?(?!\w)"
    else:
        value = rf"({value})"
    pattern = template.replace("LABEL", re.escape(label)).replace("VALUE", value)
    first = template.index("LABEL") <= min(template.index("VALUE"), BEFORE_TEXT)
    factor = ONE if factor in (ONE, "1") else Decimal(factor)
    return Figure(name, label, Pattern(pattern), factor, units, text=label, text_first=first)


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


def finite(value: float | None) -> float | None:
    """The value, or None for what is no finite number."""
    return value if value is not None and math.isfinite(value) else None


_END = r"(?=\s|\|)"

_BAR = rf"\| LABEL: {{0,4}}VALUE{_END}"


def _human(name: str, label: str, factor: str = "1") -> Figure:
    """A field between bars whose number may end in K, M, B or T."""
    return figure(name, label, _BAR, factor=factor, units=DECIMAL_SUFFIXES)


_RATE = r"[<\d:?]{4,20}, {1,3}VALUELABEL[,\]]"

_RATES = (figure("seconds", "s/it", _RATE), figure("iterations_per_second", "it/s", _RATE))


_NOT_OF_NAMES = re.compile("[ -]")


@dataclass(frozen=True, eq=False)
class Settings:
    """A line that holds settings: groups `name` and `value` of its pattern, as often as they stand in it.

    `names`: what is called otherwise here than in a dump of arguments; blanks and hyphens become underscores.
    """

    line: Line
    names: Mapping[str, str] = field(default_factory=dict)

    def pairs(self, text: str) -> Iterator[tuple[str, str]]:
        """Names and values in a line."""
        for match in self.line.pattern.finditer(text):
            name = _NOT_OF_NAMES.sub("_", match["name"])
            yield self.names.get(name, name), match["value"].replace(",", "")


def _settings(marker: str | tuple[str, ...], pattern: str, **names: str) -> Settings:
    markers = (marker,) if isinstance(marker, str) else marker
    pattern = pattern.replace("VALUE", rf"(?P<value>\d{{1,3}}(?:,\d{{3}}){{1,3}}|{COUNT})(?![\w.:])")
    return Settings(Line(markers, Pattern(pattern)), names)


@dataclass(frozen=True)
class TotalFigure:
    """A figure of the whole run: which of several to keep, and the plain text its lines hold."""

    marker: str
    figure: Figure
    keep: Literal["first", "last", "highest"] = "last"


@dataclass(frozen=True)
class MemoryReport:
    """A rank's report: groups `allocated` and `reserved` are peaks, `rank` may be missing and is 0 then."""

    name: str
    line: Line
    factor: Decimal = ONE
