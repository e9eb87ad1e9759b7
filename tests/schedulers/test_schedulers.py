"""What every scheduler promises, on each there is: real processes, a real Slurm cluster, and fakes of the others."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from job_scripts import noted, script
from sweeps import held, toy

from nodesweep.results.environment import facts_of
from nodesweep.schedulers import SCHEDULERS
from nodesweep.schedulers.base import End, Job, Sighting
from nodesweep.schedulers.job_script import key_of
from nodesweep.schedulers.markers import CAUSES, revoke

# Every scheduler; each batch scheduler has a fixture of its name in tests/conftest.py, which puts its commands on PATH,
# and may have more, `<name>_<what is different>`, for sites that differ. What a site asks of every job stands in the
# attribute `options` of the fixture's value, as in a machine file.
PLACES = [*SCHEDULERS, "slurm_without_accounting"]
SECONDS = 30


class Place:
    """A scheduler under test, with a folder for its jobs."""

    def __init__(self, name: str, folder: Path, options: Mapping[str, str]) -> None:
        self.name = name
        self.options = options
        self.folder = folder
        self.scheduler = SCHEDULERS[name].connect()
        self.submitted: list[Job] = []

    def script(self, seconds: float = 0.05, ending: str = "ok", folder: str = "here", hold: str = "") -> Path:
        """The job script of a run of three iterations, each of so many seconds, in a folder of its own."""
        (self.folder / folder).mkdir()
        machine = {"name": "test", "scheduler": self.name, "elapse_limit_seconds": 120, "options": dict(self.options)}
        return script(self.folder / folder, toy(seconds, ending, hold, machine=machine))

    def submit(self, path: Path, attempt: int = 1) -> Job:
        """A job of a script."""
        key = noted(path, f"a{attempt}")
        job = Job(key, self.scheduler.submit(path, key), path.parent)
        self.submitted.append(job)
        return job

    def look(self, *jobs: Job) -> dict[str, Sighting]:
        """One bulk look, by a launcher started anew."""
        return SCHEDULERS[self.name].connect().poll(list(jobs))

    def cancel(self, *jobs: Job) -> None:
        """Ask for the end of jobs, from a launcher started anew."""
        SCHEDULERS[self.name].connect().cancel(list(jobs))

    def log(self, job: Job) -> str:
        """All output of an ended job; collecting it twice changes nothing."""
        for _ in range(2):
            self.scheduler.collect(job)
        return (job.directory / f"{job.key}.log").read_text()

    def ended(self, *jobs: Job) -> list[End]:
        """Wait for the ends of jobs, all of them in one look."""
        ends: dict[str, End] = {}

        def all_ended() -> bool:
            seen = self.scheduler.poll([job for job in jobs if job.key not in ends])
            ends.update({key: sighting.end for key, sighting in seen.items() if sighting.end is not None})
            return len(ends) == len(jobs)

        wait(all_ended)
        causes = {None, *CAUSES, *SCHEDULERS[self.name].causes}
        assert {end.cause for end in ends.values()} <= causes, "the scheduler's row has all causes it gives"
        return [ends[job.key] for job in jobs]


def wait(ready: Callable[[], bool]) -> None:
    """Wait until something holds."""
    limit = time.monotonic() + SECONDS
    while not ready():
        assert time.monotonic() < limit, f"not so after {SECONDS} s"
        time.sleep(0.1)


def trainer(job: Job) -> psutil.Process:
    """The trainer's process, once it has started."""
    starts = job.directory / "starts"
    wait(lambda: starts.exists() and starts.read_text().endswith("\n"))
    return psutil.Process(int(starts.read_text().split()[-1]))


def gone(process: psutil.Process) -> bool:
    """Whether a process has ended."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Each scheduler in turn; jobs that a test leaves are ended with it."""
    name, options = request.param.partition("_")[0], {}
    if SCHEDULERS[name].is_batch:
        system = request.getfixturevalue(request.param)
        options = getattr(system, "options", {})
        if name == "slurm":  # which all tests of a session share, so that only some speak to it
            monkeypatch.setenv("SLURM_CONF", system.environment["SLURM_CONF"])
    place = Place(name, tmp_path, options)
    yield place
    place.cancel(*place.submitted)


def test_a_job_runs_to_its_end(place: Place) -> None:
    """Exit code, times, the scheduler's word, all output in <key>.log, and a marker of the job's own."""
    before = time.time()
    job = place.submit(place.script())
    assert re.fullmatch(place.scheduler.job_ids, job.id)
    (end,) = place.ended(job)
    assert (end.exit_code, end.cause) == (0, None) and end.state.strip()
    facts = facts_of((job.directory / f"{job.key}.provenance").read_text())
    assert [fact.value for fact in facts if (fact.section, fact.name) == ("environment", "NODESWEEP_KEY")] == [job.key]
    assert any(fact.name == "nodes" for fact in facts) == SCHEDULERS[place.name].is_batch
    assert end.started is not None and end.ended is not None
    assert before - 1 < end.started < end.ended < time.time() + 1
    log = place.log(job)
    assert log.startswith(f"nodesweep: {job.key} starts on ")
    assert "[after training is done]" in log and log.endswith("the launch ended with exit code 0\n")
    assert json.loads((job.directory / f"{job.key}.exit").read_text())["key"] == job.key


def test_jobs_are_seen_together(place: Place) -> None:
    """One look tells of a job that went well and of one that failed, whose exit code is its own."""
    jobs = [place.submit(place.script(0.01, ending, folder=ending)) for ending in ("ok", "crash")]
    ends = place.ended(*jobs)
    assert [end.exit_code for end in ends] == [0, 1]
    assert all(end.cause is None and end.state.strip() for end in ends)


def test_cancel_ends_a_job(place: Place) -> None:
    """The trainer ends too, the cause is that somebody cancelled the job, and cancelling twice is no error."""
    job = place.submit(place.script(seconds=30))
    process = trainer(job)
    assert place.look(job)[job.key].state == "running"
    place.cancel(job)
    (end,) = place.ended(job)
    assert end.cause == "cancelled" and end.state.strip()
    wait(lambda: gone(process))
    place.cancel(job)


def test_a_key_alone_finds_its_job_and_no_other(place: Place) -> None:
    """While it runs and after its end; not one that was never submitted, nor one whose name only begins like it."""
    hold = held(place.folder)
    path = place.script(hold=str(hold))
    job = place.submit(path, attempt=11)
    unknown = replace(job, id="")
    sibling = replace(unknown, key=job.key.removesuffix("1"))
    trainer(job)
    seen = place.look(unknown, sibling)
    assert seen.keys() == {job.key} and (seen[job.key].id, seen[job.key].state) == (job.id, "running")
    hold.unlink()
    wait(lambda: place.look(unknown)[job.key].end is not None)
    assert place.look(unknown, sibling)[job.key].end == place.ended(job)[0]


def test_a_key_alone_can_be_cancelled(place: Place) -> None:
    """The job of a submission whose answer was lost can be ended all the same; one that never was is no error."""
    job = place.submit(place.script(seconds=30))
    trainer(job)
    place.cancel(replace(job, id=""), Job("never-submitted-a1", "", job.directory))
    assert place.ended(job)[0].cause == "cancelled"


def test_by_hand(place: Place) -> None:
    """The script runs without a launcher too: a key and a log of its own, and the same marker."""
    path = place.script(0.01)
    subprocess.run(
        [SCHEDULERS[place.name].commands[0], path.name], cwd=path.parent, stdout=subprocess.DEVNULL, check=True
    )
    wait(lambda: bool(list(path.parent.glob("*-byhand-*.exit"))))
    (marker,) = path.parent.glob("*-byhand-*.exit")
    assert json.loads(marker.read_text())["exit_code"] == 0
    assert "[after training is done]" in marker.with_suffix(".log").read_text()


def test_a_key_given_up_never_runs(place: Place) -> None:
    """However late the job of a revoked submission appears, its trainer does not start."""
    path = place.script()
    key = key_of(path.parents[2], path.parent.name) + "-a1"
    assert revoke(path.parent, key)
    (end,) = place.ended(place.submit(path))
    assert end.exit_code == 75
    assert not (path.parent / "starts").exists()


@pytest.mark.parametrize("name", ["{slug} {{a}}", 'two  words, it\'s "100%" x%j', "$HOME;#1&(x) größe-大"])
def test_any_folder_will_do(place: Place, name: str) -> None:
    """Blanks, quotes, what a shell or a scheduler would replace, and letters of any language."""
    job = place.submit(place.script(0.01, folder=name))
    assert place.ended(job)[0].exit_code == 0
    assert "[after training is done]" in place.log(job)
