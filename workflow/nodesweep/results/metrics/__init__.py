"""Rows of results.csv -> why they are as they are: utilization, scaling, parts of the time, cost, predictions.

Each figure comes with its formula and the numbers in it, for `nodesweep why`.
"""

from collections.abc import Sequence

from nodesweep.config.tidy_row import TidyRow

from .predictions import PREDICTIONS
from .row import Basis, ExplainedFigure, RowContext, bases, efficiency_percent
from .utilization import FIGURES

__all__ = ["EXPLAINED", "Basis", "ExplainedFigure", "bases", "efficiency_percent", "explain", "explain_row"]

EXPLAINED = (*FIGURES, *PREDICTIONS)
"""The columns of results.csv that explain."""


def explain(basis: Basis, rows: Sequence[TidyRow]) -> list[dict[str, ExplainedFigure]]:
    """The figures of all rows, by column."""
    return [explain_row(basis, row, base) for row, base in zip(rows, bases(rows), strict=True)]


def explain_row(basis: Basis, row: TidyRow, base: TidyRow | None) -> dict[str, ExplainedFigure]:
    """The figures of one row, by column; `base` is the row that its speed is compared with."""
    context = RowContext(basis, row, base)
    return {name: figure(context) for name, figure in {**FIGURES, **PREDICTIONS}.items()}
