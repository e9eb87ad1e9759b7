"""Logs that come late: their runs are decided on once they are there, and never run again for want of them."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from paths import REPOSITORY
from sweeps import TOY_TRAINER, drained, held, runner_of, starts, study_in

from nodesweep.launch import journal
from nodesweep.launch.history import decisions_of
from nodesweep.launch.late_logs import missing_end
from nodesweep.launch.rereading import reread_record
from nodesweep.launch.reruns import withdraw_records
from nodesweep.launch.runner import Finished, Policy, Runner
from nodesweep.launch.status_reader import StatusReader
from nodesweep.logs.reader import CLOSING_LINE
from nodesweep.schedulers.local import Local
from nodesweep.sweep.study import Study

LATE_LOG = REPOSITORY / "tests" / "programs" / "late_log.sh"


def hiding(folder: Path, *, seen: str = "none", **changes: Any) -> Study:
    """A sweep whose jobs write into a log of which nothing is to be seen, or the first lines."""
    trainer = ["bash", str(TOY_TRAINER), "{{ iterations }}", "0.05"]
    workload = {
        "name": "toy",
        "command": ["bash", str(LATE_LOG), "{{ directory }}", seen, *trainer],
        "environment": {"STARTS": "{{ directory }}/starts"},
        "log_format": "megatron-deepspeed",
    }
    one = [{"nodes": 1, "global_batch": 16, "sequence_length": 128}]
    return study_in(folder, **({"workload": workload, "layouts": one} | changes))


def show_logs(study: Study) -> None:
    """Let the file system show what was written."""
    for slug in study.layouts:
        folder = study.directory(slug)
        if (folder / "late").exists():
            (folder / "late").rename(folder / f"{journal.state(study.journal(slug)).key}.log")


def step_until_waiting(runner: Runner, lines: list[str], count: int = 1) -> list[Finished]:
    """Step until so many logs have been waited for; what ended meanwhile."""
    done, limit = [], time.monotonic() + 30
    while sum("is waited for" in line for line in lines) < count:
        assert time.monotonic() < limit
        done += runner.step()
        runner.wait(0.1)
    return done


@pytest.mark.parametrize("seen", ["none", "first"])
def test_a_log_that_comes_in_time_is_waited_for(tmp_path: Path, seen: str) -> None:
    """Missing, or torn behind its first lines: the run stays open, status says why, and then it is ok by one start."""
    study, lines = hiding(tmp_path, seen=seen), []
    (slug,) = study.layouts
    runner = runner_of(study, lines, log_wait_seconds=60)
    runner.add([slug])
    assert step_until_waiting(runner, lines) == []
    (status,) = StatusReader(study).layouts(time.time())
    words = {"none": "its log is not there yet", "first": "its log is not there to its end yet"}
    assert (status.word, status.reason) == ("ending", words[seen])
    assert runner.step() == [] and runner.running == []
    show_logs(study)
    (done,) = drained(runner, 1)
    assert (done.record.outcome, done.final, starts(tmp_path)) == ("ok", True, {slug: 1})
    assert len(journal.records_in(journal.read(study.journal(slug)))) == 1


def test_a_log_that_is_waited_for_takes_no_place(tmp_path: Path) -> None:
    """With one job at once, the second layout runs while the log of the first is waited for."""
    study, lines = hiding(tmp_path, layouts=[{"nodes": [1, 2], "global_batch": 16, "sequence_length": 128}]), []
    runner = runner_of(study, lines, jobs_at_once=1, log_wait_seconds=60)
    runner.add(list(study.layouts))
    assert step_until_waiting(runner, lines, 2) == []
    show_logs(study)
    assert {done.record.outcome for done in drained(runner, 2)} == {"ok"}


def test_where_the_next_run_depends_on_it_the_place_is_kept(tmp_path: Path) -> None:
    """Within a budget, the second layout waits until the end of the first is known."""
    study = hiding(tmp_path, layouts=[{"nodes": [1, 2], "global_batch": 16, "sequence_length": 128}])
    study = replace(study, sweep=study.sweep.model_copy(update={"budget_node_hours": 100.0}))
    lines: list[str] = []
    runner = Runner(study, Local(), Policy(log_wait_seconds=60), lines.append, decisions_of(study))
    runner.add(list(study.layouts))
    assert step_until_waiting(runner, lines) == [] and runner.step() == []
    assert len(starts(tmp_path)) == 1
    show_logs(study)
    (first,) = step_until_waiting(runner, lines, 2)
    show_logs(study)
    assert {one.record.outcome for one in (first, *drained(runner, 1))} == {"ok"}


@pytest.mark.parametrize("by", ["a launcher", "its preparation"])
def test_a_log_that_comes_too_late_is_read_by_the_next_look(tmp_path: Path, by: str) -> None:
    """Unread after the bound; whoever looks next reads it, and the run is ok with its figures after one start."""
    study = hiding(tmp_path, seen="first")
    (slug,) = study.layouts
    runner = runner_of(study, [], log_wait_seconds=0.3)
    runner.add([slug])
    (done,) = drained(runner, 1)
    assert (done.record.outcome, done.record.cause, done.final) == ("unread", "log_torn", True)
    show_logs(study)
    if by == "a launcher":
        study.record(slug).unlink()
        again = runner_of(study, [])
        again.add([slug])
        (found,) = drained(again, 1)
        assert (found.record.outcome, found.final) == ("ok", True)
    else:
        withdraw_records(study)
    assert json.loads(study.record(slug).read_text())["outcome"] == "ok"
    measured = json.loads((study.directory(slug) / "measurement.json").read_text())
    assert (measured["record"]["outcome"], measured["statistics"]["iteration_seconds"]) == ("ok", 0.5)
    events = journal.read(study.journal(slug))
    assert [event.kind for event in events] == ["intent", "submitted", "ended", "reread"]
    (record,) = journal.records_in(events)  # one run: its node-hours count once
    assert record.outcome == "ok" and reread_record(study, record) is record
    assert starts(tmp_path) == {slug: 1}


def test_what_cannot_come_is_not_waited_for(tmp_path: Path) -> None:
    """A job that was killed writes no last line: its end is recorded at once."""
    study = study_in(tmp_path, seconds=60, layouts=[{"nodes": 1, "global_batch": 16, "sequence_length": 128}])
    lines: list[str] = []
    runner = runner_of(study, lines, log_wait_seconds=60)
    runner.add(list(study.layouts))
    runner.step()
    while not starts(tmp_path):
        time.sleep(0.05)
    runner.close(cancel=True)
    drained(runner, 1)
    assert not any("waited for" in line for line in lines)


def test_job_scripts_write_the_line_that_is_looked_for(tmp_path: Path) -> None:
    """Word for word, in one place."""
    study = study_in(tmp_path)
    for slug in study.layouts:
        assert study.script(slug).read_text().count(f'echo "{CLOSING_LINE.decode()}$') == 1


def test_what_is_missing_of_a_log(tmp_path: Path) -> None:
    """Its last line, or all of it; nothing where a whole log has another program's words behind that line."""
    log = tmp_path / "k.log"
    assert missing_end(log) == "its log is not there yet"
    log.write_text("nodesweep: the launch end")
    assert missing_end(log) == "its log is not there to its end yet"
    log.write_text("nodesweep: the launch ended with exit code 0\nslurmstepd: some words\n")
    assert missing_end(log) == ""
    assert missing_end(tmp_path / "gone" / "k.log") == "its log is not there yet"


def test_a_log_of_other_bytes_costs_its_own_row_alone(tmp_path: Path) -> None:
    """A job that overwrites its log with the beginning of a compressed file: unread, and the launcher goes on."""
    spoil = r"printf '\037\213\010junk' >{{ directory }}/$NODESWEEP_KEY.log"
    machine = {"name": "here", "scheduler": "local", "setup": [spoil]}
    study = study_in(tmp_path, machine=machine)
    runner = runner_of(study, [], log_wait_seconds=0.2)
    runner.add(list(study.layouts))
    assert [done.record.outcome for done in drained(runner, 2)] == ["unread", "unread"]


def test_what_is_no_log_costs_its_own_row_alone(tmp_path: Path) -> None:
    """A folder where a log should be: its layout is held until a later look can read, and another goes on."""
    hold = held(tmp_path)
    study = study_in(tmp_path, hold=str(hold))
    runner = runner_of(study, jobs_at_once=2)
    runner.add(list(study.layouts))
    runner.step()
    bad, _ = study.layouts
    log = study.directory(bad) / f"{runner.running[0].key}.log"
    log.rename(aside := tmp_path / "aside")
    log.mkdir()
    hold.unlink()
    outcomes = {one.slug: one.record.outcome for one in drained(runner, 2)}
    assert sorted(outcomes.values()) == ["held", "ok"] and outcomes[bad] == "held"
    log.rmdir()
    aside.rename(log)
    again = runner_of(study)
    again.add([bad])
    assert [one.record.outcome for one in drained(again, 1)] == ["ok"]
    assert set(starts(tmp_path).values()) == {1}
