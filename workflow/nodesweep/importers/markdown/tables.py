"""Tables of a document -> rows of values by quantity, with what they inherit; remarks on what was not understood."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

from nodesweep.common.text import plain
from nodesweep.importers.layout_values import READ_FIELDS

from .cells import CellValue, field_cell, is_ditto, value_cell
from .columns import KINDS, PLACED, UNITS, WITH_A_UNIT, HandKeptColumn, column_of
from .decoders import decoder_in
from .document import HeadingPath, RawRow, RawTable, read_document
from .hyperparameters import inherited, settings_of

_BULLET = re.compile(r"\A\s{0,12}(?:[-*+]\s{1,4})?")


@dataclass(frozen=True)
class HandKeptRow:
    """A row of a hand-kept table: `raw` cells as in the file and `cells` as read, one per column.

    `settings`: what the table inherits from lists and headings above it.
    """

    line: int
    raw: tuple[str, ...]
    cells: tuple[CellValue, ...]
    fields: tuple[str, ...] = field(repr=False)
    settings: Mapping[str, CellValue] = field(repr=False)

    @cached_property
    def values(self) -> dict[str, CellValue]:
        """Values by quantity; a column of the table comes before what is inherited."""
        own = {name: value for name, value in zip(self.fields, self.cells, strict=True) if name != "text"}
        return {**self.settings, **own}

    def count(self, name: str) -> int | None:
        """A whole number; None where it is unknown or only roughly known."""
        value = self.values.get(name)
        return None if value is None or value.number is None or value.approximate else int(value.number)

    def is_on(self, name: str) -> bool | None:
        """A yes or no; None where it is unknown."""
        value = self.values.get(name)
        return {"yes": True, "no": False}.get(value.word) if value else None

    def word(self, name: str) -> str | None:
        """Text; None where there is none."""
        value = self.values.get(name)
        return (value.word or None) if value else None

    @cached_property
    def decoder(self) -> str:
        """The name of a decoder that is no GPT, as the row or what stands above its table says; empty for none."""
        words = [cell for name, cell in zip(self.fields, self.raw, strict=True) if name in ("size", "text", "note")]
        name = decoder_in(" ".join(words)) or self.word("decoder") or ""
        return "" if name == "GPT" else name

    @property
    def recomputes(self) -> bool | None:
        """Whether activations are recomputed, if that is known."""
        return self.is_on("activation_checkpointing")


@dataclass(frozen=True)
class HandKeptTable:
    """A table of results; `line` is that of its headings."""

    line: int
    path: HeadingPath
    columns: tuple[HandKeptColumn, ...]
    rows: tuple[HandKeptRow, ...]

    def column(self, name: str) -> HandKeptColumn | None:
        """The column of a quantity."""
        return next((column for column in self.columns if column.field == name), None)


@dataclass(frozen=True)
class ImportRemark:
    """A note on a line that is no finding: a column kept as text, a table left alone, an assumption."""

    line: int
    text: str


@dataclass(frozen=True)
class HandKeptTables:
    """The tables of results of a document, its footnotes by mark, and remarks on the rest."""

    tables: tuple[HandKeptTable, ...]
    footnotes: Mapping[str, str]
    remarks: tuple[ImportRemark, ...]


def read_tables(text: str) -> HandKeptTables:
    """Read all tables of results; raises NodesweepError where the text is too large."""
    document = read_document(text)
    results = [table for table in document.tables if _is_result([column_of(one).field for one in table.headings])]
    settings = settings_of(document, results)
    remarks = [
        ImportRemark(table.line, f"left alone: a table without columns of nodes or parallel sizes ({_some(table)})")
        for table in document.tables
        if table not in results
    ]
    remarks += [
        ImportRemark(line, "left alone: lines with pipes, but no line of dashes under the first")
        for line in document.loose
    ]
    tables = []
    for raw in results:
        table = _table(raw, inherited(settings, raw))
        remarks += _remarks_on(raw, table)
        tables.append(table)
    footnotes = _footnotes([line.text for line in document.texts], tables)
    return HandKeptTables(tuple(tables), footnotes, tuple(sorted(remarks, key=lambda remark: remark.line)))


def _is_result(fields: list[str]) -> bool:
    known = {name for name in fields if name != "text"}
    return bool(known & PLACED) and len(known) >= 2


def _some(table: RawTable) -> str:
    return plain(", ".join(table.headings), 60)


def _table(raw: RawTable, settings: Mapping[str, CellValue]) -> HandKeptTable:
    width = max(len(row.cells) for row in (RawRow(raw.line, raw.headings), *raw.rows))
    columns: list[HandKeptColumn] = []
    for heading in (*raw.headings, *[""] * (width - len(raw.headings))):
        column = column_of(heading)
        if column.field in (other.field for other in columns):
            column = HandKeptColumn(column.heading, "text")
        columns.append(column)
    rows: list[HandKeptRow] = []
    fields = tuple(column.field for column in columns)
    above: tuple[str, ...] = ("",) * width
    for raw_row in raw.rows:
        cells = (*raw_row.cells, *[""] * (width - len(raw_row.cells)))
        meant = tuple(before if is_ditto(cell) else cell for cell, before in zip(cells, above, strict=True))
        values = tuple(_value(column, cell, raw_row.line) for column, cell in zip(columns, meant, strict=True))
        rows.append(HandKeptRow(raw_row.line, cells, values, fields, settings))
        above = meant
    return HandKeptTable(raw.line, raw.path, tuple(columns), tuple(rows))


def _value(column: HandKeptColumn, cell: str, line: int) -> CellValue:
    units = UNITS.get(column.field, {})
    if column.field in READ_FIELDS:
        return field_cell(cell, line, READ_FIELDS[column.field], units)
    return value_cell(cell, line, KINDS.get(column.field, "word"), units)


def _remarks_on(raw: RawTable, table: HandKeptTable) -> list[ImportRemark]:
    """Remarks on what was not understood of a table."""
    remarks = []
    unknown = [column.heading for column in table.columns if column.field == "text" and column.heading]
    if unknown:
        names = ", ".join(f"'{plain(name, 40)}'" for name in unknown)
        remarks.append(
            ImportRemark(raw.line, f"not understood, or a second column of its kind, and kept as text: {names}")
        )
    for row, raw_row in zip(table.rows, raw.rows, strict=True):
        if len(raw_row.cells) != len(raw.headings):
            counts = f"{len(raw_row.cells)} cells under {len(raw.headings)} headings"
            remarks.append(ImportRemark(row.line, f"{counts}; cells count from the left, what is missing is unknown"))
        remarks += [
            ImportRemark(row.line, f"{column.heading} '{plain(value.shown, 60)}' is not understood and kept as text")
            for column, value in zip(table.columns, row.cells, strict=True)
            if not value.known
        ]
    return remarks


def _footnotes(lines: list[str], tables: list[HandKeptTable]) -> dict[str, str]:
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


def scaled(value: CellValue, column: HandKeptColumn | None, name: str) -> tuple[Decimal, Decimal] | None:
    """A number in seconds, MiB, GHz or TFLOPs, with half a unit of its last digit; None where it is unknown.

    The unit is that of the cell, else of the heading, else seconds; memory and clocks without a unit are unknown.
    """
    if value.number is None:
        return None
    scale = UNITS.get(name, {}).get(value.unit) or (column.scale if column else None)
    if scale is None:
        if name in WITH_A_UNIT:
            return None
        scale = Decimal(1)
    if column is not None and column.rate:
        return (1 / value.number, value.half / value.number**2) if value.number else None
    return value.number * scale, value.half * scale
