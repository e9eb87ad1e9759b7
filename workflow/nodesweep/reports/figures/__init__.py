"""Rows of results.csv -> the figures that they allow, before they are drawn; and why they do not allow the others."""

from collections.abc import Mapping, Sequence

from nodesweep.config.sweep import Sweep
from nodesweep.config.tidy_row import TidyRow
from nodesweep.sweep.layout import Layout

from .batches import throughput
from .curves import Curve, no_curve
from .figure import NAMES, Figure, MissingFigure
from .limits import memory
from .scaling import strong_scaling, tflops, throughput_scaling, weak_scaling
from .shares import efficiency

__all__ = ["NAMES", "Figure", "MissingFigure", "figures_of", "section"]


def figures_of(
    rows: Sequence[TidyRow], sweep: Sweep, layouts: Mapping[str, Layout], curve: Curve = no_curve
) -> tuple[list[Figure], list[MissingFigure]]:
    """The figures that the rows of a sweep allow, and those they do not. `layouts` by slug.

    Without `curve` the data of the model's curves are left out; which figures there are depends on the rows alone.
    """
    found = [
        strong_scaling(rows, curve),
        weak_scaling(rows, curve),
        throughput_scaling(rows),
        tflops(rows),
        efficiency(rows),
        memory(rows, sweep.machine, layouts),
        throughput(rows),
    ]
    return [one for one in found if isinstance(one, Figure)], [one for one in found if isinstance(one, MissingFigure)]


def section(figures: Sequence[Figure]) -> str:
    """Images with their captions, in markdown; empty where there are none. A caption holds no word of the config."""
    shown = [f"![{figure.title}](figures/{figure.name}.svg)\n\n{figure.caption}\n" for figure in figures]
    return "\n".join(["\n## Figures\n", *shown]) if shown else ""
