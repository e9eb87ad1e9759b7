"""Which rows of results.csv are of one layout, and which are of one problem, so that their speeds are compared."""

from collections.abc import Iterable, Sequence

from nodesweep.config.layout_field import LayoutField
from nodesweep.config.layout_fields import COLUMNS, LAYOUT_FIELDS
from nodesweep.config.parameters import parameters_of
from nodesweep.config.tidy_row import TidyRow, TidyValue, field_of

LAYOUT_COLUMNS = tuple(COLUMNS)
"""What makes two rows one layout: not its slug, which also depends on the machine and the length of the run."""
PROBLEM_COLUMNS = ("campaign", "model", "model_size", *(row.column for row in COLUMNS.values() if row.sets_problem))
"""What rows have in common whose speeds are compared over node counts."""
_WORK = tuple(row for row in LAYOUT_FIELDS.values() if row.sets_problem and not (row.optional or row.of_workload))


def layout_of(row: TidyRow, fields: Iterable[LayoutField] = tuple(COLUMNS.values())) -> tuple[TidyValue, ...]:
    """The values of the fields of a layout, and of parameters; a field that the row leaves out may have its default."""
    return (*(field_of(row, field) for field in fields), *_parameters(row))


def fields_named_in(*tables: Sequence[TidyRow]) -> list[LayoutField]:
    """The fields by which rows of several tables are told apart.

    What the workload says is none of them where a table names it nowhere: earlier versions did not note it.
    """
    return [
        field
        for field in COLUMNS.values()
        if not field.of_workload or all(any(row[field.column] is not None for row in rows) for rows in tables)
    ]


def problem_of(row: TidyRow) -> tuple[TidyValue, ...]:
    """The values of PROBLEM_COLUMNS and of parameters."""
    return (*(row[column] for column in PROBLEM_COLUMNS), *_parameters(row))


def _parameters(row: TidyRow) -> Iterable[TidyValue]:
    """Names and values of the parameters that a row knows."""
    return (part for pair in parameters_of(row).items() for part in pair)


def has_known_problem(row: TidyRow) -> bool:
    """Whether a row says what it computes: the batch and its split, and the layers or the size of the model."""
    is_model_known = row["layers"] is not None or row["model_size"] is not None
    return is_model_known and None not in [field_of(row, field) for field in _WORK]


def group_of(row: TidyRow) -> tuple[TidyValue, ...]:
    """The campaign, model and sequence length of a row: the best layout is sought among rows that share them."""
    model = (row["model_size"], None) if row["model_size"] else (row["layers"], row["hidden_size"])
    return row["campaign"], *model, row["sequence_length_tokens"]
