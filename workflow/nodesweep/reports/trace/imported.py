"""A figure of an imported row -> the cells and findings it comes from."""

from nodesweep.config.layout_fields import COLUMNS
from nodesweep.importers.markdown import Imported, ImportedRow, ImportedTable

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
    "ranks_per_node": "what fits DP x MP x PP of the table's rows",
    "tokens_per_second": "GBS x sequence length / sec/it",
    "campaign": "the file and the number of its table: nobody knows whether two were made with one software stack",
}
"""Where columns of results.csv come from that have no cell of their own."""


def trace(imported: Imported, table: ImportedTable, row: ImportedRow, name: str) -> tuple[str, ...]:
    """Where a column of results.csv comes from in an imported row, one sentence a line."""
    place, field = f"{imported.file}:{row.line}", FIELDS.get(name)
    said = [
        f"{place}: cell of {heading!r}: {raw.strip()!r}"
        + (f", corrected {corrected.strip()!r}" if corrected.strip() != raw.strip() else "")
        for heading, of, raw, corrected in zip(table.headings, table.fields, row.raw, row.corrected, strict=True)
        if of == field
    ]
    found = [one for one in imported.findings if one.line in (row.line, table.line) and one.field == field]
    said += [f"{imported.file}:{one.line}: {one.sentence()}" for one in found]
    if said:
        return tuple(said)
    if row.figures.row().get(name) is None and name != "campaign":
        return (f"{place}: says nothing of it",)
    return (
        f"{place}: {FOLLOWS.get(name, 'no cell of its own: from lists or headings above its table, or other cells')}",
    )
