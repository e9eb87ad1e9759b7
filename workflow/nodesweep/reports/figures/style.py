"""What all figures look like: one column of a paper, colours that are told apart by all eyes and in grey."""

from collections.abc import Sequence
from typing import Any

import altair

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Colours of series, by Okabe and Ito; the marks of series differ as well."""
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
OTHERS, OTHERS_SHAPE = "#B8B8B8", "circle"
INK, FAINT = "#222222", "#E4E4E4"
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
WIDTH, HEIGHT = 270, 210
"""Size of the plot itself, in px of 1/96 inch; with its axis it fills a column of 3.5 inches."""
STEP = 14
"""Height of a row of bars."""
PIXELS = 3
"""Pixels of a PNG for each px: 288 dpi."""
LABEL = 9
PLAIN = ",~r"
"""Numbers of an axis: 0.02, 10,000; no letters for thousands and thousandths."""
SYMBOL, CHARACTER, GAP = 25, 4.5, 10
"""Width of a symbol in a legend with the gap after its column, of a character of a label, and of that gap, in px."""
CONFIG = {
    "background": "white",
    "font": FONT,
    "padding": 4,
    "view": {"stroke": None},
    "axis": {
        "domainColor": INK,
        "tickColor": INK,
        "labelColor": INK,
        "titleColor": INK,
        "labelFontSize": LABEL,
        "titleFontSize": 10,
        "titleFontWeight": "normal",
        "gridColor": FAINT,
        "gridWidth": 0.6,
        "tickSize": 4,
    },
    "legend": {
        "labelColor": INK,
        "labelFontSize": LABEL,
        "labelLimit": 330,
        "symbolSize": 45,
        "symbolOpacity": 1,
        "rowPadding": 1,
        "offset": 6,
        "layout": {"bottom": {"direction": "vertical", "anchor": "start", "margin": 4}},
    },
    "title": {
        "anchor": "start",
        "frame": "bounds",
        "fontSize": 11,
        "color": INK,
        "subtitleColor": "#555555",
        "subtitleFontSize": LABEL,
        "offset": 8,
    },
}


def series_scales(names: Sequence[str], named: int) -> tuple[altair.Scale, altair.Scale]:
    """Colours and shapes of series; those after the first `named` are grey."""
    grey = len(names) - named
    colours = altair.Scale(domain=list(names), range=[*COLOURS[:named], *[OTHERS] * grey])
    shapes = altair.Scale(domain=list(names), range=[*SHAPES[:named], *[OTHERS_SHAPE] * grey])
    return colours, shapes


def legend(names: Sequence[str], width: int = WIDTH, **more: Any) -> altair.Legend:
    """A legend below the plot, in as many columns as there is room for."""
    widths = [SYMBOL + CHARACTER * len(name) for name in names]
    columns = len(names) if sum(widths) <= width + GAP else max(1, int((width + GAP) / max(widths)))
    return altair.Legend(orient="bottom", direction="horizontal", columns=columns, **more)
