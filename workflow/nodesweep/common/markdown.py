"""Markdown out of hostile text: cells that mean themselves, tables that are the same bytes everywhere."""

import html
import re
from collections.abc import Iterable

import tabulate

from .text import plain

CELL_CHARACTERS = 400
_MARKUP = re.compile(r"([\\`*\[\]|~$#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def inert(text: str) -> str:
    """`text` as one line that is nothing but text in markdown, in a table too.

    >>> inert("a|b <script>\\n`x` [y](z)")
    'a\\\\|b &lt;script&gt; \\\\`x\\\\` \\\\[y\\\\](z)'
    """
    escaped = _MARKUP.sub(r"\\\1", plain(text, CELL_CHARACTERS))
    return re.sub("[&<>]", lambda match: _ENTITIES[match[0]], escaped)


def read(markdown: str) -> str:
    """The text that markdown without markup of its own stands for, such as what `inert` made.

    >>> read(inert("a|b <i> `x`"))
    'a|b <i> `x`'
    """
    if "\\" in markdown:
        markdown = re.sub(r"\\([\\`*\[\]|~$#_])", r"\1", markdown)
    return html.unescape(markdown)


def pipe_table(headings: list[str], rows: Iterable[list[str]], left: frozenset[str] = frozenset()) -> str:
    """A markdown table of inert cells, columns right-aligned but for those headed by a word of `left`.

    Widths count characters: tabulate would else count as wide as an optional package tells it, and the bytes of a
    table must depend on its text alone.
    """
    tabulate.WIDE_CHARS_MODE = False
    sides = ["left" if heading in left else "right" for heading in headings]
    return str(tabulate.tabulate(list(rows), headings, tablefmt="pipe", disable_numparse=True, colalign=sides))
