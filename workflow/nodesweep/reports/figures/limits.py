"""Peak memory of a rank, measured and predicted, against what it may use."""

import math
from collections.abc import Mapping, Sequence

from nodesweep.common.units import GIB, MIB
from nodesweep.config.machine import Machine
from nodesweep.config.tidy_row import TidyRow, count_of, number_of, text_of
from nodesweep.performance.calibration.observations import mib_of_a_rank
from nodesweep.sweep.layout import Layout

from .figure import Datum, Figure, MissingFigure, sentences
from .series import datum, distinguishing_parts, layout_name, series_key, shared, unique

MOST_ROWS = 24
FITTED, OUT_OF_MEMORY, PREDICTED, LIMIT = "measured", "out of memory", "predicted", "limit"


def memory(rows: Sequence[TidyRow], machine: Machine, layouts: Mapping[str, Layout]) -> Figure | MissingFigure:
    """Peaks of ranks in GiB. `layouts` by slug, each with its machine; other rows are held against `machine`."""
    known = [row for row in rows if _measured(row) is not None or (row["state"] == "pruned" and _predicted(row))]
    if not any(_measured(row) is not None for row in known):
        return MissingFigure("memory", "no peak memory was measured")
    machines = {slug: layout.machine for slug, layout in layouts.items()}
    needs = [_MemoryNeed(row, _limit(row, machines.get(text_of(row, "slug") or "", machine))) for row in known]
    shown = _shown(needs)
    chosen = [need.row for need in shown]
    parts = distinguishing_parts(chosen, "")
    names = unique(layout_name(row, parts) for row in chosen)
    peaks: list[Datum] = []
    for name, need in zip(names, shown, strict=True):
        for kind, mib in need.peaks.items():
            if mib is not None:
                peaks.append(datum(need.row, bar=name, kind=kind, gib=mib * MIB / GIB))
    kinds = {point["kind"] for point in peaks}
    caption = sentences(
        "Peak memory of the rank that needs most, measured and predicted by the other runs or by memory_constants."
        if PREDICTED in kinds
        else "Peak memory of the rank that needs most.",
        "Line: what a rank may use of its node's memory." if LIMIT in kinds else "",
        "A run out of memory shows what it had when it ended, not what it needed." if OUT_OF_MEMORY in kinds else "",
        f"Of {len(known)} layouts those that differ only in nodes, DP and GBS are one, by what needs most; of these "
        f"the {len(chosen)} nearest the limit."
        if len(chosen) < len(known)
        else "",
    )
    below = shared(chosen, "")
    return Figure("memory", "Peak memory against the limit", caption, below, tuple(names), layers={"peaks": peaks})


class _MemoryNeed:
    """The peaks of a row in MiB by kind, and how far the largest is from the limit."""

    def __init__(self, row: TidyRow, limit: float | None) -> None:
        self.row = row
        kind = OUT_OF_MEMORY if row["outcome"] == "oom" else FITTED
        self.peaks = {kind: _measured(row), PREDICTED: _predicted(row), LIMIT: limit}
        self.mib = max(_measured(row) or 0.0, _predicted(row) or 0.0)
        self.off = abs(math.log(self.mib / limit)) if limit and self.mib > 0 else -self.mib


def _shown(needs: list[_MemoryNeed]) -> list[_MemoryNeed]:
    """All needs; of too many, the largest of each kind, and of these the nearest to their limit. The order stays."""
    if len(needs) <= MOST_ROWS:
        return needs
    most: dict[object, int] = {}
    for number, need in enumerate(needs):
        kind = series_key(need.row, ("nodes", "global_batch_samples"))
        if kind not in most or need.mib > needs[most[kind]].mib:
            most[kind] = number
    nearest = sorted(most.values(), key=lambda number: needs[number].off)[:MOST_ROWS]
    return [needs[number] for number in sorted(nearest)]


def _measured(row: TidyRow) -> float | None:
    """The measured peak of a rank in MiB; None if it is unknown, or of an unknown number of ranks."""
    mib, source = number_of(row, "memory_mib"), text_of(row, "memory_source")
    ranks = [count_of(row, name) or 0 for name in ("ranks_per_node", "ranks")]
    if mib is None:
        return None
    try:
        return mib_of_a_rank(mib, source, ranks[0], ranks[1])
    except ZeroDivisionError:
        return None


def _predicted(row: TidyRow) -> float | None:
    return number_of(row, "predicted_memory_mib")


def _limit(row: TidyRow, machine: Machine) -> float | None:
    limit = machine.memory_mib_per_node
    return None if limit is None else limit / (count_of(row, "ranks_per_node") or machine.ranks_per_node)
