"""Figures -> Vega-Lite specs with all their data in them, by Altair."""

import json
import textwrap
from collections.abc import Callable
from typing import Any

import altair
import vl_convert

from nodesweep.common.text import plain

from .bars import memory, shares
from .figure import Figure
from .lines import batches, rates, rising, scaling, steady
from .marks import Sheet
from .style import CONFIG, PIXELS

HEADING, BELOW = 56, 68
"""Characters of a line of the title, and of one below it, that fit into a column."""
_LINES = 2
"""Lines below the title at most."""
_NO_BREAK = "\N{NO-BREAK SPACE}"
_DRAWN: dict[str, Callable[[Figure, Sheet], altair.LayerChart]] = {
    "strong-scaling": scaling,
    "weak-scaling": steady,
    "throughput-scaling": rising,
    "tflops": rates,
    "efficiency": shares,
    "memory": memory,
    "throughput": batches,
}


def spec_of(figure: Figure, heading: str) -> dict[str, Any]:
    """The Vega-Lite spec of a figure; nothing in it is fetched. `heading`: the name of the sweep."""
    sheet = Sheet()
    title = altair.TitleParams(plain(heading, HEADING) or " ", subtitle=below(figure.below))
    chart = _DRAWN[figure.name](figure, sheet).properties(title=title, description=figure.caption)
    spec = chart.to_dict()
    del spec["$schema"]  # an address, and Vega-Lite is told from the spec itself
    return spec | {"config": CONFIG, "datasets": sheet.datasets}


def below(text: str) -> list[str]:
    """What stands below a title, in lines that fit, broken between values.

    >>> below(", ".join(["1B", "PP 1", "s" * 55, "GBS 16"]))
    ['1B, PP 1, sssssssssssssssssssssssssssssssssssssssssssssssssssssss,', 'GBS 16']
    """
    values = plain(text).replace(" ", _NO_BREAK).replace(f",{_NO_BREAK}", ", ")
    lines = textwrap.wrap(values, BELOW, max_lines=_LINES, placeholder=" …")
    return [line.replace(_NO_BREAK, " ") for line in lines or [" "]]


def files_of(figure: Figure, spec: dict[str, Any]) -> dict[str, bytes]:
    """The files of a figure by suffix; the PNG is made of the SVG."""
    svg = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    text = {"name": figure.name, "title": figure.title, "caption": figure.caption, "spec": spec}
    return {
        "svg": svg.encode(),
        "png": vl_convert.svg_to_png(svg, scale=PIXELS),
        "json": (json.dumps(text, ensure_ascii=False, allow_nan=False) + "\n").encode(),
    }
