"""Drawings of layouts one below the other: shares of their time, peaks of their memory."""

from collections.abc import Sequence

import altair

from .figure import Datum, Figure
from .limits import FITTED, LIMIT, OUT_OF_MEMORY, PREDICTED
from .marks import LONGEST_NAME, Sheet, counted_bars, named_bars, tooltip
from .shares import EFFICIENCY, PARTS
from .style import CHARACTER, INK, PLAIN, STEP, WIDTH, legend

_COLOURS = dict(zip(PARTS, ("#00507F", "#E69F00", "#009E73", "#E7B8D2"), strict=True))
_LEAST_TOLD, _NUMBER = 9, 8
"""Percent from which on a share has its number in it, and what the number takes up."""
_RING = "M0,-1.8L1.8,0L0,1.8L-1.8,0ZM0,-1.25L-1.25,0L0,1.25L1.25,0Z"
"""An empty diamond, as SVG writes paths."""
_PEAKS = {FITTED: ("circle", "#0072B2"), OUT_OF_MEMORY: ("cross", "#D55E00"), PREDICTED: (_RING, "#E69F00")}
_NARROWEST = 150
"""Width of a plot beside long names, in px."""


def shares(figure: Figure, sheet: Sheet) -> altair.LayerChart:
    """Stacked shares below the names of their series, with diamonds for the efficiency."""
    heads, bars, marks = (figure.layers[name] for name in ("heads", "bars", "marks"))
    parts = [part for part in PARTS if any(bar["part"] == part for bar in bars)]
    counts: list[int | None] = [None] * (1 + max(bar["bar"] for bar in bars))
    for bar in bars:
        counts[bar["bar"]] = bar["nodes"]
    y = counted_bars(counts, "Nodes")
    axis = altair.Axis(title="Share of an iteration [%]", grid=False, values=[0, 20, 40, 60, 80, 100])
    most = max([100.0, *(mark["high" if "high" in mark else "percent"] for mark in marks)])
    x = altair.X(field="start", type="quantitative", axis=axis, scale=altair.Scale(domain=[0, most], nice=False))
    scale = altair.Scale(domain=parts, range=[_COLOURS[part] for part in parts])
    colour = altair.Color("part:N", title=None, scale=scale, legend=legend(parts, symbolType="square"))
    stacked = sheet.chart(bars).mark_bar(height=STEP - 3, stroke="white", strokeWidth=0.6)
    layers = [stacked.encode(y=y, x=x, x2="end", color=colour, tooltip=tooltip("percent", "%", {"part": "part"}))]
    if heads:
        head = sheet.chart(heads).mark_text(align="left", fontSize=9, fontWeight="bold", color=INK, dy=1, limit=WIDTH)
        layers.append(head.encode(y=y, x=altair.value(0), text="series:N"))
    layers += _percents(bars, marks, parts[0], sheet, y)
    if ends := [mark for mark in marks if "low" in mark]:
        layers.append(sheet.chart(ends).mark_rule(color=INK).encode(y=y, x="low:Q", x2="high:Q"))
    if marks:
        scale = altair.Scale(domain=[EFFICIENCY], range=["diamond"])
        shape = altair.Shape("part:N", title=None, scale=scale, legend=legend([EFFICIENCY]))
        diamonds = sheet.chart(marks).mark_point(
            filled=True, size=42, opacity=1, fill="white", stroke=INK, strokeWidth=1.2
        )
        layers.append(diamonds.encode(y=y, x="percent:Q", shape=shape, tooltip=tooltip("percent", "% of the speed")))
    return altair.LayerChart(layer=layers).properties(width=WIDTH, height=altair.Step(STEP))


def _percents(
    bars: Sequence[Datum], marks: Sequence[Datum], first: str, sheet: Sheet, y: altair.Y
) -> list[altair.Chart]:
    """The percents of shares that are wide enough: left-aligned in the first share, right-aligned in the others."""
    hidden = {mark["bar"]: [mark[name] for name in ("low", "percent", "high") if name in mark] for mark in marks}
    shown = [bar for bar in bars if bar["percent"] >= _LEAST_TOLD and not _under(hidden.get(bar["bar"]), bar)]
    text = altair.Text("percent:Q", format=".0f")
    found = []
    if at_start := [bar for bar in shown if bar["part"] == first]:
        mark = sheet.chart(at_start).mark_text(fontSize=8, color="white", align="left", dx=4)
        found.append(mark.encode(y=y, x="start:Q", text=text))
    if at_end := [bar for bar in shown if bar["part"] != first]:
        mark = sheet.chart(at_end).mark_text(fontSize=8, color=INK, align="right", dx=-4)
        found.append(mark.encode(y=y, x="end:Q", text=text))
    return found


def _under(span: Sequence[float] | None, bar: Datum) -> bool:
    """Whether a diamond, or the line through it, covers the place of a share's number."""
    if span is None:
        return False
    start, end = (0, _NUMBER) if bar["start"] == 0 else (bar["end"] - _NUMBER, bar["end"] + 2)
    return span[0] <= end and start <= span[-1]


def memory(figure: Figure, sheet: Sheet) -> altair.LayerChart:
    """Measured and predicted peaks of each layout, with the limit as a line."""
    peaks = figure.layers["peaks"]
    kinds = [kind for kind in _PEAKS if any(point["kind"] == kind for point in peaks)]
    names = min(LONGEST_NAME, CHARACTER * max(map(len, figure.series)))
    width = int(min(WIDTH, max(_NARROWEST, WIDTH + 40 - names)))
    y = named_bars(figure.series)
    x = altair.X(
        field="gib",
        type="quantitative",
        title="Peak memory of a rank [GiB]",
        scale=altair.Scale(zero=True, nice=False, padding=8),
        axis=altair.Axis(tickCount=max(4, width // 40), format=PLAIN),
    )
    key = legend(kinds, width)
    colours, shapes = (altair.Scale(domain=kinds, range=[_PEAKS[kind][part] for kind in kinds]) for part in (1, 0))
    colour = altair.Color("kind:N", title=None, scale=colours, legend=key)
    shape = altair.Shape("kind:N", title=None, scale=shapes, legend=key)
    layers = []
    if limits := [point for point in peaks if point["kind"] == LIMIT]:
        line = sheet.chart(limits).mark_tick(thickness=1.2, size=STEP, orient="vertical", color=INK)
        layers.append(line.encode(y=y, x=x, tooltip=tooltip("gib", "GiB for a rank")))
        named = sheet.chart(limits[:1]).mark_text(fontSize=8, dy=-STEP + 2, color=INK, text=LIMIT)
        layers.append(named.encode(y=y, x=x))
    points = sorted((point for point in peaks if point["kind"] in kinds), key=lambda point: point["kind"] != PREDICTED)
    marked = sheet.chart(points).mark_point(filled=True, size=42, opacity=1)
    layers.append(marked.encode(y=y, x=x, color=colour, shape=shape, tooltip=tooltip("gib", "GiB", {"kind": "which"})))
    return altair.LayerChart(layer=layers).properties(width=width, height=altair.Step(STEP))
