"""What every scheduler can do, in nodesweep's words."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from nodesweep.common.outcomes import Cause


@dataclass(frozen=True)
class Usage:
    """What a job used by its scheduler's own accounts; None or empty where those do not say.

    `nodes`: the nodes it ran on, as the scheduler writes them. `memory_bytes`: the highest use of one rank, of one
    node, or of the whole job, as `memory_of` says. `energy_joules`, `power_watts`: of all its nodes together, the
    power averaged over the run. `power_capped`: when its power was capped, which slows its clock.
    `restarts`: how often the scheduler itself started it again.
    """

    nodes: str = ""
    memory_bytes: int | None = None
    memory_of: Literal["rank", "node", "job"] | None = None
    energy_joules: float | None = None
    power_watts: float | None = None
    power_capped: str = ""
    restarts: int | None = None


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
    usage: Usage = Usage()


@dataclass(frozen=True)
class Job:
    """A submission: `key` as given by nodesweep, `id` as given by the scheduler, empty while nobody knows it."""

    key: str
    id: str
    directory: Path


@dataclass(frozen=True)
class Sighting:
    """A job as its scheduler knows it now.

    `state`: "held" stands for a job that will not start unless somebody acts. `word`: the scheduler's own word.
    `end`: how it ended, None for all other states.
    """

    id: str
    state: Literal["queued", "held", "running", "ended"]
    word: str = ""
    end: End | None = None


@dataclass(frozen=True)
class Patience:
    """How long a job may be missing from all of a scheduler's listings before that means something.

    `polls` answered looks and `seconds` must both have passed. `unclear_seconds`: for a submission of which nobody
    knows whether it made a job; `lost_seconds`: for a job that had an id.
    """

    polls: int
    unclear_seconds: float
    lost_seconds: float


class Scheduler(Protocol):
    """The one interface of all schedulers; a job is an idempotent submission under a unique key."""

    commands: tuple[str, ...]
    """What must be on PATH."""
    poll_at_will: bool
    """Whether looking costs nobody anything; else there is one look a cycle."""
    patience: Patience

    def submit(self, script: Path, key: str) -> str:
        """Submit a job script under `key`; returns the job's id.

        Raises SchedulerError when it was certainly refused, Throttled when it was refused for now, and
        SubmissionUnclear when there may be a job all the same.
        """

    def poll(self, jobs: list[Job]) -> dict[str, Sighting]:
        """One bulk look, by id or, for a job without one, by key; a key left out is in none of the listings.

        Raises SchedulerAway when the scheduler does not answer, which is no news of any job.
        """

    def outputs(self, job: Job) -> list[Path]:
        """The files a running job writes its output to; they need not exist yet."""

    def collect(self, job: Job) -> None:
        """Bring all output of an ended job into its log, <key>.log; may be called again."""

    def wait(self, jobs: list[Job], seconds: float) -> None:
        """Sleep until some job may have ended or `wake` is called, at most `seconds`."""

    def wake(self) -> None:
        """End a `wait` in another thread."""

    def cancel(self, jobs: list[Job]) -> None:
        """Ask for the end of these jobs; ended ones are no error. Raises SchedulerAway."""
