"""Tests of jobs that are ended once their iterations are enough, on real processes."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from sweeps import drained, held, runner_of, study_in

from nodesweep.common.errors import SchedulerAway
from nodesweep.launch import journal
from nodesweep.launch.journal_events import Ended, Enough
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
    assert done.record.note.startswith(f"{done.record.where}, 3") and done.record.note.endswith(" iterations saved")
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
