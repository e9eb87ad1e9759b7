"""Figures -> the section of tables.md that shows them."""

from collections.abc import Sequence

from .figure import Figure


def section(figures: Sequence[Figure]) -> str:
    """Images with their captions, in markdown; empty where there are none. A caption holds no word of the config."""
    shown = [f"![{figure.title}](figures/{figure.name}.svg)\n\n{figure.caption}\n" for figure in figures]
    return "\n".join(["\n## Figures\n", *shown]) if shown else ""
