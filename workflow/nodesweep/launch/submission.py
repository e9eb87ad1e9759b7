"""What a profile decides about submitting, a submission under way, and a layout that is done with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.schedulers.base import Job

from .journal import State


@dataclass(frozen=True)
class Policy:
    """What a profile decides about submitting.

    `jobs_at_once`: jobs queued or running at the same time. `poll_seconds`: between two looks at them. `retries`: how
    often a layout is submitted again on the spot after a failure that was not its own. `hang_seconds`: after how long
    without output a running job is reported, 0 for never, and, where `on_hang` is "cancel", ended. `canary`: how many
    jobs go ahead until one has done an iteration; 0 where all go at once. `log_wait_seconds`: how long the end of a job
    waits for a log that is not there to its end, 0 for not at all.
    """

    jobs_at_once: int = 1
    poll_seconds: float = 10.0
    retries: int = 2
    hang_seconds: float = 0.0
    on_hang: Literal["report", "cancel"] = "report"
    canary: int = 0
    log_wait_seconds: float = 0.0


@dataclass(frozen=True)
class Finished:
    """A layout this invocation is done with: its terminal record, and whether it needs no more runs.

    `way_out`: what the user must do before a later invocation goes on with it; empty where that does so by itself.
    """

    slug: str
    record: TerminalRecord
    final: bool
    way_out: str = ""


@dataclass
class Submission:
    """A submission that has not been seen to end; `missed` and `missing_since` count answered looks without it.

    `runs_since`: when it was first seen to run, by the monotonic clock. `held`: why it does not start by itself, in its
    scheduler's word; `over_limit`: whether that is what it asks for itself, so that others need not wait for it.
    `silent`: who was asked in vain, where nobody knows anything of it. `is_ending`: whether its script has ended,
    though its scheduler is not done with it. `suspended_since`, `suspended_seconds`: when it was first seen
    suspended, and for how long it was before. `output_bytes`: of all its output when it was missing last.
    `enough`: the iteration after which it is being ended, as it has done enough; 0 where it is not.
    `complaint`, `crowded`: what the scheduler said when it was not clear whether it made a job.
    """

    slug: str
    job: Job
    adopted: bool
    complaint: str = ""
    crowded: bool = False
    missed: int = 0
    missing_since: float = 0.0
    held: str = ""
    over_limit: bool = False
    silent: str = ""
    is_ending: bool = False
    suspended_since: float | None = None
    suspended_seconds: float = 0.0
    output_bytes: int | None = None
    runs_since: float | None = None
    enough: int = 0

    @property
    def takes_place(self) -> bool:
        """Whether it is one of the jobs queued or running at once."""
        return not self.silent and not self.is_ending and not self.over_limit


def taken_over(slug: str, state: State, folder: Path) -> Submission:
    """A submission of an earlier launcher, or another one, as the journal of its layout has it."""
    job = Job(state.key, state.job_id, folder, state.site)
    return Submission(slug, job, adopted=True, silent=state.silent, enough=state.enough)
