"""Scaling of a sweep in sentences and tables: best layouts, losses and their causes."""

import math
from collections.abc import Sequence

from nodesweep.common.markdown import inert, pipe_table
from nodesweep.common.numbers import rounded
from nodesweep.config.tidy_row import TidyRow as Row
from nodesweep.results.scaling import SAME, BestLayout, ScalingLoss, tokens_per_second

_FIELDS = (
    *(("DP", "data"), ("MP", "tensor"), ("PP", "pipeline"), ("MBS", "micro_batch_samples")),
    *(("GBS", "global_batch_samples"), ("AC", "activation_checkpointing"), ("GHz", "frequency_ghz")),
    *(("", "variant"), ("", "model_size"), ("sequence", "sequence_length_tokens")),
)

_WORDS = {True: "on", False: "off"}

LEAST_SHARE = 0.005

MOST_NAMED = 5
"""Layouts that are named in one cell."""

_LEFT = ("Campaign", "Best measured", "As good", "May be faster")

BEST_LEFT = frozenset(_LEFT)
"""Headings of the columns of words in a table of the best."""


def differing(rows: Sequence[Row]) -> tuple[tuple[str, str], ...]:
    """Labels and columns of what tells rows apart beside their node count."""
    return tuple((label, name) for label, name in _FIELDS if len({row[name] for row in rows}) > 1)


def by_campaign(rows: Sequence[Row]) -> bool:
    """Whether it takes the campaign to tell rows apart: there are several, and none is but a variant."""
    several = len({row["campaign"] for row in rows}) > 1
    return several and any(row["campaign"] != row["variant"] for row in rows)


def named(row: Row, fields: Sequence[tuple[str, str]]) -> str:
    """A row by those of these fields that it has: `DP 4, MP 2, AC on`."""
    known = [(label, row[name]) for label, name in fields if row[name] is not None]
    return ", ".join(f"{label} {_WORDS[value] if label == 'AC' else value}".strip() for label, value in known)


def sentence(loss: ScalingLoss, fields: Sequence[tuple[str, str]], campaigns: bool) -> str:
    """A loss in words."""
    first, last = loss.first, loss.last
    same = [field for field in fields if first[field[1]] == last[field[1]] and field[1] != "data"]
    other = [field for field in fields if first[field[1]] != last[field[1]] and field[1] != "data"]
    changed = [f"{named(first, (field,))}, then {named(last, (field,))}" for field in other]
    of = f" ({'; '.join(filter(None, (named(last, same), *changed)))})" if same or other else ""
    campaign = f", campaign {first['campaign']}" if campaigns else ""
    head = f"From {first['nodes']} to {last['nodes']} nodes{of}{campaign}"
    if abs(math.log(loss.kept)) < SAME:
        return f"{head}: the speed per node stays the same."
    if loss.kept > 1:
        return f"{head}: the speed per node grows to {100 * loss.kept:.0f} %."
    shares = sorted(loss.shares.items(), key=lambda item: -item[1])
    causes = [f"{100 * share:.0f} % {{}}to {name}" for name, share in shares if share > LEAST_SHARE]
    lost = ", ".join(cause.format("goes " if cause is causes[0] else "") for cause in causes)
    back = "".join(f", and {-100 * share:.0f} % comes back by {name}" for name, share in shares if share < -LEAST_SHARE)
    return f"{head}: {100 * loss.kept:.0f} % of the speed per node is left. Of the loss {lost}{back}."


def best_cells(
    found: Sequence[BestLayout], fields: Sequence[tuple[str, str]], campaigns: bool
) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of a table of the best of each node count, in markdown."""
    headings = [*(["Campaign"] if campaigns else []), "Nodes", _LEFT[1], "Sec/it", "Tokens/s", "Measured", *_LEFT[2:]]
    rows = [
        [
            *([inert(best.row["campaign"] or "-")] if campaigns else []),
            str(best.row["nodes"]),
            inert(named(best.row, fields)) or "-",
            _seconds(best.row),
            f"{tokens_per_second(best.row):.0f}",
            str(best.measured),
            inert(_first([f"{named(row, fields)}: {_seconds(row)} s" for row in best.ties])) or "-",
            inert(_first([_unmeasured(row, fields) for row in best.unmeasured])) or "-",
        ]
        for best in found
    ]
    if not any(best.unmeasured for best in found):
        headings, rows = headings[:-1], [row[:-1] for row in rows]
    return headings, rows


def best_table(headings: list[str], rows: list[list[str]]) -> str:
    """What `best_cells` gives as one table."""
    return pipe_table(headings, rows, BEST_LEFT)


def _first(texts: Sequence[str]) -> str:
    """Some of many texts, and how many more there are."""
    left = len(texts) - MOST_NAMED
    return "; ".join([*texts[:MOST_NAMED], *([f"and {left} more"] if left > 0 else [])])


def _unmeasured(row: Row, fields: Sequence[tuple[str, str]]) -> str:
    low, high = (rounded(row[f"predicted_seconds_{end}"], 1, 3) for end in ("low", "high"))
    return f"{named(row, fields)}: {low} to {high} s predicted, {row['state']}"


def _seconds(row: Row) -> str:
    return rounded(row["iteration_seconds"], 1, 3)
