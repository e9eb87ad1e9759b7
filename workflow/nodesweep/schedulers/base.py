"""What every scheduler can do, in nodesweep's words."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Cause = Literal["time_limit", "node_failure", "preempted", "cancelled", "out_of_memory", "launch_failed", "lost"]


@dataclass(frozen=True)
class End:
    """How a job ended as its scheduler tells it.

    `exit_code`: of the job script, None where nobody recorded it; 128 + n stands for signal n.
    `cause`: the scheduler's own reason, None where it only knows the exit code.
    `state`: the scheduler's own word for it, kept as evidence.
    `started`, `ended`: seconds since the epoch, None where unknown.
    """

    exit_code: int | None
    cause: Cause | None = None
    state: str = ""
    started: float | None = None
    ended: float | None = None


@dataclass(frozen=True)
class Job:
    """A submission the scheduler knows: `key` as given by nodesweep, `id` as given by the scheduler."""

    key: str
    id: str
    directory: Path


class Scheduler(Protocol):
    """The one interface of all schedulers; a job is an idempotent submission under a unique key."""

    def submit(self, script: Path, key: str) -> Job:
        """Submit a job script under `key`; raises SchedulerError when it was certainly not accepted."""

    def find(self, directory: Path, key: str) -> Job | None:
        """Look a key up: the job submitted under it, running or ended; None when it never started."""

    def poll(self, jobs: list[Job]) -> dict[str, End | None]:
        """One bulk query: per key its End, or None while it is queued or running; a key left out is no news."""

    def wait(self, jobs: list[Job], seconds: float) -> None:
        """Sleep until some job may have ended or `wake` is called, at most `seconds`."""

    def wake(self) -> None:
        """End a `wait` in another thread."""

    def cancel(self, jobs: list[Job]) -> None:
        """Ask for the end of these jobs; ended ones are no error."""
