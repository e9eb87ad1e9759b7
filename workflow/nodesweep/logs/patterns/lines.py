"""Rows that describe lines of a log: iterations, settings, totals, memory, starts and the dump of arguments.

Each line names markers: plain text of which every such line holds one. A log is searched for the markers of all rows
at once, and only lines that hold one are tried against patterns. So a marker should be rare, and long.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from nodesweep.common.text_pattern import TextPattern

from .quantities import COUNT, ONE, Quantity
from .regex import Pattern

CLOSING = ("]", "}")


@dataclass(frozen=True, eq=False)
class LinePattern:
    """A kind of line: plain texts of which it holds one, and its pattern."""

    markers: tuple[str, ...]
    pattern: Pattern | TextPattern


def line_with(text: str, pattern: str | None = None) -> LinePattern:
    """A line that holds a text; without a pattern the text itself is looked for."""
    return LinePattern((text,), Pattern(pattern or re.escape(text)))


@dataclass(frozen=True, eq=False)
class IterationPattern:
    """The line of an iteration: its head with groups `number` and, where printed, `total`; then its quantities.

    `tail`: what every whole line of it ends with, so that one torn in two is recognised; empty where unknown.
    `first_number`: what the first iteration of a run is called. `derive`: how seconds follow where none are printed:
    "clock" from the time stamps of lines, "tokens" from tokens of a batch and tokens per second. `rank`: 0 for lines
    made to be read, higher for those that only stand in where a log has no others (progress bars, engines). `needed`:
    quantities without which the line is not whole. `logs_first`: the first iteration always has a record. `before`:
    how many characters before the head its quantities may begin. `trailing`: quantities of the last record on lines of
    their own, each with the plain text it stands behind. `leading`: a quantity of the next record on a line of its
    own, and the seconds there that show whose it is. `is_bar`: it is a progress bar, of which a log may hold several,
    distinguished by their totals. `numbered_by`: the bar drawn before lines that do not say which iteration they are.
    `leaves_out_nan`: a loss that is not a number is left out. `counts_epochs`: totals may be those of an epoch.
    `may_sum_first`: timers are not always reset after the first record, so that the second may hold the first too.
    """

    name: str
    head: LinePattern
    quantities: tuple[Quantity, ...] = ()
    tail: str = ""
    first_number: int = 1
    derive: Literal["", "clock", "tokens"] = ""
    rank: int = 0
    needed: frozenset[str] = frozenset()
    logs_first: bool = False
    before: int = 0
    trailing: tuple[tuple[str, Quantity], ...] = ()
    leading: tuple[Quantity, Quantity] | None = None
    is_bar: bool = False
    numbered_by: "IterationPattern | None" = None
    leaves_out_nan: bool = False
    counts_epochs: bool = False
    may_sum_first: bool = False

    def rest_of(self, text: str) -> str:
        """What stands in a line behind its records: nothing, or what another process wrote there."""
        end = max((head.end() for head in self.head.pattern.finditer(text)), default=len(text))
        closed = text.find(self.tail, end) + 1 if self.tail in CLOSING else 0
        return text[max(end, closed or text.rfind(" |", end) + 2) :]


_NOT_OF_NAMES = re.compile("[ -]")


@dataclass(frozen=True, eq=False)
class SettingsLine:
    """A line that holds settings: groups `name` and `value` of its pattern, as often as they stand in it.

    `names`: what is called otherwise here than in a dump of arguments; blanks and hyphens become underscores.
    """

    line: LinePattern
    names: Mapping[str, str] = field(default_factory=dict)

    def pairs(self, text: str) -> Iterator[tuple[str, str]]:
        """Names and values in a line."""
        for match in self.line.pattern.finditer(text):
            name = _NOT_OF_NAMES.sub("_", match["name"])
            yield self.names.get(name, name), match["value"].replace(",", "")


def settings_line(marker: str | tuple[str, ...], pattern: str, **names: str) -> SettingsLine:
    """A line of settings; VALUE in the pattern is a whole number, maybe with separators of thousands."""
    markers = (marker,) if isinstance(marker, str) else marker
    pattern = pattern.replace("VALUE", rf"(?P<value>\d{{1,3}}(?:,\d{{3}}){{1,3}}|{COUNT})(?![\w.:])")
    return SettingsLine(LinePattern(markers, Pattern(pattern)), names)


@dataclass(frozen=True, eq=False)
class RunTotal:
    """A quantity of the whole run: which of several to keep, and the plain text its lines hold."""

    marker: str
    quantity: Quantity
    keep: Literal["first", "last", "highest"] = "last"


@dataclass(frozen=True, eq=False)
class MemoryReport:
    """A rank's report: groups `allocated` and `reserved` are peaks, `rank` may be missing and is 0 then.

    `factor`: from the printed unit to MiB.
    """

    name: str
    line: LinePattern
    factor: Decimal = ONE


PEAK_ALLOCATED, PEAK_RESERVED = r"(?P<allocated>\d{1,12}\.\d{1,18})", r"(?P<reserved>\d{1,12}\.\d{1,18})"
"""The groups of a memory report."""


@dataclass(frozen=True, eq=False)
class NodeMemoryReport:
    """A rank's report on its node's memory: group `used` in MiB, `rank` may be missing and is 0 then."""

    line: LinePattern


@dataclass(frozen=True, eq=False)
class WorldSizeLine:
    """A line whose first group is the number of processes."""

    line: LinePattern


@dataclass(frozen=True, eq=False)
class ArgumentDumpLine:
    """A line of the dump of arguments: its first, its last, or any argument of a dump whose first line is gone."""

    line: LinePattern
    role: Literal["first", "last", "any"]


@dataclass(frozen=True, eq=False)
class StartLine:
    """A line that says that training starts, or shows that it `has_begun`."""

    line: LinePattern
    has_begun: bool = False
