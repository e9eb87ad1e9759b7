"""What is known of a sweep -> one page that needs nothing but itself, readable without scripts, alive with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from nodesweep.common.text import plain

from .findings import Findings
from .grids import DataGrid
from .packing import Pack, script_json, source_hash

TEMPLATES = Path(__file__).parent / "templates"
_MOST_CHARACTERS = 2000


@dataclass(frozen=True)
class EmbeddedFigure:
    """A chart: its Vega-Lite specification, and the address of its picture, for where no script runs."""

    name: str
    title: str
    caption: str
    spec: dict[str, Any]
    picture: str = ""


@dataclass(frozen=True)
class ReportPage:
    """All that stands on the page, top to bottom; `packs`: all panels. `library`: the JavaScript of the charts.

    `sections`: tables of the study by the heading of their section; `notations`, `empty`: what is said beside them.
    """

    title: str
    sweep: str
    counts: Sequence[tuple[str, int]]
    facts: Sequence[tuple[str, str]]
    findings: Findings
    figures: Sequence[EmbeddedFigure]
    library: str
    sections: dict[str, list[DataGrid]]
    notations: Sequence[tuple[str, str]]
    empty: Sequence[str]
    explained: Sequence[DataGrid]
    layouts: DataGrid
    packs: Sequence[Pack]


def render(page: ReportPage) -> str:
    """The page as HTML; the same page is the same bytes."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    style, script = (_source(environment, name) for name in ("page.css", "page.js"))
    library = _inside(page.library) if page.figures else ""
    scripts = [source_hash(text) for text in (library, script) if text]
    text = environment.get_template("page.html.j2").render(
        page=page,
        style=Markup(style),
        script=Markup(script),
        library=Markup(library),
        policy=Markup(_policy(scripts, source_hash(style))),
        specs=script_json({figure.name: figure.spec for figure in page.figures}),
        slugs=script_json([slugs for slugs, _ in page.packs]),
    )
    return text


def _shown(value: Any) -> Any:
    """Every word on the page as one line of what can be seen; what Jinja escapes comes after."""
    return plain(value, _MOST_CHARACTERS) if type(value) is str else value


def _source(environment: Environment, name: str) -> str:
    """A file that is put into the page as it is."""
    return _inside(environment.loader.get_source(environment, name)[0] if environment.loader else "")


def _inside(text: str) -> str:
    """A script or style as it may stand inside its element: browsers take line ends for one character."""
    return "\n" + text.replace("\r\n", "\n").replace("</script", r"<\/script").replace("<!--", r"<\!--") + "\n"


def _policy(scripts: Sequence[str], style: str) -> str:
    """What the page may do: run these scripts, have this style, show pictures it brings along, and nothing else."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(scripts)}",
            f"style-src {style}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
