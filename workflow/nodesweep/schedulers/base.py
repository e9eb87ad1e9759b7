"""What nodesweep knows of every scheduler: its row, the interface of a live one, and what that says of jobs."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from nodesweep.common.errors import ConfigError
from nodesweep.common.launch_site import NOWHERE, LaunchSite
from nodesweep.common.outcomes import Cause, known_cause
from nodesweep.config.memory_sources import MemoryScope
from nodesweep.sweep.layout import Layout

from .own_options import OwnOptions

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
KEY_VARIABLE = "NODESWEEP_KEY"
"""Environment variable that holds the key of a job, in the job and, where it is carried over, where it is submitted."""
SCRIPT_BYTES = 16 * 2**20
"""Of a job script that is read."""
Directive = tuple[str, str | None]
"""An option of a machine, its holes filled: name and value, None for a bare flag."""
JobState = Literal["queued", "held", "running", "suspended", "ended"]
"""What a job does now; "held" stands for a job that will not start unless somebody acts."""


@dataclass(frozen=True)
class Usage:
    """What a job used by its scheduler's own accounts; None or empty where those do not say.

    `nodes`: the nodes it ran on, as the scheduler writes them. `memory_bytes`: the highest use of one rank, of one
    node, or of the whole job, as `memory_of` says. `energy_joules`, `power_watts`: of all its nodes together, the
    power averaged over the run. `power_capped`: when its power was capped, which slows its clock.
    `restarts`: how often the scheduler itself started it again. `suspended_seconds`: for how long it stood still,
    suspended by the scheduler.
    """

    nodes: str = ""
    memory_bytes: int | None = None
    memory_of: MemoryScope | None = None
    energy_joules: float | None = None
    power_watts: float | None = None
    power_capped: str = ""
    restarts: int | None = None
    suspended_seconds: float | None = None


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
    """A submission: `key` as given by nodesweep, `id` as given by the scheduler, empty while nobody knows it.

    `site`: where it was submitted; its texts are empty where nobody knows.
    """

    key: str
    id: str
    directory: Path
    site: LaunchSite = NOWHERE


def askable(jobs: Iterable[Job], job_ids: str) -> list[Job]:
    """Jobs as a scheduler's commands may name them: without ids of another shape than `job_ids`, and only by a key."""
    known = (job for job in jobs if _KEY.fullmatch(job.key))
    return [job if re.fullmatch(job_ids, job.id) else replace(job, id="") for job in known]


@dataclass(frozen=True)
class Sighting:
    """A job as its scheduler knows it now.

    `word`: the scheduler's own word for its state. `end`: how it ended, None for all other states.
    `over_limit`: whether it is held for what it asks for itself, which says nothing of other jobs.
    """

    id: str
    state: JobState
    word: str = ""
    end: End | None = None
    over_limit: bool = False


@dataclass(frozen=True)
class Patience:
    """How long a job may be missing from all of a scheduler's listings before something is done about it.

    `polls` answered polls and the seconds must both have passed. `unclear_seconds`: before a submission of which nobody
    knows whether it made a job is seen to that it never runs. `silent_seconds`: before a job that was seen, or has
    started, is held to be one that nobody knows anything of. It is never given up for that.
    """

    polls: int
    unclear_seconds: float
    silent_seconds: float


class Scheduler(Protocol):
    """A live scheduler: the one interface of all; a job is an idempotent submission under a unique key."""

    poll_at_will: bool
    """Whether a poll costs nobody anything; else there is one a cycle."""
    patience: Patience
    job_ids: str
    """Regular expression of its jobs' ids; what is none reaches none of its commands."""

    def cluster(self) -> str:
        """What the scheduler calls itself, where one home may be mounted on several clusters; else an empty text."""

    def submit(self, script: Path, key: str) -> str:
        """Submit a job script under `key`; returns the job's id.

        Raises SchedulerError when it was certainly refused, Throttled when it was refused for now, and
        SubmissionUnclear when there may be a job all the same.
        """

    def poll(self, jobs: list[Job]) -> Mapping[str, Sighting | None]:
        """What the scheduler knows of all these jobs, by key, asked by id or, for a job without one, by key.

        A key left out is in none of the listings; None: the listings that could have it do not answer.

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


def _no_directive(name: str, value: str | None) -> str:
    """Refuse every option; raises ConfigError."""
    raise ConfigError(f"machine.options.{name}: this scheduler takes no options; leave it out")


def _as_they_are(options: list[Directive], layout: Layout) -> list[Directive]:
    """Change nothing."""
    return options


def _nothing_unheeded(script: str) -> list[str]:
    """Find nothing."""
    return []


def _unchecked(script: str) -> None:
    """Accept every script."""


@dataclass(frozen=True)
class SchedulerRow:
    """All that nodesweep knows of a scheduler beside its job template: the row `SCHEDULER` of its module."""

    title: str
    """Name that people call it by."""
    meaning: str
    """Who runs the jobs where a machine file names it, for the reference of config keys."""
    connect: Callable[[], Scheduler]
    """Makes the live scheduler."""
    commands: tuple[str, ...]
    """What must be on PATH; the first one submits a job script by hand."""
    causes: frozenset[Cause]
    """Causes that it gives to ends of jobs, beside those of the jobs' own end markers (`markers.CAUSES`)."""
    is_batch: bool = True
    """Whether it has queues and options, runs jobs on nodes of its own, and ends them at their time limits."""
    time_limit_command: tuple[str, ...] = ()
    """Words before a launch that end it after so many seconds, which follow; for a scheduler that keeps no limit."""
    machine_keys: tuple[str, ...] = ()
    """Keys of a machine file that no other scheduler takes."""

    directive: Callable[[str, str | None], str] = _no_directive
    """An option as it stands behind the mark of a directive line; raises ConfigError."""
    arrange: Callable[[list[Directive], Layout], list[Directive]] = _as_they_are
    """The options of a layout's script, from those of its machine; raises ConfigError."""
    check_script: Callable[[str], None] = _unchecked
    """Raises ConfigError for a script that the scheduler would not take, or not read to the end."""
    own_options: OwnOptions = field(default_factory=OwnOptions)
    """What no machine may give among its options, since nodesweep's own directives say it."""
    limited_by: str = ""
    """Regular expression of the directive lines that choose whose limits hold for a job, each with its line break."""
    unheeded: Callable[[str], list[str]] = _nothing_unheeded
    """What of the launcher's environment will not reach the job of this script, though it seems to be meant to."""

    variables: tuple[str, ...] = ()
    """Environment variables that say something else in each of its jobs; `NAME_` stands for all that begin so."""
    job_id_variable: str = ""
    """Environment variable that holds a job's id; empty where there is none."""
    nodes_variable: str = ""
    """Environment variable that holds the list of a job's nodes; empty where there is none."""
    node_file_variable: str = ""
    """Environment variable that names a file whose lines begin with a node each; empty where there is none."""

    memory_of: MemoryScope | None = None
    """What the memory in its accounts is the highest use of; None where they have none."""
    accounts: Mapping[str, str] = field(default_factory=dict)
    """Fields of `Usage` that it fills, and where in its accounts each of them stands."""

    def __post_init__(self) -> None:
        """Raise ValueError for a cause or an account that is none."""
        for cause in self.causes:
            known_cause(cause)
        unknown = self.accounts.keys() - Usage.__dataclass_fields__.keys()
        if unknown:
            raise ValueError(f"{self.title}: {', '.join(sorted(unknown))} is no field of Usage")
