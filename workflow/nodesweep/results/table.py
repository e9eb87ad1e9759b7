"""Measurements and states of all layouts -> one tidy table, one row per layout, units in the column names."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import pandas

from nodesweep.common.errors import NodesweepError
from nodesweep.common.text import plain, spreadsheet_cell, text_of_cell
from nodesweep.config.columns import TIDY
from nodesweep.config.layout_field import Kind
from nodesweep.config.layout_fields import COLUMNS
from nodesweep.config.parameters import kind_of, read_value, value_text
from nodesweep.config.tidy_row import TidyRow, TidyValue
from nodesweep.config.types import PARAMETER_NAME

from .metrics import EXPLAINED, Basis, explain
from .rows import LayoutRun, row_of_run
from .scaling_kinds import KINDS, bases, efficiency_percent

_TYPE_OF_KIND: dict[Kind, str] = {"word": "string", "count": "Int64", "number": "Float64", "yes_no": "boolean"}
_TYPES = {name: _TYPE_OF_KIND[column.kind] for name, column in TIDY.items()}
_OF_KIND: dict[Kind, tuple[Callable[[str], Any], str]] = {
    "word": (text_of_cell, "no text"),
    "count": (int, "no whole number"),
    "number": (float, "no number"),
    "yes_no": ({"True": True, "False": False}.__getitem__, "neither True nor False"),
}
"""What reads a cell of a kind, and what one is that it does not read."""
_HIGHEST = 2**63 - 1
_NOT_NEGATIVE = (*(name for name, row in COLUMNS.items() if row.kind == "count"), "iteration_seconds")
"""Columns whose values are sizes or times: a negative one was typed by hand, and no formula holds for it."""
_WORDS = tuple(name for name, column in TIDY.items() if column.kind == "word")
_OTHER_COLUMNS = "results.csv has other columns than this version writes; run `nodesweep measure` again"

_RATES = (
    "tokens_per_second",
    "tflops_per_node",
    "model_tflops_per_node",
    "aggregate_petaflops",
    "mfu_percent",
    "hfu_percent",
)
"""Columns in proportion to the speed of an iteration."""
_COSTS = ("node_hours_per_billion_tokens", "training_days", "node_hours_saved")
"""Columns in proportion to the seconds of an iteration."""
CELL_CHARACTERS = 1000
"""Characters of a text in the table at most."""


def build(runs: Iterable[LayoutRun], imported: Iterable[TidyRow] = ()) -> pandas.DataFrame:
    """The tidy table of a sweep, in the order of its config; rows of hand-kept tables stand after it."""
    known = list(runs)
    rows = [*map(row_of_run, known), *imported]
    one_line = [{**row, **{name: _one_line(row.get(name)) for name in _WORDS}} for row in rows]
    more = dict.fromkeys(name for run in known for name in run.layout.parameters)
    table = pandas.DataFrame(one_line, columns=[*TIDY, *more]).astype(_TYPES)
    return _with_parameters(table, {name: [_text(row.get(name)) for row in rows] for name in more})


def _text(value: TidyValue) -> str | None:
    return None if value is None else value_text(value)


def _with_parameters(table: pandas.DataFrame, parameters: Mapping[str, Sequence[str | None]]) -> pandas.DataFrame:
    """The table with the columns of parameters, whose kinds follow from their texts; None is not known."""
    for name, texts in parameters.items():
        kind = kind_of(text for text in texts if text is not None)
        values = [text if text is None or kind == "word" else read_value(text) for text in texts]
        table[name] = pandas.array(values, dtype=_TYPE_OF_KIND[kind])  # type: ignore[call-overload]
    return table


def explained(table: pandas.DataFrame, basis: Basis) -> pandas.DataFrame:
    """The tidy table with the columns that explain its rows."""
    found = explain(basis, records(table))
    table = table.copy()
    for name in EXPLAINED:
        table[name] = pandas.array([row[name].value for row in found], dtype="Float64")
    return table


def records(table: pandas.DataFrame) -> list[TidyRow]:
    """The rows of the tidy table, None for what is not known."""
    names = [str(name) for name in table.columns]
    # Column by column: that takes a tenth of the time of a conversion of the whole table.
    columns = [[None if value is pandas.NA else value for value in table[name].tolist()] for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def to_csv(table: pandas.DataFrame) -> str:
    """The text of results.csv: shortest exact numbers, empty cells for what is not known, no spreadsheet formulas."""
    words = {name: table[name].map(spreadsheet_cell, na_action="ignore") for name in _WORDS}
    for name in _parameters(table):
        column = table[name].astype(object).map(value_text, na_action="ignore")
        words[name] = column.map(spreadsheet_cell, na_action="ignore") if table[name].dtype == "string" else column
    return table.assign(**words).to_csv(index=False, lineterminator="\n")


def _parameters(table: pandas.DataFrame) -> list[str]:
    """The columns of parameters, which stand after those that every table has."""
    return [str(name) for name in table.columns if name not in TIDY]


def from_csv(text: str) -> pandas.DataFrame:
    """The table that `to_csv` made a text of, exactly; raises NodesweepError for any other text.

    What an older version did not write of a layout or its model is not known; other columns are parameters.
    """
    try:
        names, *lines = filter(None, csv.reader(io.StringIO(text), strict=True))
    except csv.Error as error:
        raise NodesweepError(f"results.csv: {error}; run `nodesweep measure` again") from None
    except ValueError:
        raise NodesweepError(_OTHER_COLUMNS) from None
    parameters = [name for name in names if name not in TIDY]
    if not _are_columns(names, parameters):
        raise NodesweepError(_OTHER_COLUMNS)
    if any(len(line) > len(names) for line in lines):
        raise NodesweepError("results.csv has lines of more cells than columns; run `nodesweep measure` again")
    none_known = ("",) * len(lines)
    columns = dict(zip_longest(names, zip_longest(*lines, fillvalue=""), fillvalue=none_known))
    typed = {name: _typed(name, columns.get(name, none_known)) for name in TIDY}
    texts = {name: [text_of_cell(cell) or None for cell in columns[name]] for name in parameters}
    return _with_parameters(pandas.DataFrame(typed), texts)


def _typed(name: str, cells: tuple[str, ...]) -> Any:
    """The values of a column by its cells; what is not a number, as an edited file may have it, is unknown.

    Raises NodesweepError for the first cell that is of another kind, with its line in the file.
    """
    read, wanted = _OF_KIND[TIDY[name].kind]
    values: list[Any] = []
    for line, cell in enumerate(cells, 2):
        try:
            value = read(cell) if cell else None
        except (KeyError, ValueError):
            raise _complaint(line, name, cell, f"is {wanted}") from None
        if name in _NOT_NEGATIVE and value is not None and value < 0:
            raise _complaint(line, name, str(value), "is negative")
        if isinstance(value, int) and abs(value) > _HIGHEST:
            raise _complaint(line, name, cell, "is too large")
        values.append(None if value != value else value)
    return pandas.array(values, dtype=_TYPES[name])  # type: ignore[call-overload]


def _complaint(line: int, name: str, cell: str, what: str) -> NodesweepError:
    return NodesweepError(f"results.csv:{line}: {name} {cell:.40} {what}; run `nodesweep measure` again")


def _are_columns(names: list[str], parameters: list[str]) -> bool:
    """Whether these are the columns of a table: those that every version wrote, in their order, then parameters."""
    known = [name for name, column in TIDY.items() if name in names or not column.later]
    return names == [*known, *parameters] and all(re.fullmatch(PARAMETER_NAME[1:-1], name) for name in parameters)


def restated(table: pandas.DataFrame, statistic: str) -> pandas.DataFrame:
    """The tidy table with another statistic of the iterations in it, and in every figure that depends on it.

    A row that was imported keeps the printed figures, whose statistic is unknown.
    """
    fixed = table["source"] == "import"
    seconds = table[f"iteration_seconds_{statistic}"].where(~fixed, table["iteration_seconds"])
    log_tflops = table[f"log_tflops_per_node_{statistic}"].where(~fixed, table["log_tflops_per_node"])
    faster = table["iteration_seconds"] / seconds
    table = table.copy()
    for name in _RATES:
        table[name] = (table[name] * faster).where(~fixed, table[name])
    for name in _COSTS:
        table[name] = (table[name] / faster).where(~fixed, table[name])
    table["iteration_seconds"] = seconds
    table["predicted_error_percent"] = 100 * (table["predicted_seconds"] / seconds - 1)
    table["log_tflops_per_node"] = log_tflops
    table["statistic"] = table["statistic"].where(table["statistic"].isna(), statistic)
    rows = records(table)
    compared = bases(rows)
    for kind in KINDS:
        percents = [efficiency_percent(row, base.get(kind.name)) for row, base in zip(rows, compared, strict=True)]
        table[kind.column] = pandas.array(percents, dtype="Float64")
    return table


def _one_line(value: TidyValue) -> str | None:
    """Text as it may stand in a table; None for an empty one."""
    return (plain(str(value), CELL_CHARACTERS) or None) if value is not None else None
