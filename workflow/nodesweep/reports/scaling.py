"""Scaling of a sweep in sentences and tables: best layouts, losses and their causes."""

import math
from collections.abc import Sequence

from nodesweep.common.markdown import pipe_table
from nodesweep.common.numbers import rounded, word
from nodesweep.config.tidy_row import TidyRow, number_of, text_of
from nodesweep.results.scaling import SAME, UNEXPLAINED, BestLayout, ScalingLoss, tokens_per_second
from nodesweep.results.scaling_kinds import BATCH, STRONG

from .naming import NamePart, named

LEAST_SHARE = 0.005
MOST_NAMED = 5
"""Layouts that are named in one cell."""
_CAMPAIGN, _AMONG, _BEST, _AS_GOOD, _MAY_BE_FASTER = "Campaign", "Scaling", "Best measured", "As good", "May be faster"
BEST_LEFT = frozenset({_CAMPAIGN, _AMONG, _BEST, _AS_GOOD, _MAY_BE_FASTER})
"""Headings of the columns of words in a table of the best."""


def by_campaign(rows: Sequence[TidyRow]) -> bool:
    """Whether it takes the campaign to tell rows apart: there are several, and some are more than a variant."""
    several = len({row["campaign"] for row in rows}) > 1
    return several and any(row["campaign"] != row["variant"] for row in rows)


def sentence(loss: ScalingLoss, parts: Sequence[NamePart], campaigns: bool, kinds: bool = False) -> str:
    """A loss of scaling in words; `parts`: the parts of a name that tell the rows of its sweep apart.

    `kinds`: whether the sweep scales in several ways, so that a strong series is said to be one too.
    """
    first, last, series = loss.first, loss.last, loss.series
    given = [part for part in parts if not part.follows]
    batch, start = "", "From"
    if series is not None and (kinds or series.kind is not STRONG):
        batch = series.words.partition(", ")[2] or series.words
        start = f"{series.kind.name.capitalize()} scaling from"
        given = [part for part in given if part.column != BATCH or series.kind.any_batch]
    same = [part for part in given if first[part.column] == last[part.column]]
    other = [part for part in given if first[part.column] != last[part.column]]
    changed = [f"{named(first, [part])}, then {named(last, [part])}" for part in other]
    details = "; ".join(filter(None, (", ".join(filter(None, (batch, named(last, same)))), *changed)))
    campaign = f", campaign {first['campaign']}" if campaigns else ""
    head = f"{start} {first['nodes']} to {last['nodes']} nodes{f' ({details})' if details else ''}{campaign}"
    if abs(math.log(loss.kept)) < SAME:
        return f"{head}: the speed per node stays the same."
    if loss.kept > 1:
        return f"{head}: the speed per node grows to {100 * loss.kept:.0f} %."
    left = f"{head}: {100 * loss.kept:.0f} % of the speed per node is left."
    if UNEXPLAINED in loss.factors:
        return f"{left} No fit tells where the rest goes."
    shares = sorted(loss.shares.items(), key=lambda item: -item[1])
    causes = [f"{100 * share:.0f} % {{}}to {name}" for name, share in shares if share > LEAST_SHARE]
    lost = ", ".join(cause.format("goes " if cause is causes[0] else "") for cause in causes)
    back = "".join(f", and {-100 * share:.0f} % comes back by {name}" for name, share in shares if share < -LEAST_SHARE)
    return f"{left} Of the loss {lost}{back}."


def best_cells(
    found: Sequence[BestLayout], parts: Sequence[NamePart], campaigns: bool
) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of a table of the best of each node count, in markdown."""
    unmeasured, several = any(best.unmeasured for best in found), any(best.among for best in found)
    headings = ["Nodes", _BEST, "Sec/it", "Tokens/s", "Measured", _AS_GOOD, *([_MAY_BE_FASTER] if unmeasured else [])]
    headings = [*([_CAMPAIGN] if campaigns else []), *([_AMONG] if several else []), *headings]
    rows = [
        [
            *([word(text_of(best.row, "campaign"))] if campaigns else []),
            *([word(best.among)] if several else []),
            str(best.row["nodes"]),
            word(named(best.row, parts)),
            _seconds(best.row),
            f"{tokens_per_second(best.row):.0f}",
            str(best.measured),
            word(_first([f"{named(row, parts)}: {_seconds(row)} s" for row in best.ties])),
            *([word(_first([_unmeasured(row, parts) for row in best.unmeasured]))] if unmeasured else []),
        ]
        for best in found
    ]
    return headings, rows


def best_table(headings: list[str], rows: list[list[str]]) -> str:
    """Headings and rows of `best_cells` as a table in markdown."""
    return pipe_table(headings, rows, BEST_LEFT)


def _first(texts: Sequence[str]) -> str:
    """The first texts in one line, with the number of those left out."""
    left = len(texts) - MOST_NAMED
    return "; ".join([*texts[:MOST_NAMED], *([f"and {left} more"] if left > 0 else [])])


def _unmeasured(row: TidyRow, parts: Sequence[NamePart]) -> str:
    low, high = (rounded(number_of(row, f"predicted_seconds_{end}"), 1, 3) for end in ("low", "high"))
    return f"{named(row, parts)}: {low} to {high} s predicted, {row['state']}"


def _seconds(row: TidyRow) -> str:
    return rounded(number_of(row, "iteration_seconds"), 1, 3)
