"""Parts that drawings have in common: their data, axes, what a pointer shows."""

import json
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import altair

from .figure import Datum
from .series import TOLD

LONGEST_NAME = 260
"""Width of a name beside a bar, in px."""


class Sheet:
    """The data of a figure's charts by name; charts only name their data, since Altair would check and copy it."""

    def __init__(self) -> None:
        self.datasets: dict[str, list[Datum]] = {}

    def chart(self, points: Iterable[Datum]) -> altair.Chart:
        """A chart of these points."""
        name = f"data{len(self.datasets)}"
        self.datasets[name] = list(points)
        return altair.Chart(altair.NamedData(name=name))


def tooltip(field: str, unit: str, first: Mapping[str, str] = MappingProxyType({})) -> list[altair.Tooltip]:
    """What a pointer shows: the fields of `first` by their titles, the value in its unit, then the layout."""
    value = altair.Tooltip(field=field, type="quantitative", title=unit, format=".4~g")
    layout = {"slug": "layout", **TOLD, "ended": "ended"}
    return [*_words(first), value, *_words(layout)]


def _words(titles: Mapping[str, str]) -> list[altair.Tooltip]:
    return [altair.Tooltip(field=name, type="nominal", title=title) for name, title in titles.items()]


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
