"""Tidy table -> tables.md, in the form of a hand-kept benchmarking document; the only place that rounds."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .config import Model, Sweep
from .markdown import inert, pipe_table
from .results import size_label

TEMPLATES = Path(__file__).parents[1] / "templates" / "tables"
UNKNOWN = "-"
LEFT = frozenset({"Notes"})
Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A column of the table: its heading, the tidy columns it shows, and how their values become the cell.

    `shown`: whether a table of these rows needs the column.
    """

    heading: str
    sources: tuple[str, ...]
    cell: Callable[..., str]
    shown: Callable[[list[Row]], bool] = lambda rows: True


def rounded(value: float | None, decimals: int, significant: int) -> str:
    """A number with `decimals` digits after the point, or more where that leaves fewer than `significant` figures.

    >>> rounded(17212.8, 1, 3), rounded(0.5124, 1, 3), rounded(0.00623, 2, 2), rounded(0.0445, 1, 1)
    ('17212.8', '0.512', '0.0062', '0.04')
    >>> rounded(None, 1, 1)
    '-'
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    magnitude = math.floor(math.log10(abs(value))) if value else 0
    return f"{value:.{max(decimals, significant - 1 - magnitude)}f}"


def count(value: int | None) -> str:
    """A whole number."""
    return UNKNOWN if value is None else str(value)


def word(value: str | None) -> str:
    """A name or label."""
    return inert(value) if value else UNKNOWN


def frequency(ghz: float | None) -> str:
    """A clock: `2.0GHz`.

    >>> frequency(2.0), frequency(2.25)
    ('2.0GHz', '2.25GHz')
    """
    return UNKNOWN if ghz is None else f"{ghz!r}GHz"


def yes_no(value: bool | None) -> str:
    """`Yes` or `No`."""
    return UNKNOWN if value is None else "Yes" if value else "No"


def memory(mib: float | None, outcome: str | None, where: str | None) -> str:
    """The peak, and where the run ended if memory ran out: `29138.6 MiB (OOM after iteration 1)`."""
    figure = UNKNOWN if mib is None else f"{mib:.1f} MiB"
    return f"{figure} ({' '.join(filter(None, ('OOM', where)))})" if outcome == "oom" else figure


def notes(
    note: str | None,
    state: str,
    outcome: str | None,
    where: str | None,
    outcome_note: str | None,
    flags: str | None,
) -> str:
    """The layout's own note; then what became of it, unless all is well or the memory cell says it."""
    if state != "ended":
        end = state
    elif outcome in ("ok", "oom"):
        end = None
    else:
        end = " ".join(filter(None, (outcome or "no outcome", where)))
    marks = [flag for flag in (flags or "").split("; ") if outcome != "oom" or not flag.endswith(" only")]
    return "; ".join(inert(part) for part in (note, end, outcome_note, *marks) if part)


def energy(joules: float | None) -> str:
    """Watt-hours to three figures.

    >>> energy(5_400_000.0), energy(None)
    ('1500', '-')
    """
    return UNKNOWN if joules is None else rounded(joules / 3600, 0, 3)


def known(source: str) -> Callable[[list[Row]], bool]:
    """Show a column where some row has a value."""
    return lambda rows: any(row[source] is not None for row in rows)


def varies(*sources: str) -> Callable[[list[Row]], bool]:
    """Show a column where the rows differ in one of `sources`."""
    return lambda rows: len({tuple(row[source] for source in sources) for row in rows}) > 1


COLUMNS = (
    Column("Nodes", ("nodes",), count),
    Column("Freq", ("frequency_ghz",), frequency),
    Column("Size", ("model_size",), word),
    Column("DP", ("data",), count),
    Column("MP", ("tensor",), count),
    Column("PP", ("pipeline",), count),
    Column("MBS", ("micro_batch_samples",), count),
    Column("GBS", ("global_batch_samples",), count),
    Column("AC", ("activation_checkpointing",), yes_no),
    Column("Mem", ("memory_mib", "outcome", "where"), memory),
    Column("Sec/it", ("iteration_seconds",), lambda seconds: rounded(seconds, 1, 3)),
    Column("TFLOPs", ("tflops_per_node",), lambda tflops: rounded(tflops, 2, 2)),
    Column("Est. Aggr. PetaFLOPs", ("aggregate_petaflops",), lambda petaflops: rounded(petaflops, 1, 1)),
    Column("Energy [Wh]", ("energy_joules",), energy, known("energy_joules")),
    Column("num-layers", ("layers",), count, varies("layers")),
    Column("hidden-size", ("hidden_size",), count, varies("hidden_size", "attention_heads")),
    Column("num-attention-heads", ("attention_heads",), count, varies("hidden_size", "attention_heads")),
    Column("Variant", ("variant",), word, varies("variant")),
    Column("Notes", ("note", "state", "outcome", "where", "outcome_note", "flags"), notes),
)

MEMORY_MEANING = {
    "log-max-allocated": "peak memory of a rank, the highest of all ranks (max allocated, from the log)",
    "log-max-reserved": "peak memory of a rank, the highest of all ranks (max reserved, from the log)",
    "log-node-used": "memory in use on a node, the highest report (from the log)",
    "scheduler": "peak memory by the scheduler's accounts: of a rank (Slurm), a node (PJM) or the whole job (PBS)",
    "none": "not measured",
}


def render(sweep: Sweep, table: pandas.DataFrame) -> str:
    """The text of tables.md for a sweep and its tidy table (`results.build`)."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    environment.filters["inert"] = inert
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return environment.get_template("tables.md.j2").render(
        title=sweep.title or sweep.sweep,
        hyperparameters=_hyperparameters(sweep.model),
        notations=_notations(sweep, rows),
        sections=_sections(rows),
    )


def _sections(rows: list[Row]) -> list[dict[str, str]]:
    """One section per sequence length; all have the same columns."""
    columns = [column for column in COLUMNS if column.shown(rows)]
    headings = [column.heading for column in columns]

    def cells(row: Row) -> list[str]:
        return [column.cell(*(row[source] for source in column.sources)) for column in columns]

    ordered = sorted(rows, key=lambda row: row["sequence_length_tokens"] or math.inf)
    return [
        {"heading": f"Sequence Length={length or 'unknown'}", "table": pipe_table(headings, map(cells, group), LEFT)}
        for length, group in groupby(ordered, key=lambda row: row["sequence_length_tokens"])
    ]


def _hyperparameters(model: Model) -> list[tuple[str, int]]:
    return [
        ("num-layers", model.layers),
        ("hidden-size", model.hidden_size),
        ("num-attention-heads", model.attention_heads),
    ]


def _notations(sweep: Sweep, rows: list[Row]) -> list[tuple[str, str]]:
    """What the headings mean, what a node is here, and how the figures were taken."""
    machine, warmup = sweep.machine, sweep.iterations.warmup
    ranks = "1 rank" if machine.ranks_per_node == 1 else f"{machine.ranks_per_node} ranks"
    node = f"{machine.description} ({ranks})" if machine.description else f"a node of {machine.name} ({ranks})"
    after = f"(the first {warmup}, or more where the times show it)" if warmup else "(where the times show any)"
    notations = [
        ("Node", inert(node)),
        ("Size", f"parameters of the model ({inert(size_label(sweep.model))})"),
        ("DP, MP, PP", "data, tensor model and pipeline parallel size"),
        ("MBS", "micro batch size"),
        ("GBS", "global batch size"),
        ("AC", "activation checkpointing"),
        ("Mem", MEMORY_MEANING[sweep.workload.memory_source]),
        ("Sec/it", f"seconds per iteration, {sweep.table.statistic} of the logged iterations after warm-up {after}"),
        ("TFLOPs", f"floating point operations per node, recomputation counted, vocabulary {sweep.model.vocab_size}"),
        ("Est. Aggr. PetaFLOPs", "TFLOPs * Nodes / 1024"),
    ]
    if known("energy_joules")(rows):
        notations.append(("Energy [Wh]", "of all nodes over the whole job, by the scheduler's accounts"))
    return notations
