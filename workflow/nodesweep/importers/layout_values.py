"""Fields of a layout as tables and logs from elsewhere give them: which are read, and where they stand in a row."""

from collections.abc import Mapping

from nodesweep.config.layout_field import LayoutField
from nodesweep.config.layout_fields import FIELDS

LayoutValue = int | float | bool | str
"""A value of a field of a layout."""
MOST_COUNT = 10**9
"""The largest count that is believed."""

READ_FIELDS: dict[str, LayoutField] = {name: row for name, row in FIELDS.items() if row.axis or row.headings}
"""The fields that are read from elsewhere: those a block of `layouts` gives, and those that people's tables have."""


def columns_of(values: Mapping[str, LayoutValue | None]) -> dict[str, LayoutValue | None]:
    """Values by the name of their field -> all columns of a layout in results.csv; None for what is unknown."""
    absent = {name: row.default for name, row in READ_FIELDS.items() if row.absent_means_default}
    known = {**absent, **{name: value for name, value in values.items() if value is not None}}
    return {row.column: known.get(name) for name, row in READ_FIELDS.items() if row.column}
