"""The local scheduler: jobs outlive their launcher, are found again, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from job_scripts import full_key, noted, script
from sweeps import toy

from nodesweep.schedulers.base import End, Job, Sighting
from nodesweep.schedulers.local import Local

KEY = "k-a1"
_SUBMIT = """
import sys
from pathlib import Path
from nodesweep.schedulers.local import Local
print(Local().submit(Path(sys.argv[1]), sys.argv[2]), flush=True)
"""


@pytest.fixture
def job_script(tmp_path: Path) -> Iterator[Path]:
    """A job script that would run for a minute; whatever it started is ended with the test."""
    path = script(tmp_path, toy(seconds=20))
    yield path
    Local().cancel([Job(full_key(path, KEY), "", path.parent)])


def quick(tmp_path: Path, ending: str = "ok") -> Path:
    """A job script that ends at once."""
    return script(tmp_path, toy(seconds=0.01, ending=ending))


def submitted_by_another(path: Path) -> Job:
    """A job whose launcher is a process that has ended."""
    key = noted(path, KEY)
    words = [sys.executable, "-c", _SUBMIT, str(path), key]
    run = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    return Job(key, run.stdout.strip(), path.parent)


def submitted(scheduler: Local, path: Path) -> Job:
    """A job of this process."""
    key = noted(path, KEY)
    return Job(key, scheduler.submit(path, key), path.parent)


def ended(scheduler: Local, job: Job, seconds: float = 20) -> End:
    """Wait for a job's end."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        sighting = scheduler.poll([job])[job.key]
        if sighting.end is not None:
            return sighting.end
        scheduler.wait([job], 5)
    raise AssertionError(f"{job} did not end")


def trainer_of(path: Path) -> psutil.Process:
    """The trainer's process, once it has started."""
    starts = path.parent / "starts"
    while not (starts.exists() and starts.read_text().endswith("\n")):
        time.sleep(0.02)
    return psutil.Process(int(starts.read_text().split()[-1]))


def kill_at_once(process_id: int) -> None:
    """SIGKILL, and wait until the process is gone."""
    os.kill(process_id, signal.SIGKILL)
    while psutil.pid_exists(process_id) and psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)


def test_a_job_runs_to_its_end(tmp_path: Path) -> None:
    """Exit code and times come from the marker the script leaves; output is in <key>.log."""
    scheduler, path = Local(), quick(tmp_path)
    job = submitted(scheduler, path)
    end = ended(scheduler, job)
    assert (end.exit_code, end.cause) == (0, None)
    assert end.started is not None and end.ended is not None and end.started < end.ended
    assert "[after training is done]" in (path.parent / f"{full_key(path, KEY)}.log").read_text()


def test_a_failing_job_gives_its_exit_code(tmp_path: Path) -> None:
    """A crash is told by the exit code alone."""
    scheduler = Local()
    assert ended(scheduler, submitted(scheduler, quick(tmp_path, "crash"))).exit_code == 1


def test_a_job_outlives_its_launcher_and_is_found_by_id_and_by_key(job_script: Path) -> None:
    """After the submitting process is gone, another one sees the same job running, by id and by key."""
    job = submitted_by_another(job_script)
    trainer_of(job_script)
    scheduler = Local()
    assert scheduler.poll([job]) == {job.key: Sighting(job.id, "running")}
    assert scheduler.poll([Job(job.key, "", job_script.parent)]) == {job.key: Sighting(job.id, "running")}


def test_a_reused_process_id_is_not_taken_for_the_job(job_script: Path) -> None:
    """A living process of another start time is not the job."""
    job = Job(KEY, f"{os.getpid()}@1", job_script.parent)
    assert Local().poll([job])[KEY].end == End(None, "lost", "its process is gone and left no exit marker")


def test_a_key_alone_tells_ended_from_never_started(tmp_path: Path) -> None:
    """A key whose script has started is found ended; one that left nothing is not found."""
    scheduler, path = Local(), quick(tmp_path)
    unknown = Job(full_key(path, KEY), "", path.parent)
    assert scheduler.poll([unknown]) == {}
    ended(scheduler, submitted(scheduler, path))
    assert ended(Local(), unknown).exit_code == 0


def test_a_killed_script_takes_its_trainer_along(job_script: Path) -> None:
    """When the script is killed its trainer does not go on and disturb the next run."""
    scheduler = Local()
    job = submitted(scheduler, job_script)
    trainer = trainer_of(job_script)
    kill_at_once(int(job.id.partition("@")[0]))
    assert ended(scheduler, job).exit_code == 137
    assert not trainer.is_running() or trainer.status() == psutil.STATUS_ZOMBIE


def test_killed_while_no_launcher_was_there_is_lost(job_script: Path) -> None:
    """Without marker and exit status nobody knows the end."""
    job = submitted_by_another(job_script)
    trainer_of(job_script)
    kill_at_once(int(job.id.partition("@")[0]))
    assert ended(Local(), job).cause == "lost"


def test_cancel_ends_everything(job_script: Path) -> None:
    """Script and trainer are gone after a cancel; cancelling again is no error."""
    scheduler = Local()
    job = submitted(scheduler, job_script)
    trainer = trainer_of(job_script)
    scheduler.cancel([job])
    end = ended(scheduler, job)
    assert (end.exit_code, end.cause) == (143, "cancelled")
    assert not trainer.is_running() or trainer.status() == psutil.STATUS_ZOMBIE
    scheduler.cancel([job])


def test_an_end_is_noticed_at_once_and_a_wait_can_be_ended(tmp_path: Path) -> None:
    """`wait` returns when a job ends or `wake` is called, long before its time is over."""
    scheduler, path = Local(), quick(tmp_path)
    job = submitted(scheduler, path)
    began = time.monotonic()
    scheduler.wait([job], 300)
    threading.Timer(0.1, scheduler.wake).start()
    scheduler.wait([], 300)
    assert time.monotonic() - began < 150
    assert scheduler.poll([job])[job.key].end is not None


def test_a_damaged_marker_is_said_to_be_damaged(tmp_path: Path) -> None:
    """A marker that is no JSON does not end in a traceback."""
    (tmp_path / f"{KEY}.exit").write_text("{\n")
    (tmp_path / f"{KEY}.started").touch()
    assert Local().poll([Job(KEY, "", tmp_path)])[KEY].end == End(None, "lost", f"{KEY}.exit is damaged")
