"""A figure as it is before it is drawn: names, words, and the data of its layers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NAMES = ("strong-scaling", "tflops", "efficiency", "memory", "throughput")
"""All figures there are, in order; names of files without suffix."""
Row = Mapping[str, Any]
Datum = dict[str, Any]


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
class Missing:
    """A figure that rows do not allow, and why."""

    name: str
    reason: str


def known(row: Row, *names: str) -> bool:
    """Whether a row has all of these, as numbers that a logarithmic axis has a place for."""
    return all(row[name] is not None and 0 < row[name] < math.inf for name in names)


def sentences(*parts: str) -> str:
    """A caption of those of its sentences that there are."""
    return " ".join(part for part in parts if part)
