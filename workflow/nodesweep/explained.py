"""Explained rows of results.csv -> the last part of the tables: where time goes, predictions, the best layouts."""

from dataclasses import replace
from typing import Any

import pandas

from .cells import EXPLAINING, STANDARD, known, varies
from .conclusions import best_of_each, best_table, by_campaign, differing, losses, sentence
from .config import Sweep
from .markdown import inert
from .results import records
from .tables import View, template

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


def explanation(sweep: Sweep, frame: pandas.DataFrame) -> str:
    """The part of tables.md that explains a tidy table; empty where nothing is known but what was measured."""
    rows = [row for row in records(frame) if row["iteration_seconds"]]
    if not any(row[name] is not None for row in rows for name in _EXPLAINS):
        return ""
    fields, campaigns = differing(rows), by_campaign(rows)
    best = best_of_each(records(frame))
    text = template("explanation.md.j2").render(
        times=_table(sweep, frame, ("Sec/it", *_TIMES), ("iteration_seconds",)),
        predicted=_table(sweep, frame, ("Sec/it", *_PREDICTED), *_BESIDE),
        losses=[inert(sentence(loss, fields, campaigns)) for loss in losses(rows)],
        best=best_table(best, fields, campaigns) if best else "",
    )
    return text.rstrip() + "\n"


def _table(
    sweep: Sweep, frame: pandas.DataFrame, headings: tuple[str, ...], *needed: tuple[str, ...]
) -> dict[str, Any] | None:
    """A table of the rows that have all of one of the `needed`, and what its headings mean; None where none has."""
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
    shown = view.shown(rows)
    words = {"tokens": f"{sweep.training_tokens:.10g}" if sweep.training_tokens else ""}
    explaining = [column for column in shown.columns if column.heading in EXPLAINING and column.meaning]
    meanings = [(column.heading, column.meaning.format(**words)) for column in explaining]
    return {"table": shown.pipe_table(rows), "meanings": meanings} if rows else None
