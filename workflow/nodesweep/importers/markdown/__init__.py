"""Hand-kept markdown tables of benchmark results -> measurements and findings: `nodesweep import`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from nodesweep.common.errors import NodesweepError
from nodesweep.common.files import json_value
from nodesweep.common.text import plain
from nodesweep.config.tidy_row import TidyValue

from .checks import TableChecks, check
from .corrected import CorrectedTable, NumberedFindings, corrected_cells, document_of
from .findings import TableFinding
from .measurements import ImportedMeasurement, measurement_of
from .tables import HandKeptTables, ImportRemark, read_tables

SCHEMA_VERSION = 1
_OLDER_NAMES = {"frequency": "frequency_ghz"}
"""Quantities as version 0.1 wrote them, and what they are called since."""
Quantity = Annotated[str, BeforeValidator(lambda name: _OLDER_NAMES.get(name, name))]
"""A field of a layout, or another quantity that columns.py names."""


@dataclass(frozen=True)
class ImportedRow:
    """A row: its cells as in the file, without markup and as corrected, and the measurement they make."""

    line: int
    raw: tuple[str, ...]
    corrected: tuple[str, ...]
    figures: ImportedMeasurement


@dataclass(frozen=True)
class ImportedTable:
    """A table under its headings (levels and texts); `fields` are the quantities that its columns were read as."""

    line: int
    path: tuple[tuple[int, str], ...]
    headings: tuple[str, ...]
    fields: tuple[Quantity, ...]
    rows: tuple[ImportedRow, ...]
    footnotes: tuple[str, ...]


@dataclass(frozen=True)
class Imported:
    """A markdown file as it was read: its tables of results, findings in the order of lines, remarks on the rest."""

    schema_version: int
    file: str
    tables: tuple[ImportedTable, ...]
    findings: tuple[TableFinding, ...]
    remarks: tuple[ImportRemark, ...]

    def figures(self) -> Iterator[dict[str, TidyValue]]:
        """Rows for the tidy table.

        Each table is a campaign of its own: nobody knows whether two were made with one software stack. So is each
        machine that a table names.
        """
        return (self.figures_of(table, row) for table in self.tables for row in table.rows)

    def figures_of(self, table: ImportedTable, row: ImportedRow) -> dict[str, TidyValue]:
        """A row for the tidy table; of its campaign are file, table where there are several, and machine."""
        stem = self.file.rpartition(".")[0] or self.file
        number = str(self.tables.index(table) + 1) if len(self.tables) > 1 else ""
        machine = re.sub(r"[^\w.+-]+", "-", str(row.figures.layout["variant"] or ""))[:60].strip("-")
        return {**row.figures.row(), "campaign": "-".join(filter(None, (stem, number, machine)))}

    def document(self) -> str:
        """The corrected tables as markdown."""
        tables = [
            CorrectedTable(table.path, table.headings, [row.corrected for row in table.rows], table.footnotes)
            for table in self.tables
        ]
        return document_of(self.file, tables, [self._line(finding) for finding in self.findings])

    def report(self) -> str:
        """What was read and found, in lines for a terminal."""
        rows = sum(len(table.rows) for table in self.tables)
        lines = [
            f"{self.file}: {_counted(rows, 'row')} in {_counted(len(self.tables), 'table')}, "
            f"{_counted(len(self.findings), 'finding')}",
            *(f"  {number}. {self._line(finding)}" for number, finding in enumerate(self.findings, 1)),
            *(f"  note: line {remark.line}: {plain(remark.text, 600)}" for remark in self.remarks),
        ]
        return "\n".join(lines)

    def to_json(self) -> str:
        """The text of imported/<stem>.json."""
        return _adapter().dump_json(self, indent=1).decode() + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Imported":
        """An import again; raises NodesweepError for a text that `to_json` of this version did not write."""
        try:
            imported = _adapter().validate_python(json_value(text))
        except ValidationError as error:
            place = ".".join(map(str, error.errors()[0]["loc"]))
            raise NodesweepError(f"{place or 'its form'} is not as this version writes it; import again") from None
        except ValueError as error:
            raise NodesweepError(f"its form is not as this version writes it ({error!s:.80}); import again") from None
        if imported.schema_version != SCHEMA_VERSION:
            raise NodesweepError(f"schema version {imported.schema_version}, not {SCHEMA_VERSION}; import again")
        return imported

    @staticmethod
    def _line(finding: TableFinding) -> str:
        return f"line {finding.line}: {plain(finding.sentence(), 600)}"


def import_markdown(text: str, file: str) -> Imported:
    """Read, check and correct the tables of a markdown file; `file` is its name in results and messages.

    Raises NodesweepError where the text is too large or holds no table of results.
    """
    reading = read_tables(text)
    if not any(table.rows for table in reading.tables):
        found = "; ".join(f"line {remark.line}: {remark.text}" for remark in reading.remarks[:3]) or "it has no tables"
        raise NodesweepError(
            f"no table of results ({found}); one has a column of nodes, GPUs, DP, MP or PP beside others, "
            "and a line of dashes under its headings"
        )
    file, checked = plain(file, 120), list(check(reading))
    # A setting that several tables inherit is wrong once.
    once = {(one.line, one.where, one.text): one for checks in reversed(checked) for one in checks.findings}
    findings = tuple(sorted(once.values(), key=lambda one: one.line))
    remarks = (*reading.remarks, *(remark for checks in checked for remark in checks.remarks))
    return Imported(
        SCHEMA_VERSION,
        file,
        tuple(_table(checks, reading, findings, file) for checks in checked),
        findings,
        tuple(sorted(remarks, key=lambda remark: remark.line)),
    )


def _table(
    checks: TableChecks, reading: HandKeptTables, findings: tuple[TableFinding, ...], file: str
) -> ImportedTable:
    table, footnotes = checks.table, dict(reading.footnotes)
    by_line: dict[int, NumberedFindings] = {}
    for number, finding in enumerate(findings, 1):
        by_line.setdefault(finding.line, []).append((number, finding))
    column_wide = [(number, finding) for number, finding in by_line.get(table.line, []) if finding.scale is not None]
    rows = []
    for row in table.rows:
        own = by_line.get(row.line, [])
        flags = [finding.sentence() for _, finding in own]
        figures = measurement_of(checks, row, file, footnotes, flags)
        rows.append(ImportedRow(row.line, row.raw, corrected_cells(row, own + column_wide), figures))
    marks = dict.fromkeys(mark for row in table.rows for value in row.cells for mark in value.marks)
    return ImportedTable(
        table.line,
        tuple((heading.level, plain(heading.text)) for heading in table.path),
        tuple(column.heading for column in table.columns),
        tuple(column.field for column in table.columns),
        tuple(rows),
        tuple(f"{mark} {footnotes[mark]}" for mark in marks if mark in footnotes),
    )


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


@cache
def _adapter() -> TypeAdapter[Imported]:
    return TypeAdapter(Imported)
