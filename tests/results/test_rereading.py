"""A verdict is derived again from what a run left, and only ever gets better."""

from dataclasses import replace
from pathlib import Path

import pytest
from written_logs import layouts_of, sweep_of

from nodesweep.common.outcomes import OUTCOMES, has_failed, is_result, is_undecided
from nodesweep.common.units import MIB
from nodesweep.logs.reader import read_log
from nodesweep.logs.reading import LogReading
from nodesweep.logs.trainers import FORMATS
from nodesweep.results.calibrate import calibrations_of
from nodesweep.results.measure import measure
from nodesweep.results.measurement import MeasurementSettings
from nodesweep.results.rereading import closes_log, is_same_run, is_torn, may_improve, reread
from nodesweep.results.rows import LayoutRun, row_of_run
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.schedulers.base import End, Usage

CLOSING = "nodesweep: the launch ended with exit code 0"
CRASH = TerminalRecord(
    key="k-a1",
    outcome="crash",
    exit_code=0,
    cause="crash",
    log="k-a1.log",
    evidence="line 1: words",
    iterations_requested=2,
    log_bytes=6,
)


def reading_of(folder: Path, *lines: str) -> LogReading:
    """What is read of a log with these lines."""
    path = folder / "k-a1.log"
    path.write_text("".join(f"{line}\n" for line in lines))
    return read_log(path, FORMATS["megatron-deepspeed"])


def record_line(number: int) -> str:
    return f" iteration {number:8d}/       2 | elapsed time per iteration (ms): 1000.0 |"


def test_a_log_that_has_grown_gives_another_verdict(tmp_path: Path) -> None:
    """Two of two iterations are there now: ok, with the line that shows it, and nothing else of the record changed."""
    found = reread(CRASH, tmp_path, reading_of(tmp_path, record_line(1), record_line(2), CLOSING), 9)
    assert (found.outcome, found.evidence, found.note) == ("ok", "line 2: iteration 2 of 2", "")
    assert is_same_run(found, CRASH) and found.log_bytes == (tmp_path / "k-a1.log").stat().st_size


def test_a_log_that_was_cut_changes_nothing(tmp_path: Path) -> None:
    """Fewer bytes than were read before are no reason to think anew."""
    assert reread(CRASH, tmp_path, reading_of(tmp_path, "cut"), 2) is CRASH
    assert reread(CRASH, tmp_path, LogReading(), 2) is CRASH


def test_a_result_is_never_decided_anew(tmp_path: Path) -> None:
    """Whatever a longer log says."""
    done = replace(CRASH, outcome="ok", cause="ok")
    assert reread(done, tmp_path, reading_of(tmp_path, record_line(1), "ValueError: late"), 2) is done


def test_what_a_scheduler_said_counts_again(tmp_path: Path) -> None:
    """A time limit stays one, and is none where the log that came late shows all the work."""
    limited = replace(CRASH, outcome="timeout", cause="time_limit", scheduler_cause="time_limit", exit_code=None)
    assert reread(limited, tmp_path, reading_of(tmp_path, record_line(1)), 2).outcome == "timeout"
    assert reread(limited, tmp_path, reading_of(tmp_path, record_line(1), record_line(2)), 2).outcome == "ok"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"cause": ""}, True),  # of an earlier version: with exit code 0 its scheduler gave no cause
        ({"cause": "", "exit_code": 1}, False),
        ({"cause": "", "outcome": "timeout", "exit_code": 0}, False),
        ({"outcome": "ok", "cause": "ok"}, False),
        ({"outcome": "skipped", "key": ""}, False),
    ],
)
def test_which_verdicts_may_improve(changes: dict[str, object], expected: bool) -> None:
    """Those of runs that are no result, where it is known what else they rest on."""
    assert may_improve(replace(CRASH, **changes)) is expected  # type: ignore[arg-type]


def test_a_crash_of_an_earlier_version_is_read_anew(tmp_path: Path) -> None:
    """Its trainer's log was not described: it is a run that nobody has read, and not a crash."""
    old = TerminalRecord(key="k-a1", outcome="crash", exit_code=0, log="k-a1.log")
    found = reread(old, tmp_path, reading_of(tmp_path, "batch 2 took 0.11 s", CLOSING), 2)
    assert (found.outcome, found.cause, found.iterations_requested) == ("unread", "log_unread", 2)


def test_whether_a_log_is_torn(tmp_path: Path) -> None:
    """The exit marker tells whether the script came to its last line; without one, exit code 0 does."""
    whole, torn = reading_of(tmp_path, "words", CLOSING), reading_of(tmp_path, "words")
    assert is_torn(tmp_path, "k-a1", End(0), torn) and not is_torn(tmp_path, "k-a1", End(0), whole)
    assert not is_torn(tmp_path, "k-a1", End(137), torn)
    marker = tmp_path / "k-a1.exit"
    for returned, expected in (("null", False), ("3.5", True)):
        marker.write_text(f'{{"exit_code": 1, "returned": {returned}, "started": 1, "ended": 4, "cause": null}}\n')
        assert closes_log(tmp_path, "k-a1", 1, None) is expected
    marker.write_text('{"exit_code": 0, "ret')
    assert closes_log(tmp_path, "k-a1", 0, None) and not closes_log(tmp_path, "k-a1", 1, None)


def test_an_unread_run_is_neither_result_nor_failure() -> None:
    """It does not run again, and no time and no memory stands for it."""
    row = OUTCOMES["unread"]
    assert (is_result("unread"), has_failed("unread"), is_undecided("unread")) == (False, False, True)
    assert (row.runs_again, row.retried, row.ran) == (False, False, True)
    assert [name for name in OUTCOMES if is_result(name)] == ["ok"]
    assert not any(map(has_failed, (None, "unknown", "ok"))) and has_failed("crash") and has_failed("oom")


def test_what_an_unread_run_used_is_not_what_it_needs() -> None:
    """Its scheduler's memory is in its row, and no calibration rests on it: it may have printed a help text."""
    one = {"nodes": 1, "global_batch": 16, "sequence_length": 8}
    sweep = sweep_of([one], workload={"command": ["train"], "memory_source": "scheduler"})
    (layout,) = layouts_of(sweep)
    usage = Usage(memory_bytes=20 * MIB, memory_of="rank")
    for outcome, observed in (("ok", True), ("unread", False)):
        record = TerminalRecord(key="k", outcome=outcome, usage=usage)
        measured = measure(layout, record, LogReading(), MeasurementSettings.of(layout, "median"))
        run = LayoutRun(layout, "ended", record, measured)
        assert row_of_run(run)["memory_mib"] == 20
        assert bool(calibrations_of(sweep, [run], {})) is observed
