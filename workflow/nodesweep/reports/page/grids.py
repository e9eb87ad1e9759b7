"""Views of a tidy table -> tables of a page: cells as text, and the values by which they are sorted and filtered."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from markupsafe import escape

from nodesweep.common.markdown import read
from nodesweep.common.numbers import word
from nodesweep.config.columns import TIDY
from nodesweep.reports.tables.cells import COLUMN_OF_HEADING, STANDARD, Column, Row, figure, known, varies
from nodesweep.reports.tables.document import View

OUTCOME = "Outcome"
_FIRST = (
    *("Nodes", "DP", "MP", "PP", "MBS", "GBS", "Sequence", "AC", "Freq", "Size", "Variant", "Campaign"),
    *("Mem", "Sec/it", "TFLOPs", "Est. Aggr. PetaFLOPs", "Tokens/s"),
)
_ALWAYS = ("Nodes", "DP", "MP", "PP", "Mem", "Sec/it", "TFLOPs")
_AT_FIRST_HIDDEN = ("Est. Aggr. PetaFLOPs", "HFU", "Predicted Mem", "Mem off", "Records", "Spread [s]")
_MORE = (("Spread [s]", "iteration_seconds_half_interquartile_range"), ("Records", "records_used"))


@dataclass(frozen=True)
class Heading:
    """A column: `kind` is number or word; `hidden`: not among those shown at first."""

    text: str
    kind: str
    left: bool = False
    hidden: bool = False


class Cell(NamedTuple):
    """A cell: its text, escaped where it is known to be plain.

    `value`: what it is sorted by where its text does not say so, a number, or empty for the unknown.
    """

    text: str
    value: str | None = None
    left: bool = False


@dataclass(frozen=True)
class Line:
    """A row: the layout it is of, how that stands, and its cells."""

    slug: str
    outcome: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Grid:
    """A table of a page; `meanings`: what its headings mean."""

    name: str
    headings: tuple[Heading, ...]
    lines: tuple[Line, ...]
    heading: str = ""
    text: str = ""
    meanings: tuple[tuple[str, str], ...] = ()

    @property
    def outcome_place(self) -> int:
        """The column that says how a row ended, from 0; -1 where none does."""
        return next((place for place, heading in enumerate(self.headings) if heading.text == OUTCOME), -1)


def standing(row: Row) -> str:
    """One word for how a row stands: its outcome once it has ended, else its state."""
    return _standing(row["outcome"], row["state"])


def _standing(outcome: str | None, state: str | None) -> str:
    return (outcome or "no outcome") if state == "ended" else state or "unknown"


def grid(view: View, rows: Iterable[Row], **words: Any) -> Grid:
    """A view of some rows."""
    sources = [_source(column) for column in view.columns]
    headings = tuple(
        Heading(column.heading, _kind(source), column.left, column.heading in _AT_FIRST_HIDDEN)
        for column, source in zip(view.columns, sources, strict=True)
    )
    numbers = [source if heading.kind == "number" else "" for heading, source in zip(headings, sources, strict=True)]
    lefts = [heading.left for heading in headings]
    lines = []
    for row in rows:
        texts = map(read, view.cells(row))
        cells = (
            Cell(escape(text), _value(row[number], text) if number else None, left)
            for text, number, left in zip(texts, numbers, lefts, strict=True)
        )
        lines.append(Line(row["slug"] or "", standing(row), tuple(cells)))
    return Grid(headings=headings, lines=tuple(lines), **words)


def plain_grid(
    name: str, headings: Sequence[str], left: frozenset[str], rows: Iterable[tuple[str, str, Sequence[str]]]
) -> Grid:
    """A table of texts: slug, outcome and cells of each row; columns outside `left` are numbers."""
    return Grid(
        name,
        tuple(Heading(text, "word" if text in left else "number", text in left) for text in headings),
        tuple(
            Line(
                slug, outcome, tuple(Cell(text, None, name in left) for text, name in zip(cells, headings, strict=True))
            )
            for slug, outcome, cells in rows
        ),
    )


def all_layouts(rows: Sequence[Row]) -> Grid:
    """Every row with all that is known of it."""
    rest = [name for name in COLUMN_OF_HEADING if name not in (*_FIRST, "Notes")]
    view = View(
        (
            replace(figure("Layout", "slug"), left=True),
            Column(OUTCOME, ("outcome", "state"), lambda outcome, state: word(_standing(outcome, state)), left=True),
            *(_needed(COLUMN_OF_HEADING[name]) for name in (*_FIRST, *rest)),
            *(replace(figure(heading, name), shown=known(name)) for heading, name in _MORE),
            COLUMN_OF_HEADING["Notes"],
        )
    )
    return grid(view.shown(list(rows)), rows, name="layouts")


def _needed(column: Column) -> Column:
    """The column where rows differ in it, or have it: in a table of everything what is always the same is left out."""
    if column.heading in _ALWAYS or column.heading not in STANDARD or len(column.sources) > 1:
        return column
    source = column.sources[0]
    return replace(column, shown=varies(source) if TIDY[source].kind != "number" else known(source))


def _source(column: Column) -> str:
    """The tidy column a cell is sorted by; empty where that is its text."""
    return column.number or (column.sources[0] if len(column.sources) == 1 else "")


def _kind(source: str) -> str:
    return "number" if source and TIDY[source].kind in ("count", "number") else "word"


def _value(value: Any, text: str) -> str | None:
    if value is None or not math.isfinite(value):
        return ""
    exact = repr(int(value) if value == int(value) else float(value))
    return None if exact == text else exact


def noted(notations: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Terms and their meanings as text."""
    return tuple((read(term), read(meaning)) for term, meaning in notations)
