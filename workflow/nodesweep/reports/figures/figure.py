"""A figure as it is before it is drawn: names, words, and the data of its layers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nodesweep.config.tidy_row import TidyRow, number_of

NAMES = ("strong-scaling", "weak-scaling", "throughput-scaling", "tflops", "efficiency", "memory", "throughput")
"""All figures there are, in order; names of files without suffix."""
Datum = dict[str, Any]
"""One point of a figure, as Vega-Lite takes it; what it says of its layout stands under columns of results.csv."""


@dataclass(frozen=True)
class Figure:
    """What to draw.

    `title`: what stands against what. `below`: what all that is drawn has in common. `series`: names in the order of
    the legend, the last of those that are not named one by one, if any. `ticks`: values of axes that are labelled.
    `layers`: data by what they are drawn as. `x`: field and title of the horizontal axis.
    """

    name: str
    title: str
    caption: str
    below: str
    series: tuple[str, ...] = ()
    ticks: tuple[int, ...] = ()
    layers: Mapping[str, Sequence[Datum]] = field(default_factory=dict)
    x: tuple[str, str] = ("nodes", "Nodes")


@dataclass(frozen=True)
class MissingFigure:
    """A figure that rows do not allow, and why."""

    name: str
    reason: str


def known(row: TidyRow, *columns: str) -> bool:
    """Whether a row has all these columns, as numbers that a logarithmic axis has a place for."""
    numbers = (number_of(row, column) for column in columns)
    return all(number is not None and 0 < number < math.inf for number in numbers)


def sentences(*parts: str) -> str:
    """A caption made of the sentences that are not empty."""
    return " ".join(part for part in parts if part)
