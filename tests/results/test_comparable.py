"""Which rows are of one layout and which of one problem."""

import pytest

from nodesweep.config.columns import TIDY
from nodesweep.config.layout_fields import FIELDS
from nodesweep.config.tidy_row import TidyRow
from nodesweep.results.comparable import (
    LAYOUT_COLUMNS,
    PROBLEM_COLUMNS,
    group_of,
    has_known_problem,
    layout_of,
    problem_of,
)

ROW = {
    **dict.fromkeys(TIDY),
    "slug": "a",
    "campaign": "june",
    "model_size": "30B",
    "nodes": 192,
    "data": 1,
    "tensor": 4,
    "pipeline": 48,
    "global_batch_samples": 1536,
    "sequence_length_tokens": 2048,
}


def row(**changes: str | int | None) -> TidyRow:
    """A row of a 30B model with some values changed."""
    return {**ROW, **changes}


def test_every_field_of_a_layout_counts() -> None:
    """Each field that has a column tells layouts apart, and no other column does."""
    assert set(LAYOUT_COLUMNS) == {field.column for field in FIELDS.values()} - {""}
    for column in TIDY:
        is_same = layout_of(row(**{column: 7})) == layout_of(ROW)
        assert is_same == (column not in LAYOUT_COLUMNS), column


@pytest.mark.parametrize(
    ("column", "is_same"), [("nodes", True), ("pipeline", True), ("tensor", False), ("campaign", False)]
)
def test_problems_are_compared_over_nodes_and_splits(column: str, is_same: bool) -> None:
    """A problem runs on any nodes and pipeline stages; with another MP or campaign it is another problem."""
    assert (problem_of(row(**{column: 7})) == problem_of(ROW)) is is_same
    assert (column in PROBLEM_COLUMNS) is not is_same


@pytest.mark.parametrize(
    ("changes", "is_known"),
    [
        ({}, True),
        ({"frequency_ghz": None, "variant": None}, True),
        ({"tensor": None}, False),
        ({"global_batch_samples": None}, False),
        ({"model_size": None}, False),
        ({"model_size": None, "layers": 48}, True),
    ],
)
def test_what_a_row_computes(changes: dict[str, int | None], is_known: bool) -> None:
    """MP, batch, sequence length and a model must be known; a clock and a variant need not be."""
    assert has_known_problem(row(**changes)) is is_known


def test_the_best_is_sought_among_rows_of_one_model() -> None:
    """A model is known by its size, or by its layers and width where the size is not known."""
    assert group_of(row(layers=48)) == group_of(row(layers=47)) == ("june", "30B", None, 2048)
    assert group_of(row(model_size=None, layers=48, hidden_size=7168)) == ("june", 48, 7168, 2048)
