"""Several runs of a layout in one row: medians, how far they are apart, which run is shown, and what is remarked."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from written_logs import OUT_OF_MEMORY, STARTED, layouts_of, node_memory_line, record_line, run_of, sweep_of

from nodesweep.config.tidy_row import TidyRow
from nodesweep.results.calibrate import calibrations_of
from nodesweep.results.combined_runs import combined
from nodesweep.results.rows import LayoutRun, row_of_run
from nodesweep.results.table import build, from_csv, records, to_csv
from nodesweep.results.times_of_runs import TimesOfRuns
from nodesweep.schedulers.base import End

BLOCK: dict[str, Any] = {"nodes": 384, "tensor": 4, "pipeline": 48, "global_batch": 1536, "sequence_length": 2048}
SWEEP = sweep_of([BLOCK], iterations={"total": 6, "warmup": 0}, repeats=3, statistic="median")


def made(
    folder: Path, *seconds: float | None, memory: tuple[float, ...] = (), scatter: float = 0.01
) -> list[LayoutRun]:
    """Runs of the one layout with such a time of their third and fourth iterations; None for one out of memory."""
    (layout,) = layouts_of(SWEEP)
    runs = []
    for number, middle in enumerate(seconds, 1):
        steps = () if middle is None else (middle + scatter * off for off in (0, 2, -1, 1, -2, 0))
        lines = [STARTED, *(record_line(step, 6, value) for step, value in enumerate(steps, 1))]
        lines += [node_memory_line(memory[number - 1])] if memory else []
        end = End(0) if middle is not None else End(1)
        run = run_of(SWEEP, layout.repeated(number), folder, [*lines, *[OUT_OF_MEMORY][: middle is None]], end)
        runs.append(run)
    return runs


def row_of(runs: list[LayoutRun]) -> TidyRow:
    """The row of a layout as it is written and read again."""
    (row,) = records(from_csv(to_csv(build([combined(runs)]))))
    return row


def test_medians_over_runs(tmp_path: Path) -> None:
    """Times are medians over the runs, rates follow from them, and the interval has the level of three runs."""
    runs = made(tmp_path, 30.0, 36.0, 31.0, memory=(100.0, 300.0, 200.0))
    row = row_of(runs)
    assert row["slug"] == runs[0].layout.slug
    assert row["iteration_seconds"] == row["iteration_seconds_median"] == 31.0
    assert row["tokens_per_second"] == 1536 * 2048 / 31.0
    assert (row["runs"], row["runs_ended"], row["shown_run"]) == (3, 3, f"{row['slug']}-r3")
    assert (row["run_seconds_lowest"], row["run_seconds_highest"]) == (30.0, 36.0)
    assert (row["run_seconds_low"], row["run_seconds_high"], row["run_seconds_confidence_percent"]) == (
        30.0,
        36.0,
        75.0,
    )
    assert row["memory_mib"] == 300.0
    assert row["log"] == f"{row['slug']}-r3.log"


def test_two_runs(tmp_path: Path) -> None:
    """The median of two lies between them, and rates are those of this time."""
    row = row_of(made(tmp_path, 30.0, 32.0))
    assert (row["iteration_seconds"], row["run_seconds_confidence_percent"]) == (31.0, 50.0)
    assert row["tokens_per_second"] == 1536 * 2048 / 31.0


def test_a_single_run_is_as_ever(tmp_path: Path) -> None:
    """A layout that is to run once has nothing of repeats in its row."""
    (run,) = made(tmp_path, 30.0)
    assert combined([run]) is run
    assert row_of_run(run).get("runs") is None


def test_a_run_that_fails(tmp_path: Path) -> None:
    """It is in no median; the row is that of the others, and says how it ended."""
    row = row_of(made(tmp_path, 30.0, None, 30.1))
    assert (row["outcome"], row["runs"], row["runs_ended"], row["iteration_seconds"]) == ("ok", 2, 3, 30.05)
    assert "run 2: oom" in str(row["flags"])


def test_runs_to_come(tmp_path: Path) -> None:
    """While others are to come, the row shows what there is; one time has no interval."""
    first = made(tmp_path, 30.0)
    pending = [LayoutRun(first[0].layout.repeated(number), "pending", None, None) for number in (2, 3)]
    row = row_of([*first, *pending])
    assert (row["state"], row["runs"], row["runs_ended"], row["run_seconds_low"]) == ("ended", 1, 1, None)
    assert row_of([LayoutRun(first[0].layout, "pending", None, None), *pending])["state"] == "pending"


def test_runs_disagree(tmp_path: Path) -> None:
    """Runs that differ by more than their own scatter lets them are flagged; those that scatter so much are not."""
    assert "runs disagree: 30 to 36 s" in str(row_of(made(tmp_path, 30.0, 36.0, 31.0))["flags"])
    assert "disagree" not in str(row_of(made(tmp_path, 30.0, 36.0, 31.0, scatter=5.0))["flags"])
    assert "disagree" not in str(row_of(made(tmp_path, 30.0, 30.2, 30.1, scatter=0.001))["flags"])


def test_disagreement_is_seldom_false(tmp_path: Path) -> None:
    """Of 30 layouts whose three runs differ by the scatter of their iterations alone at most 2 are flagged."""
    (layout,), drawn, flagged = layouts_of(SWEEP), random.Random(19), 0
    for _ in range(30):
        series = [[30.0 * drawn.lognormvariate(0, 0.05) for _ in range(6)] for _ in range(3)]
        runs = [
            run_of(
                SWEEP,
                layout.repeated(number),
                tmp_path,
                [record_line(step, 6, one) for step, one in enumerate(some, 1)],
            )
            for number, some in enumerate(series, 1)
        ]
        flagged += "disagree" in str(row_of(runs)["flags"])
    assert flagged <= 2


@pytest.mark.parametrize(
    ("seconds", "interval", "confidence"),
    [([2.0, 1.0], (1.0, 2.0), 0.5), ([1.0, 2.0, 3.0, 4.0], (1.0, 4.0), 0.875), (range(1, 10), (2, 8), 0.9609375)],
)
def test_interval(seconds: list[float], interval: tuple[float, float], confidence: float) -> None:
    """Fewer than six runs span the interval, at a level below 95 %; of nine the second and the last but one do."""
    found = TimesOfRuns.of(list(seconds))
    assert (found.low, found.high) == interval
    assert found.confidence == confidence


def test_calibration_takes_a_layout_once(tmp_path: Path) -> None:
    """Runs of a layout are one observation, so that none of them foretells the others; they contradict nobody."""
    rows = [combined(made(tmp_path, 30.0, 42.0, 31.0))]
    (found,) = calibrations_of(SWEEP, rows, {}).values()
    assert [(run.name, run.seconds) for run in found.runs] == [(rows[0].layout.slug, 31.0)]
    assert "not of one software stack" not in found.time.refusal


def test_what_runs_saved_that_ended_early_is_their_sum(tmp_path: Path) -> None:
    """Runs that stopped after 6 of 50 and 10 iterations of 30 and 36 s save 44 and 4 of them on 384 nodes."""
    runs = made(tmp_path, 30.0, 36.0, 31.0)
    for place, (requested, saved) in enumerate([(50, 44), (10, 4), (6, 0)]):
        record = runs[place].record
        assert record is not None
        note = f"stopped at iteration 6: enough, {saved} of {requested} iterations saved" if saved else ""
        runs[place] = runs[place]._replace(record=replace(record, note=note, iterations_requested=requested))
    row = row_of(runs)
    assert row["iterations_saved"] == 48
    assert row["node_hours_saved"] == pytest.approx((44 * 30 + 4 * 36) * 384 / 3600)
    assert "2 of 3 runs stopped once enough, 48 of 66 iterations saved" in str(row["outcome_note"])
    assert "stopped" not in str(row["flags"])
    assert (row_of_run(runs[0])["iterations_saved"], row_of_run(runs[2]).get("iterations_saved")) == (44, None)
