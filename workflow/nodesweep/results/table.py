"""Measurements and states of all layouts -> one tidy table, one row per layout, units in the column names."""

import io
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pandas

from nodesweep.common.errors import NodesweepError
from nodesweep.common.outcomes import NOT_RUN
from nodesweep.common.text import plain
from nodesweep.config.columns import TIDY
from nodesweep.config.layout_field import Kind
from nodesweep.config.layout_fields import COLUMNS
from nodesweep.config.model import Model
from nodesweep.config.tidy_row import TidyRow, TidyValue
from nodesweep.performance import flops
from nodesweep.sweep.layout import Layout, sizes_of

from .measurement import Measurement
from .metrics import EXPLAINED, Basis, bases, efficiency_percent, explain

_TYPE_OF_KIND: dict[Kind, str] = {"word": "string", "count": "Int64", "number": "Float64", "yes_no": "boolean"}
_TYPES = {name: _TYPE_OF_KIND[column.kind] for name, column in TIDY.items()}
_TYPES_IN_CSV = {name: dtype if dtype == "boolean" else "string" for name, dtype in _TYPES.items()}
"""Types as a CSV is read: numbers become text first, whose conversion is exact to the last digit."""
_WORDS = tuple(name for name, column in TIDY.items() if column.kind == "word")
_OTHER_COLUMNS = "results.csv has other columns than this version writes; run `nodesweep measure` again"

CELL_CHARACTERS = 1000
"""Characters of a text in the table at most."""


class LayoutRun(NamedTuple):
    """A layout and its run: `status` is pending, queued, running or ended; `record` is of its last job."""

    layout: Layout
    status: str
    record: Mapping[str, Any] | None
    measurement: Measurement | None


def build(runs: Iterable[LayoutRun], imported: Iterable[TidyRow] = ()) -> pandas.DataFrame:
    """The tidy table of a sweep, in the order of its config; rows of hand-kept tables stand after it."""
    rows: list[TidyRow] = [{**_layout(run.layout), **_state(run), **_measured(run), "source": "run"} for run in runs]
    rows += imported
    one_line = [{**row, **{name: _one_line(row.get(name)) for name in _WORDS}} for row in rows]
    return pandas.DataFrame(one_line, columns=list(TIDY)).astype(_TYPES)


def explained(table: pandas.DataFrame, basis: Basis) -> pandas.DataFrame:
    """The tidy table with the columns that explain its rows."""
    found = explain(basis, records(table))
    table = table.copy()
    for name in EXPLAINED:
        table[name] = pandas.array([row[name].value for row in found], dtype="Float64")
    return table


def records(table: pandas.DataFrame) -> list[TidyRow]:
    """The rows of the tidy table, None for what is not known."""
    names = [str(name) for name in table.columns]
    values = table.astype(object).where(table.notna(), None)
    return [dict(zip(names, row, strict=True)) for row in values.itertuples(index=False, name=None)]


def to_csv(table: pandas.DataFrame) -> str:
    """The text of results.csv: shortest exact numbers, empty cells for what is not known."""
    return table.to_csv(index=False, lineterminator="\n")


def from_csv(text: str) -> pandas.DataFrame:
    """The table that `to_csv` made a text of, exactly; raises NodesweepError for any other text."""
    try:
        table = pandas.read_csv(
            io.StringIO(text), dtype=_TYPES_IN_CSV, index_col=False, keep_default_na=False, na_values=[""]
        )
        if list(table.columns) != list(TIDY):
            raise NodesweepError(_OTHER_COLUMNS)
        return table.astype(_TYPES)
    except pandas.errors.EmptyDataError:
        raise NodesweepError(_OTHER_COLUMNS) from None
    except (ValueError, OverflowError) as error:
        raise NodesweepError(f"results.csv: {error}; run `nodesweep measure` again") from None


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


def _one_line(value: TidyValue) -> str | None:
    """Text as it may stand in a table; None for an empty one."""
    return (plain(str(value), CELL_CHARACTERS) or None) if value is not None else None


def _layout(layout: Layout) -> dict[str, TidyValue]:
    values = {**layout.fields(), **sizes_of(layout.model)}
    return {
        "slug": layout.slug,
        **{column: values[row.name] for column, row in COLUMNS.items()},
        "campaign": layout.campaign,
        "model": layout.model.name,
        "model_size": size_label(layout.model),
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


def _measured(run: LayoutRun) -> dict[str, TidyValue]:
    """The figures of the measured run; none for a layout that is not ended, or whose job left no log."""
    measurement = run.measurement
    return figures(measurement, run.layout.nodes) if measurement and run.status == "ended" else {}


def figures(measurement: Measurement, nodes: int | None) -> dict[str, TidyValue]:
    """The figures of a measurement in columns of the tidy table."""
    memory, statistics = measurement.memory, measurement.statistics
    row: dict[str, TidyValue] = {
        "flags": "; ".join(measurement.flags),
        "first_loss": measurement.first_loss,
        "last_loss": measurement.last_loss,
        "statistic": measurement.settings.statistic,
    }
    if memory is not None:
        row |= {"memory_mib": memory.peak_mib, "memory_rank": memory.rank, "memory_source": memory.source}
    if statistics is not None:
        row |= {name: value for name, value in vars(statistics).items() if name in TIDY}
        row["iterations"] = statistics.last_iteration
        if nodes and statistics.tflops_per_node is not None:
            row["aggregate_petaflops"] = flops.aggregate_petaflops(statistics.tflops_per_node, nodes)
    return row
