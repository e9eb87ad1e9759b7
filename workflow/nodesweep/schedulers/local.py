"""The launcher's own machine as a scheduler: each job a process group of its own that outlives the launcher."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from nodesweep.common.errors import SchedulerError
from nodesweep.common.launch_site import boot_time, this_site
from nodesweep.common.processes import process_identity

from .base import KEY_VARIABLE, End, Job, Patience, SchedulerRow, Sighting, askable
from .markers import end_marker, has_started

_EXIT_SECONDS = 10.0
_ELSEWHERE_SECONDS = 1.0
"""Between two looks at jobs whose processes cannot be seen from here."""
_MOST_BYTES = 2**22
"""Of a process's environment."""


class Local:
    """Runs `bash job.sh`; a job's id is its process id and start time, its key stands in its environment."""

    poll_at_will = True
    patience = Patience(polls=1, unclear_seconds=0, silent_seconds=10)
    job_ids = r"[1-9]\d{0,9}@\d{1,20}"

    def __init__(self) -> None:
        if not sys.platform.startswith("linux"):
            raise SchedulerError(f"the local scheduler knows processes by /proc, which {sys.platform} lacks; use Linux")
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._wake_reader, self._wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def submit(self, script: Path, key: str) -> str:
        """Start the script in a session of its own, its output appended to <key>.log beside it."""
        try:
            with (script.parent / f"{key}.log").open("ab") as log:
                child = subprocess.Popen(
                    ["bash", str(script)],
                    env={**os.environ, KEY_VARIABLE: key},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise SchedulerError(f"{script} cannot be started ({error.strerror}); is bash installed?") from None
        self._children[key] = child
        return process_identity(child.pid)

    def poll(self, jobs: list[Job]) -> dict[str, Sighting]:
        """Each job's process while it lives, else what it left in its folder; left out where it never started."""
        seen = {job.key: self._sighting(job) for job in askable(jobs, self.job_ids)}
        return {key: sighting for key, sighting in seen.items() if sighting is not None}

    def cluster(self) -> str:
        """An empty text: its host names it."""
        return ""

    def outputs(self, job: Job) -> list[Path]:
        """The job's log."""
        return [job.directory / f"{job.key}.log"]

    def collect(self, job: Job) -> None:
        """Nothing to do: all output goes into the log."""

    def wait(self, jobs: list[Job], seconds: float) -> None:
        """Sleep until a job's process ends or `wake` is called, at most `seconds`."""
        poller = select.poll()
        poller.register(self._wake_reader, select.POLLIN)
        descriptors = [
            descriptor for job in askable(jobs, self.job_ids) if (descriptor := _open_process(job)) is not None
        ]
        try:
            for descriptor in descriptors:
                poller.register(descriptor, select.POLLIN)
            elsewhere = sum(not job.site.shares_processes(this_site()) for job in jobs)
            if len(descriptors) + elsewhere >= len(jobs):
                poller.poll(1000 * (min(seconds, _ELSEWHERE_SECONDS) if elsewhere else seconds))
            if select.select([self._wake_reader], [], [], 0)[0]:
                os.read(self._wake_reader, 4096)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def wake(self) -> None:
        """End a `wait` in another thread."""
        os.write(self._wake_writer, b".")

    def cancel(self, jobs: list[Job]) -> None:
        """Terminate each job with all it started, and kill what does not go; jobs of other hosts are left alone."""
        _end_all([process for job in askable(jobs, self.job_ids) for process in _processes_of(job.key)])

    def _sighting(self, job: Job) -> Sighting | None:
        if not job.site.shares_processes(this_site()):
            return _elsewhere(job)
        if job.id or job.key in self._children:
            return Sighting(job.id, "running") if self._alive(job) else Sighting(job.id, "ended", end=self._end(job))
        leader = min((process.pid for process in _processes_of(job.key)), key=_start, default=None)
        identity = "" if leader is None else process_identity(leader)
        if identity:
            return Sighting(identity, "running")
        if not has_started(job.directory, job.key):
            return None
        return Sighting("", "ended", end=self._end(job)) if _can_be_seen(job) else _elsewhere(job)

    def _alive(self, job: Job) -> bool:
        child = self._children.get(job.key)
        if child is not None:
            return child.poll() is None
        return process_identity(_process_id(job)) == job.id

    def _end(self, job: Job) -> End:
        """How a job ended: from the marker its script left, else from its exit status, else unknown."""
        _end_all(list(_processes_of(job.key)))  # what a killed script left behind would disturb the next run
        child = self._children.pop(job.key, None)
        marker = end_marker(job.directory, job.key)
        if marker is not None:
            return marker
        if child is None:
            return End(None, "lost", "its process is gone and left no exit marker")
        status = child.returncode
        if status < 0:
            return End(128 - status, None, f"its script was killed by {signal.Signals(-status).name}")
        return End(status, None, f"its script exited with {status} and left no exit marker")


def _can_be_seen(job: Job) -> bool:
    """Whether the environment of a job that has started is ours to read: each may see its own, root sees all."""
    try:
        return os.geteuid() in (0, (job.directory / f"{job.key}.started").stat().st_uid)
    except OSError:
        return False


def _elsewhere(job: Job) -> Sighting | None:
    """What is known of a job whose processes cannot be seen from here: by its marker, or since its host booted anew."""
    marker = end_marker(job.directory, job.key)
    if marker is not None:
        return Sighting(job.id, "ended", end=marker)
    booted = boot_time()
    if booted is None or not job.site.is_earlier_boot_of(this_site()):
        return None
    left = [job.directory / f"{job.key}{ending}" for ending in (".started", ".log")]
    if any(path.stat().st_mtime >= booted for path in left if path.exists()):
        return None  # two hosts of one name: something has run since
    if not job.id and not has_started(job.directory, job.key):
        return None  # it never came to be
    return Sighting(job.id, "ended", end=End(None, "lost", f"{job.site.host} has booted anew since it started"))


def _start(process_id: int) -> tuple[int, int]:
    """Sorts processes by their start; one that has ended meanwhile comes last."""
    start = process_identity(process_id).partition("@")[2]
    return (0, int(start)) if start else (1, 0)


def _process_id(job: Job) -> int:
    return int(job.id.partition("@")[0])


def _open_process(job: Job) -> int | None:
    """A descriptor that becomes readable when the job's process ends; None when it has ended."""
    if not job.id or process_identity(_process_id(job)) != job.id:
        return None
    try:
        return os.pidfd_open(_process_id(job))
    except ProcessLookupError:
        return None


def _processes_of(key: str) -> Iterator[psutil.Process]:
    """All living processes a job of this key started."""
    entry = f"\0{KEY_VARIABLE}={key}\0".encode()
    for process_id in psutil.pids():
        try:
            # Not by psutil, which takes every environment apart: this is asked at the end of each of thousands of jobs.
            if process_id != os.getpid() and entry in b"\0%b\0" % _environment(process_id):
                yield psutil.Process(process_id)
        except (OSError, psutil.NoSuchProcess):  # gone meanwhile, or another user's: not ours
            continue


def _environment(process_id: int) -> bytes:
    descriptor = os.open(f"/proc/{process_id}/environ", os.O_RDONLY)
    try:
        return os.read(descriptor, _MOST_BYTES)
    finally:
        os.close(descriptor)


def _end_all(processes: list[psutil.Process]) -> None:
    for process in processes:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    for process in psutil.wait_procs(processes, timeout=_EXIT_SECONDS)[1]:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


SCHEDULER = SchedulerRow(
    title="this machine",
    meaning="the launcher's own machine",
    connect=Local,
    commands=("bash",),
    causes=frozenset({"lost"}),
    is_batch=False,
    time_limit_command=("timeout", "--kill-after=10"),
)
