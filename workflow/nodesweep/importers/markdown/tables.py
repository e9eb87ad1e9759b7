"""Tables of a document -> rows of values by quantity, with what they inherit; and what was not understood, in words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

from nodesweep.common.text import plain

from .cells import Value, is_ditto, number_cell, text_cell, yes_no_cell
from .columns import COUNTS, MEASURED, PLACED, UNITS, Column, column_of
from .document import Path, RawRow, RawTable, read_document
from .hyperparameters import inherited, settings_of

_BULLET = re.compile(r"\A\s{0,12}(?:[-*+]\s{1,4})?")


@dataclass(frozen=True)
class Row:
    """A row: `raw` cells as in the file and `cells` as read, one per column; `settings`, what its table inherits."""

    line: int
    raw: tuple[str, ...]
    cells: tuple[Value, ...]
    fields: tuple[str, ...] = field(repr=False)
    settings: Mapping[str, Value] = field(repr=False)

    @cached_property
    def values(self) -> dict[str, Value]:
        """Values by quantity; a column of the table comes before what is inherited."""
        own = {name: value for name, value in zip(self.fields, self.cells, strict=True) if name != "text"}
        return {**self.settings, **own}

    def count(self, name: str) -> int | None:
        """A whole number; None where it is unknown or only roughly known."""
        value = self.values.get(name)
        return None if value is None or value.number is None or value.approximate else int(value.number)

    @property
    def recomputes(self) -> bool | None:
        """Whether activations are recomputed, if that is known."""
        value = self.values.get("activation_checkpointing")
        return {"yes": True, "no": False}.get(value.word) if value else None


@dataclass(frozen=True)
class Table:
    """A table of results."""

    line: int
    path: Path
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def column(self, name: str) -> Column | None:
        """The column of a quantity."""
        return next((column for column in self.columns if column.field == name), None)


@dataclass(frozen=True)
class Remark:
    """Something said of a line that is no finding: a column kept as text, a table left alone, an assumption."""

    line: int
    text: str


@dataclass(frozen=True)
class Reading:
    """The tables of results of a document, its footnotes by mark, and what is to be said of the rest."""

    tables: tuple[Table, ...]
    footnotes: Mapping[str, str]
    remarks: tuple[Remark, ...]


def read_tables(text: str) -> Reading:
    """Read all tables of results; raises NodesweepError where the text is too large."""
    document = read_document(text)
    results = [table for table in document.tables if _is_result([column_of(one).field for one in table.headings])]
    settings = settings_of(document, results)
    remarks = [
        Remark(table.line, f"left alone: a table without columns of nodes or parallel sizes ({_some(table)})")
        for table in document.tables
        if table not in results
    ]
    remarks += [
        Remark(line, "left alone: lines with pipes, but no line of dashes under the first") for line in document.loose
    ]
    tables = []
    for raw in results:
        table = _table(raw, inherited(settings, raw))
        remarks += _said(raw, table)
        tables.append(table)
    footnotes = _footnotes([line.text for line in document.texts], tables)
    return Reading(tuple(tables), footnotes, tuple(sorted(remarks, key=lambda remark: remark.line)))


def _is_result(fields: list[str]) -> bool:
    known = {name for name in fields if name != "text"}
    return bool(known & PLACED) and len(known) >= 2


def _some(table: RawTable) -> str:
    return plain(", ".join(table.headings), 60)


def _table(raw: RawTable, settings: Mapping[str, Value]) -> Table:
    width = max(len(row.cells) for row in (RawRow(raw.line, raw.headings), *raw.rows))
    columns: list[Column] = []
    for heading in (*raw.headings, *[""] * (width - len(raw.headings))):
        column = column_of(heading)
        if column.field in (other.field for other in columns):
            column = Column(column.heading, "text")
        columns.append(column)
    rows: list[Row] = []
    fields = tuple(column.field for column in columns)
    above: tuple[str, ...] = ("",) * width
    for raw_row in raw.rows:
        cells = (*raw_row.cells, *[""] * (width - len(raw_row.cells)))
        meant = tuple(before if is_ditto(cell) else cell for cell, before in zip(cells, above, strict=True))
        values = tuple(_value(column, cell, raw_row.line) for column, cell in zip(columns, meant, strict=True))
        rows.append(Row(raw_row.line, cells, values, fields, settings))
        above = meant
    return Table(raw.line, raw.path, tuple(columns), tuple(rows))


def _value(column: Column, cell: str, line: int) -> Value:
    if column.field in COUNTS:
        return number_cell(cell, line, (), whole=True)
    if column.field in MEASURED or column.field == "frequency":
        return number_cell(cell, line, UNITS.get(column.field, {}))
    if column.field == "activation_checkpointing":
        return yes_no_cell(cell, line)
    return text_cell(cell, line)


def _said(raw: RawTable, table: Table) -> list[Remark]:
    """What of a table was not understood."""
    remarks = []
    unknown = [column.heading for column in table.columns if column.field == "text" and column.heading]
    if unknown:
        names = ", ".join(f"'{plain(name, 40)}'" for name in unknown)
        remarks.append(Remark(raw.line, f"not understood, or a second column of its kind, and kept as text: {names}"))
    for row, raw_row in zip(table.rows, raw.rows, strict=True):
        if len(raw_row.cells) != len(raw.headings):
            counts = f"{len(raw_row.cells)} cells under {len(raw.headings)} headings"
            remarks.append(Remark(row.line, f"{counts}; cells count from the left, what is missing is unknown"))
        remarks += [
            Remark(row.line, f"{column.heading} '{plain(value.shown, 60)}' is not understood and kept as text")
            for column, value in zip(table.columns, row.cells, strict=True)
            if not value.known
        ]
    return remarks


def _footnotes(lines: list[str], tables: list[Table]) -> dict[str, str]:
    """The texts of the footnotes that cells refer to, by mark: `[^1]: text`, `*1 text`, `† text`."""
    marks = {mark for table in tables for row in table.rows for value in row.cells for mark in value.marks}
    found: dict[str, str] = {}
    for line in lines:
        text = _BULLET.sub("", line).removeprefix("\\")
        for mark in sorted(marks, key=len, reverse=True):
            if text.startswith(mark):
                found.setdefault(mark, plain(text[len(mark) :].lstrip(" :"), 300))
                break
    return found


def scaled(value: Value, column: Column | None, name: str) -> tuple[Decimal, Decimal] | None:
    """A measured value in seconds, MiB, GHz or TFLOPs, with half a unit of its last digit; None where it is unknown.

    The unit is that of the cell, else of the heading, else seconds; memory without a unit is unknown.
    """
    if value.number is None:
        return None
    scale = UNITS.get(name, {}).get(value.unit) or (column.scale if column else None)
    if scale is None:
        if name in ("memory", "frequency"):
            return None
        scale = Decimal(1)
    if column is not None and column.rate:
        return (1 / value.number, value.half / value.number**2) if value.number else None
    return value.number * scale, value.half * scale
