"""Parameters in results.csv, and in what is made of it: tables, series, matches, calibrations."""

import csv
import io
from pathlib import Path
from typing import Any

import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_logs import STARTED, document, layouts_of, record_line, run_of, sweep_of

from nodesweep.common.errors import NodesweepError
from nodesweep.config.columns import TIDY
from nodesweep.config.parameters import check_value
from nodesweep.config.sweep import Sweep
from nodesweep.reports.comparison import to_csv as compared_csv
from nodesweep.reports.figures.series import distinguishing_parts, series_name, series_of
from nodesweep.reports.page.grids import all_layouts
from nodesweep.results.calibrate import calibrations_of
from nodesweep.results.comparable import layout_of, problem_of
from nodesweep.results.comparison.comparison import ComparedSweep, compare
from nodesweep.results.rows import LayoutRun
from nodesweep.results.table import build, from_csv, records, to_csv

POINT = {"pipeline": 48, "tensor": 4, "global_batch": 1536, "sequence_length": 2048, "activation_checkpointing": True}


def sweep_over(nodes: list[int], **parameters: Any) -> Sweep:
    """A sweep with these parameters."""
    return sweep_of([POINT | {"nodes": nodes, "parameters": parameters}])


def pending(sweep: Sweep) -> list[LayoutRun]:
    """The layouts of a sweep before any has run."""
    return [LayoutRun(layout, "pending", None, None) for layout in layouts_of(sweep)]


def measured(sweep: Sweep, folder: Path, seconds: dict[str, float]) -> list[LayoutRun]:
    """The layouts of a sweep, run with these seconds an iteration by their `backend`."""
    runs = []
    for layout in layouts_of(sweep):
        time = seconds[str(layout.parameters["backend"])] * 384 / layout.nodes
        runs.append(run_of(sweep, layout, folder, [STARTED, *(record_line(n, 3, time) for n in (1, 2, 3))]))
    return runs


@pytest.mark.parametrize(
    ("values", "cells", "back"),
    [
        ([1, 4], ["1", "4"], [1, 4]),
        (["1", "8"], ["1", "8"], [1, 8]),
        ([0.5, 2], ["0.5", "2"], [0.5, 2.0]),
        ([True, False], ["True", "False"], [True, False]),
        (["auto", 4], ["auto", "4"], ["auto", "4"]),
        (["-x", "=1+1"], ["'-x", "'=1+1"], ["-x", "=1+1"]),
        (["007", "1e5"], ["007", "1e5"], ["007", "1e5"]),
    ],
)
def test_columns_of_parameters(values: list[Any], cells: list[str], back: list[Any]) -> None:
    """They stand after all others; a column whose values are all numbers, or all yes/no, holds such."""
    text = to_csv(build(pending(sweep_over([384], knob=values))))
    heading, *lines = csv.reader(io.StringIO(text))
    assert heading == [*TIDY, "knob"] and [line[-1] for line in lines] == cells
    assert [row["knob"] for row in records(from_csv(text))] == back


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=20), st.integers(), st.floats(), st.booleans()), min_size=1, max_size=4))
def test_any_values_survive_the_csv(values: list[Any]) -> None:
    """What a config may hold is the same table again, and the same text."""
    kept = []
    for value in values:
        try:
            kept.append(check_value(value))
        except ValueError:
            continue
    layout = layouts_of(sweep_over([384], knob=1))[0]
    runs = [LayoutRun(type(layout)(**vars_of(layout, {"knob": value})), "pending", None, None) for value in kept]
    table = build(runs)
    text = to_csv(table)
    pandas.testing.assert_frame_equal(from_csv(text), table)
    assert to_csv(from_csv(text)) == text


def vars_of(layout: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    """What a layout is made of, with other parameters."""
    names = [name for name, row in type(layout).__dataclass_fields__.items() if row.init]
    return {name: getattr(layout, name) for name in names} | {"parameters": parameters}


def test_a_table_of_an_older_version_can_be_read() -> None:
    """Columns of fields that it did not have are unknown; one that every version wrote is missed."""
    table = build(pending(sweep_over([384], knob=[1, 2])))
    older = to_csv(table.drop(columns=["activation_checkpointing"]))
    (first, second) = records(from_csv(older))
    assert (first["activation_checkpointing"], first["knob"], second["knob"]) == (None, 1, 2)
    for wrong in (older.replace(",outcome,", ",verdict,", 1), older.replace(",knob\n", ",a knob\n", 1)):
        with pytest.raises(NodesweepError, match="other columns than this version"):
            from_csv(wrong)


def test_tables_show_what_varies(tmp_path: Path) -> None:
    """A parameter in which rows differ has a column before the notes; one that all have in common has none."""
    sweep = sweep_over([384], backend=["flash", "fused"], depth=4)
    text = document(sweep, measured(sweep, tmp_path, {"flash": 10.0, "fused": 20.0}))
    assert "| backend   | Notes   |" in text and "depth" not in text
    headings = [heading.text for heading in all_layouts(records(build(pending(sweep)))).headings]
    assert "backend" in headings


def test_parameters_part_series(tmp_path: Path) -> None:
    """Rows of another value are another series, with its name."""
    sweep = sweep_over([384, 768], backend=["flash", "fused"], depth=[4])
    rows = records(build(measured(sweep, tmp_path, {"flash": 10.0, "fused": 20.0})))
    series = series_of(rows, "nodes")
    parts = distinguishing_parts(rows, "nodes")
    assert [series_name(group[0], parts) for group in series] == ["backend flash", "backend fused"]
    assert len({layout_of(row) for row in rows}) == 4 and len({problem_of(row) for row in rows}) == 2


def test_comparisons_match_by_parameters(tmp_path: Path) -> None:
    """A layout is matched with that of its own values, also where the other sweep has more parameters or others."""
    before, after = (
        sweep_over([384], backend=["flash", "fused"]),
        sweep_over([384], backend=["fused", "unfused"]),
    )
    seconds = {"flash": 10.0, "fused": 20.0, "unfused": 30.0}
    sides = [
        ComparedSweep(name, records(build(measured(sweep, tmp_path, seconds))), {})
        for name, sweep in (("before", before), ("after", after))
    ]
    found = compare(sides[0], sides[1], 5)
    assert [pair[0]["backend"] for pair in found.matched.pairs] == ["fused"]
    assert [row["backend"] for row in (*found.matched.vanished, *found.matched.appeared)] == ["flash", "unfused"]
    assert compared_csv(found).splitlines()[0].endswith("regression,backend")
    plain = ComparedSweep("plain", records(build(pending(sweep_of([POINT | {"nodes": 384}])))), {})
    assert not compare(plain, sides[1], 5).matched.pairs
    assert len(compared_csv(compare(plain, sides[1], 5)).splitlines()) == 4


def test_parameters_part_calibrations(tmp_path: Path) -> None:
    """What is fitted to runs of one value says nothing of another's, whose times may be any."""
    sweep = sweep_over([384, 768], backend=["flash", "fused"])
    found = calibrations_of(sweep, measured(sweep, tmp_path, {"flash": 10.0, "fused": 25.0}), {})
    assert {name: len(one.runs) for name, one in found.items()} == {"runs+backend=flash": 2, "runs+backend=fused": 2}
