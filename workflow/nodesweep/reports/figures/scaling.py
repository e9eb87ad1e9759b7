"""Time and rate against the number of nodes."""

from collections.abc import Iterable, Sequence

from .axes import ticks
from .curves import Curve, Foreseen, no_curve
from .figure import Datum, Figure, Missing, Row, known, sentences
from .selection import Chosen
from .series import fastest_of_each, series_of

MODEL, IDEAL = "model", "ideal"


def strong_scaling(rows: Iterable[Row], curve: Curve) -> Figure | Missing:
    """Seconds per iteration against nodes, with the ideal line and the model's curve of each series."""
    timed = [row for row in rows if known(row, "nodes", "iteration_seconds")]
    series = series_of(timed, "nodes")
    if not any(len({row["nodes"] for row in group}) > 1 for group in series):
        return Missing("strong-scaling", "no layout was measured on several numbers of nodes")
    chosen = Chosen.of(series, "nodes", "nodes")
    layers = chosen.layers("seconds", "iteration_seconds")
    band: list[Datum] = []
    for name, group in chosen.colored:
        if len(fastest_of_each(group, "nodes")) > 1:
            foreseen = curve(group)
            band += [_foreseen(name, one) for one in foreseen]
            layers["lines"] += _ideal(name, group, [one.nodes for one in foreseen])
    fitted = any(row["compute_percent"] is not None for _, group in chosen.colored for row in group)
    modelled = bool(band) or (curve is no_curve and fitted)
    caption = sentences(
        "Strong scaling: seconds per iteration against nodes.",
        "Dotted: ideal, the time on the fewest nodes over how many times as many there are.",
        "Dashed: the model fitted to all runs of the campaign, with the band that holds 95 of 100." if modelled else "",
        *chosen.said,
    )
    layers["lines"] += band
    counts = ticks([row["nodes"] for row in timed] + [point["nodes"] for point in band])
    title = "Seconds per iteration against nodes"
    return Figure("strong-scaling", title, caption, chosen.below, chosen.names, counts, layers | {"band": band})


def tflops(rows: Iterable[Row]) -> Figure | Missing:
    """TFLOPs of a node against nodes."""
    rated = [row for row in rows if known(row, "nodes", "tflops_per_node", "iteration_seconds")]
    if len({row["nodes"] for row in rated}) < 2:
        return Missing("tflops", "TFLOPs are not known on several numbers of nodes")
    chosen = Chosen.of(series_of(rated, "nodes"), "nodes", "nodes")
    caption = sentences("TFLOPs per node against nodes, recomputation counted.", *chosen.said)
    layers = chosen.layers("tflops", "tflops_per_node", rate=True)
    counts = ticks(row["nodes"] for row in rated)
    return Figure("tflops", "TFLOPs per node against nodes", caption, chosen.below, chosen.names, counts, layers)


def _foreseen(name: str, one: Foreseen) -> Datum:
    point = {"series": name, "line": f"{MODEL} {name}", "kind": MODEL, "nodes": one.nodes, "dp": one.data}
    return point | {"seconds": one.seconds, "low": one.low_seconds, "high": one.high_seconds}


def _ideal(name: str, group: Sequence[Row], more: Sequence[int]) -> list[Datum]:
    """The time of the fewest nodes, divided by how many times as many there are."""
    ended = fastest_of_each(group, "nodes")
    first = ended[0]
    counts = sorted({count for count in (*(row["nodes"] for row in ended), *more) if count >= first["nodes"]})
    work = first["iteration_seconds"] * first["nodes"]
    line = {"series": name, "line": f"{IDEAL} {name}", "kind": IDEAL}
    return [line | {"nodes": count, "seconds": work / count} for count in counts]
