"""Jobs that have ended and whose logs a slow file system does not show yet, or not to their end."""

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from nodesweep.logs.reader import is_closed
from nodesweep.results.rereading import closes_log
from nodesweep.schedulers.base import Scheduler

from .progress import EventLines
from .submission import Submission
from .watcher import JobEnded


class LateLogs:
    """Ends that are recorded once the log of their job is whole, or after so many seconds without it."""

    def __init__(self, scheduler: Scheduler, seconds: float, tell: EventLines):
        self._scheduler, self._seconds, self._tell = scheduler, seconds, tell
        self._awaited: dict[str, tuple[float, JobEnded]] = {}

    def others(self, submissions: Iterable[Submission]) -> list[Submission]:
        """The submissions whose logs are not waited for."""
        return [one for one in submissions if one.slug not in self._awaited]

    def wait_for(self, over: JobEnded, keeps_place: bool) -> bool:
        """Whether the log of a job that has just ended is to be waited for; whether it keeps its place meanwhile."""
        if not self._is_late(over):
            return False
        slug, over.submission.is_ending = over.submission.slug, not keeps_place
        self._awaited[slug] = time.monotonic(), over
        line = f"{slug}: ended; its log is not there to its end, and is waited for, {self._seconds:g} s at most"
        self._tell.one_of_many("have ended whose logs are not there to their end, and are waited for", line)
        return True

    def ended(self) -> Iterator[JobEnded]:
        """The jobs whose logs are waited for no longer."""
        for slug, (since, over) in [*self._awaited.items()]:
            if time.monotonic() - since >= self._seconds or not self._is_late(over):
                del self._awaited[slug]
                yield over

    def _is_late(self, over: JobEnded) -> bool:
        if self._seconds <= 0 or not closes_log(over.job.directory, over.job.key, over.end.exit_code, over.end.cause):
            return False
        script_output = self._scheduler.outputs(over.job)[0]  # what a log is collected from is as late as it
        return bool(missing_end(script_output))


def missing_end(log: Path) -> str:
    """What is missing of a log that its job has ended; empty where it is whole, or cannot be read."""
    try:
        os.listdir(log.parent)  # noqa: PTH208  # it makes a network file system look again
        return "" if is_closed(log) else "its log is not there to its end yet"
    except FileNotFoundError:
        return "its log is not there yet"
    except OSError:
        return ""
