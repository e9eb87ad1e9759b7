"""Rows of a tidy table and rejected points -> what a reader wants to know first, in words and short tables."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nodesweep.common.markdown import read
from nodesweep.common.outcomes import NOT_RUN, is_undecided
from nodesweep.config.tidy_row import TidyRow, text_of
from nodesweep.reports.scaling import BEST_LEFT
from nodesweep.reports.tables.explanation import Explanation
from nodesweep.sweep.expand import Rejected

from .grids import OUTCOME, DataGrid, plain_grid, status_word

MOST_LINES = 50
_LAYOUT = "Layout"


@dataclass(frozen=True)
class ShortTable:
    """A table of at most `MOST_LINES` lines, and how many more there are."""

    grid: DataGrid
    more: int


@dataclass(frozen=True)
class Findings:
    """The findings that stand before all figures: a table each, None where there is nothing to show.

    `kinds`: what the ways of scaling mean that `losses` tell of.
    """

    best: DataGrid | None
    kinds: str
    losses: tuple[str, ...]
    failed: ShortTable | None
    unread: ShortTable | None
    not_run: ShortTable | None
    rejected: ShortTable | None
    flags: ShortTable | None


def findings(rows: Sequence[TidyRow], explained: Explanation | None, rejected: Sequence[Rejected]) -> Findings:
    """The findings that follow from the rows of a sweep and from the points that broke a law."""
    return Findings(
        best=_best(explained),
        kinds=explained.kinds if explained else "",
        losses=explained.losses if explained else (),
        failed=_ended("failed", rows, lambda outcome: outcome != "ok" and not is_undecided(outcome)),
        unread=_ended("unread", rows, is_undecided),
        not_run=_not_run(rows),
        rejected=_rejected(rejected),
        flags=_flags(rows),
    )


def counts(rows: Sequence[TidyRow]) -> list[tuple[str, int]]:
    """How many rows have which status: ok first, then the most frequent."""
    found = Counter(map(status_word, rows))
    return sorted(found.items(), key=lambda one: (one[0] != "ok", -one[1], one[0]))


def _best(explained: Explanation | None) -> DataGrid | None:
    if explained is None or explained.best is None:
        return None
    headings, rows = explained.best
    lines = [
        (slug, "ok", [read(cell) for cell in cells]) for slug, cells in zip(explained.best_slugs, rows, strict=True)
    ]
    return plain_grid("best", headings, BEST_LEFT, lines)


def _ended(name: str, rows: Sequence[TidyRow], chosen: Callable[[str | None], bool]) -> ShortTable | None:
    """The rows that ended in one of the chosen ways, with the reason."""
    columns = {_LAYOUT: "slug", OUTCOME: "outcome", "Where": "where", "Evidence": "evidence", "Note": "outcome_note"}
    lines = [
        (_slug(row), status_word(row), [text_of(row, column) or "" for column in columns.values()])
        for row in rows
        if row["state"] == "ended" and chosen(text_of(row, "outcome"))
    ]
    return _short_table(name, tuple(columns), lines)


def _not_run(rows: Sequence[TidyRow]) -> ShortTable | None:
    columns = {_LAYOUT: "slug", "State": "state", "Why": "outcome_note"}
    lines = [
        (_slug(row), status_word(row), [text_of(row, name) or "" for name in columns.values()])
        for row in rows
        if row["state"] in NOT_RUN
    ]
    return _short_table("not-run", tuple(columns), lines)


def _slug(row: TidyRow) -> str:
    return text_of(row, "slug") or ""


def _rejected(points: Sequence[Rejected]) -> ShortTable | None:
    laws = Counter((point.law, point.reason) for point in points)
    lines = [("", "", [law, reason, str(count)]) for (law, reason), count in laws.most_common()]
    return _short_table("rejected", ("Law", "Reason and way out", "Points"), lines)


def _flags(rows: Sequence[TidyRow]) -> ShortTable | None:
    """What a reader of the figures must know, with the layouts that each remark is true of."""
    found: dict[str, list[str]] = {}
    for row in rows:
        own = row["source"] == "run"
        noted = [text_of(row, "outcome_note")] if own and row["outcome"] == "ok" else []
        flags = text_of(row, "flags") or ""
        for flag in filter(None, [*(flags.split("; ") if own else [flags]), *noted]):
            found.setdefault(flag, []).append(_slug(row))
    lines = [
        (slugs[0], "", [f"{slugs[0]}{f' and {len(slugs) - 1} more' if len(slugs) > 1 else ''}", flag])
        for flag, slugs in found.items()
    ]
    return _short_table("flags", (_LAYOUT, "What to know"), lines)


def _short_table(
    name: str, headings: Sequence[str], lines: Sequence[tuple[str, str, Sequence[str]]]
) -> ShortTable | None:
    if not lines:
        return None
    shown = [number for number in range(len(headings)) if any(cells[number] for *_, cells in lines)]
    few = [(slug, outcome, [cells[number] for number in shown]) for slug, outcome, cells in lines[:MOST_LINES]]
    left = frozenset(headings) - {"Points"}
    return ShortTable(
        plain_grid(name, [headings[number] for number in shown], left, few), max(len(lines) - MOST_LINES, 0)
    )
