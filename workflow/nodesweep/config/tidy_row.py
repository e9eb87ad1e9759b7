"""A row of the tidy table: values by the columns of results.csv, and its values by kind.

Every package that reads rows of results.csv takes a TidyRow; the columns and their kinds stand in columns.py.
"""

from collections.abc import Iterable, Mapping

from .layout_field import LayoutField

TidyValue = str | int | float | bool | None
"""A value of results.csv; None for what is not known."""
TidyRow = Mapping[str, TidyValue]
"""One row of results.csv by column; whoever makes rows may give a plain dict."""


def number_of(row: TidyRow, column: str) -> float | None:
    """The number in a column, None where it is not known; raises TypeError for a value that is no number.

    >>> number_of({"iteration_seconds": 2.5}, "iteration_seconds"), number_of({"nodes": 4}, "nodes")
    (2.5, 4)
    >>> number_of({"model": "30B"}, "model")
    Traceback (most recent call last):
    TypeError: model is '30B', which is no number
    """
    value = row[column]
    if value is None or isinstance(value, int | float):
        return value
    raise TypeError(f"{column} is {value!r}, which is no number")


def count_of(row: TidyRow, column: str) -> int | None:
    """The whole number in a column, None where it is not known; raises TypeError for any other value.

    >>> count_of({"nodes": 4}, "nodes"), count_of({"nodes": None}, "nodes")
    (4, None)
    """
    value = row[column]
    if value is None or isinstance(value, int):
        return value
    raise TypeError(f"{column} is {value!r}, which is no whole number")


def text_of(row: TidyRow, column: str) -> str | None:
    """The text in a column, None where there is none; raises TypeError for any other value.

    >>> text_of({"outcome": "oom"}, "outcome"), text_of({"outcome": None}, "outcome")
    ('oom', None)
    """
    value = row[column]
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"{column} is {value!r}, which is no text")


def required_number(row: TidyRow, column: str) -> float:
    """The number in a column; raises ValueError where it is not known.

    >>> required_number({"iteration_seconds": None}, "iteration_seconds")
    Traceback (most recent call last):
    ValueError: iteration_seconds is not known
    """
    value = number_of(row, column)
    if value is None:
        raise ValueError(f"{column} is not known")
    return value


def required_count(row: TidyRow, column: str) -> int:
    """The whole number in a column; raises ValueError where it is not known."""
    value = count_of(row, column)
    if value is None:
        raise ValueError(f"{column} is not known")
    return value


def required_text(row: TidyRow, column: str) -> str:
    """The text in a column; raises ValueError where there is none."""
    value = text_of(row, column)
    if value is None:
        raise ValueError(f"{column} is not known")
    return value


def field_of(row: TidyRow, field: LayoutField) -> TidyValue:
    """The value of a field of a layout; the default where the row does not name one that then has its default."""
    value = row[field.column]
    return field.default if value is None and field.absent_means_default else value


def differ_in(rows: Iterable[TidyRow], field: LayoutField) -> bool:
    """Whether rows differ in a field, and not only because they differ in the one that tells of it too.

    What the workload says counts where it is known.
    """
    found: dict[TidyValue, set[TidyValue]] = {}
    for row in rows:
        found.setdefault(row[field.told_by] if field.told_by else None, set()).add(field_of(row, field))
    return any(len(values - {None} if field.of_workload else values) > 1 for values in found.values())
