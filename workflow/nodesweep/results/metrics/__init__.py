"""Rows of results.csv -> why they are as they are: utilization, scaling, parts of the time, cost, predictions.

Each figure comes with its formula and the numbers in it, for `nodesweep why`.
"""

from collections.abc import Mapping, Sequence

from nodesweep.config.tidy_row import TidyRow
from nodesweep.results.scaling_kinds import KindName, bases

from .predictions import PREDICTIONS
from .row import Basis, ExplainedFigure, RowContext
from .utilization import FIGURES

__all__ = ["EXPLAINED", "Basis", "ExplainedFigure", "explain", "explain_row"]

EXPLAINED = (*FIGURES, *PREDICTIONS)
"""The columns of results.csv that explain."""


def explain(basis: Basis, rows: Sequence[TidyRow]) -> list[dict[str, ExplainedFigure]]:
    """The figures of all rows, by column."""
    return [explain_row(basis, row, compared) for row, compared in zip(rows, bases(rows), strict=True)]


def explain_row(basis: Basis, row: TidyRow, compared: Mapping[KindName, TidyRow]) -> dict[str, ExplainedFigure]:
    """The figures of one row, by column; `compared`: the rows that its speed is compared with, by kind."""
    context = RowContext(basis, row, compared)
    return {name: figure(context) for name, figure in {**FIGURES, **PREDICTIONS}.items()}
