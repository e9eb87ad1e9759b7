"""What predictions say of scaling: the batch of more nodes in a weak series, and the speed per node that is left."""

from collections.abc import Iterable, Sequence
from fractions import Fraction

from nodesweep.config.tidy_row import TidyRow, text_of
from nodesweep.performance.predict import WhatIf
from nodesweep.sweep.layout import Layout

from .rows import LayoutRun
from .scaling_kinds import KINDS, STRONG, WEAK, KindName, Scaling, efficiency_percent
from .table import build, records


def scales_weakly(rows: Sequence[TidyRow], layout: Layout) -> bool:
    """Whether a layout is in a weak series of the measured rows, and in no strong one."""
    scaling, row = Scaling.of(rows), row_of_layout(layout)
    return scaling.of_row(WEAK, row) is not None and scaling.of_row(STRONG, row) is None


def slugs_in_series(rows: Sequence[TidyRow], kind: KindName) -> set[str]:
    """The slugs of the measured rows that are in a series of this kind."""
    return {text_of(row, "slug") or "" for one in Scaling.of(rows).series if one.kind.name == kind for row in one.rows}


def batch_of_ranks(layout: Layout) -> str:
    """The expression by which the global batch grows with the ranks as a layout has it: `{{ 8 * ranks }}`."""
    share = Fraction(layout.global_batch, layout.ranks)
    over = f" / {share.denominator}" if share.denominator > 1 else ""
    return f"{{{{ {share.numerator} * ranks{over} }}}}"


def predicted_efficiencies(
    rows: Sequence[TidyRow], found: Sequence[WhatIf], campaign: str | None = None
) -> list[dict[KindName, float]]:
    """Of each prediction the speed per node in percent, by kind, against the measured fewest nodes of its series.

    `campaign`: the one whose runs are gone by, that of the layout where left out.
    """
    scaling, percents = Scaling.of(rows), []
    for one in found:
        seconds = one.forecast.time.seconds if one.forecast.time else None
        row = {**row_of_layout(one.layout), "iteration_seconds": seconds}
        bases = scaling.bases(row if campaign is None else {**row, "campaign": campaign})
        values = {kind.name: efficiency_percent(row, bases.get(kind.name)) for kind in KINDS}
        percents.append({name: value for name, value in values.items() if value is not None})
    return percents


def row_of_layout(layout: Layout) -> TidyRow:
    """The row of results.csv that a layout has before it runs."""
    (row,) = rows_of_layouts([layout])
    return row


def rows_of_layouts(layouts: Iterable[Layout]) -> list[TidyRow]:
    """The rows of results.csv that layouts have before they run."""
    return records(build([LayoutRun(layout, "pending", None, None) for layout in layouts]))
