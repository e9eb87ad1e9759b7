"""What explains a row: utilization, parts of the time, scaling, cost, predictions; and what follows from rows."""

from pathlib import Path
from typing import Any

import pandas
import pytest
from fugaku_runs import APRIL, JUNE
from hypothesis import given, settings
from hypothesis import strategies as st
from written_logs import BIG_MODEL, OUT_OF_MEMORY, STARTED, layouts_of, node_memory_line, record_line, run_of, sweep_of

from nodesweep.config.layout_fields import LAYOUT_FIELDS
from nodesweep.config.sweep import Sweep
from nodesweep.performance.calibration import Calibration
from nodesweep.reports.naming import NamePart
from nodesweep.reports.scaling import sentence
from nodesweep.reports.tables.explanation import explanation
from nodesweep.results.calibrate import calibrations_of
from nodesweep.results.metrics import EXPLAINED, Basis, explain
from nodesweep.results.rows import LayoutRun
from nodesweep.results.scaling import ScalingLoss, best_of_each, losses
from nodesweep.results.table import build, explained, from_csv, records, restated, to_csv

POINT = {"pipeline": 48, "global_batch": 1536, "sequence_length": 2048, "activation_checkpointing": True}
MACHINE = {
    "name": "fugaku",
    "scheduler": "local",
    "frequencies_ghz": [2.0],
    "memory_mib_per_node": 29150,
    "peak_tflops": [{"precision": "fp32", "frequency_ghz": 2.0, "tflops_per_node": 6.144}],
}
SIX = {"if": "tensor == 6", "model": {"hidden_size": 7176, "attention_heads": 78}}


def study(rows: list[tuple[int, int, float]], **changes: Any) -> Sweep:
    """A sweep of the study's model with these node counts, MP and times."""
    points = [{**POINT, "nodes": nodes, "tensor": tensor, "frequency_ghz": 2.0} for nodes, tensor, _ in rows]
    settings = {"machine": MACHINE, "when": [SIX], "model": BIG_MODEL | {"vocab_size": 50257, "size": "30B"}}
    return sweep_of(points, **settings, **changes)


def ran(sweep: Sweep, rows: list[tuple[int, int, float]], folder: Path) -> list[LayoutRun]:
    """Its runs, each of three equal iterations."""
    return [
        run_of(sweep, layout, folder, [STARTED, *(record_line(number, 3, seconds) for number in (1, 2, 3))])
        for layout, (_, _, seconds) in zip(layouts_of(sweep), rows, strict=True)
    ]


def table_of(sweep: Sweep, runs: list[LayoutRun]) -> pandas.DataFrame:
    """The tidy table as `nodesweep measure` makes it."""
    layouts = {run.layout.slug: run.layout for run in runs}
    calibrations = {
        name: Calibration.from_yaml(one.to_yaml()) for name, one in calibrations_of(sweep, runs, {}).items()
    }
    return explained(build(runs), Basis(sweep, layouts, calibrations))


def percents(row: dict[str, Any], *names: str) -> list[float]:
    """Figures to one decimal."""
    return [round(row[f"{name}_percent"], 1) for name in names]


TIMES = [(nodes, tensor, seconds) for nodes, _, tensor, seconds in JUNE]


@pytest.fixture(scope="module")
def june(tmp_path_factory) -> tuple[Sweep, pandas.DataFrame]:
    """The eleven runs of June, with the days for 300 billion tokens asked for."""
    sweep = study(TIMES, training_tokens=3e11)
    return sweep, table_of(sweep, ran(sweep, TIMES, tmp_path_factory.mktemp("june")))


def test_where_the_time_goes(june):
    """At 6144 nodes 42.5 % is compute, 41.6 % bubble, 15.8 % sync; half of all speed per node is lost from 192."""
    by_nodes = {row["nodes"]: row for row in records(june[1]) if row["tensor"] == 4}
    last = by_nodes[6144]
    assert percents(last, "compute", "bubble", "sync") == [42.5, 41.6, 15.8]
    assert percents(by_nodes[192], "compute", "bubble", "sync") == [97.0, 3.0, 0.0]
    assert percents(last, "scaling_efficiency") == [43.8]  # 3534.8833 x 192 / (252.05295 x 6144)
    assert percents(by_nodes[192], "scaling_efficiency") == [100.0]


def test_utilization_and_cost(june):
    """6144 nodes: 0.51 TFLOPs of 6.144 with recomputation, 3/4 of it without; 252 s x 6144 nodes for 3.1 M tokens."""
    (row,) = (row for row in records(june[1]) if row["nodes"] == 6144)
    assert percents(row, "hfu", "mfu") == [8.3, 6.2]  # 0.508 by V = 50257 padded to a multiple of 512
    assert row["hfu_percent"] == pytest.approx(100 * row["tflops_per_node"] / 6.144)
    assert row["mfu_percent"] == pytest.approx(row["hfu_percent"] * 3 / 4)
    tokens, seconds = 1536 * 2048, row["iteration_seconds"]
    assert row["node_hours_per_billion_tokens"] == pytest.approx(seconds * 6144 / 3600 / tokens * 1e9)
    assert row["training_days"] == pytest.approx(3e11 / tokens * seconds / 86400)


def test_predicted_beside_measured(june):
    """Each of the eleven by the ten others: within 1.5 %, 0.6 % in the mean, and inside its interval."""
    rows = records(june[1])
    errors = [abs(row["predicted_error_percent"]) for row in rows]
    assert max(errors) <= 1.5 and sum(errors) / len(errors) <= 0.6
    assert all(row["predicted_seconds_low"] < row["iteration_seconds"] < row["predicted_seconds_high"] for row in rows)


def test_the_section_of_the_tables(june, golden):
    """The whole section, as it stands at the end of tables.md."""
    golden("explanation.md", explanation(*june))


def test_what_scaling_costs(june):
    """192 to 6144 nodes: of the loss 79 % is the bubble, 21 % the sync; the product of the causes is what is lost."""
    (loss, _) = losses(records(june[1]))
    shares = {name: round(100 * share) for name, share in loss.shares.items()}
    assert shares == {
        "the pipeline bubble": 79,
        "shared cores": 0,
        "the DP sync": 21,
        "the micro batches themselves": 0,
    }
    assert round(100 * loss.kept, 1) == 43.8


def test_losses_in_words():
    """Causes that cost nothing are left out, those that give speed back are said, and so is no loss at all."""
    first, last = {"nodes": 2, "tensor": 1, "campaign": "runs"}, {"nodes": 8, "tensor": 2, "campaign": "runs"}
    fields = [NamePart.of_field(LAYOUT_FIELDS["tensor"])]
    told = sentence(ScalingLoss(first, last, {"a": 2.0, "b": 1.0, "c": 0.9}), fields, campaigns=False)
    assert told == (
        "From 2 to 8 nodes (MP 1, then MP 2): 56 % of the speed per node is left. Of the loss 118 % goes to a, "
        "and 18 % comes back by c."
    )
    assert sentence(ScalingLoss(first, last | {"tensor": 1}, {"a": 1.001}), fields, campaigns=True) == (
        "From 2 to 8 nodes (MP 1), campaign runs: the speed per node stays the same."
    )
    assert sentence(ScalingLoss(first, last, {"a": 0.8}), (), campaigns=False) == (
        "From 2 to 8 nodes: the speed per node grows to 125 %. Of the gain 100 % comes by a."
    )


def test_memory_beside_measured(tmp_path):
    """April: peaks within 2 %, each by the two others; a run out of memory has its need, and no error."""
    rows = [(nodes, tensor, seconds) for nodes, _, tensor, recomputed, seconds, *_ in APRIL if recomputed]
    peaks = [mib for _, _, _, recomputed, _, mib, _ in APRIL if recomputed]
    sweep = study(rows)
    runs = []
    for layout, (_, _, seconds), mib in zip(layouts_of(sweep), rows, peaks, strict=True):
        died = [OUT_OF_MEMORY] if layout.nodes == 48 else [record_line(number, 3, seconds) for number in (2, 3)]
        runs.append(
            run_of(sweep, layout, tmp_path, [STARTED, record_line(1, 3, seconds), node_memory_line(mib), *died])
        )
    by_nodes = {row["nodes"]: row for row in records(table_of(sweep, runs))}
    errors = [by_nodes[nodes]["predicted_memory_error_percent"] for nodes in (192, 384, 3072)]
    assert all(0 < abs(error) < 2 for error in errors)
    assert 31000 < by_nodes[48]["predicted_memory_mib"] < 33000
    assert by_nodes[48]["predicted_memory_error_percent"] is None


def test_runs_that_do_not_tell_each_other(tmp_path):
    """One replica and sixteen: neither tells the other's time, so neither has a prediction; both can be split."""
    rows = [(192, 4, 3720.0), (3072, 4, 313.6)]
    sweep = study(rows)
    found = records(table_of(sweep, ran(sweep, rows, tmp_path)))
    assert [row["predicted_seconds"] for row in found] == [None, None]
    assert [row["node_hours_per_billion_tokens"] > 0 for row in found] == [True, True]


def test_speeds_are_compared_with_the_fewest_nodes(tmp_path):
    """Of the same MP and batch and that ended well; alone in its group a run has no efficiency."""
    rows = [(96, 1, 9000.0), (192, 4, 3600.0), (384, 4, 2000.0), (768, 4, 1000.0)]
    sweep = study(rows)
    runs = ran(sweep, rows, tmp_path)
    found = {row["nodes"]: row["scaling_efficiency_percent"] for row in records(table_of(sweep, runs))}
    assert found == {96: None, 192: 100.0, 384: pytest.approx(90.0), 768: pytest.approx(90.0)}
    crashed = run_of(sweep, runs[1].layout, tmp_path, [STARTED, record_line(1, 3, 100.0), OUT_OF_MEMORY])
    found = {row["nodes"]: row["scaling_efficiency_percent"] for row in records(table_of(sweep, [crashed, *runs[2:]]))}
    assert found[384] == 100.0


def test_ties_and_what_may_be_faster(tmp_path):
    """Two layouts within the scatter are as good; one that has not run, with a lower interval, may be faster."""
    rows = [(192, 4, 3600.0), (384, 4, 2000.0), (768, 4, 1000.0), (768, 8, 1005.0), (768, 2, 1500.0)]
    sweep = study(rows)
    frame = table_of(sweep, ran(sweep, rows, tmp_path))
    best = {one.row["nodes"]: one for one in best_of_each(records(frame))}
    assert (best[768].row["tensor"], best[768].measured) == (4, 3)
    assert [row["tensor"] for row in best[768].ties] == [8]
    waiting = {**records(frame)[3], "outcome": None, "state": "queued", "iteration_seconds": None}
    for low, may_be in ((990.0, True), (1001.0, False)):
        rows_now = [*records(frame)[:3], {**waiting, "predicted_seconds_low": low}]
        (found,) = (one for one in best_of_each(rows_now) if one.row["nodes"] == 768)
        assert bool(found.unmeasured) == may_be


def test_another_statistic(tmp_path):
    """Figures that follow from the time follow from the other statistic too; the predicted time stays."""
    rows = [(192, 4, 3000.0), (384, 4, 1600.0)]
    sweep = study(rows, statistic="median")
    uneven = [(1.0, 1.0, 1.0), (1.0, 1.0, 2.5)]
    runs = [
        run_of(
            *(sweep, layout, tmp_path),
            [STARTED, *(record_line(number, 3, seconds * factor) for number, factor in enumerate(factors, 1))],
        )
        for layout, (_, _, seconds), factors in zip(layouts_of(sweep), rows, uneven, strict=True)
    ]
    median = table_of(sweep, runs)
    first, second = records(restated(median, "mean"))
    assert (first["iteration_seconds"], second["iteration_seconds"]) == (3000.0, pytest.approx(2400.0))
    assert second["scaling_efficiency_percent"] == pytest.approx(100 * 3000 * 192 / (2400 * 384))
    before = records(median)[1]
    assert second["mfu_percent"] == pytest.approx(before["mfu_percent"] * 1600 / 2400)
    assert second["node_hours_per_billion_tokens"] == pytest.approx(before["node_hours_per_billion_tokens"] * 1.5)


def test_the_table_survives_its_csv(june):
    """The explained table is read back exactly."""
    pandas.testing.assert_frame_equal(from_csv(to_csv(june[1])), june[1])


def test_nothing_known_nothing_said(tmp_path):
    """Without runs the section is left out."""
    sweep = study(TIMES[:2])
    runs = [LayoutRun(layout, "pending", None, None) for layout in layouts_of(sweep)]
    assert explanation(sweep, table_of(sweep, runs)) == ""


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_rows_that_lack_figures(june, data):
    """Whatever a row leaves out, each figure has a value or a reason, and the section can be written."""
    sweep, frame = june
    rows = records(frame)[:4]
    for row in rows:
        for name in data.draw(st.sets(st.sampled_from(sorted(set(row) - {"slug", "state", "source"})), max_size=25)):
            row[name] = None
        row["source"] = data.draw(st.sampled_from(["run", "import"]))
    for found in explain(Basis(sweep), rows):
        assert list(found) == list(EXPLAINED)
        assert all(figure.sentences for figure in found.values())
    explanation(sweep, pandas.DataFrame(rows, columns=list(frame.columns)).astype(frame.dtypes))
