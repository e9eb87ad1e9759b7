"""Rows of results.csv -> series, rows that differ only in what an axis shows, and what they are called."""

from collections.abc import Iterable, Sequence
from typing import Any

from nodesweep.common.text import plain
from nodesweep.config.layout_fields import COLUMNS, GIVEN
from nodesweep.config.parameters import parameters_of
from nodesweep.config.tidy_row import TidyRow, TidyValue, number_of, required_number, text_of
from nodesweep.reports.naming import (
    NAMING,
    NAMING_AT_NEED,
    NamePart,
    differ,
    distinct,
    named,
    named_tersely,
    naming_of,
)
from nodesweep.results.scaling_kinds import seconds_of_sample

from .figure import Datum

_SAME = ("model", "model_size", "campaign", *(column for column, row in COLUMNS.items() if not row.follows))
"""What two points of a line have in common, but for what its axis shows; DP and ranks follow."""
_NEEDED = tuple(row.column for row in GIVEN if row.in_every_slug and not row.of_machine and not row.follows)
"""Columns without which it is not known what a row computes; such a row is alone in its series."""
TOLD = {row.column: row.label or row.symbol for row in GIVEN if row.in_tables != "never"}
"""What points tell of their layout, and what it is called there."""
_TOLD = tuple(part for part in NAMING if part.column in TOLD)
WORD, NAME = 24, 60
SLUG = 1000
"""Characters of a word of the config in a name, of a name, and of a slug, more than any has."""


def _naming(rows: Sequence[TidyRow]) -> list[NamePart]:
    """What a name says of rows, but for what follows from the rest."""
    return [part for part in naming_of(rows) if not part.follows]


def series_of(rows: Iterable[TidyRow], axis: str) -> list[list[TidyRow]]:
    """Series of rows that differ only in the column `axis` and in DP, each in rising order of `axis`."""
    found: dict[tuple[TidyValue, ...], list[TidyRow]] = {}
    for row in rows:
        found.setdefault(series_key(row, (axis,)), []).append(row)
    return [sorted(group, key=lambda row: required_number(row, axis)) for group in found.values()]


def series_key(row: TidyRow, but: Sequence[str]) -> tuple[TidyValue, ...]:
    """The values that rows have in common if they differ only in DP and in the columns `but`."""
    if any(row[name] is None for name in _NEEDED if name not in but):
        return "", row["slug"]
    of_parameters = (part for pair in parameters_of(row).items() if pair[0] not in but for part in pair)
    return (*(row[name] for name in _SAME if name not in but), *of_parameters)


def distinguishing_parts(rows: Sequence[TidyRow], axis: str) -> list[NamePart]:
    """The parts of a name it takes to tell rows apart beside `axis`; rows of one series count as one."""
    naming = _naming(rows)
    found = [
        part
        for part in naming
        if part.column != axis and len({row[part.column] for row in rows} - {None}) > 1 and differ(rows, part)
    ]
    for more in (*NAMING_AT_NEED, *naming):
        if more.column != axis and distinct(rows, [*found, more]) > distinct(rows, found):
            found.append(more)
    return found


def shared(rows: Sequence[TidyRow], axis: str) -> str:
    """What all rows have in common, in words: `30B, PP 48, GBS 1536`."""
    if not rows:
        return ""
    same = [part for part in _naming(rows) if part.column != axis and distinct(rows, [part]) == 1]
    values = {part: rows[0][part.column] for part in same}
    told = [part for part, value in values.items() if value is not None and not part.goes_without_saying(value)]
    finer = {part.field.name for part in told if part.field}
    return plain(named(rows[0], [part for part in told if not (part.field and part.field.same_fact in finer)], WORD))


def series_name(row: TidyRow, parts: Iterable[NamePart]) -> str:
    """A series by one of its rows, as a legend has room for: `MP 4, AC on, 2.2 GHz`."""
    return plain(named(row, parts, WORD), NAME)


def layout_name(row: TidyRow, parts: Iterable[NamePart]) -> str:
    """A layout in fewer characters than a series: `384 nodes MP4 AC 2.2GHz s2048`."""
    return plain(named_tersely(row, parts, WORD), NAME)


def unique(names: Iterable[str], nameless: str = "all") -> list[str]:
    """Names with a number after those that came before; `nameless` for the empty one."""
    seen: dict[str, int] = {}
    found = []
    for name in (name or nameless for name in names):
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def ranked(series: Sequence[Sequence[TidyRow]], axis: str) -> list[int]:
    """Numbers of series from best to worst: those with several values of `axis` first, then the most often fastest.

    Tokens per second are compared among rows of as many nodes at the same value of `axis`.
    """
    best: dict[tuple[TidyValue, TidyValue], float] = {}
    for row in (row for rows in series for row in rows):
        place = (row[axis], row["nodes"])
        best[place] = max(best.get(place, 0.0), _tokens_per_second(row))

    def rank(number: int) -> tuple[bool, int, float]:
        rows = series[number]
        near = [_tokens_per_second(row) / (best[row[axis], row["nodes"]] or 1.0) for row in rows]
        return len({row[axis] for row in rows}) < 2, -near.count(1.0), -sum(near) / len(near)

    return sorted(range(len(series)), key=rank)


def _tokens_per_second(row: TidyRow) -> float:
    return number_of(row, "tokens_per_second") or 0.0


def fastest_of_each(rows: Iterable[TidyRow], axis: str) -> list[TidyRow]:
    """The fastest row that ended well at each value of `axis`: the points that the line of a series goes through."""
    found: dict[float, TidyRow] = {}
    for row in rows:
        place = required_number(row, axis)
        known = found.get(place)
        if row["outcome"] == "ok" and (known is None or seconds_of_sample(row) < seconds_of_sample(known)):
            found[place] = row
    return [found[value] for value in sorted(found)]


def datum(row: TidyRow, **more: Any) -> Datum:
    """What every point says of its layout, and more; without what is not known."""
    end = " ".join(plain(text, 60) for name in ("outcome", "where") if (text := text_of(row, name)))
    state = plain(text_of(row, "state") or "unknown", 60)
    values = {
        "slug": plain(text_of(row, "slug") or "", SLUG),
        **{part.column: _shown(row[part.column]) for part in _TOLD if not part.goes_without_saying(row[part.column])},
        "parameters": ", ".join(f"{name} {plain(text, WORD)}" for name, text in parameters_of(row).items()) or None,
        "ended": end if row["outcome"] else state,
        **more,
    }
    return {name: value for name, value in values.items() if value is not None}


def _shown(value: TidyValue) -> TidyValue:
    if isinstance(value, bool):
        return "on" if value else "off"
    return plain(value, WORD) if isinstance(value, str) else value
