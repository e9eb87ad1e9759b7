"""Rows of a checked table -> measurements in the columns of results.csv."""

import math
import re
from dataclasses import dataclass, fields
from decimal import Decimal

from pydantic import model_serializer, model_validator

from nodesweep.common.outcomes import OUTCOMES
from nodesweep.common.text import plain
from nodesweep.config.layout_field import LayoutField
from nodesweep.config.tidy_row import TidyValue
from nodesweep.importers.layout_values import READ_FIELDS, LayoutValue, columns_of
from nodesweep.sweep.constraints import RANKS_OF_NODES

from .cells import size_word
from .checks import TableChecks
from .columns import MEASURED
from .models import parameters_of, size_words
from .tables import HandKeptRow, scaled

_MEASURED = (*MEASURED, "status")
_FAILED = re.compile(
    r"(?:failed|failure|fail|crashed|error|aborted|killed|失敗|異常終了)(?:[ :(（,;].{0,400})?", re.IGNORECASE
)
"""Cells of a status or of a time that say that the run did not do its work."""


@dataclass(frozen=True)
class ImportedMeasurement:
    """A row of a hand-kept table as a measurement; names, units and meaning are those of columns.TIDY, None is unknown.

    `layout`: fields of layout and model by name, those that have a column; in JSON they stand among the others by
    their columns.
    """

    slug: str
    source: str
    source_file: str
    source_line: int
    state: str
    outcome: str
    evidence: str | None
    note: str | None
    outcome_note: str
    flags: str | None
    layout: dict[str, LayoutValue | None]
    model_size: str | None
    memory_mib: float | None
    iteration_seconds: float | None
    tokens_per_second: float | None
    tflops_per_node: float | None
    aggregate_petaflops: float | None

    def row(self) -> dict[str, TidyValue]:
        """The measurement by the columns of results.csv."""
        others = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "layout"}
        return {**others, **columns_of(self.layout)}

    @model_serializer
    def _to_json(self) -> dict[str, TidyValue]:
        """The row without sizes that the table does not name: they are defaults, and no reading of it."""
        return {**self.row(), **{READ_FIELDS[name].column: value for name, value in self.layout.items()}}

    @model_validator(mode="before")
    @classmethod
    def _from_json(cls, data: object) -> object:
        """Gather the fields of the layout from their columns; raises ValueError for a value of another kind."""
        if not isinstance(data, dict):
            return data
        rows = {row.column: row for row in READ_FIELDS.values() if row.column}
        layout = {row.name: _of_kind(row, data.get(column)) for column, row in rows.items()}
        return {**{name: value for name, value in data.items() if name not in rows}, "layout": layout}


def _of_kind(row: LayoutField, value: object) -> LayoutValue | None:
    """The value, if a field can have it; raises ValueError."""
    if value is None:
        return None
    if isinstance(value, bool):
        fits = row.kind == "yes_no"
    elif isinstance(value, int):
        fits = row.kind in ("count", "number")
    else:
        fits = (isinstance(value, float) and row.kind == "number") or (isinstance(value, str) and row.kind == "word")
    if not fits or not isinstance(value, int | float | str):
        raise ValueError(f"{row.name} cannot be {value!r:.40}")
    return value


def measurement_of(
    checks: TableChecks, row: HandKeptRow, file: str, footnotes: dict[str, str], flags: list[str]
) -> ImportedMeasurement:
    """The measurement of a row, sure corrections applied; `flags` are the findings about it in words."""
    seconds = iteration_seconds(checks, row)
    batch, sequence = row.count("global_batch"), row.count("sequence_length")
    tokens = batch * sequence / seconds if seconds and batch and sequence else None
    oom = _out_of_memory(row, seconds)
    stem = file.rpartition(".")[0] or file
    return ImportedMeasurement(
        slug=f"imported-{stem}-{row.line}",
        source="import",
        source_file=file,
        source_line=row.line,
        state="ended",
        outcome=_outcome(row, oom, seconds),
        evidence=oom,
        note=row.word("note"),
        outcome_note="; ".join([f"imported, {file}:{row.line}", *_remarks(checks, row, footnotes)]),
        flags="; ".join(flags) or None,
        layout=_layout(checks, row),
        model_size=_size(row),
        memory_mib=_measured(checks, row, "memory"),
        iteration_seconds=seconds,
        tokens_per_second=tokens or _measured(checks, row, "tokens_per_second"),
        tflops_per_node=_tflops_per_node(checks, row),
        aggregate_petaflops=_aggregate(checks, row),
    )


def _layout(checks: TableChecks, row: HandKeptRow) -> dict[str, LayoutValue | None]:
    """The fields of a row by name that have a column, and what follows of nodes and ranks from each other."""
    values = {name: _value(checks, row, field) for name, field in READ_FIELDS.items() if field.column}
    nodes, per_node = checks.count(row, "nodes"), checks.ranks_per_node
    ranks = row.count("ranks") or RANKS_OF_NODES.solved("ranks", {"nodes": nodes, "ranks_per_node": per_node})
    if values["sharding"] is None and values["sharding_group"] is not None:
        values["sharding"] = _sharding(int(values["sharding_group"]), ranks, row)
    return {
        **values,
        "nodes": nodes or (ranks // per_node if ranks else None),
        "ranks_per_node": per_node if ranks else None,
        "ranks": ranks,
    }


def _sharding(group: int, ranks: int | None, row: HandKeptRow) -> str | None:
    """What a column of FSDP sizes says: all replicas share, or groups of them do; 1 may be a size or a yes."""
    split = math.prod(row.count(name) or 1 for name in ("tensor", "pipeline", "context"))
    replicas = row.count("data") or (ranks // split if ranks else None)
    if group == 1 or replicas is None:
        return None
    return "hsdp" if group < replicas else "zero3"


def _value(checks: TableChecks, row: HandKeptRow, field: LayoutField) -> LayoutValue | None:
    if field.kind == "count":
        return checks.count(row, field.name)
    if field.kind == "number":
        return _measured(checks, row, field.name)
    return row.is_on(field.name) if field.kind == "yes_no" else row.word(field.name)


def _outcome(row: HandKeptRow, oom: str | None, seconds: float | None) -> str:
    """How the run ended: as a cell says, else ok where there is a time."""
    if oom:
        return "oom"
    status = (row.word("status") or "").casefold()
    if status in OUTCOMES:
        return status
    if any(_FAILED.fullmatch(row.values[name].shown) for name in ("status", "seconds") if name in row.values):
        return "crash"
    return "ok" if seconds else "unknown"


def _size(row: HandKeptRow) -> str | None:
    """The size of the model as the document names it, else by its parameters."""
    size, parameters = row.values.get("size"), parameters_of(row)
    named = size_word(size.word) or size.word if size else ""
    return named or (size_words(parameters) if parameters else None)


def iteration_seconds(checks: TableChecks, row: HandKeptRow) -> float | None:
    """Time of one iteration, in the unit that is right."""
    value = row.values.get("seconds")
    amount = scaled(value, checks.table.column("seconds"), "seconds") if value else None
    if not value or not amount or not amount[0]:
        return None
    return float(amount[0] if value.unit else amount[0] * checks.time_factor)


def _measured(checks: TableChecks, row: HandKeptRow, name: str) -> float | None:
    value = row.values.get(name)
    amount = scaled(value, checks.table.column(name), name) if value else None
    return float(amount[0]) if amount else None


def _tflops_per_node(checks: TableChecks, row: HandKeptRow) -> float | None:
    tflops = _measured(checks, row, "tflops")
    rank_basis = checks.rates.convention.basis == "rank"
    return tflops * checks.ranks_per_node if tflops is not None and rank_basis else tflops


def _aggregate(checks: TableChecks, row: HandKeptRow) -> float | None:
    """Petaflops as printed; printed TFLOPs count 1024 to one of them."""
    value, column = checks.corrected.get((row.line, "aggregate")), checks.table.column("aggregate")
    if value is None:
        value = row.values["aggregate"].number if "aggregate" in row.values else None
    if value is None or column is None:
        return None
    return float(value if column.scale == 1000 else value * (column.scale or 1) / Decimal(1024))


def _out_of_memory(row: HandKeptRow, seconds: float | None) -> str | None:
    """The cell that says that memory ran out."""
    for name, value in zip(row.fields, row.cells, strict=True):
        if value.out_of_memory and (name in _MEASURED or (name == "note" and seconds is None)):
            return plain(value.shown)
    return None


def _remarks(checks: TableChecks, row: HandKeptRow, footnotes: dict[str, str]) -> list[str]:
    """What stands beside the numbers of a row, and its footnotes."""
    remarks = [
        f"{column.heading}: {value.remark}"
        for column, value in zip(checks.table.columns, row.cells, strict=True)
        if value.remark and value.known and value.remark.casefold() not in ("oom", "out of memory")
    ]
    marks = dict.fromkeys(mark for value in row.cells for mark in value.marks if mark in footnotes)
    return [*remarks, *(footnotes[mark] for mark in marks)]
