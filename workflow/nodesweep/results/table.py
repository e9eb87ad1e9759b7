"""Measurements and states of all layouts -> one tidy table, one row per layout, units in the column names."""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pandas

from nodesweep.common.errors import NodesweepError
from nodesweep.common.outcomes import NOT_RUN
from nodesweep.common.text import plain
from nodesweep.config.columns import TIDY
from nodesweep.config.model import Model
from nodesweep.config.tidy_row import TidyRow
from nodesweep.performance import flops
from nodesweep.sweep.layout import Layout

from .measurement import Measurement
from .metrics import EXPLAINED, Basis, bases, efficiency_percent, explain

_PANDAS = {"word": "string", "count": "Int64", "number": "Float64", "yes_no": "boolean"}
_PARSE = {"word": str, "count": int, "number": float, "yes_no": lambda text: text == "True"}
_KINDS = {name: tidy.kind for name, tidy in TIDY.items()}

CELL_CHARACTERS = 1000


class LayoutRun(NamedTuple):
    """What is known of one layout: `status` is pending, queued, running or ended; `record` is of its last job."""

    layout: Layout
    status: str
    record: Mapping[str, Any] | None
    measurement: Measurement | None


def build(runs: Iterable[LayoutRun], imported: Iterable[TidyRow] = ()) -> pandas.DataFrame:
    """The tidy table of a sweep, in the order of its config; rows of hand-kept tables stand after it."""
    rows = [{**_layout(run.layout), **_state(run), **_measured(run), "source": "run"} for run in runs]
    rows += [dict(row) for row in imported]
    words = [name for name, kind in _KINDS.items() if kind == "word"]
    return _typed([row | {name: _one_line(row.get(name)) for name in words} for row in rows])


def explained(table: pandas.DataFrame, basis: Basis) -> pandas.DataFrame:
    """The tidy table with what explains its rows."""
    figures = explain(basis, records(table))
    found = {name: [row[name].value for row in figures] for name in EXPLAINED}
    return table.assign(**{name: pandas.array(values, dtype="Float64") for name, values in found.items()})


def records(table: pandas.DataFrame) -> list[TidyRow]:
    """The rows of the tidy table, None for what is not known."""
    names = list(table.columns)
    columns = [table[name].to_numpy(dtype=object, na_value=None).tolist() for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def to_csv(table: pandas.DataFrame) -> str:
    """The text of results.csv: shortest exact numbers, empty cells for what is not known."""
    return table.to_csv(index=False, lineterminator="\n")


def from_csv(text: str) -> pandas.DataFrame:
    """The tidy table again, exactly as `to_csv` wrote it; raises NodesweepError for any other text."""
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if reader.fieldnames != list(TIDY):
        raise NodesweepError("results.csv has other columns than this version writes; run `nodesweep measure` again")
    try:
        rows = [
            {name: _PARSE[kind](row[name]) if row[name] else None for name, kind in _KINDS.items()} for row in reader
        ]
    except ValueError as error:
        raise NodesweepError(f"results.csv: {error}; run `nodesweep measure` again") from None
    return _typed(rows)


def restated(table: pandas.DataFrame, statistic: str) -> pandas.DataFrame:
    """The tidy table with another statistic of the iterations in it, and in every figure that depends on it.

    A row that was imported keeps what was printed: of which statistic it is, nobody knows.
    """
    fixed = table["source"] == "import"
    seconds = table[f"iteration_seconds_{statistic}"].where(~fixed, table["iteration_seconds"])
    log_tflops = table[f"log_tflops_per_node_{statistic}"].where(~fixed, table["log_tflops_per_node"])
    faster = table["iteration_seconds"] / seconds
    rates = ("tokens_per_second", "tflops_per_node", "model_tflops_per_node", "aggregate_petaflops")
    costs = ("node_hours_per_billion_tokens", "training_days")
    table = table.assign(
        **{name: (table[name] * faster).where(~fixed, table[name]) for name in (*rates, "mfu_percent", "hfu_percent")},
        **{name: (table[name] / faster).where(~fixed, table[name]) for name in costs},
        iteration_seconds=seconds,
        predicted_error_percent=100 * (table["predicted_seconds"] / seconds - 1),
        log_tflops_per_node=log_tflops,
        statistic=table["statistic"].where(table["statistic"].isna(), statistic),
    )
    rows = records(table)
    efficiency = [efficiency_percent(row, base) for row, base in zip(rows, bases(rows), strict=True)]
    return table.assign(scaling_efficiency_percent=pandas.array(efficiency, dtype="Float64"))


def size_label(model: Model) -> str:
    """The model's size as people say it: its own label, or its number of parameters to two figures.

    >>> size_label(Model(layers=48, hidden_size=7168, attention_heads=56, vocab_size=50304))
    '30B'
    """
    if model.size:
        return model.size
    parameters = flops.parameter_count(
        layers=model.layers,
        hidden_size=model.hidden_size,
        ffn_width=model.ffn_width,
        vocab_size=model.vocab_size,
    )
    scale, suffix = next((scale, suffix) for scale, suffix in ((1e9, "B"), (1e6, "M"), (1, "")) if parameters >= scale)
    value = parameters / scale
    return f"{value:.1f}{suffix}" if value < 9.95 else f"{value:.0f}{suffix}"


def _typed(rows: list[dict[str, Any]]) -> pandas.DataFrame:
    return pandas.DataFrame(rows, columns=list(TIDY)).astype({name: _PANDAS[kind] for name, kind in _KINDS.items()})


def _one_line(value: Any) -> str | None:
    """Text as it may stand in a table; None for an empty one."""
    return (plain(str(value), CELL_CHARACTERS) or None) if value is not None else None


def _layout(layout: Layout) -> dict[str, Any]:
    return {
        "slug": layout.slug,
        "nodes": layout.nodes,
        "ranks_per_node": layout.ranks_per_node,
        "ranks": layout.ranks,
        "data": layout.data,
        "tensor": layout.tensor,
        "pipeline": layout.pipeline,
        "micro_batch_samples": layout.micro_batch,
        "global_batch_samples": layout.global_batch,
        "sequence_length_tokens": layout.sequence_length,
        "activation_checkpointing": layout.activation_checkpointing,
        "frequency_ghz": layout.frequency_ghz,
        "variant": layout.variant.name if layout.variant else None,
        "campaign": layout.campaign,
        "model": layout.model.name,
        "model_size": size_label(layout.model),
        "layers": layout.model.layers,
        "hidden_size": layout.model.hidden_size,
        "attention_heads": layout.model.attention_heads,
        "vocab_size": layout.model.vocab_size,
        "note": layout.note,
        "iterations_requested": layout.iterations.total,
        "warmup_iterations": layout.iterations.warmup,
    }


def _state(run: LayoutRun) -> dict[str, Any]:
    """State and verdict; only an ended job has an outcome, whatever an earlier attempt came to."""
    record = run.record or {}
    ended = record if run.status == "ended" else {}
    return {
        "state": run.status,
        "outcome": ended.get("outcome"),
        "where": ended.get("where"),
        "evidence": ended.get("evidence"),
        "outcome_note": record.get("evidence") if run.status in NOT_RUN else ended.get("note"),
        "attempt": record.get("attempt"),
        "job_id": record.get("job_id"),
        "log": record.get("log"),
        **_usage(ended.get("usage") or {}),
    }


def _usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    """What the scheduler counted, of all nodes of the job together."""
    return {
        "allocated_nodes": usage.get("nodes"),
        "energy_joules": usage.get("energy_joules"),
        "power_watts": usage.get("power_watts"),
    }


def _measured(run: LayoutRun) -> dict[str, Any]:
    """The figures of the measured run; none for a layout that is not ended, or whose job left no log."""
    measurement = run.measurement
    return figures(measurement, run.layout.nodes) if measurement and run.status == "ended" else {}


def figures(measurement: Measurement, nodes: int | None) -> dict[str, Any]:
    """The figures of a measurement in columns of the tidy table."""
    memory, statistics = measurement.memory, measurement.statistics
    row: dict[str, Any] = {
        "flags": "; ".join(measurement.flags),
        "first_loss": measurement.first_loss,
        "last_loss": measurement.last_loss,
        "statistic": measurement.settings.statistic,
    }
    if memory is not None:
        row |= {"memory_mib": memory.peak_mib, "memory_rank": memory.rank, "memory_source": memory.source}
    if statistics is not None:
        row |= {name: getattr(statistics, name) for name in TIDY if hasattr(statistics, name)}
        row["iterations"] = statistics.last_iteration
        if nodes and statistics.tflops_per_node is not None:
            row["aggregate_petaflops"] = flops.aggregate_petaflops(statistics.tflops_per_node, nodes)
    return row
