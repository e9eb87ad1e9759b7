"""Rows of a checked table -> what they say as measurements, in the columns of the tidy table."""

from dataclasses import dataclass
from decimal import Decimal

from nodesweep.common.text import plain

from .cells import size_word
from .checks import Checks
from .columns import MEASURED
from .models import parameters_of, size_words
from .tables import Row, scaled

_MEASURED = (*MEASURED, "status")


@dataclass(frozen=True)
class Figures:
    """A row of the tidy table; names, units and meaning are those of columns.TIDY, None is unknown."""

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
    nodes: int | None
    ranks_per_node: int | None
    ranks: int | None
    data: int | None
    tensor: int | None
    pipeline: int | None
    micro_batch_samples: int | None
    global_batch_samples: int | None
    sequence_length_tokens: int | None
    activation_checkpointing: bool | None
    frequency_ghz: float | None
    model_size: str | None
    layers: int | None
    hidden_size: int | None
    attention_heads: int | None
    vocab_size: int | None
    memory_mib: float | None
    iteration_seconds: float | None
    tokens_per_second: float | None
    tflops_per_node: float | None
    aggregate_petaflops: float | None


def figures_of(checks: Checks, row: Row, file: str, footnotes: dict[str, str], flags: list[str]) -> Figures:
    """What a row says, sure corrections applied; `flags` are its findings in words."""
    nodes, per_node = checks.count(row, "nodes"), checks.ranks_per_node
    ranks = row.count("ranks") or (nodes * per_node if nodes else None)
    seconds = iteration_seconds(checks, row)
    batch, sequence = row.count("global_batch"), row.count("sequence_length")
    tokens = batch * sequence / seconds if seconds and batch and sequence else None
    oom = _out_of_memory(row, seconds)
    note = row.values.get("note")
    stem = file.rpartition(".")[0] or file
    return Figures(
        slug=f"imported-{stem}-{row.line}",
        source="import",
        source_file=file,
        source_line=row.line,
        state="ended",
        outcome="oom" if oom else "ok" if seconds else "unknown",
        evidence=oom,
        note=note.word if note else None,
        outcome_note="; ".join([f"imported, {file}:{row.line}", *_remarks(checks, row, footnotes)]),
        flags="; ".join(flags) or None,
        nodes=nodes or (ranks // per_node if ranks else None),
        ranks_per_node=per_node if ranks else None,
        ranks=ranks,
        data=checks.count(row, "data"),
        tensor=checks.count(row, "tensor"),
        pipeline=checks.count(row, "pipeline"),
        micro_batch_samples=row.count("micro_batch"),
        global_batch_samples=batch,
        sequence_length_tokens=sequence,
        activation_checkpointing=row.recomputes,
        frequency_ghz=_measured(checks, row, "frequency"),
        model_size=_size(row),
        layers=row.count("layers"),
        hidden_size=row.count("hidden_size"),
        attention_heads=row.count("attention_heads"),
        vocab_size=row.count("vocab_size"),
        memory_mib=_measured(checks, row, "memory"),
        iteration_seconds=seconds,
        tokens_per_second=tokens or _measured(checks, row, "tokens_per_second"),
        tflops_per_node=_tflops_per_node(checks, row),
        aggregate_petaflops=_aggregate(checks, row),
    )


def _size(row: Row) -> str | None:
    """The size of the model as the document names it, else by its parameters."""
    size, parameters = row.values.get("size"), parameters_of(row)
    named = size_word(size.word) or size.word if size else ""
    return named or (size_words(parameters) if parameters else None)


def iteration_seconds(checks: Checks, row: Row) -> float | None:
    """Time of one iteration, in the unit that is right."""
    value = row.values.get("seconds")
    amount = scaled(value, checks.table.column("seconds"), "seconds") if value else None
    if not value or not amount or not amount[0]:
        return None
    return float(amount[0] if value.unit else amount[0] * checks.time_factor)


def _measured(checks: Checks, row: Row, name: str) -> float | None:
    value = row.values.get(name)
    amount = scaled(value, checks.table.column(name), name) if value else None
    return float(amount[0]) if amount else None


def _tflops_per_node(checks: Checks, row: Row) -> float | None:
    tflops = _measured(checks, row, "tflops")
    rank_basis = checks.rates.convention.basis == "rank"
    return tflops * checks.ranks_per_node if tflops is not None and rank_basis else tflops


def _aggregate(checks: Checks, row: Row) -> float | None:
    """Petaflops as printed; printed TFLOPs count 1024 to one of them."""
    value, column = checks.corrected.get((row.line, "aggregate")), checks.table.column("aggregate")
    if value is None:
        value = row.values["aggregate"].number if "aggregate" in row.values else None
    if value is None or column is None:
        return None
    return float(value if column.scale == 1000 else value * (column.scale or 1) / Decimal(1024))


def _out_of_memory(row: Row, seconds: float | None) -> str | None:
    """The cell that says that memory ran out."""
    for name, value in zip(row.fields, row.cells, strict=True):
        if value.out_of_memory and (name in _MEASURED or (name == "note" and seconds is None)):
            return plain(value.shown)
    return None


def _remarks(checks: Checks, row: Row, footnotes: dict[str, str]) -> list[str]:
    """What stands beside the numbers of a row, and its footnotes."""
    remarks = [
        f"{column.heading}: {value.remark}"
        for column, value in zip(checks.table.columns, row.cells, strict=True)
        if value.remark and value.known and value.remark.casefold() not in ("oom", "out of memory")
    ]
    marks = dict.fromkeys(mark for value in row.cells for mark in value.marks if mark in footnotes)
    return [*remarks, *(footnotes[mark] for mark in marks)]
