"""Jobs that have ended and whose logs a slow file system does not show yet, or not to their end."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from nodesweep.logs.reader import is_closed
from nodesweep.results.rereading import closes_log
from nodesweep.schedulers.base import Scheduler

from .watcher import JobEnded


class LateLogs:
    """Ends that are recorded once the log of their job is whole, or after so many seconds without it."""

    def __init__(self, scheduler: Scheduler, seconds: float):
        self._scheduler, self._seconds = scheduler, seconds
        self._awaited: dict[str, tuple[float, JobEnded]] = {}

    def __contains__(self, slug: str) -> bool:
        """Whether the log of a layout's job is waited for."""
        return slug in self._awaited

    def wait_for(self, over: JobEnded) -> bool:
        """Whether the log of a job that has just ended is to be waited for."""
        if not self._is_late(over):
            return False
        self._awaited[over.submission.slug] = time.monotonic(), over
        return True

    def ended(self) -> Iterator[JobEnded]:
        """The jobs whose log is waited for no longer."""
        for slug, (since, over) in [*self._awaited.items()]:
            if time.monotonic() - since >= self._seconds or not self._is_late(over):
                del self._awaited[slug]
                yield over

    def _is_late(self, over: JobEnded) -> bool:
        if self._seconds <= 0 or not closes_log(over.job.directory, over.job.key, over.end.exit_code, over.end.cause):
            return False
        self._scheduler.collect(over.job)
        return bool(missing_end(over.job.directory / f"{over.job.key}.log"))


def missing_end(log: Path) -> str:
    """What is missing of a log that its job has ended; empty where it is whole, or cannot be read."""
    try:
        os.listdir(log.parent)  # noqa: PTH208  # it makes a network file system look again
        return "" if is_closed(log) else "its log is not there to its end yet"
    except FileNotFoundError:
        return "its log is not there yet"
    except OSError:
        return ""
