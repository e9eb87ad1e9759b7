"""Time and rate against the number of nodes."""

from collections.abc import Iterable, Sequence

from nodesweep.config.tidy_row import TidyRow, required_count, required_number

from .axes import ticks
from .curves import Curve, CurvePoint, no_curve
from .figure import Datum, Figure, MissingFigure, known, sentences
from .selection import SeriesSelection
from .series import fastest_of_each, series_of

MODEL, IDEAL = "model", "ideal"


def strong_scaling(rows: Iterable[TidyRow], curve: Curve) -> Figure | MissingFigure:
    """Seconds per iteration against nodes, with the ideal line and the model's curve of each series."""
    timed = [row for row in rows if known(row, "nodes", "iteration_seconds")]
    series = series_of(timed, "nodes")
    if not any(len({row["nodes"] for row in group}) > 1 for group in series):
        return MissingFigure("strong-scaling", "no layout was measured on several numbers of nodes")
    selection = SeriesSelection.of(series, "nodes")
    layers = selection.layers("seconds", "iteration_seconds")
    band: list[Datum] = []
    for name, group in selection.colored:
        if len(fastest_of_each(group, "nodes")) > 1:
            points = curve(group)
            band += [_modelled(name, one) for one in points]
            layers["lines"] += _ideal(name, group, [one.nodes for one in points])
    fitted = any(row["compute_percent"] is not None for _, group in selection.colored for row in group)
    modelled = bool(band) or (curve is no_curve and fitted)
    caption = sentences(
        "Strong scaling: seconds per iteration against nodes.",
        "Dotted: ideal, the time on the fewest nodes over how many times as many there are.",
        "Dashed: the model fitted to all runs of the campaign, with the band that holds 95 of 100." if modelled else "",
        *selection.notes,
    )
    layers["lines"] += band
    counts = ticks([required_count(row, "nodes") for row in timed] + [point["nodes"] for point in band])
    title = "Seconds per iteration against nodes"
    return Figure("strong-scaling", title, caption, selection.below, selection.names, counts, layers | {"band": band})


def tflops(rows: Iterable[TidyRow]) -> Figure | MissingFigure:
    """TFLOPs of a node against nodes."""
    rated = [row for row in rows if known(row, "nodes", "tflops_per_node", "iteration_seconds")]
    if len({row["nodes"] for row in rated}) < 2:
        return MissingFigure("tflops", "TFLOPs are not known on several numbers of nodes")
    selection = SeriesSelection.of(series_of(rated, "nodes"), "nodes")
    caption = sentences("TFLOPs per node against nodes, recomputation counted.", *selection.notes)
    layers = selection.layers("tflops", "tflops_per_node", rate=True)
    counts = ticks(required_count(row, "nodes") for row in rated)
    return Figure("tflops", "TFLOPs per node against nodes", caption, selection.below, selection.names, counts, layers)


def _modelled(name: str, one: CurvePoint) -> Datum:
    point = {"series": name, "line": f"{MODEL} {name}", "kind": MODEL, "nodes": one.nodes, "data": one.data}
    return point | {"seconds": one.seconds, "low": one.low_seconds, "high": one.high_seconds}


def _ideal(name: str, group: Sequence[TidyRow], more: Sequence[int]) -> list[Datum]:
    """The time of the fewest nodes, divided by how many times as many there are."""
    ended = fastest_of_each(group, "nodes")
    fewest = required_count(ended[0], "nodes")
    counts = sorted({count for count in (*(required_count(row, "nodes") for row in ended), *more) if count >= fewest})
    work = required_number(ended[0], "iteration_seconds") * fewest
    line = {"series": name, "line": f"{IDEAL} {name}", "kind": IDEAL}
    return [line | {"nodes": count, "seconds": work / count} for count in counts]
