"""A run that its scheduler suspended: the pause is told, and cut out where one iteration shows it."""

from pathlib import Path

import pytest
from written_logs import STARTED, layouts_of, record_line, sweep_of

from nodesweep.logs.reader import read_log
from nodesweep.logs.reading import Iteration
from nodesweep.results.measure import measure
from nodesweep.results.measurement import Measurement, MeasurementSettings
from nodesweep.results.suspension import paused_record
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.schedulers.base import Usage


def measured(folder: Path, seconds: list[float], suspended: float | None, statistic: str = "mean") -> Measurement:
    """Measure a run of iterations that took so long, suspended for so long."""
    sweep = sweep_of([{"nodes": 1, "global_batch": 16, "sequence_length": 8}], statistic=statistic)
    (layout,) = layouts_of(sweep)
    log = folder / "run.log"
    rows = [record_line(number, len(seconds), value) for number, value in enumerate(seconds, 1)]
    log.write_text("".join(f"{line}\n" for line in (STARTED, *rows)))
    record = TerminalRecord(key="k", outcome="ok", log=log.name, usage=Usage(suspended_seconds=suspended))
    return measure(layout, record, read_log(log), MeasurementSettings.of(layout, sweep.statistic))


def test_the_iteration_that_holds_the_pause_is_left_out(tmp_path: Path) -> None:
    """Four of 1 s and one of 15 s, suspended for 14 s: 1.00 s an iteration; the series keeps all five."""
    found = measured(tmp_path, [1.0, 1.0, 15.0, 1.0, 1.0], 14)
    statistics = found.statistics
    assert statistics is not None
    assert (statistics.iteration_seconds, statistics.records_used, statistics.last_iteration) == (1.0, 4, 5)
    assert (statistics.paused_iteration, found.used, found.series.seconds[2]) == (3, [0, 1, 3, 4], 15.0)
    assert found.flags == (
        "was suspended for 14 s: the record of iteration 3 holds it (15 s where others take 1) and is left out",
    )
    assert Measurement.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("seconds", "suspended", "words"),
    [
        (
            [1.0, 8.0, 1.0, 8.0, 1.0],
            14,
            "which iterations hold it is not clear, and the mean of sec/it may be too high",
        ),
        ([1.0, 1.0, 15.0], 14, "which iterations hold it is not clear"),
        ([1.0, 1.0, 40.0, 1.0, 1.0], 14, "which iterations hold it is not clear"),
        ([1.0, 1.0, 1.0, 1.0], 14, "no iteration after warm-up took so much longer"),
        ([], 14, "was suspended for 14 s"),
    ],
)
def test_where_no_single_iteration_shows_it_nothing_is_cut(
    tmp_path: Path, seconds: list[float], suspended: float, words: str
) -> None:
    """Two that share it, too few to compare, one that is longer still: the figures stay, with a flag."""
    found = measured(tmp_path, seconds, suspended)
    assert any(words in flag for flag in found.flags)
    assert not found.statistics or found.statistics.paused_iteration is None
    assert len(found.used) == len(seconds)


def test_the_pause_in_a_record_of_many_iterations() -> None:
    """A record every ten iterations, with their mean: 1.4 s more in one of them are 14 s."""
    records = [
        Iteration(number * 10, number, seconds=seconds) for number, seconds in enumerate((1.0, 1.0, 2.4, 1.0), 1)
    ]
    assert paused_record(records, 10, 14.0) is records[2]
    assert paused_record(records, 1, 14.0) is None and paused_record(records, 10, None) is None


def test_a_run_that_was_not_suspended_has_no_flag(tmp_path: Path) -> None:
    """Neither where its scheduler counts none, nor where it does not count; a slow iteration stays in the figures."""
    for suspended in (None, 0.0):
        found = measured(tmp_path, [1.0, 1.0, 15.0, 1.0, 1.0], suspended)
        assert not any("suspended" in flag for flag in found.flags)
        assert found.statistics is not None and found.statistics.iteration_seconds == pytest.approx(19 / 5)
        assert "paused_iteration" not in found.to_json()
