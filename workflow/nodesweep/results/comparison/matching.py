"""Two tidy tables -> which rows are of the same layout, which appeared, which vanished."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from nodesweep.config.tidy_row import TidyRow, TidyValue
from nodesweep.results.comparable import fields_named_in, layout_of

RowPair = tuple[TidyRow, TidyRow]
"""A row before and the row of the same layout after."""


@dataclass(frozen=True)
class MatchedRows:
    """Rows of one layout before and after; what one side alone has; and rows alike that cannot be told apart."""

    pairs: tuple[RowPair, ...]
    appeared: tuple[TidyRow, ...]
    vanished: tuple[TidyRow, ...]
    unclear: tuple[tuple[tuple[TidyRow, ...], tuple[TidyRow, ...]], ...]


def match(before: Sequence[TidyRow], after: Sequence[TidyRow]) -> MatchedRows:
    """Match the rows of two tables; several rows of one layout by their slugs, and the last that is left by itself."""
    sides: dict[tuple[TidyValue, ...], tuple[list[TidyRow], list[TidyRow]]] = defaultdict(lambda: ([], []))
    fields = fields_named_in(before, after)
    for number, rows in enumerate((before, after)):
        for row in rows:
            sides[layout_of(row, fields)][number].append(row)
    pairs: list[RowPair] = []
    appeared: list[TidyRow] = []
    vanished: list[TidyRow] = []
    unclear: list[tuple[tuple[TidyRow, ...], tuple[TidyRow, ...]]] = []
    for old, new in sides.values():
        same = _matched_by_slug(old, new)
        pairs += same
        taken = {row["slug"] for row, _ in same}
        old, new = ([row for row in rows if row["slug"] not in taken] for rows in (old, new))
        if len(old) == len(new) == 1:
            pairs.append((old[0], new[0]))
        elif old and new:
            unclear.append((tuple(old), tuple(new)))
        else:
            vanished += old
            appeared += new
    return MatchedRows(tuple(pairs), tuple(appeared), tuple(vanished), tuple(unclear))


def _matched_by_slug(old: Sequence[TidyRow], new: Sequence[TidyRow]) -> list[RowPair]:
    """Rows of one layout with the same slug; none where a side has a slug twice."""
    named = {row["slug"]: row for row in new}
    if len({row["slug"] for row in old}) < len(old) or len(named) < len(new):
        return []
    return [(row, named[row["slug"]]) for row in old if row["slug"] in named]
