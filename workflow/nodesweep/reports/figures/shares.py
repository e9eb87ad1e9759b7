"""Where the time of layouts goes: bars of its shares, and their scaling efficiency."""

from collections.abc import Sequence

from nodesweep.config.tidy_row import TidyRow, required_number

from .figure import Datum, Figure, MissingFigure, known, sentences
from .series import datum, distinguishing_parts, ranked, series_name, series_of, shared, unique

MOST_BARS = 24
PARTS = {
    "compute": "compute_percent",
    "bubble": "bubble_percent",
    "DP sync": "sync_percent",
    "shared cores": "sharing_percent",
}
"""Names of the shares in the order they are stacked, and their columns."""
EFFICIENCY = "scaling efficiency"


def efficiency(rows: Sequence[TidyRow]) -> Figure | MissingFigure:
    """The shares of an iteration, stacked, of each layout, with its scaling efficiency as a mark.

    Bars stand below the name of their series; `bar` counts both.
    """
    timed = (row for row in rows if known(row, "nodes", "iteration_seconds"))
    split = [row for row in timed if None not in [row[column] for column in PARTS.values()]]
    if not split:
        return MissingFigure("efficiency", "no fit says yet where the time of the runs goes")
    shown = _shown(series_of(split, "nodes"))
    bars = [row for group in shown for row in group]
    naming = distinguishing_parts(bars, "nodes")
    names = unique(series_name(group[0], naming) for group in shown)
    parts = [part for part, column in PARTS.items() if part != "shared cores" or any(row[column] for row in bars)]
    layers: dict[str, list[Datum]] = {"heads": [], "bars": [], "marks": []}
    count = 0
    for name, group in zip(names, shown, strict=True):
        if len(names) > 1:
            layers["heads"].append({"bar": count, "series": name})
            count += 1
        for row in group:
            layers["bars"] += _stacked(row, parts, count)
            percent = row["scaling_efficiency_percent"]
            layers["marks"] += [datum(row, bar=count, percent=percent, part=EFFICIENCY)] if percent is not None else []
            count += 1
    caption = sentences(
        f"Shares of an iteration by the fit: {', '.join(parts[:-1])} and {parts[-1]}.",
        "Diamond: speed per node against the fewest nodes with the same model, MP and global batch."
        if layers["marks"]
        else "",
        f"{len(bars)} of {len(split)} layouts: the series that are fastest most often."
        if len(bars) < len(split)
        else "",
    )
    title = "Shares of an iteration, and scaling efficiency"
    return Figure("efficiency", title, caption, shared(bars, "nodes"), tuple(names), layers=layers)


def _shown(series: list[list[TidyRow]]) -> list[list[TidyRow]]:
    """The best series that there is room for, in their order."""
    order, chosen, room = ranked(series, "nodes"), [], MOST_BARS
    for number in order:
        if len(series[number]) <= room:
            chosen.append(number)
            room -= len(series[number])
    return [series[number] for number in sorted(chosen)] or [series[order[0]][:MOST_BARS]]


def _stacked(row: TidyRow, parts: Sequence[str], bar: int) -> list[Datum]:
    """The points of a bar: one for each share, with its start and end in percent."""
    found = []
    start = 0.0
    for part in parts:
        percent = required_number(row, PARTS[part])
        found.append(datum(row, bar=bar, part=part, percent=percent, start=start, end=start + percent))
        start += percent
    return found
