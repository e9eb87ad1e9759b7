"""Explained rows of results.csv -> the last part of the tables: where time goes, predictions, the best layouts."""

from dataclasses import dataclass, replace
from typing import Any

import pandas

from nodesweep.common.markdown import inert
from nodesweep.config.sweep import Sweep
from nodesweep.reports.scaling import best_cells, best_table, by_campaign, differing, sentence
from nodesweep.results.scaling import best_of_each, losses
from nodesweep.results.table import records

from .cells import EXPLAINING, STANDARD, known, varies
from .document import Part, View, template

_AS_THEY_ARE = ("Nodes", "DP", "MP", "PP", "Campaign")
_IDENTITY = (
    *(STANDARD[heading] for heading in ("Nodes", "Freq", "Size", "DP", "MP", "PP", "MBS", "GBS", "AC", "Variant")),
    EXPLAINING["Sequence"],
    replace(EXPLAINING["Campaign"], shown=by_campaign),
)
_TIMES = (
    "Compute",
    "Bubble",
    "DP sync",
    "Shared cores",
    "Efficiency",
    "MFU",
    "HFU",
    "Tokens/s",
    "Node-h / 1e9 tokens",
    "Days",
)
_BESIDE = (("predicted_seconds", "iteration_seconds"), ("predicted_memory_mib", "memory_mib"))
_PREDICTED = ("Predicted", "Off", "Mem", "Predicted Mem", "Mem off")
_EXPLAINS = ("compute_percent", "scaling_efficiency_percent", "mfu_percent")


@dataclass(frozen=True)
class Explained:
    """What a tidy table tells: where the time goes, each problem's loss in words, the best layouts, the predictions.

    `times`, `predicted`: None where no row has what they show. `best`: headings and cells in markdown, and
    `best_slugs` the layouts of these rows.
    """

    losses: tuple[str, ...]
    best: tuple[list[str], list[list[str]]] | None
    best_slugs: tuple[str, ...]
    times: Part | None
    predicted: Part | None


def explained_of(frame: pandas.DataFrame) -> Explained | None:
    """What a tidy table tells; None where nothing is known but what was measured."""
    rows = [row for row in records(frame) if row["iteration_seconds"]]
    if not any(row[name] is not None for row in rows for name in _EXPLAINS):
        return None
    fields, campaigns = differing(rows), by_campaign(rows)
    best = best_of_each(records(frame))
    return Explained(
        losses=tuple(sentence(loss, fields, campaigns) for loss in losses(rows)),
        best=best_cells(best, fields, campaigns) if best else None,
        best_slugs=tuple(one.row["slug"] for one in best),
        times=_part(frame, ("Sec/it", *_TIMES), ("iteration_seconds",)),
        predicted=_part(frame, ("Sec/it", *_PREDICTED), *_BESIDE),
    )


def explanation(sweep: Sweep, frame: pandas.DataFrame) -> str:
    """The part of tables.md that explains a tidy table; empty where nothing is known but what was measured."""
    found = explained_of(frame)
    if found is None:
        return ""
    text = template("explanation.md.j2").render(
        times=_in_markdown(sweep, found.times),
        predicted=_in_markdown(sweep, found.predicted),
        losses=[inert(loss) for loss in found.losses],
        best=best_table(*found.best) if found.best else "",
    )
    return text.rstrip() + "\n"


def meanings(sweep: Sweep, part: Part) -> list[tuple[str, str]]:
    """What the headings of such a table mean, in markdown."""
    words = {"tokens": f"{sweep.training_tokens:.10g}" if sweep.training_tokens else ""}
    explaining = [column for column in part.view.columns if column.heading in EXPLAINING and column.meaning]
    return [(column.heading, column.meaning.format(**words)) for column in explaining]


def _in_markdown(sweep: Sweep, part: Part | None) -> dict[str, Any] | None:
    return {"table": part.view.pipe_table(part.rows), "meanings": meanings(sweep, part)} if part else None


def _part(frame: pandas.DataFrame, headings: tuple[str, ...], *needed: tuple[str, ...]) -> Part | None:
    """A table of the rows that have all of one of the `needed`; None where none has."""
    columns = tuple(
        replace(column, shown=known("memory_mib")) if column.heading == "Mem" else column
        for column in ({**STANDARD, **EXPLAINING}[heading] for heading in headings)
    )
    identity = (
        column if column.heading in _AS_THEY_ARE else replace(column, shown=varies(*column.sources))
        for column in _IDENTITY
    )
    view = View(
        (*identity, *columns),
        where=lambda row: any(None not in [row[name] for name in names] for names in needed),
    )
    rows = view.rows(frame)
    return Part(view.shown(rows), rows) if rows else None
