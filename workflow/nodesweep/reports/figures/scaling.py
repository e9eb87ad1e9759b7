"""Time, tokens per second and rate against the number of nodes."""

from collections.abc import Iterable, Sequence

from nodesweep.config.tidy_row import TidyRow, required_count, required_number
from nodesweep.results.scaling_kinds import KINDS, STRONG, THROUGHPUT, WEAK, KindName, ScalingKind, with_own_rows

from .axes import ticks
from .curves import Curve, CurvePoint, no_curve
from .figure import Datum, Figure, MissingFigure, known, sentences
from .kinds import NODES, KindSeries, series_of_kinds
from .selection import SeriesSelection
from .series import fastest_of_each

MODEL, IDEAL = "model", "ideal"
_MODELLED = "Dashed: the model fitted to all runs of the campaign, with the band that holds 95 of 100."
_REASONS: dict[KindName, str] = {
    "strong": "no two numbers of nodes ran alike with one global batch",
    "weak": "no two numbers of nodes ran alike with one batch per rank",
    "throughput": "no number of nodes ran with a batch of its own; strong and weak series have them all",
}


def strong_scaling(rows: Iterable[TidyRow], curve: Curve) -> Figure | MissingFigure:
    """Seconds per iteration against nodes, with the ideal line and the model's curve of each series."""
    return _times(
        "strong-scaling",
        STRONG,
        rows,
        curve,
        "Seconds per iteration against nodes",
        "Strong scaling: seconds per iteration against nodes.",
        "Dotted: ideal, the time on the fewest nodes over how many times as many there are.",
    )


def weak_scaling(rows: Iterable[TidyRow], curve: Curve) -> Figure | MissingFigure:
    """Seconds per iteration against nodes where the batch grows with the ranks: ideally the time stays."""
    return _times(
        "weak-scaling",
        WEAK,
        rows,
        curve,
        "Seconds per iteration against nodes, the batch growing with the ranks",
        "Weak scaling: seconds per iteration against nodes, with as much of the global batch for each rank.",
        "Dotted: ideal, the time on the fewest nodes.",
    )


def _times(
    name: str, kind: ScalingKind, rows: Iterable[TidyRow], curve: Curve, title: str, *captions: str
) -> Figure | MissingFigure:
    """Seconds per iteration against nodes of the series of a kind."""
    timed = [row for row in rows if known(row, NODES, "iteration_seconds")]
    series = series_of_kinds(timed, (kind,))
    if not _are_several(series):
        return _missing(name, kind, timed)
    selection = _selection(series)
    layers = selection.layers("seconds", "iteration_seconds")
    band: list[Datum] = []
    for label, group in selection.colored:
        if len(fastest_of_each(group, NODES)) > 1:
            points = curve(group)
            band += [_modelled(label, one) for one in points]
            layers["lines"] += _ideal(kind, label, group, [one.nodes for one in points], "seconds", "iteration_seconds")
    fitted = any(row["compute_percent"] is not None for _, group in selection.colored for row in group)
    modelled = bool(band) or (curve is no_curve and fitted)
    caption = sentences(*captions, _MODELLED if modelled else "", *selection.notes)
    layers["lines"] += band
    shown = [required_count(row, NODES) for one in series for row in one.rows]
    counts = ticks(shown + [point[NODES] for point in band])
    x = NODES, f"Nodes ({kind.name} scaling)"
    return Figure(name, title, caption, selection.below, selection.names, counts, layers | {"band": band}, x)


def throughput_scaling(rows: Iterable[TidyRow]) -> Figure | MissingFigure:
    """Tokens per second against nodes where each number of nodes has batches of its own."""
    name, column = "throughput-scaling", "tokens_per_second"
    fast = [row for row in rows if known(row, NODES, column, "iteration_seconds")]
    series = series_of_kinds(fast, (THROUGHPUT,))
    if not _are_several(series):
        return _missing(name, THROUGHPUT, fast)
    selection = _selection(series)
    layers = selection.layers("tokens", column, rate=True)
    for label, group in selection.colored:
        if len(fastest_of_each(group, NODES)) > 1:
            layers["lines"] += _ideal(THROUGHPUT, label, group, [], "tokens", column)
    caption = sentences(
        "Throughput: tokens per second of all nodes against nodes, at any batch; lines join the fastest.",
        "Dotted: ideal, the tokens per second on the fewest nodes times how many times as many there are.",
        *selection.notes,
    )
    counts = ticks(required_count(row, NODES) for one in series for row in one.rows)
    title, x = "Tokens per second against nodes", (NODES, "Nodes (at any batch)")
    return Figure(name, title, caption, selection.below, selection.names, counts, dict(layers), x)


def tflops(rows: Iterable[TidyRow]) -> Figure | MissingFigure:
    """TFLOPs of a node against nodes."""
    rated = [row for row in rows if known(row, NODES, "tflops_per_node", "iteration_seconds")]
    if len({row[NODES] for row in rated}) < 2:
        return MissingFigure("tflops", "TFLOPs are not known on several numbers of nodes")
    selection = _selection(with_own_rows(series_of_kinds(rated)))
    caption = sentences("TFLOPs per node against nodes, recomputation counted.", *selection.notes)
    layers = selection.layers("tflops", "tflops_per_node", rate=True)
    counts = ticks(required_count(row, NODES) for row in rated)
    return Figure("tflops", "TFLOPs per node against nodes", caption, selection.below, selection.names, counts, layers)


def _are_several(series: Sequence[KindSeries]) -> bool:
    """Whether some series stands on several numbers of nodes."""
    return any(len(one.counts) > 1 for one in series)


def _missing(name: str, kind: ScalingKind, rows: Sequence[TidyRow]) -> MissingFigure:
    """Why there is no figure of a kind, and of which kinds there are some."""
    if len({row[NODES] for row in rows}) < 2:
        return MissingFigure(name, "no layout was measured on several numbers of nodes")
    several = {one.kind.name for one in series_of_kinds(rows) if len(one.counts) > 1}
    others = [one.name for one in KINDS if one is not kind and one.name in several]
    beside = f"; see {' and '.join(f'{other}-scaling' for other in others)}" if others and not kind.any_batch else ""
    return MissingFigure(name, f"{_REASONS[kind.name]}{beside}")


def _selection(series: Sequence[KindSeries]) -> SeriesSelection:
    return SeriesSelection.of([one.rows for one in series], NODES, [one.stand_ins for one in series])


def _modelled(name: str, one: CurvePoint) -> Datum:
    point = {"series": name, "line": f"{MODEL} {name}", "kind": MODEL, "nodes": one.nodes, "data": one.data}
    return point | {"seconds": one.seconds, "low": one.low_seconds, "high": one.high_seconds}


def _ideal(
    kind: ScalingKind, name: str, group: Sequence[TidyRow], more: Sequence[int], value: str, column: str
) -> list[Datum]:
    """What the fewest nodes have: the time divided by how many times as many there are, the time, or the rate times it.

    The first for strong, the second for weak scaling, the third for a free batch.
    """
    ended = fastest_of_each(group, NODES)
    fewest = required_count(ended[0], NODES)
    counts = sorted({count for count in (*(required_count(row, NODES) for row in ended), *more) if count >= fewest})
    start = required_number(ended[0], column)
    line = {"series": name, "line": f"{IDEAL} {name}", "kind": IDEAL}
    if kind.any_batch:
        return [line | {NODES: count, value: start * count / fewest} for count in counts]
    return [line | {NODES: count, value: start if kind.grows else start * fewest / count} for count in counts]
