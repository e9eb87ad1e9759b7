"""Every field of a layout reaches every report by its row in config/layout_fields.py alone."""

from typing import Any

import pytest

from nodesweep.config.columns import TIDY
from nodesweep.config.layout_field import LayoutField
from nodesweep.config.layout_fields import COLUMNS, GIVEN
from nodesweep.config.model_fields import MODEL_FIELDS
from nodesweep.reports.comparison import markdown
from nodesweep.reports.figures.scaling import tflops
from nodesweep.reports.naming import NAMING, NAMING_AT_NEED
from nodesweep.reports.page.grids import all_layouts
from nodesweep.reports.prediction import heading_of, known_fields
from nodesweep.results.comparison.comparison import ComparedSweep, compare

TWO_VALUES: dict[str, tuple[Any, Any]] = {
    "word": ("a", "b"),
    "count": (6, 12),
    "number": (2.0, 2.25),
    "yes_no": (True, False),
}
FREE = [row for row in GIVEN if not row.follows]


def measured_row(slug: str, **fields: Any) -> dict[str, Any]:
    """A row of results.csv that ended well on 4 nodes of one rank, DP 1, in 10 s an iteration."""
    sizes = {"nodes": 4, "ranks_per_node": 1, "ranks": 4, "data": 1, "tensor": 2, "pipeline": 2}
    batches = {"micro_batch_samples": 1, "global_batch_samples": 24, "sequence_length_tokens": 128}
    figures = {"iteration_seconds": 10.0, "tokens_per_second": 307.2, "tflops_per_node": 1.0}
    end = {"state": "ended", "outcome": "ok", "source": "run", "campaign": "runs", "model_size": "1B"}
    return dict.fromkeys(TIDY) | sizes | batches | figures | end | {"slug": slug} | fields


def pair(field: LayoutField) -> list[dict[str, Any]]:
    """Two measured rows that differ in the field alone."""
    return [
        measured_row(f"layout-{number}", **{field.column: value}) for number, value in enumerate(TWO_VALUES[field.kind])
    ]


@pytest.mark.parametrize("field", [row for row in FREE if row.name != "nodes"], ids=lambda row: row.name)
def test_a_figure_tells_series_apart_by_it(field: LayoutField) -> None:
    """Two layouts that differ in one field are two series with names of their own, on 4 and 8 nodes each."""
    rows = [{**row, "nodes": nodes} for row in pair(field) for nodes in (4, 8)]
    assert len(set(tflops(rows).series)) == 2


@pytest.mark.parametrize("field", FREE, ids=lambda row: row.name)
def test_a_comparison_shows_what_rows_differ_in(field: LayoutField) -> None:
    """The table of two sweeps has a column for the field in which their layouts differ."""
    rows = pair(field)
    text = markdown(compare(ComparedSweep("old", rows, {}), ComparedSweep("new", rows, {}), 5))
    assert f" {field.symbol} |" in text


@pytest.mark.parametrize("field", FREE, ids=lambda row: row.name)
def test_the_page_shows_what_rows_differ_in(field: LayoutField) -> None:
    """The table of all layouts has a column for it, and each row another text there."""
    grid = all_layouts(pair(field))
    place = [heading.text for heading in grid.headings].index(field.symbol)
    assert len({line.cells[place].text for line in grid.lines}) == 2


@pytest.mark.parametrize("field", FREE, ids=lambda row: row.name)
def test_plans_and_predictions_show_what_points_give(field: LayoutField) -> None:
    """A field of which a point has a value of its own has a column, with its unit; one that no point has has none."""
    given, _ = TWO_VALUES[field.kind]
    assert [heading_of(row) for row in known_fields([{field.name: given}])] == [
        f"{field.symbol} [{field.unit}]" if field.unit else field.symbol
    ]
    assert known_fields([{field.name: None}]) == []


def test_names_know_every_column() -> None:
    """Each column of a layout or of its model is part of a name, but for ranks, which follow from the others."""
    columns = {part.column for part in (*NAMING, *NAMING_AT_NEED)}
    assert set(COLUMNS) - columns == {"ranks"}
    assert {row.column for row in MODEL_FIELDS.values() if row.column} < columns
