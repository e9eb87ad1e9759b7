"""Where the time of layouts goes: bars of its shares, and their scaling efficiency."""

from collections.abc import Sequence
from dataclasses import replace

from nodesweep.config.tidy_row import TidyRow, required_number
from nodesweep.results.scaling import SAME
from nodesweep.results.scaling_kinds import Scaling, ScalingKind, efficiency_interval, with_own_rows

from .figure import Datum, Figure, MissingFigure, known, sentences
from .kinds import NODES, KindSeries, series_of_kinds
from .series import datum, distinguishing_parts, ranked, series_name, shared, unique

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
    shown, scaling = _shown(with_own_rows(series_of_kinds(split))), Scaling.of(rows)
    bars = [row for one in shown for row in one.rows]
    named = [{**row, **one.stand_ins} for one in shown for row in one.rows]
    naming = distinguishing_parts(named, NODES)
    names = unique(series_name({**one.rows[0], **one.stand_ins}, naming) for one in shown)
    parts = [part for part, column in PARTS.items() if part != "shared cores" or any(row[column] for row in bars)]
    layers: dict[str, list[Datum]] = {"heads": [], "bars": [], "marks": []}
    count = 0
    kinds: list[ScalingKind] = []
    for name, one in zip(names, shown, strict=True):
        if len(names) > 1:
            layers["heads"].append({"bar": count, "series": name})
            count += 1
        for row in one.rows:
            layers["bars"] += _stacked(row, parts, count)
            if (percent := row[one.kind.column]) is not None:
                ends = efficiency_interval(row, scaling.bases(row).get(one.kind.name))
                interval = {"low": ends[0], "high": ends[1]} if ends else {}
                layers["marks"].append(datum(row, bar=count, percent=percent, part=EFFICIENCY, **interval))
                kinds += [one.kind] if one.kind not in kinds else []
            count += 1
    drawn = len({row["slug"] for row in bars})
    caption = sentences(
        f"Shares of an iteration by the fit: {', '.join(parts[:-1])} and {parts[-1]}.",
        "Diamond: speed per node against the fewest nodes with the same model, MP and "
        f"{' or '.join(kind.same for kind in kinds)}."
        if layers["marks"]
        else "",
        "Line through it: between what it lies by the runs of both." if _has_ends(layers["marks"]) else "",
        "Above 100 %: more speed per node than there." if _is_above(layers["marks"]) else "",
        f"{drawn} of {len(split)} layouts: the series that are fastest most often." if drawn < len(split) else "",
    )
    title = "Shares of an iteration, and scaling efficiency"
    return Figure("efficiency", title, caption, shared(named, NODES), tuple(names), layers=layers)


def _has_ends(marks: Sequence[Datum]) -> bool:
    return any("low" in mark for mark in marks)


def _is_above(marks: Sequence[Datum]) -> bool:
    return any(mark["percent"] > 100 * (1 + SAME) for mark in marks)


def _shown(series: list[KindSeries]) -> list[KindSeries]:
    """The best series that there is room for, in their order."""
    order, chosen, room = ranked([one.rows for one in series], NODES), [], MOST_BARS
    for number in order:
        if len(series[number].rows) <= room:
            chosen.append(number)
            room -= len(series[number].rows)
    best = series[order[0]]
    return [series[number] for number in sorted(chosen)] or [replace(best, rows=best.rows[:MOST_BARS])]


def _stacked(row: TidyRow, parts: Sequence[str], bar: int) -> list[Datum]:
    """The points of a bar: one for each share, with its start and end in percent."""
    found = []
    start = 0.0
    for part in parts:
        percent = required_number(row, PARTS[part])
        found.append(datum(row, bar=bar, part=part, percent=percent, start=start, end=start + percent))
        start += percent
    return found
