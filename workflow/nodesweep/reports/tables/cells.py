"""Values -> cells of a table: the standard columns, and columns of any figure."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from nodesweep.common.markdown import inert
from nodesweep.common.numbers import (
    UNKNOWN,
    count,
    energy,
    interval,
    memory,
    percent,
    rounded,
    saved,
    signed_percent,
    with_unit,
    word,
    yes_no,
)
from nodesweep.common.outcomes import NOT_RUN
from nodesweep.config.columns import TIDY
from nodesweep.config.headings import HEADINGS, StandardHeading
from nodesweep.config.layout_field import Kind, LayoutField
from nodesweep.config.layout_fields import COLUMNS
from nodesweep.config.parameters import ParameterField
from nodesweep.config.tidy_row import TidyRow, differ_in, text_of

Rows = Sequence[TidyRow]


def no_mark(row: TidyRow) -> str:
    """The mark of a column without marks: empty."""
    return ""


@dataclass(frozen=True)
class ShownColumn:
    """A column of a table: its heading, the tidy columns it shows, and how their values become the cell.

    `number`: the tidy column a number format can be given for. `mark`: what is put after the cell. `shown`: whether a
    table of these rows needs the column. `term`, `meaning`: its line in the notations, none where the meaning is empty;
    words in braces are filled in by whoever knows the sweep.
    """

    heading: str
    sources: tuple[str, ...]
    cell: Callable[..., str]
    shown: Callable[[Rows], bool] = lambda rows: True
    number: str = ""
    mark: Callable[[TidyRow], str] = no_mark
    term: str = ""
    meaning: str = ""
    left: bool = False


def out_of_memory(row: TidyRow) -> str:
    """Where the run ended if memory ran out: `(OOM after iteration 1)`."""
    if row["outcome"] != "oom":
        return ""
    where = text_of(row, "where")
    return inert(f"(OOM {where})" if where else "(OOM)")


def notes(
    note: str | None,
    state: str,
    outcome: str | None,
    where: str | None,
    outcome_note: str | None,
    flags: str | None,
    marks: str,
) -> str:
    """The note of a layout, then how it ended, unless it ended well or the `marks` of other cells say how."""
    if state in NOT_RUN:
        end, outcome_note = f"{state}: {outcome_note}", None
    elif state != "ended":
        end = state
    elif outcome == "ok" or (outcome == "oom" and "OOM" in marks):
        end = None
    else:
        end = " ".join(filter(None, (outcome or "no outcome", where)))
    left = [
        flag
        for flag in (flags or "").split("; ")
        if inert(flag) not in marks and (outcome != "oom" or not flag.endswith(" only"))
    ]
    return "; ".join(inert(part) for part in (note, end, outcome_note, *left) if part)


def known(source: str) -> Callable[[Rows], bool]:
    """Show a column where some row has a value."""
    return lambda rows: any(row.get(source) is not None for row in rows)


def positive(source: str) -> Callable[[Rows], bool]:
    """Show a column where some row has more than nothing."""
    return lambda rows: any(row[source] for row in rows)


def varies(*sources: str) -> Callable[[Rows], bool]:
    """Show a column where the rows differ in one of `sources`."""
    fields = [COLUMNS.get(source) for source in sources]
    if len(fields) == 1 and (field := fields[0]) is not None:
        return lambda rows: differ_in(rows, field)
    return lambda rows: len({tuple(row.get(source) for source in sources) for row in rows}) > 1


_CELL_OF_KIND: dict[Kind, Callable[[Any], str]] = {
    "word": word,
    "count": count,
    "number": lambda value: rounded(value, 0, 4),
    "yes_no": yes_no,
}
_CELL_OF_PARAMETER: dict[Kind, Callable[[Any], str]] = _CELL_OF_KIND | {
    "count": lambda value: UNKNOWN if value is None else str(value),
    "number": lambda value: UNKNOWN if value is None else f"{value:.15g}",
}
_CELL_OF_HEADING: dict[str, Callable[..., str]] = {
    "Mem": memory,
    "Sec/it": lambda seconds: rounded(seconds, 1, 3),
    "Runs": lambda runs, ended: UNKNOWN if runs is None else f"{runs}{f' of {ended}' if ended > runs else ''}",
    "Saved": saved,
    "Over runs": interval,
    "TFLOPs": lambda tflops: rounded(tflops, 2, 2),
    "Est. Aggr. PetaFLOPs": lambda petaflops: rounded(petaflops, 1, 1),
    "Energy [Wh]": energy,
    "Notes": notes,
    "Tokens/s": lambda tokens: rounded(tokens, 0, 3),
    "Days": lambda days: rounded(days, 1, 2),
    "Node-h / 1e9 tokens": lambda hours: rounded(hours, 1, 3),
    "Predicted": interval,
    "Off": signed_percent,
    "Predicted Mem": memory,
    "Mem off": signed_percent,
}
"""How the values of a standard column become a cell, where the kind of its values does not say so."""


def cell_of_field(row: LayoutField) -> Callable[[Any], str]:
    """How a value of a layout's field becomes a cell."""
    return partial(with_unit, unit=row.unit) if row.unit else _CELL_OF_KIND[row.kind]


def _cell_of(row: StandardHeading) -> Callable[..., str]:
    if row.heading in _CELL_OF_HEADING:
        return _CELL_OF_HEADING[row.heading]
    name = row.columns[0]
    if name in COLUMNS:
        return cell_of_field(COLUMNS[name])
    return percent if name.endswith("_percent") else _CELL_OF_KIND[TIDY[name].kind]


def _shown(row: StandardHeading) -> Callable[[Rows], bool]:
    rules = {
        "always": lambda rows: True,
        "known": known(row.columns[0]),
        "positive": positive(row.columns[0]),
        "varies": varies(*row.varying),
    }
    return rules[row.shown]


def _column(row: StandardHeading) -> ShownColumn:
    return ShownColumn(
        row.heading,
        row.columns,
        _cell_of(row),
        _shown(row),
        number=row.number,
        mark=out_of_memory if row.heading == "Mem" else no_mark,
        term=row.term,
        meaning=row.meaning,
        left=row.heading == "Notes",
    )


STANDARD = {name: _column(row) for name, row in HEADINGS.items() if not row.explains}
"""The columns of a table that names none, by heading."""
EXPLAINING = {name: _column(row) for name, row in HEADINGS.items() if row.explains}
"""Columns that say why a row is as it is, by heading."""
COLUMN_OF_HEADING = {**STANDARD, **EXPLAINING}


def parameter_column(row: ParameterField) -> ShownColumn:
    """The column of a parameter, which tables show where rows differ in it."""
    number = row.name if row.kind in ("count", "number") else ""
    return ShownColumn(
        row.name, (row.name,), _CELL_OF_PARAMETER[row.kind], varies(row.name), number, left=row.kind == "word"
    )


def columns_with(parameters: Iterable[ParameterField], columns: Iterable[ShownColumn]) -> tuple[ShownColumn, ...]:
    """The columns, and those of parameters before the notes, where there are any, or at the end."""
    given = tuple(columns)
    place = next((place for place, column in enumerate(given) if column.heading == "Notes"), len(given))
    return (*given[:place], *map(parameter_column, parameters), *given[place:])


def figure_column(heading: str, name: str) -> ShownColumn:
    """A column of one figure of results.csv; numbers have four figures."""
    tidy = TIDY[name]
    meaning = tidy.meaning + (", {iterations}" if tidy.of_iterations else "")
    number = name if tidy.kind in ("count", "number") else ""
    return ShownColumn(
        heading, (name,), _CELL_OF_KIND[tidy.kind], number=number, meaning=meaning, left=tidy.kind == "word"
    )


def formatted(column: ShownColumn, form: str) -> ShownColumn:
    """The column with its number in another format, such as `.2f`."""

    def cell(value: float | str | None) -> str:
        if isinstance(value, str):
            return word(value)
        return UNKNOWN if value is None or not math.isfinite(value) else format(value, form)

    return replace(column, sources=(column.number,), cell=cell)
