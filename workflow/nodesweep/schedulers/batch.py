"""What the batch schedulers share: their commands, run with care, and the wait between two polls."""

import os
import re
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from nodesweep.common.errors import SchedulerError, SubmissionUnclear, Throttled
from nodesweep.common.text import plain

from .base import Job

COMMAND_SECONDS = 120.0
_LOOK_SECONDS = 0.05
_LAST_WORDS_SECONDS = 0.3
_SLEEP_SECONDS = 0.9
"""What is counted on of the second that sbatch sleeps before it submits again."""
_KILLED_SECONDS = 5.0
_SHOWN = 300


@dataclass(frozen=True)
class Reply:
    """What a command answered; `code` is None where it did not end in time.

    `asleep`: whether it was ended while it slept, with no request under way, before it would have tried once more.
    """

    command: str
    code: int | None
    stdout: str
    stderr: str
    asleep: bool = False

    @property
    def complaint(self) -> str:
        """What the command wrote to stderr, else to stdout, else its exit code: one line that begins with its name."""
        text = plain(self.stderr, _SHOWN) or plain(self.stdout, _SHOWN)
        if self.code is None and not self.asleep:
            text = f"no answer within {COMMAND_SECONDS:.0f} s" + (f"; it said: {text}" if text else "")
        text = text or f"exit code {self.code}"
        return text if text.startswith(self.command) else f"{self.command}: {text}"


def run_command(
    words: Sequence[str],
    environment: Mapping[str, str] = os.environ,
    directory: Path | None = None,
    script: Path | None = None,
    sleeps: re.Pattern[str] | None = None,
) -> Reply:
    """Run a command of the scheduler to its end, at most COMMAND_SECONDS; what it has said until then is kept.

    `script`: a file that the command reads from its standard input, as LSF's bsub does. `sleeps`: what the command says
    on stderr before it sleeps and tries again by itself; it is ended then. Raises SchedulerError where there is no such
    command here.
    """
    with ExitStack() as files:
        stdin = files.enter_context(script.open("rb")) if script else subprocess.DEVNULL
        try:
            process = subprocess.Popen(
                list(words),
                env=dict(environment),
                cwd=directory,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for the launcher: it would leave a submission unclear
            )
        except OSError as error:
            raise SchedulerError(
                f"{words[0]} cannot be run here ({error.strerror}); start nodesweep where the scheduler's commands are "
                "on PATH, or choose another machine"
            ) from None
        stdout, stderr = (_Stream(files.enter_context(pipe)) for pipe in (process.stdout, process.stderr) if pipe)
        try:
            asleep = _wait(process, (stdout, stderr), sleeps)
        except BaseException:
            _kill(process)
            raise
        code = process.returncode if asleep is None else None
        return Reply(words[0], code, stdout.text, stderr.text, bool(asleep))


class _Stream:
    """A pipe that a command writes to, and what it has said there so far."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.pipe = pipe
        self._said = bytearray()
        os.set_blocking(pipe.fileno(), False)

    @property
    def text(self) -> str:
        """All that was said, as text."""
        return self._said.decode(errors="replace").replace("\r\n", "\n")

    def take_in(self) -> bool:
        """Take in all that is there; whether more may come."""
        with suppress(BlockingIOError):
            while part := os.read(self.pipe.fileno(), 2**16):
                self._said += part
            return False
        return True


def _wait(
    process: subprocess.Popen[bytes], streams: tuple[_Stream, _Stream], sleeps: re.Pattern[str] | None
) -> bool | None:
    """Wait for a command's end, None; else end it: whether it slept then for sure, before its next request.

    Before it sleeps it says so, and then sleeps for a second. All that it had said before a look is seen in that look:
    so its sleep has begun after the last look without the word of it. If it is dead within a second of that look, it
    has sent no further request, and there is no job of an id that nobody has read. Where the look was delayed too long
    nothing is sure, and its job has to be looked for.
    """
    awake = time.monotonic()
    end, says_so = awake + COMMAND_SECONDS, False
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream.pipe, selectors.EVENT_READ, stream)
        while True:
            if selector.get_map():
                selector.select(_LOOK_SECONDS)
            # Not by the end of both streams: what a wrapper leaves behind, its end of a pipe in hand, keeps nobody.
            runs, now = _runs(process, 0 if selector.get_map() else _LOOK_SECONDS), time.monotonic()
            for stream in [key.data for key in selector.get_map().values()]:
                if not stream.take_in():
                    selector.unregister(stream.pipe)
            if not runs:
                return None
            if sleeps and not says_so and sleeps.search(streams[1].text):
                end, says_so = min(end, now + _LAST_WORDS_SECONDS), True  # a wrapper may say all at its end, the id too
            if not says_so:
                awake = now
            if now >= end:
                _kill(process)
                is_sure = says_so and time.monotonic() - awake < _SLEEP_SECONDS
                for stream in streams:
                    stream.take_in()
                return is_sure


def _runs(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether a command still runs after so many seconds."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a command and what it started; a process that waits for a file system that is away goes when it can."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    _runs(process, _KILLED_SECONDS)


def environment_without(*prefixes: str, keep: Sequence[str] = ()) -> dict[str, str]:
    """The launcher's environment without what an outer job of the same scheduler may have left in it."""
    return {name: value for name, value in os.environ.items() if name in keep or not name.startswith(prefixes)}


class Batch:
    """The part of a batch scheduler that is the same everywhere: one log a job, and waiting by the clock."""

    poll_at_will = False

    def __init__(self) -> None:
        self._woken = threading.Event()

    def cluster(self) -> str:
        """An empty text: ids of jobs tell themselves which server they are of."""
        return ""

    def outputs(self, job: Job) -> list[Path]:
        """The job's log."""
        return [job.directory / f"{job.key}.log"]

    def collect(self, job: Job) -> None:
        """Nothing to do: the scheduler writes all output into the log."""

    def wait(self, jobs: list[Job], seconds: float) -> None:
        """Sleep until `wake` is called, at most `seconds`."""
        self._woken.wait(seconds)
        self._woken.clear()

    def wake(self) -> None:
        """End a `wait` in another thread."""
        self._woken.set()


@dataclass(frozen=True)
class Complaints:
    """What a command that submits says on stderr where it made no job.

    `crowded`: since too many jobs are there already. `refused`: for a reason that time does not mend. `unsure`: where
    it may be either; asked last.
    """

    refused: re.Pattern[str]
    crowded: re.Pattern[str]
    unsure: re.Pattern[str]


def job_id_of(reply: Reply, found: Sequence[str], complaints: Complaints) -> str:
    """The last of the ids that a submission printed, or what its complaint means.

    Raises SchedulerError for complaints known as refusals, Throttled for those of a full queue, SubmissionUnclear else.
    """
    if found and not reply.code:  # also of a command that did not end in time
        return found[-1]
    is_crowded = bool(complaints.crowded.search(reply.stderr))
    no_job = not found and (reply.code or reply.asleep)
    if no_job and is_crowded:
        raise Throttled(reply.complaint)
    if no_job and complaints.refused.search(reply.stderr):
        raise SchedulerError(f"refused: {reply.complaint}")
    if no_job and complaints.unsure.search(reply.stderr):
        raise Throttled(reply.complaint, perhaps_for_ever=True)
    raise SubmissionUnclear(reply.complaint, is_crowded)
