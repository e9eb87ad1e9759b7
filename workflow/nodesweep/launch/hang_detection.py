"""Running jobs whose output has stopped growing."""

import time

from nodesweep.schedulers.base import Job, Scheduler

from .outputs import written_bytes


class OutputWatch:
    """Notices running jobs whose output does not grow; `seconds` is how long that may last, 0 for ever.

    Sizes are compared from look to look, so that clocks of other machines do not matter.
    """

    def __init__(self, scheduler: Scheduler, seconds: float):
        self._scheduler = scheduler
        self._seconds = seconds
        self._grown: dict[str, tuple[int, float]] = {}

    def silent(self, job: Job) -> float | None:
        """For how many seconds a running job has said nothing, once, when that is too long; else None."""
        if not self._seconds:
            return None
        now = time.monotonic()
        size = written_bytes(self._scheduler.outputs(job))
        if size is None:
            return None  # some schedulers bring the output only when the job has ended
        known_size, since = self._grown.get(job.key, (-1, now))
        if size != known_size:
            self._grown[job.key] = (size, now)
            return None
        if now - since < self._seconds:
            return None
        self._grown[job.key] = (size, now)  # told once, and again after as long a silence
        return now - since

    def forget(self, job: Job) -> None:
        """Drop what is known of a job that has ended."""
        self._grown.pop(job.key, None)
