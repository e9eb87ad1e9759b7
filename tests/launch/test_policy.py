"""What the queue does when a scheduler refuses, forgets, or does not answer; the scheduler follows a script."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sweeps import runner_of, study_in

from nodesweep.common.errors import NodesweepError, SchedulerAway, SubmissionUnclear, Throttled
from nodesweep.launch import backoff as watch
from nodesweep.launch import journal
from nodesweep.launch.backoff import Backoff
from nodesweep.launch.forgetting import forget
from nodesweep.launch.journal_events import Intent, Submitted
from nodesweep.launch.runner import Finished, Runner
from nodesweep.launch.submission import Policy
from nodesweep.schedulers.base import End, Job, Patience, Sighting
from nodesweep.schedulers.batch import Batch
from nodesweep.sweep.study import Study

RUNNING = Sighting("7", "running", "R")
OK = End(0, None, "DONE")
NODE_FAILURE = End(None, "node_failure", "NODE")


class Scripted(Batch):
    """A scheduler of the test's making: each submission and each look takes the next answer, and the last one stays."""

    commands = ()
    poll_at_will = True
    job_ids = r"\d+"
    patience = Patience(polls=2, unclear_seconds=0, silent_seconds=0)

    def __init__(self, submits: list[Any], looks: list[Any]):
        super().__init__()
        self._submits, self._looks = submits, looks
        self.keys: list[str] = []

    def submit(self, script: Path, key: str) -> str:
        """The next answer: an id, or an error."""
        self.keys.append(key)
        return _next(self._submits)

    def poll(self, jobs: list[Job]) -> dict[str, Sighting]:
        """The next answer, the same for each job: a sighting, an end, None for none, or an error."""
        answer = _next(self._looks)
        if isinstance(answer, End):
            answer = Sighting("7", "ended", answer.state, answer)
        return {job.key: answer for job in jobs if answer is not None}

    def cancel(self, jobs: list[Job]) -> None:
        """Nothing runs here."""


def _next(answers: list[Any]) -> Any:
    answer = answers.pop(0) if len(answers) > 1 else answers[0]
    if isinstance(answer, Exception):
        raise answer
    return answer


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Monotonic time that passes only when told to."""
    now = [1000.0]
    monkeypatch.setattr(watch.time, "monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """One layout that is never really run."""
    return study_in(tmp_path, layouts=[{"nodes": 1, "global_batch": 16, "sequence_length": 128}])


def steps(runner: Runner, study: Study, count: int) -> list[Finished]:
    """All layouts handed over, then so many steps."""
    runner.add(list(study.layouts))
    return [done for _ in range(count) for done in runner.step()]


def events(study: Study) -> list[str]:
    """The events of the one journal."""
    return [event.kind for event in journal.read(study.journal(next(iter(study.layouts))))]


def test_failed_nodes_are_tried_again_within_a_cap(study: Study) -> None:
    """Two retries are three submissions; then the layout is left to the next invocation."""
    scheduler, lines = Scripted(["7"], [NODE_FAILURE]), []
    (done,) = steps(runner_of(study, lines, scheduler, retries=2), study, 6)
    assert (done.record.outcome, done.record.attempt, done.final) == ("node_failure", 3, False)
    assert [key.split("-")[-2] for key in scheduler.keys] == ["a1", "a2", "a3"]
    assert len({key.split("-")[-1] for key in scheduler.keys}) == 3
    assert sum("submitting it again" in line for line in lines) == 2
    (again,) = steps(runner_of(study, [], Scripted(["8"], [OK])), study, 3)
    assert again.record.attempt == 4


def test_no_retries(study: Study) -> None:
    """A profile may leave every failure to the next invocation."""
    (done,) = steps(runner_of(study, [], Scripted(["7"], [NODE_FAILURE]), retries=0), study, 3)
    assert (done.record.outcome, done.record.attempt) == ("node_failure", 1)


def test_no_answer_is_asked_again_with_back_off(study: Study, clock: Callable[[float], None]) -> None:
    """Looks follow after 10, 20, 40 s while nobody answers, and every 10 s again once somebody does."""
    away = SchedulerAway("squeue: no controller")
    scheduler, lines = Scripted(["7"], [away, away, away, RUNNING]), []
    scheduler.poll_at_will = False
    runner = runner_of(study, lines, scheduler, poll_seconds=10)
    steps(runner, study, 1)
    looks = []
    for second in range(120):
        before = list(scheduler._looks)
        runner.step()
        if len(scheduler._looks) < len(before):
            looks.append(second)
        clock(1)
    assert looks == [0, 10, 30]
    assert [line for line in lines if "answer" in line] == [
        "no answer from the scheduler (squeue: no controller); asking again until there is one",
        "the scheduler answers again",
    ]
    assert events(study) == ["intent", "submitted"]


def test_back_off_has_an_end() -> None:
    """However often it fails, ten minutes is the longest wait."""
    backoff = Backoff(60)
    for _ in range(40):
        backoff.failed()
    assert backoff._next - watch.time.monotonic() <= watch.LONGEST_BACKOFF_SECONDS


def test_a_full_queue_is_no_failure(study: Study, clock: Callable[[float], None]) -> None:
    """Refused for now: nothing is submitted until the back-off is over, and the attempt keeps its number."""
    scheduler, lines = Scripted([Throttled("queue full"), Throttled("queue full"), "7"], [OK]), []
    runner = runner_of(study, lines, scheduler, poll_seconds=10)
    done = steps(runner, study, 5)
    assert (done, len(scheduler.keys)) == ([], 1)
    for _ in range(40):
        clock(1)
        done += runner.step()
    assert [one.record.attempt for one in done] == [1]
    assert [key.split("-")[-2] for key in scheduler.keys] == ["a1"] * 3
    assert events(study) == ["intent", "deferred", "intent", "deferred", "intent", "submitted", "ended"]
    assert sum("takes no more jobs for now" in line for line in lines) == 1


def test_submissions_that_come_to_nothing_have_a_cap(study: Study) -> None:
    """Three unclear submissions without a job: launch_failed with the last complaint, and all keys revoked."""
    scheduler = Scripted([SubmissionUnclear("sbatch: odd")], [None])
    (done,) = steps(runner_of(study, [], scheduler, retries=2), study, 12)
    assert (done.record.outcome, done.final) == ("launch_failed", False)
    assert "3 submissions came to nothing; the last: sbatch: odd" in done.record.evidence
    assert events(study) == ["intent", "revoked"] * 3 + ["ended"]


def test_a_crowded_queue_does_not_count(study: Study) -> None:
    """Unclear only because the queue is full: it is tried for as long as that lasts."""
    crowded = SubmissionUnclear("sbatch: job queue full", crowded=True)
    runner = runner_of(study, [], Scripted([crowded, crowded, crowded, "7"], [None] * 6 + [OK]), poll_seconds=0)
    (done,) = steps(runner, study, 12)
    assert (done.record.outcome, done.record.attempt) == ("unread", 4)  # without a log; what counts is the number


def test_a_job_in_no_listing_is_held_and_never_lost(study: Study) -> None:
    """Missing from all looks: its layout is left to the user with the way out, and nothing is started beside it."""
    scheduler, lines = Scripted(["7"], [None]), []
    (done,) = steps(runner_of(study, lines, scheduler), study, 3)
    assert (done.record.outcome, done.final) == ("held", False)
    assert "nobody knows what became of job 7" in done.record.evidence
    assert done.way_out.endswith(f"nodesweep forget {done.slug}")
    assert events(study) == ["intent", "submitted", "silent"]
    assert not study.record(done.slug).exists()
    (again,) = steps(runner_of(study, [], scheduler), study, 3)
    assert again.record.outcome == "held"
    assert (len(scheduler.keys), events(study)) == (1, ["intent", "submitted", "silent"])


def test_a_held_layout_keeps_no_other_from_running(tmp_path: Path) -> None:
    """With one job at once, the second layout runs while nobody knows anything of the first one's job."""

    class Forgetful(Scripted):
        """Knows of every job but the first."""

        def poll(self, jobs: list[Job]) -> dict[str, Sighting]:
            return {job.key: Sighting("8", "ended", "DONE", OK) for job in jobs if job.key != self.keys[0]}

    study = study_in(tmp_path)
    done = steps(runner_of(study, [], Forgetful(["7", "8"], [None]), poll_seconds=0), study, 8)
    assert sorted(one.record.outcome for one in done) == ["held", "unread"]  # without a log; what counts is that it ran


def test_a_held_job_that_is_seen_again_ends_as_it_ends(study: Study) -> None:
    """What a listing did not show for long, and shows again: nothing was given up meanwhile."""
    scheduler = Scripted(["7"], [None, None, RUNNING, OK])
    runner = runner_of(study, [], scheduler, poll_seconds=0)
    watcher = runner._watcher
    watcher.asked = lambda submission: False  # as long as other layouts run, a held one is asked for
    (done,) = steps(runner, study, 8)
    assert (done.record.job_id, len(scheduler.keys)) == ("7", 1)
    assert events(study) == ["intent", "submitted", "silent", "silent", "ended"]


def test_a_growing_log_is_a_witness(study: Study) -> None:
    """No listing has the job, but its log grows from look to look: it is not held."""
    runner = runner_of(study, [], Scripted(["7"], [None]), poll_seconds=0)
    runner.add(list(study.layouts))
    runner.step()
    (job,) = runner.running
    for _ in range(6):
        with (job.directory / f"{job.key}.log").open("a") as log:
            log.write("iteration\n")
        assert runner.step() == []
    assert events(study) == ["intent", "submitted"]


def test_a_listing_that_cannot_be_had_is_no_news(study: Study) -> None:
    """The job's cluster does not answer, though another does: neither held nor, its submission unclear, given up."""

    class OfTwo(Scripted):
        """Cannot ask for any job, without being away."""

        def poll(self, jobs: list[Job]) -> dict[str, Sighting | None]:
            return dict.fromkeys(job.key for job in jobs)

    for submits in (["7"], [SubmissionUnclear("sbatch: odd")]):
        scheduler = OfTwo(submits, [None])
        assert steps(runner_of(study, [], scheduler, poll_seconds=0), study, 6) == []
    assert set(events(study)) <= {"intent", "submitted"}


def test_forget_decides(study: Study) -> None:
    """A held layout is given up on the user's word, told to the launcher at work, and runs again with the next one."""
    (slug,) = study.layouts
    steps(runner_of(study, [], Scripted(["7"], [None])), study, 3)
    with pytest.raises(NodesweepError, match="no layout 'n9'"):
        forget(study, "n9")
    assert "job 7 is given up" in forget(study, slug, force=True)
    assert (study.directory(slug) / f"{journal.state(study.journal(slug)).key}.started").read_text() == "revoked\n"
    with pytest.raises(NodesweepError, match="nothing to forget"):
        forget(study, slug)
    record = journal.state(study.journal(slug)).record
    assert record is not None and (record.outcome, record.job_id) == ("lost", "7")
    scheduler = Scripted(["8"], [OK])
    (done,) = steps(runner_of(study, [], scheduler), study, 3)
    assert (done.record.attempt, len(scheduler.keys)) == (2, 1)


def test_forget_is_heard_by_the_launcher_at_work(study: Study) -> None:
    """A launcher that looks for the job finds it given up, and reports its layout as lost."""
    runner = runner_of(study, [], Scripted(["7"], [None]), poll_seconds=0)
    runner.add(list(study.layouts))
    runner.step()
    (slug,) = study.layouts
    forget(study, slug, force=True)
    (done,) = runner.step()
    assert (done.record.outcome, done.final) == ("lost", False)


def test_a_copied_results_folder_leaves_the_originals_job_alone(study: Study, tmp_path: Path) -> None:
    """In the copy the open submission is history: neither adopted nor cancelled, and the layout has its own run."""
    runner = runner_of(study, [], Scripted(["7"], [RUNNING]))
    runner.add(list(study.layouts))
    runner.step()
    shutil.copytree(tmp_path / "results", tmp_path / "copied" / "results")
    copied = replace(study, folder=tmp_path / "copied" / "results" / study.folder.name)
    assert runner_of(copied, [], Scripted(["8"], [RUNNING])).running == []
    (slug,) = study.layouts
    assert journal.state(copied.journal(slug)).status == "pending"
    assert journal.state(study.journal(slug)).job_id == "7"
    (tmp_path / "results").rename(tmp_path / "moved")
    moved = replace(study, folder=tmp_path / "moved" / study.folder.name)
    assert [job.id for job in runner_of(moved, [], Scripted(["8"], [RUNNING])).running] == ["7"]


def test_a_moved_folder_gets_scripts_of_its_own(study: Study, tmp_path: Path) -> None:
    """What ended before the move runs again from a script that names the new folder, and not the old one."""
    steps(runner_of(study, [], Scripted(["7"], [NODE_FAILURE]), retries=0), study, 3)
    (tmp_path / "results").rename(tmp_path / "moved")
    moved = replace(study, folder=tmp_path / "moved" / study.folder.name)
    steps(runner_of(moved, [], Scripted(["8"], [RUNNING])), moved, 1)
    (slug,) = study.layouts
    script = moved.script(slug).read_text()
    assert f"{tmp_path}/moved/" in script and f"{tmp_path}/results/" not in script


def test_what_another_launcher_submitted_meanwhile_is_taken_over(study: Study) -> None:
    """The journal is read before a submission: an open one of somebody else's is adopted and not doubled."""
    (slug,) = study.layouts
    runner = runner_of(study, [], Scripted(["8"], [RUNNING]))
    other = runner_of(study, [], Scripted(["7"], [RUNNING]))
    for one in (other, runner):
        one.add([slug])
        one.step()
    assert (len(runner.running), events(study).count("intent")) == (1, 1)


def test_a_look_without_an_answer_is_no_look(study: Study) -> None:
    """Between two looks that miss a job, any number of failing ones counts for nothing; seen again, it starts over."""
    away = SchedulerAway("down")
    scheduler = Scripted(["7"], [None, away, away, RUNNING, None, away, RUNNING])
    assert steps(runner_of(study, [], scheduler, poll_seconds=0), study, 12) == []


def test_a_job_of_another_scheduler_is_left_alone(tmp_path: Path) -> None:
    """A sweep moved to another machine while a job ran on the first: that job is neither looked for nor called lost."""
    study = study_in(tmp_path)
    slug = next(iter(study.layouts))
    journal.append(study.journal(slug), Intent(key="k-a1", attempt=1, script_sha256="0", scheduler="slurm"))
    journal.append(study.journal(slug), Submitted(key="k-a1", job_id="77"))
    lines: list[str] = []
    assert runner_of(study, lines).running == []
    assert lines == [f"{slug}: job 77 is one of slurm, not of local; left alone"]
    assert journal.state(study.journal(slug)).status == "running"


def test_the_limit_that_counts_is_the_one_the_job_had(tmp_path: Path) -> None:
    """A job over its limit while the config's was raised: its record has the old limit, so that it runs again."""
    layouts = [{"nodes": 1, "global_batch": 16, "sequence_length": 128}]
    limits = [{"name": "here", "scheduler": "local", "elapse_limit_seconds": seconds} for seconds in (60, 120)]
    before = study_in(tmp_path, layouts=layouts, machine=limits[0])
    steps(runner_of(before, [], Scripted(["7"], [RUNNING])), before, 2)
    after = study_in(tmp_path, layouts=layouts, machine=limits[1])
    (done,) = steps(runner_of(after, [], Scripted(["7"], [RUNNING, End(None, "time_limit", "T")])), after, 3)
    assert (done.record.outcome, done.record.elapse_limit_seconds, done.final) == ("timeout", 60, False)


def test_a_held_job_is_told_and_written_down(tmp_path: Path) -> None:
    """A job that does not start by itself is told once; the journal says why, and when that is over."""
    study, lines = study_in(tmp_path), list[str]()
    held = Sighting("7", "held", "JobHeldUser")
    steps(runner_of(study, lines, Scripted(["7"], [held, held, RUNNING])), study, 4)
    assert sum(line.endswith("job 7 does not start by itself: JobHeldUser") for line in lines) == 1
    slug = next(iter(study.layouts))
    assert [event.word for event in journal.read(study.journal(slug)) if event.kind == "held"] == [*("JobHeldUser", "")]
    assert journal.state(study.journal(slug)).held == ""


def test_of_many_alike_the_number_is_told(tmp_path: Path) -> None:
    """Twelve submissions in one go are one line, and so are twelve jobs taken over; the full log has each."""
    axes = {"nodes": 1, "global_batch": 16, "sequence_length": [128 * (number + 1) for number in range(12)]}
    study = study_in(tmp_path, layouts=[axes])
    for words in ("started", "of an earlier launcher taken over"):
        lines, notes = list[str](), list[str]()
        runner = Runner(study, Scripted(["7"], [RUNNING]), Policy(jobs_at_once=20), lines.append, note=notes.append)
        runner.recover()
        runner.add(list(study.layouts))
        runner.step()
        assert (lines, len(notes)) == ([f"12 jobs {words}"], 12)
        assert (runner.progress.running, runner.progress.total) == (12, 12)
