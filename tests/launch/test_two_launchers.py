"""Two launchers of one sweep that do not know of each other: whatever happens between them, each layout starts once."""

from pathlib import Path

import pytest
from hosts import needs_hosts, stopped_and_taken_over
from sweeps import drained, runner_of, starts, study_in

from nodesweep.common.errors import LockError, Throttled
from nodesweep.launch import attempts, journal
from nodesweep.launch.journal_events import Deferred, Ended, Intent, JournalEvent, Revoked, Submitted
from nodesweep.launch.progress import EventLines
from nodesweep.launch.submitter import Submitter
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.schedulers.local import Local
from nodesweep.sweep.study import Study

FIRST, SECOND = (Intent(key=key, attempt=1) for key in ("first", "second"))
RUNS, GIVES_WAY = Submitted(key="first", job_id="7@9"), Deferred(key="second")
ENDS = Ended(record=TerminalRecord(key="first", outcome="ok"))


@pytest.mark.parametrize(
    ("events", "key", "status"),
    [
        ([FIRST, SECOND, RUNS, GIVES_WAY], "first", "running"),
        ([FIRST, SECOND, GIVES_WAY, RUNS], "first", "running"),
        ([FIRST, RUNS, SECOND, GIVES_WAY], "first", "running"),
        ([SECOND, FIRST, GIVES_WAY, RUNS], "first", "running"),
        ([FIRST, RUNS, SECOND], "second", "unclear"),
        ([FIRST, RUNS, SECOND, ENDS], "second", "unclear"),
        ([FIRST, SECOND, RUNS, ENDS, GIVES_WAY], "first", "ended"),
        ([FIRST, RUNS, SECOND, ENDS, Revoked(key="second")], "first", "ended"),
        ([FIRST, Revoked(key="first"), Intent(key="second", attempt=2), RUNS], "second", "unclear"),
    ],
)
def test_each_event_counts_for_its_own_submission(events: list[JournalEvent], key: str, status: str) -> None:
    """Intents of two launchers in one journal: what came of one of them does not change what is known of the other."""
    state = journal.state_after(events)
    assert (state.key, state.status) == (key, status)


def submitter_of(study: Study) -> Submitter:
    """What submits the layouts of one more launcher, whose lock is as good as none."""
    return Submitter(study, Local(), 0.1, EventLines([].append), lambda: None)


def test_what_another_submitted_is_taken_over(tmp_path: Path) -> None:
    """A launcher that read a journal before the other's intent makes no second job, but takes over the other's."""
    study = study_in(tmp_path)
    slug, before = next(iter(study.layouts)), journal.State()
    first = submitter_of(study).submit(slug, before, others=False)
    second = submitter_of(study).submit(slug, before, others=False)
    assert first and second and first.job.id == second.job.id
    runner = runner_of(study)
    runner.add([slug])
    assert drained(runner, 1)[0].record.outcome == "ok"
    assert starts(tmp_path) == {slug: 1}


def test_one_of_two_in_the_same_moment_stands_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where both have looked before either has claimed the attempt, the second stops before it submits."""
    study = study_in(tmp_path)
    slug, before = next(iter(study.layouts)), journal.State()
    monkeypatch.setattr("nodesweep.launch.submitter.free_attempt", lambda folder, attempt: attempt)
    first = submitter_of(study).submit(slug, before, others=False)
    with pytest.raises(LockError, match=f"{slug}: another launcher submits attempt 1 at this moment"):
        submitter_of(study).submit(slug, before, others=False)
    state = journal.state(study.journal(slug))
    assert first and (state.key, state.job_id, state.attempt) == (first.job.key, first.job.id, 1)
    runner = runner_of(study)
    runner.add([slug])
    assert drained(runner, 1)[0].record.outcome == "ok"
    assert starts(tmp_path) == {slug: 1}


@pytest.mark.parametrize("claimed", [False, True], ids=["before its claim", "after its claim"])
def test_a_crash_after_an_intent(tmp_path: Path, claimed: bool) -> None:
    """The next launcher gives the attempt up and submits the next one."""
    study = study_in(tmp_path)
    slug = next(iter(study.layouts))
    intent = Intent(key="toy-000000000000-a1-aaaa", attempt=1, scheduler="local")
    journal.append(study.journal(slug), intent)
    if claimed:
        attempts.claim_attempt(study.journal(slug), intent)
    runner = runner_of(study)
    runner.add([slug])
    assert drained(runner, 1)[0].record.attempt == 2
    assert starts(tmp_path) == {slug: 1}


def test_all_that_can_be_seen_was_removed(tmp_path: Path) -> None:
    """Claims that are left of a layout's runs keep nobody out: it runs, under the next number."""
    study = study_in(tmp_path)
    slug = next(iter(study.layouts))
    for attempt in (2, 3):
        runner = runner_of(study)
        runner.add([slug])
        drained(runner, 1)
        for path in [path for path in study.directory(slug).glob("[!.]*") if path != study.script(slug)]:
            path.unlink()
        assert attempts.free_attempt(study.directory(slug), 1) == attempt


class FullOnce(Local):
    """Takes no job the first time."""

    full = True

    def submit(self, script: Path, key: str) -> str:
        """Refuse the first submission for now."""
        if self.full:
            self.full = False
            raise Throttled("too many jobs")
        return super().submit(script, key)


def test_an_attempt_that_was_deferred(tmp_path: Path) -> None:
    """Its number is used again: nobody's claim is left of what came to nothing."""
    study = study_in(tmp_path)
    slug = next(iter(study.layouts))
    runner = runner_of(study, scheduler=FullOnce(), poll_seconds=0.1)
    runner.add([slug])
    assert drained(runner, 1)[0].record.attempt == 1
    assert [event.kind for event in journal.read(study.journal(slug))][:3] == ["intent", "deferred", "intent"]
    assert starts(tmp_path) == {slug: 1}


@needs_hosts
def test_on_hosts_with_local_flock(tmp_path: Path) -> None:
    """One is refused while another lives; a third takes over when that is stopped; continued, it stands aside."""
    assert stopped_and_taken_over(tmp_path) == []
