"""Drawings of series: points, lines, bands and error bars over an axis of doublings."""

import altair

from .axes import heights
from .figure import Figure
from .marks import Sheet, doublings, tooltip
from .scaling import IDEAL, MODEL
from .selection import MEASURED, MOST_NAMED
from .style import HEIGHT, INK, OTHERS, PLAIN, WIDTH, legend, series_scales

_DASHES = {MEASURED: [1, 0], MODEL: [5, 3], IDEAL: [1, 3]}
_KINDS = {MEASURED: "measured", MODEL: "model, 95 % band", IDEAL: "ideal"}


def scaling(figure: Figure, sheet: Sheet) -> altair.LayerChart:
    """Seconds against nodes."""
    return _chart(figure, sheet, "seconds", "Time per iteration [s]", "s per iteration", logarithmic=True)


def steady(figure: Figure, sheet: Sheet) -> altair.LayerChart:
    """Seconds against nodes from 0 on, where they would ideally stay."""
    return _chart(figure, sheet, "seconds", "Time per iteration [s]", "s per iteration")


def rising(figure: Figure, sheet: Sheet) -> altair.LayerChart:
    """Tokens per second against nodes."""
    return _chart(figure, sheet, "tokens", "Tokens per second", "tokens/s", logarithmic=True)


def rates(figure: Figure, sheet: Sheet) -> altair.LayerChart:
    """TFLOPs against nodes."""
    return _chart(figure, sheet, "tflops", "TFLOPs per node", "TFLOPs per node")


def batches(figure: Figure, sheet: Sheet) -> altair.LayerChart:
    """Tokens per second against the batch."""
    return _chart(figure, sheet, "tokens", "Tokens per second", "tokens/s")


def _chart(
    figure: Figure, sheet: Sheet, value: str, title: str, unit: str, logarithmic: bool = False
) -> altair.LayerChart:
    """A chart of bands, grey series, lines, error bars and points, from the lowest layer to the highest."""
    points = figure.layers["points"]
    x, y = doublings(*figure.x, figure.ticks), _vertical(figure, value, title, logarithmic)
    low = altair.Y(field="low", type="quantitative", title=title)
    colours, shapes = series_scales(figure.series, MOST_NAMED)
    key = legend(figure.series)
    colour = altair.Color(field="series", type="nominal", title=None, scale=colours, legend=key)
    shape = altair.Shape(field="series", type="nominal", title=None, scale=shapes, legend=key)
    shown = tooltip(value, unit)
    layers = []
    if band := figure.layers.get("band"):
        layers.append(sheet.chart(band).mark_area(opacity=0.15).encode(x=x, y=low, y2="high", color=colour))
    if lines := figure.layers["other lines"]:
        layers.append(sheet.chart(lines).mark_line(strokeWidth=0.6, color=OTHERS).encode(x=x, y=y, detail="line:N"))
    if others := figure.layers["other points"]:
        layers.append(sheet.chart(others).mark_circle(size=10, opacity=1, color=OTHERS).encode(x=x, y=y, tooltip=shown))
    if figure.layers["lines"]:
        layers.append(_lines(figure, sheet).encode(x=x, y=y, color=colour))
    if ends := [point for point in points if "low" in point]:
        layers.append(sheet.chart(ends).mark_rule().encode(x=x, y=low, y2="high", color=colour))
    for well in (True, False):
        if some := [point for point in points if point["well"] is well]:
            mark = sheet.chart(some).mark_point(filled=well, size=34, opacity=1, strokeWidth=1.2)
            layers.append(mark.encode(x=x, y=y, color=colour, shape=shape, tooltip=shown))
    return altair.LayerChart(layer=layers).properties(width=WIDTH, height=HEIGHT)


def _vertical(figure: Figure, value: str, title: str, logarithmic: bool) -> altair.Y:
    values = [
        point[name]
        for layer in figure.layers.values()
        for point in layer
        for name in (value, "low", "high")
        if name in point
    ]
    labelled = {"values": list(heights(min(values), max(values)))} if logarithmic else {"tickCount": 6}
    scale = altair.Scale(type="log", nice=False, padding=6) if logarithmic else altair.Scale(zero=True)
    axis = altair.Axis(format=PLAIN, **labelled)
    return altair.Y(field=value, type="quantitative", title=title, scale=scale, axis=axis)


def _lines(figure: Figure, sheet: Sheet) -> altair.Chart:
    """Lines of what was measured, of the model and of the ideal; a legend of dashes where there are several kinds."""
    lines = figure.layers["lines"]
    kinds = [kind for kind in _KINDS if any(point["kind"] == kind for point in lines)]
    words = [_KINDS[kind] for kind in kinds]
    scale = altair.Scale(domain=words, range=[_DASHES[kind] for kind in kinds])
    key = legend(words, symbolType="stroke", symbolSize=250, symbolStrokeColor=INK) if len(kinds) > 1 else None
    dash = altair.StrokeDash(field="words", type="nominal", title=None, scale=scale, legend=key)
    shown = sheet.chart(point | {"words": _KINDS[point["kind"]]} for point in lines).mark_line(strokeWidth=1.2)
    chart: altair.Chart = shown.encode(strokeDash=dash, detail="line:N")
    return chart
