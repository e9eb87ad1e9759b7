"""Parts that drawings have in common: their data, axes, what a pointer shows."""

import json
from collections.abc import Iterable, Sequence

import altair

from .figure import Datum

LONGEST_NAME = 260
"""In px."""

_TOLD = {"slug": "layout", "nodes": "nodes", "dp": "DP", "mp": "MP", "pp": "PP", "mbs": "MBS", "gbs": "GBS", "ac": "AC"}
"""Fields of points that a pointer shows after their value, and what they are called."""


class Sheet:
    """What is drawn on: keeps the data of its charts, which only name them; Altair would check and copy every value."""

    def __init__(self) -> None:
        self.datasets: dict[str, list[Datum]] = {}

    def chart(self, points: Iterable[Datum]) -> altair.Chart:
        """A chart of these points."""
        name = f"data{len(self.datasets)}"
        self.datasets[name] = list(points)
        return altair.Chart(altair.NamedData(name=name))


def tooltip(field: str, unit: str, **words: str) -> list[altair.Tooltip]:
    """`words`, then the value in its unit, then the layout; of points that have them."""
    value = altair.Tooltip(field=field, type="quantitative", title=unit, format=".4~g")
    told = {**words, **_TOLD, "ended": "ended"}
    said = [altair.Tooltip(field=name, type="nominal", title=title) for name, title in told.items()]
    return [*said[: len(words)], value, *said[len(words) :]]


def doublings(field: str, title: str, ticks: Sequence[int]) -> altair.X:
    """A logarithmic axis of whole numbers, with the values that occur as ticks."""
    axis = altair.Axis(values=list(ticks), format="d", grid=False, labelOverlap=False)
    scale = altair.Scale(type="log", base=2, nice=False, padding=10)
    return altair.X(field=field, type="quantitative", title=title, axis=axis, scale=scale)


def named_bars(names: Sequence[str]) -> altair.Y:
    """An axis of names, one below the other in this order."""
    axis = altair.Axis(title=None, ticks=False, domain=False, labelLimit=LONGEST_NAME)
    return altair.Y(field="bar", type="nominal", sort=list(names), axis=axis)


def counted_bars(counts: Sequence[int | None], title: str) -> altair.Y:
    """An axis of numbers, one below the other; points say by `bar` which of them they belong to."""
    words = json.dumps(["" if count is None else int(count) for count in counts])
    axis = altair.Axis(title=title, ticks=False, domain=False, labelExpr=f"{words}[datum.value]")
    return altair.Y(field="bar", type="ordinal", axis=axis, scale=altair.Scale(domain=list(range(len(counts)))))
