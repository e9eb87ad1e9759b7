"""A row of a hand-kept table as a row that can be traced: to its cells, and to what was found wrong in them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nodesweep.config.layout_fields import COLUMNS
from nodesweep.importers.markdown import Imported, ImportedRow, ImportedTable
from nodesweep.importers.saved_file import read_saved
from nodesweep.results.table import build, to_csv

from .facts import Trace, cells_of
from .formulas import PARALLEL_PRODUCT

FIELDS = {
    **{column: row.name for column, row in COLUMNS.items()},
    "model_size": "size",
    "note": "note",
    "outcome": "status",
    "memory_mib": "memory",
    "iteration_seconds": "seconds",
    "tokens_per_second": "tokens_per_second",
    "tflops_per_node": "tflops",
    "aggregate_petaflops": "aggregate",
}
"""Columns of results.csv, and the quantities of a hand-kept table they are read from."""

FOLLOWS = {
    "slug": "the name of the file and the line",
    "source": "a row of a hand-kept table",
    "source_file": "the file that was imported",
    "source_line": "the line of the row",
    "state": "what stands in such a table has ended",
    "outcome": "oom where a cell says that memory ran out, ok where there is a time, else unknown",
    "outcome_note": "file and line, remarks beside the numbers, footnotes",
    "flags": "what was found wrong in the row",
    "ranks": "nodes x ranks per node",
    **{
        row.column: f"no cell of its own: from lists or headings above its table, else {row.default} as usual"
        for row in COLUMNS.values()
        if row.absent_means_default
    },
    "ranks_per_node": f"what fits {PARALLEL_PRODUCT} of the table's rows",
    "tokens_per_second": "GBS x sequence length / sec/it",
    "campaign": "the file, the number of its table and the machine of the row: nobody knows whether two were made with "
    "one software stack",
}
"""Where columns of results.csv come from that have no cell of their own."""


@dataclass(frozen=True)
class TraceableImport:
    """An imported row; `path`: the file that holds the import."""

    path: Path
    document: Imported
    table: ImportedTable
    row: ImportedRow

    @property
    def folder(self) -> Path:
        """The folder of the results that the row was taken into."""
        return self.path.parent.parent

    @property
    def head(self) -> list[str]:
        """The file and line that the row was imported from."""
        return [f"{self.path}: imported from {self.document.file}, line {self.row.line}"]

    def traces(self, columns: Iterable[str]) -> dict[str, Trace]:
        """Where the values of these columns come from."""
        return {name: Trace(sentences_of(self.document, self.table, self.row, name)) for name in columns}

    def values(self) -> dict[str, str]:
        """The cells of the row by column."""
        figures = self.document.figures_of(self.table, self.row)
        return cells_of(to_csv(build((), [figures])), self.row.figures.slug)

    def lines(self, numbers: set[int]) -> tuple[dict[int, str], list[str]]:
        """No lines: a hand-kept table has no log."""
        return {}, []


def imported_rows(path: Path) -> dict[str, TraceableImport]:
    """The rows of an imported file by slug; raises NodesweepError for a file of another version."""
    document = read_saved(path, Imported.from_json)
    return {
        row.figures.slug: TraceableImport(path, document, table, row) for table in document.tables for row in table.rows
    }


def sentences_of(imported: Imported, table: ImportedTable, row: ImportedRow, name: str) -> tuple[str, ...]:
    """Where a column of results.csv comes from in an imported row, one sentence a line."""
    place, field = f"{imported.file}:{row.line}", FIELDS.get(name)
    found = [
        f"{place}: cell of {heading!r}: {raw.strip()!r}"
        + (f", corrected {corrected.strip()!r}" if corrected.strip() != raw.strip() else "")
        for heading, of, raw, corrected in zip(table.headings, table.fields, row.raw, row.corrected, strict=True)
        if of == field
    ]
    findings = [one for one in imported.findings if one.line in (row.line, table.line) and one.field == field]
    found += [f"{imported.file}:{one.line}: {one.sentence()}" for one in findings]
    if found:
        return tuple(found)
    if row.figures.row().get(name) is None and name != "campaign":
        return (f"{place}: says nothing of it",)
    return (
        f"{place}: {FOLLOWS.get(name, 'no cell of its own: from lists or headings above its table, or other cells')}",
    )
