"""What the reader looks for, as one list: the rows of all trainers and failures, and the search for their markers."""

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain

from nodesweep.logs.patterns.endings import Signature, Success
from nodesweep.logs.patterns.lines import (
    ArgumentDumpLine,
    IterationPattern,
    MemoryReport,
    NodeMemoryReport,
    RunTotal,
    SettingsLine,
    StartLine,
    WorldSizeLine,
)
from nodesweep.logs.patterns.quantities import Quantity
from nodesweep.logs.patterns.trainer import Format
from nodesweep.logs.search.search import LiteralSearch

from .endings.signatures import SIGNATURES_OF_ALL
from .trainers import FORMATS, TRAINERS

MOST_COMBINATIONS = 10_000
_SOURCES = ("trainer", "process", "script")
"""Of the words of success in one line those of the first source here count."""

SIGNATURES = (*chain.from_iterable(trainer.signatures for trainer in TRAINERS.values()), *SIGNATURES_OF_ALL)
"""Signatures of failures in the order in which they are tried: those of single trainers first."""
SUCCESSES = tuple(
    sorted(
        chain.from_iterable(trainer.successes for trainer in TRAINERS.values()),
        key=lambda success: _SOURCES.index(success.source),
    )
)
"""Words of success in the order in which they are tried."""


@dataclass(frozen=True, eq=False)
class TrailingQuantity:
    """A quantity of the last record of a kind, on a line of its own."""

    iteration: IterationPattern
    quantity: Quantity


@dataclass(frozen=True, eq=False)
class LeadingQuantity:
    """A quantity of the next record of a kind, on a line of its own, with the seconds that show whose it is."""

    iteration: IterationPattern
    quantity: Quantity
    seconds: Quantity


Rule = (
    IterationPattern
    | TrailingQuantity
    | LeadingQuantity
    | MemoryReport
    | NodeMemoryReport
    | WorldSizeLine
    | ArgumentDumpLine
    | SettingsLine
    | StartLine
    | RunTotal
    | Success
    | Signature
)


@dataclass(frozen=True)
class Rules:
    """Rules in the order they are tried, each with its markers, and a search for all markers.

    `by_text`: for each text of the search, the rules that have it as marker.
    """

    rows: tuple[tuple[Rule, tuple[str, ...]], ...]
    by_text: tuple[tuple[int, ...], ...]
    search: LiteralSearch
    _combinations: dict[frozenset[int], list[tuple[Rule, tuple[str, ...]]]] = field(default_factory=dict)

    def rows_for(self, texts: frozenset[int], line: str) -> list[Rule]:
        """The rules that have some of these texts as markers and whose markers a line holds, in order."""
        rows = self._combinations.get(texts)
        if rows is None:
            rows = [self.rows[index] for index in sorted({row for text in texts for row in self.by_text[text]})]
            if len(self._combinations) < MOST_COMBINATIONS:
                self._combinations[texts] = rows
        return [row for row, markers in rows if any(marker in line for marker in markers)]

    def rows_in(self, line: str) -> list[Rule]:
        """The rules whose markers a line holds."""
        return self.rows_for(frozenset(index for index, text in enumerate(self.search.texts) if text in line), line)


@lru_cache(maxsize=8)
def rules(form: Format | None) -> Rules:
    """The rules for logs of one format, or of any."""
    rows = [*_iteration_rules(form), *_other_rules(form)]
    by_text: dict[str, list[int]] = {}
    for index, (_, markers) in enumerate(rows):
        for text in dict.fromkeys(markers):
            by_text.setdefault(text, []).append(index)
    return Rules(tuple(rows), tuple(map(tuple, by_text.values())), LiteralSearch(tuple(by_text)))


def _iteration_rules(form: Format | None) -> list[tuple[Rule, tuple[str, ...]]]:
    """Rules for the iterations of one format, or of all, and for the quantities on lines around them."""
    patterns = [form.iteration, form.iteration.numbered_by] if form else [row.iteration for row in FORMATS.values()]
    iterations = list({row.name: row for row in patterns if row is not None}.values())
    return [
        *((row, row.head.markers) for row in iterations),
        *((TrailingQuantity(row, quantity), (text,)) for row in iterations for text, quantity in row.trailing),
        *((LeadingQuantity(row, *row.leading), (row.leading[0].text,)) for row in iterations if row.leading),
    ]


def _other_rules(form: Format | None) -> list[tuple[Rule, tuple[str, ...]]]:
    """Rules for all other lines; whatever the format, any program may print any of them."""
    trainers = TRAINERS.values()
    starts = [StartLine(line) for line in form.starts] if form else []
    return [
        *((row, row.line.markers) for trainer in trainers for row in trainer.memory_reports),
        *((row, row.line.markers) for trainer in trainers for row in trainer.world_size),
        *((row, row.line.markers) for trainer in trainers for row in trainer.argument_dump),
        *((row, row.line.markers) for trainer in trainers for row in trainer.settings),
        *((row, row.line.markers) for row in (*chain.from_iterable(trainer.starts for trainer in trainers), *starts)),
        *((row, (row.marker,)) for trainer in trainers for row in trainer.totals),
        *((row, row.markers) for row in (*(form.successes if form else ()), *SUCCESSES)),
        *((row, row.markers) for row in SIGNATURES),
    ]
