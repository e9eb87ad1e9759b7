"""Explained rows of results.csv -> the last part of the tables: where time goes, predictions, the best layouts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas

from nodesweep.common.markdown import inert
from nodesweep.common.numbers import percents_between
from nodesweep.config.layout_fields import GIVEN, SPREAD
from nodesweep.config.parameters import parameter_fields
from nodesweep.config.sweep import Sweep
from nodesweep.config.tidy_row import TidyRow, required_text
from nodesweep.reports.naming import differing
from nodesweep.reports.scaling import best_cells, best_table, by_campaign, kinds_in_words, sentences
from nodesweep.results.scaling import best_of_each, losses
from nodesweep.results.scaling_kinds import KINDS, Scaling, ScalingKind, efficiency_interval
from nodesweep.results.table import records

from .cells import COLUMN_OF_HEADING, EXPLAINING, columns_with, known, varies
from .document import SectionTable, TableView, template

_SPREAD = {row.column for row in SPREAD}
_GIVEN = {row.column for row in GIVEN}
_IDENTITY = tuple(
    column
    if column.sources[0] in _SPREAD
    else replace(column, shown=by_campaign if column.sources[0] == "campaign" else varies(*column.sources))
    for column in COLUMN_OF_HEADING.values()
    if column.sources[0] in _GIVEN | {"model_size", "campaign"}
)
"""What tells rows apart: over how many nodes they are spread and how, always, and whatever else they differ in."""
_TIMES = (
    "Compute",
    "Bubble",
    "DP sync",
    "Shared cores",
    "Efficiency",
    "Weak efficiency",
    "Throughput efficiency",
    "MFU",
    "HFU",
    "Tokens/s",
    "Node-h / 1e9 tokens",
    "Days",
)
_BESIDE = (["predicted_seconds", "iteration_seconds"], ["predicted_memory_mib", "memory_mib"])
"""Columns that stand beside each other where a row has both."""
_PREDICTED = ("Predicted", "Off", "Mem", "Predicted Mem", "Mem off")
_EXPLAINS = ("compute_percent", *(kind.column for kind in KINDS), "mfu_percent")


@dataclass(frozen=True)
class Explanation:
    """What a tidy table tells: where the time goes, each problem's loss in words, the best layouts, the predictions.

    `kinds`: what the ways of scaling mean, empty for a strong one alone. `times`, `predicted`: None where no row has
    what they show. `best`: headings and cells in markdown, and `best_slugs` the layouts of these rows.
    """

    kinds: str
    losses: tuple[str, ...]
    best: tuple[list[str], list[list[str]]] | None
    best_slugs: tuple[str, ...]
    times: SectionTable | None
    predicted: SectionTable | None


def explained_of(frame: pandas.DataFrame) -> Explanation | None:
    """What a tidy table tells; None where nothing is known but what was measured."""
    measured = frame[frame["iteration_seconds"].fillna(0) != 0]
    if measured[list(_EXPLAINS)].isna().all(axis=None):
        return None
    rows = records(measured)
    parts, campaigns = differing(rows), by_campaign(rows)
    best, lost = best_of_each(records(frame)), list(losses(rows))
    return Explanation(
        kinds=kinds_in_words(lost),
        losses=tuple(sentences(lost, parts, campaigns)),
        best=best_cells(best, parts, campaigns) if best else None,
        best_slugs=tuple(required_text(one.row, "slug") for one in best),
        times=_part(frame.dropna(subset=["iteration_seconds"]), _TIMES),
        predicted=_part(frame[_has_all(frame, _BESIDE[0]) | _has_all(frame, _BESIDE[1])], _PREDICTED),
    )


def explanation(sweep: Sweep, frame: pandas.DataFrame) -> str:
    """The part of tables.md that explains a tidy table; empty where nothing is known but what was measured."""
    found = explained_of(frame)
    if found is None:
        return ""
    text = template("explanation.md.j2").render(
        times=_in_markdown(sweep, found.times),
        predicted=_in_markdown(sweep, found.predicted),
        kinds=found.kinds,
        losses=[inert(loss) for loss in found.losses],
        best=best_table(*found.best) if found.best else "",
    )
    return text.rstrip() + "\n"


def meanings(sweep: Sweep, part: SectionTable) -> list[tuple[str, str]]:
    """What the headings of an explaining table mean, in markdown."""
    words = {"tokens": f"{sweep.training_tokens:.10g}" if sweep.training_tokens else ""}
    explaining = [column for column in part.view.columns if column.heading in EXPLAINING and column.meaning]
    return [(column.heading, column.meaning.format(**words)) for column in explaining]


def _in_markdown(sweep: Sweep, part: SectionTable | None) -> dict[str, Any] | None:
    return {"table": part.view.pipe_table(part.rows), "meanings": meanings(sweep, part)} if part else None


def _part(frame: pandas.DataFrame, headings: tuple[str, ...]) -> SectionTable | None:
    """A table of these rows: what tells them apart, their times, the columns of these headings; None without rows."""
    columns = (COLUMN_OF_HEADING[heading] for heading in ("Sec/it", *headings))
    shown = (replace(one, shown=known("memory_mib")) if one.heading == "Mem" else one for one in columns)
    rows = records(frame)
    scaling = Scaling.of(rows)
    kinds = {kind.column: kind for kind in KINDS}
    shown = (
        replace(one, mark=_between(scaling, kinds[one.sources[0]])) if one.sources[0] in kinds else one for one in shown
    )
    view = TableView((*columns_with(parameter_fields(rows).values(), _IDENTITY), *shown))
    return SectionTable(view.shown(rows), rows) if rows else None


def _between(scaling: Scaling, kind: ScalingKind) -> Callable[[TidyRow], str]:
    """What stands behind the efficiency of a row: between what it lies by its runs and those of its base."""
    return lambda row: percents_between(efficiency_interval(row, scaling.bases(row).get(kind.name)))


def _has_all(frame: pandas.DataFrame, columns: Sequence[str]) -> "pandas.Series[bool]":
    """For each row, whether it has a value in all of these columns."""
    return frame[list(columns)].notna().all(axis="columns")
