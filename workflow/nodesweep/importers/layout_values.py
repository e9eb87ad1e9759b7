"""Fields of a layout as tables and logs from elsewhere give them: which are read, and where they stand in a row."""

from collections.abc import Mapping

from nodesweep.config.layout_field import LayoutField
from nodesweep.config.layout_fields import FIELDS
from nodesweep.config.model_fields import MODEL_FIELDS

LayoutValue = int | float | bool | str
"""A value of a field of a layout."""
MOST_COUNT = 10**9
"""The largest count that is believed."""

READ_FIELDS: dict[str, LayoutField] = {name: row for name, row in FIELDS.items() if row.axis or row.headings}
"""The fields that are read from elsewhere: those a block of `layouts` gives, and those that people's tables have."""
TOLD_FIELDS: dict[str, LayoutField] = {**READ_FIELDS, **MODEL_FIELDS}
"""The fields that logs and their users tell: all sizes of a model too."""


def columns_of(values: Mapping[str, LayoutValue | None]) -> dict[str, LayoutValue | None]:
    """Values by the name of their field -> all columns of a layout in results.csv; None for what is unknown.

    Sizes of the model that tables do not name have a column where they are among the values.
    """
    absent = {name: row.default for name, row in READ_FIELDS.items() if row.absent_means_default}
    known = {**absent, **{name: value for name, value in values.items() if value is not None}}
    fields = {**READ_FIELDS, **{name: row for name, row in MODEL_FIELDS.items() if name in values}}
    return {row.column: known.get(name) for name, row in fields.items() if row.column}
