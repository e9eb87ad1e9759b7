"""Tests of jobs that are ended once their iterations are enough, on real processes."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from sweeps import drained, held, runner_of, study_in

from nodesweep.common.errors import SchedulerAway
from nodesweep.launch import journal
from nodesweep.launch.journal_events import Ended, Enough
from nodesweep.schedulers.base import End, Job, Patience, Sighting, Usage
from nodesweep.schedulers.batch import Batch
from nodesweep.schedulers.local import Local
from nodesweep.sweep.study import Study

TOTAL = 400
ENOUGH = {"total": TOTAL, "warmup": 1, "enough": {"percent": 1}}
ONE = [{"nodes": 1, "global_batch": 16, "sequence_length": 128}]


def long_study(folder: Path, **changes: Any) -> Study:
    """A run of 400 iterations of 50 ms, of which nine or ten are enough: all but the first say 500 ms."""
    return study_in(folder, **{"iterations": ENOUGH, "layouts": ONE} | changes)


def events_of(study: Study) -> list[Any]:
    """All events of the only layout."""
    (slug,) = study.runs
    return journal.read(study.journal(slug))


def starts_of(study: Study) -> int:
    """How often the job of the only layout was started."""
    (slug,) = study.runs
    return len((study.directory(slug) / "starts").read_text().splitlines())


def stepped_until(runner: Any, reached: Any) -> None:
    """Step until something holds."""
    limit = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < limit
        runner.step()
        runner.wait(0.1)


def test_run_is_ended_once_its_iterations_are_enough(tmp_path):
    """The journal says why before the job is cancelled; the run is ok, and its measurement is of what it did."""
    study, lines = long_study(tmp_path), []
    runner = runner_of(study, lines, poll_seconds=0.1)
    runner.add([*study.runs])
    (done,) = drained(runner, 1)
    said = [event for event in events_of(study) if isinstance(event, Enough | Ended)]
    assert [event.kind for event in said] == ["enough", "ended"]
    assert said[0].iteration >= 9
    assert done.record.outcome == "ok" and done.final
    assert done.record.where == f"stopped at iteration {said[0].iteration}: enough"
    note = re.fullmatch(rf"{done.record.where}(?:, ended at (\d+))?, (3\d\d) of 400 iterations saved", done.record.note)
    assert note and int(note[1] or said[0].iteration) == 400 - int(note[2])
    (slug,) = study.runs
    measured = json.loads((study.directory(slug) / "measurement.json").read_text())
    assert measured["statistics"]["iteration_seconds"] == 0.5
    assert len(measured["series"]["iteration"]) < 100
    again = runner_of(study)
    again.add([*study.runs])
    assert drained(again, 1)[0].record == done.record
    assert starts_of(study) == 1


def test_later_launcher_cancels_what_an_earlier_one_was_about_to(tmp_path, monkeypatch):
    """A launcher that died between journal and cancel leaves the job to the next, which ends it as enough."""
    study = long_study(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Local, "cancel", lambda self, jobs: None)
        runner = runner_of(study, poll_seconds=0.1)
        runner.add([*study.runs])
        stepped_until(runner, lambda: any(isinstance(event, Enough) for event in events_of(study)))
    later = runner_of(study, poll_seconds=0.1)
    later.add([*study.runs])
    (done,) = drained(later, 1)
    assert done.record.where.endswith(": enough")
    assert (starts_of(study), sum(isinstance(event, Enough) for event in events_of(study))) == (1, 1)


def test_later_launcher_records_what_an_earlier_one_cancelled(tmp_path):
    """A launcher that died between cancel and record leaves an end that the next one takes for enough."""
    study = long_study(tmp_path)
    runner = runner_of(study, poll_seconds=0.1)
    runner.add([*study.runs])
    stepped_until(runner, lambda: any(isinstance(event, Enough) for event in events_of(study)))
    assert not any(isinstance(event, Ended) for event in events_of(study))
    time.sleep(1)
    later = runner_of(study, poll_seconds=0.1)
    later.add([*study.runs])
    assert drained(later, 1)[0].record.where.endswith(": enough")
    assert starts_of(study) == 1


def test_cancel_is_given_again_to_a_scheduler_that_was_away(tmp_path, monkeypatch):
    """A scheduler that does not hear the cancel hears it at a later look."""
    study, cancel, deaf = long_study(tmp_path), Local.cancel, [1, 2]

    def sometimes(self: Local, jobs: Any) -> None:
        if deaf:
            deaf.pop()
            raise SchedulerAway("away")
        cancel(self, jobs)

    monkeypatch.setattr(Local, "cancel", sometimes)
    runner = runner_of(study, poll_seconds=0.1)
    runner.add([*study.runs])
    assert drained(runner, 1)[0].record.where.endswith(": enough")
    assert not deaf


def test_cancel_of_a_user_stays_one(tmp_path):
    """A job that somebody else cancels before its iterations are enough was cancelled."""
    study = long_study(tmp_path, hold=str(held(tmp_path)))
    runner = runner_of(study, poll_seconds=0.1)
    runner.add([*study.runs])
    stepped_until(runner, lambda: (study.directory(next(iter(study.runs))) / "starts").exists())
    Local().cancel(runner.running)
    assert drained(runner, 1)[0].record.outcome == "cancelled"


@pytest.mark.parametrize("ending", ["ok", "crash"])
def test_run_that_ends_by_itself_is_what_it_is(tmp_path, ending):
    """A job that comes to its own end before it is ended is recorded as any other."""
    study = long_study(tmp_path, ending=ending, iterations={**ENOUGH, "total": 9})
    runner = runner_of(study, poll_seconds=0.1)
    runner.add([*study.runs])
    record = drained(runner, 1)[0].record
    assert record.outcome == ending
    assert not any(isinstance(event, Enough) for event in events_of(study))


class Ending(Batch):
    """A scheduler that says of its only job what the test has it say; `log` is what the job has written."""

    commands = ()
    poll_at_will = True
    job_ids = r"\d+"
    patience = Patience(polls=2, unclear_seconds=0, silent_seconds=0)

    def __init__(self, looks: list[Sighting], log: str):
        super().__init__()
        self._looks, self._log = looks, log
        self.keys: list[str] = []
        self.cancelled_in: list[str] = []
        self._state = ""

    def submit(self, script: Path, key: str) -> str:
        """Start a job that has written its log at once."""
        self.keys.append(key)
        (script.parent / f"{key}.log").write_text(self._log if len(self.keys) == 1 else "")
        return str(len(self.keys))

    def poll(self, jobs: list[Job]) -> dict[str, Sighting]:
        """The next sighting; the last one stays."""
        sighting = self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]
        self._state = sighting.state
        return {job.key: sighting for job in jobs}

    def cancel(self, jobs: list[Job]) -> None:
        """Note in which state the job was."""
        self.cancelled_in.append(self._state)


def twenty_iterations() -> str:
    """The log of a job of 400 iterations that has done twenty."""
    line = (
        " iteration {0:8d}/     400 | consumed samples: {0:12d} | elapsed time per iteration (ms): 500.0 |"
        " learning rate: 1.000E-04 | global batch size:    16 | lm loss: 9.000000E+00 |\n"
    )
    start = "[before the start of training step] datetime: 2026-01-01 00:00:00 \n"
    return start + "".join(map(line.format, range(1, 21)))


RUNS, WAITS = Sighting("1", "running", "R"), Sighting("1", "queued", "PD")
CANCELLED = Sighting("1", "ended", "CA", End(143, "cancelled", "CANCELLED", usage=Usage(restarts=1)))
PREEMPTED = Sighting("1", "ended", "PR", End(None, "preempted", "PREEMPTED"))


@pytest.mark.parametrize(
    ("looks", "cancels", "says"),
    [
        ([RUNS, WAITS, WAITS, CANCELLED], ["running", "queued", "queued"], "CANCELLED"),
        ([RUNS, PREEMPTED], ["running"], "PREEMPTED"),
    ],
)
def test_job_that_is_requeued_or_preempted_after_enough_does_not_run_again(tmp_path, looks, cancels, says):
    """A job that its scheduler puts back before it hears the cancel is cancelled where it waits, and its run is ok."""
    study = long_study(tmp_path)
    scheduler = Ending([*looks], twenty_iterations())
    runner = runner_of(study, scheduler=scheduler, poll_seconds=0)
    runner.add([*study.runs])
    (done,) = drained(runner, 1)
    assert (done.record.outcome, done.record.where) == ("ok", "stopped at iteration 20: enough")
    assert done.record.note == f"{done.record.where}, 380 of 400 iterations saved; scheduler says {says}"
    assert scheduler.cancelled_in == cancels
    assert len(scheduler.keys) == 1


def test_preempted_job_whose_log_is_gone_runs_again(tmp_path, monkeypatch):
    """A log that no longer holds what was enough makes no run ok."""
    study, lines = long_study(tmp_path), []
    scheduler = Ending([RUNS, PREEMPTED], twenty_iterations())
    monkeypatch.setattr(scheduler, "cancel", lambda jobs: (jobs[0].directory / f"{jobs[0].key}.log").write_text(""))
    runner = runner_of(study, lines, scheduler=scheduler, poll_seconds=0, retries=1)
    runner.add([*study.runs])
    assert drained(runner, 1)[0].record.outcome == "preempted"
    assert len(scheduler.keys) == 2


def test_job_whose_log_is_not_certain_goes_on_and_says_why(tmp_path):
    """Iterations that are missing in a log end no job, and the launcher tells of it once."""
    study, lines = long_study(tmp_path), []
    text = "".join(line for line in twenty_iterations().splitlines(True) if "iteration        7" not in line)
    runner = runner_of(study, lines, scheduler=Ending([RUNS], text), poll_seconds=0)
    runner.add([*study.runs])
    for _ in range(4):
        assert runner.step() == []
    assert (
        len(
            [
                line
                for line in lines
                if "nobody can tell whether its iterations are enough: iterations are missing" in line
            ]
        )
        == 1
    )
