"""A Vega-Lite spec -> the bytes of its SVG and PNG, by vl-convert: no network, no browser."""

import json
from typing import Any

import vl_convert

from .figure import Figure
from .style import PIXELS


def files_of(figure: Figure, spec: dict[str, Any]) -> dict[str, bytes]:
    """The files of a figure by suffix; the PNG is made of the SVG."""
    svg = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    text = {"name": figure.name, "title": figure.title, "caption": figure.caption, "spec": spec}
    return {
        "svg": svg.encode(),
        "png": vl_convert.svg_to_png(svg, scale=PIXELS),
        "json": (json.dumps(text, ensure_ascii=False, allow_nan=False) + "\n").encode(),
    }
