"""Views of a tidy table -> tables of a page: cells as text, and the values by which they are sorted and filtered."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from markupsafe import escape

from nodesweep.common.markdown import read
from nodesweep.common.numbers import word
from nodesweep.config.columns import TIDY
from nodesweep.config.layout_fields import LAYOUT_FIELDS, SPREAD
from nodesweep.config.parameters import ParameterField, parameter_fields
from nodesweep.config.tidy_row import TidyRow, TidyValue, text_of
from nodesweep.reports.tables.cells import (
    COLUMN_OF_HEADING,
    STANDARD,
    ShownColumn,
    figure_column,
    known,
    parameter_column,
    varies,
)
from nodesweep.reports.tables.document import TableView

OUTCOME = "Outcome"
_FIELDS = [row for row in LAYOUT_FIELDS.values() if not row.worked_out]
_FIRST = [
    *(row.symbol for row in _FIELDS),
    "Size",
    "Campaign",
    "Mem",
    "Sec/it",
    "TFLOPs",
    "Est. Aggr. PetaFLOPs",
    "Tokens/s",
]
_ALWAYS = {*(row.symbol for row in SPREAD), "Mem", "Sec/it", "TFLOPs"}
_AT_FIRST_HIDDEN = ("Est. Aggr. PetaFLOPs", "HFU", "Predicted Mem", "Mem off", "Records", "Spread [s]")
_MORE = {"Spread [s]": "iteration_seconds_half_interquartile_range", "Records": "records_used"}


@dataclass(frozen=True)
class GridHeading:
    """A column: `kind` is number or word; `hidden`: not among those shown at first."""

    text: str
    kind: str
    left: bool = False
    hidden: bool = False


class GridCell(NamedTuple):
    """A cell: its text, escaped where it is known to be plain.

    `value`: what it is sorted by where its text does not say so, a number, or empty for the unknown.
    """

    text: str
    value: str | None = None
    left: bool = False


@dataclass(frozen=True)
class GridLine:
    """A row: the layout it is of, how that stands, and its cells."""

    slug: str
    outcome: str
    cells: tuple[GridCell, ...]


@dataclass(frozen=True)
class DataGrid:
    """A table of a page; `meanings`: what its headings mean."""

    name: str
    headings: tuple[GridHeading, ...]
    lines: tuple[GridLine, ...]
    heading: str = ""
    text: str = ""
    meanings: tuple[tuple[str, str], ...] = ()

    @property
    def outcome_place(self) -> int:
        """The column that says how a row ended, from 0; -1 where none does."""
        return next((place for place, heading in enumerate(self.headings) if heading.text == OUTCOME), -1)


def status_word(row: TidyRow) -> str:
    """One word for how a row stands: its outcome once it has ended, else its state."""
    return _status_word(text_of(row, "outcome"), text_of(row, "state"))


def _status_word(outcome: str | None, state: str | None) -> str:
    return (outcome or "no outcome") if state == "ended" else state or "unknown"


def grid(
    view: TableView,
    rows: Iterable[TidyRow],
    name: str,
    heading: str = "",
    text: str = "",
    meanings: Sequence[tuple[str, str]] = (),
) -> DataGrid:
    """A view of some rows as a table of the page; `name`, `heading`, `text` and `meanings` are those of the grid."""
    rows = list(rows)
    sources, parameters = [_source(column) for column in view.columns], parameter_fields(rows)
    headings = tuple(
        GridHeading(column.heading, _kind(source, parameters), column.left, column.heading in _AT_FIRST_HIDDEN)
        for column, source in zip(view.columns, sources, strict=True)
    )
    numbers = [source if heading.kind == "number" else "" for heading, source in zip(headings, sources, strict=True)]
    lefts = [heading.left for heading in headings]
    lines = []
    for row in rows:
        texts = map(read, view.cells(row))
        cells = (
            GridCell(escape(text), _value(row.get(number), text) if number else None, left)
            for text, number, left in zip(texts, numbers, lefts, strict=True)
        )
        lines.append(GridLine(text_of(row, "slug") or "", status_word(row), tuple(cells)))
    return DataGrid(name, headings, tuple(lines), heading, text, tuple(meanings))


def plain_grid(
    name: str, headings: Sequence[str], left: frozenset[str], rows: Iterable[tuple[str, str, Sequence[str]]]
) -> DataGrid:
    """A table of texts: slug, outcome and cells of each row; columns outside `left` are numbers."""
    lines = (
        GridLine(
            slug, outcome, tuple(GridCell(text, None, one in left) for text, one in zip(cells, headings, strict=True))
        )
        for slug, outcome, cells in rows
    )
    return DataGrid(
        name,
        tuple(GridHeading(text, "word" if text in left else "number", text in left) for text in headings),
        tuple(lines),
    )


def all_layouts(rows: Sequence[TidyRow]) -> DataGrid:
    """A table of all rows with all their values."""
    rest = [name for name in COLUMN_OF_HEADING if name not in (*_FIRST, "Notes")]
    view = TableView(
        (
            replace(figure_column("Layout", "slug"), left=True),
            ShownColumn(OUTCOME, ("outcome", "state"), _outcome_cell, left=True),
            *(_needed(COLUMN_OF_HEADING[name]) for name in _FIRST),
            *map(parameter_column, parameter_fields(rows).values()),
            *(_needed(COLUMN_OF_HEADING[name]) for name in rest),
            *(replace(figure_column(heading, name), shown=known(name)) for heading, name in _MORE.items()),
            COLUMN_OF_HEADING["Notes"],
        )
    )
    return grid(view.shown(list(rows)), rows, name="layouts")


def _outcome_cell(outcome: str | None, state: str | None) -> str:
    return word(_status_word(outcome, state))


def _needed(column: ShownColumn) -> ShownColumn:
    """The column, shown only where rows differ in it or have a value; what is equal is left out."""
    if column.heading in _ALWAYS or column.heading not in STANDARD or len(column.sources) > 1:
        return column
    source = column.sources[0]
    return replace(column, shown=varies(source) if TIDY[source].kind != "number" else known(source))


def _source(column: ShownColumn) -> str:
    """The tidy column a cell is sorted by; empty where that is its text."""
    return column.number or (column.sources[0] if len(column.sources) == 1 else "")


def _kind(source: str, parameters: Mapping[str, ParameterField]) -> str:
    if not source or (source not in TIDY and source not in parameters):
        return "word"
    kind = TIDY[source].kind if source in TIDY else parameters[source].kind
    return "number" if kind in ("count", "number") else "word"


def _value(value: TidyValue, text: str) -> str | None:
    if not isinstance(value, int | float) or not math.isfinite(value):
        return ""
    exact = repr(int(value) if value == int(value) else float(value))
    return None if exact == text else exact


def noted(notations: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Terms and meanings in markdown as plain text."""
    return tuple((read(term), read(meaning)) for term, meaning in notations)
