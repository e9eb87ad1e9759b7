"""What the batch schedulers share: their commands, run with care, and the wait between two polls."""

import os
import re
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodesweep.common.errors import SchedulerError, SubmissionUnclear, Throttled
from nodesweep.common.text import plain

from .base import Job

COMMAND_SECONDS = 120.0
_SHOWN = 300


@dataclass(frozen=True)
class Reply:
    """What a command answered; `code` is None where it did not end in time."""

    command: str
    code: int | None
    stdout: str
    stderr: str

    @property
    def complaint(self) -> str:
        """What the command wrote to stderr, else to stdout, else its exit code: one line that begins with its name."""
        if self.code is None:
            return f"{self.command}: no answer within {COMMAND_SECONDS:.0f} s"
        text = plain(self.stderr, _SHOWN) or plain(self.stdout, _SHOWN) or f"exit code {self.code}"
        return text if text.startswith(self.command) else f"{self.command}: {text}"


def run_command(
    words: Sequence[str],
    environment: Mapping[str, str] = os.environ,
    directory: Path | None = None,
    script: Path | None = None,
) -> Reply:
    """Run a command of the scheduler to its end, at most COMMAND_SECONDS.

    `script`: a file that the command reads from its standard input, as LSF's bsub does. Raises SchedulerError where
    there is no such command here.
    """
    try:
        run = subprocess.run(
            list(words),
            env=dict(environment),
            cwd=directory,
            input=script.read_text() if script else "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMMAND_SECONDS,
            start_new_session=True,  # Ctrl-C is for the launcher: it would leave a submission unclear
        )
    except subprocess.TimeoutExpired:
        return Reply(words[0], None, "", "")
    except OSError as error:
        raise SchedulerError(
            f"{words[0]} cannot be run here ({error.strerror}); start nodesweep where the scheduler's commands are "
            "on PATH, or choose another machine"
        ) from None
    return Reply(words[0], run.returncode, run.stdout, run.stderr)


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


def job_id_of(reply: Reply, found: Sequence[str], refused: re.Pattern[str], crowded: re.Pattern[str]) -> str:
    """The last of the ids that a submission printed, or what its complaint means.

    Raises SchedulerError for complaints known as refusals, Throttled for those of a full queue, SubmissionUnclear else.
    """
    if reply.code == 0 and found:
        return found[-1]
    is_crowded = bool(crowded.search(reply.stderr))
    if reply.code and is_crowded:
        raise Throttled(reply.complaint)
    if reply.code and refused.search(reply.stderr):
        raise SchedulerError(f"refused: {reply.complaint}")
    raise SubmissionUnclear(reply.complaint, is_crowded)
