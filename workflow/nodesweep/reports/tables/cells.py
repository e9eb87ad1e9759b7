"""Values -> cells of a table: the standard columns, and columns of any figure; the only place that rounds."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from nodesweep.common.markdown import inert
from nodesweep.common.numbers import (
    UNKNOWN,
    count,
    energy,
    frequency,
    interval,
    memory,
    off,
    percent,
    rounded,
    word,
    yes_no,
)
from nodesweep.common.outcomes import NOT_RUN
from nodesweep.config.columns import TIDY

MARKS = "marks"
"""What a cell may ask for beside the tidy columns: the annotations in the other cells of its row."""
PARALLEL = "DP, MP, PP"
PARALLEL_MEANING = "data, tensor model and pipeline parallel size"
Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, the tidy columns it shows, and how their values become the cell.

    `number`: the tidy column a number format can be given for. `mark`: what is put after the cell. `shown`: whether a
    table of these rows needs the column. `term`, `meaning`: its line in the notations, none where the meaning is empty;
    words in braces are filled in by whoever knows the sweep.
    """

    heading: str
    sources: tuple[str, ...]
    cell: Callable[..., str]
    shown: Callable[[list[Row]], bool] = lambda rows: True
    number: str = ""
    mark: Callable[[Row], str] = lambda row: ""
    term: str = ""
    meaning: str = ""
    left: bool = False


def out_of_memory(row: Row) -> str:
    """Where the run ended if memory ran out: `(OOM after iteration 1)`."""
    return inert(f"({' '.join(filter(None, ('OOM', row['where'])))})") if row["outcome"] == "oom" else ""


def notes(
    note: str | None,
    state: str,
    outcome: str | None,
    where: str | None,
    outcome_note: str | None,
    flags: str | None,
    marks: str,
) -> str:
    """The layout's own note; then what became of it, unless all is well or the `marks` of other cells say it."""
    if state in NOT_RUN:
        end, outcome_note = f"{state}: {outcome_note}", None
    elif state != "ended":
        end = state
    elif outcome == "ok" or (outcome == "oom" and "OOM" in marks):
        end = None
    else:
        end = " ".join(filter(None, (outcome or "no outcome", where)))
    left = [
        flag
        for flag in (flags or "").split("; ")
        if inert(flag) not in marks and (outcome != "oom" or not flag.endswith(" only"))
    ]
    return "; ".join(inert(part) for part in (note, end, outcome_note, *left) if part)


def known(source: str) -> Callable[[list[Row]], bool]:
    """Show a column where some row has a value."""
    return lambda rows: any(row[source] is not None for row in rows)


def positive(source: str) -> Callable[[list[Row]], bool]:
    """Show a column where some row has more than nothing."""
    return lambda rows: any(row[source] for row in rows)


def varies(*sources: str) -> Callable[[list[Row]], bool]:
    """Show a column where the rows differ in one of `sources`."""
    return lambda rows: len({tuple(row[source] for source in sources) for row in rows}) > 1


STANDARD = {
    column.heading: column
    for column in (
        Column("Nodes", ("nodes",), count, number="nodes"),
        Column("Freq", ("frequency_ghz",), frequency),
        Column("Size", ("model_size",), word, meaning="parameters of the model ({size})"),
        Column("DP", ("data",), count, number="data", term=PARALLEL, meaning=PARALLEL_MEANING),
        Column("MP", ("tensor",), count, number="tensor", term=PARALLEL, meaning=PARALLEL_MEANING),
        Column("PP", ("pipeline",), count, number="pipeline", term=PARALLEL, meaning=PARALLEL_MEANING),
        Column("MBS", ("micro_batch_samples",), count, number="micro_batch_samples", meaning="micro batch size"),
        Column("GBS", ("global_batch_samples",), count, number="global_batch_samples", meaning="global batch size"),
        Column("AC", ("activation_checkpointing",), yes_no, meaning="activation checkpointing"),
        Column("Mem", ("memory_mib",), memory, mark=out_of_memory, meaning="{memory}"),
        Column(
            *("Sec/it", ("iteration_seconds",), lambda seconds: rounded(seconds, 1, 3)),
            number="iteration_seconds",
            meaning="seconds per iteration, {iterations}",
        ),
        Column(
            *("TFLOPs", ("tflops_per_node",), lambda tflops: rounded(tflops, 2, 2)),
            number="tflops_per_node",
            meaning="floating point operations per node, recomputation counted, vocabulary {vocabulary}",
        ),
        Column(
            *("Est. Aggr. PetaFLOPs", ("aggregate_petaflops",), lambda petaflops: rounded(petaflops, 1, 1)),
            number="aggregate_petaflops",
            meaning="TFLOPs * Nodes / 1024",
        ),
        Column(
            *("Energy [Wh]", ("energy_joules",), energy, known("energy_joules")),
            meaning="of all nodes over the whole job, by the scheduler's accounts",
        ),
        Column("num-layers", ("layers",), count, varies("layers"), number="layers"),
        Column("hidden-size", ("hidden_size",), count, varies("hidden_size", "attention_heads"), number="hidden_size"),
        Column(
            *("num-attention-heads", ("attention_heads",), count, varies("hidden_size", "attention_heads")),
            number="attention_heads",
        ),
        Column("Variant", ("variant",), word, varies("variant")),
        Column(
            *("Notes", ("note", "state", "outcome", "where", "outcome_note", "flags", MARKS), notes),
            left=True,
        ),
    )
}
"""The columns of a table that names none, by heading."""


def _percent(heading: str, name: str) -> Column:
    meaning = TIDY[name].meaning.removesuffix(", in %")
    return Column(heading, (name,), percent, known(name), number=name, meaning=meaning)


EXPLAINING = {
    column.heading: column
    for column in (
        Column("Sequence", ("sequence_length_tokens",), count, varies("sequence_length_tokens")),
        Column("Campaign", ("campaign",), word, varies("campaign")),
        _percent("Compute", "compute_percent"),
        _percent("Bubble", "bubble_percent"),
        _percent("DP sync", "sync_percent"),
        replace(_percent("Shared cores", "sharing_percent"), shown=positive("sharing_percent")),
        _percent("Efficiency", "scaling_efficiency_percent"),
        _percent("MFU", "mfu_percent"),
        _percent("HFU", "hfu_percent"),
        Column(
            *("Tokens/s", ("tokens_per_second",), lambda value: rounded(value, 0, 3)),
            number="tokens_per_second",
            meaning=TIDY["tokens_per_second"].meaning,
        ),
        Column(
            *("Days", ("training_days",), lambda value: rounded(value, 1, 2), known("training_days")),
            number="training_days",
            meaning="to train on {tokens} tokens",
        ),
        Column(
            *("Node-h / 1e9 tokens", ("node_hours_per_billion_tokens",), lambda value: rounded(value, 1, 3)),
            number="node_hours_per_billion_tokens",
            meaning=TIDY["node_hours_per_billion_tokens"].meaning,
        ),
        Column(
            *("Predicted", ("predicted_seconds", "predicted_seconds_low", "predicted_seconds_high"), interval),
            known("predicted_seconds"),
            number="predicted_seconds",
            meaning="seconds per iteration that the other runs of its campaign predict; the interval holds 95 of 100",
        ),
        Column(
            *("Off", ("predicted_error_percent",), off, known("predicted_error_percent")),
            number="predicted_error_percent",
            meaning="how far the prediction is off what was measured",
        ),
        Column(
            *("Predicted Mem", ("predicted_memory_mib",), memory, known("predicted_memory_mib")),
            number="predicted_memory_mib",
            meaning="peak of the rank that needs most, by the other runs of its campaign, or by memory_constants",
        ),
        Column(
            *("Mem off", ("predicted_memory_error_percent",), off, known("predicted_memory_error_percent")),
            number="predicted_memory_error_percent",
            meaning="how far that is off the measured peak of a rank",
        ),
    )
}
"""Columns that say why a row is as it is, by heading."""

HEADINGS = {**STANDARD, **EXPLAINING}

_CELLS: dict[str, Callable[[Any], str]] = {
    "word": word,
    "count": count,
    "number": lambda value: rounded(value, 0, 4),
    "yes_no": yes_no,
}


def figure(heading: str, name: str) -> Column:
    """A column of one figure of results.csv; numbers have four figures."""
    tidy = TIDY[name]
    meaning = tidy.meaning + (", {iterations}" if tidy.of_iterations else "")
    number = name if tidy.kind in ("count", "number") else ""
    return Column(heading, (name,), _CELLS[tidy.kind], number=number, meaning=meaning, left=tidy.kind == "word")


def formatted(column: Column, form: str) -> Column:
    """The column with its number in another format, such as `.2f`."""

    def cell(value: float | None) -> str:
        return UNKNOWN if value is None or not math.isfinite(value) else format(value, form)

    return replace(column, sources=(column.number,), cell=cell)
