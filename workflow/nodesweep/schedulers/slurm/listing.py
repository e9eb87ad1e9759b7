"""What squeue and sacct say of jobs."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from nodesweep.common.outcomes import Cause
from nodesweep.common.text import plain
from nodesweep.config.memory_sources import MemoryScope
from nodesweep.schedulers.base import End, Job, JobState, Usage
from nodesweep.schedulers.markers import start_mark

MEMORY_OF: MemoryScope = "rank"
"""What the memory in the accounts is the highest use of."""

FIELDS = ("JobID", "State", "exit_code", "StartTime", "EndTime", "RestartCnt", "NodeList", "Reason", "WorkDir", "Name")
COLUMNS = ",".join(f"{name}:|" for name in FIELDS[:-1]) + f",{FIELDS[-1]}:200"
"""As squeue's --Format wants them: each to its end but the last, which has a width."""
ACCOUNTS = "JobIDRaw,State,ExitCode,Start,End,MaxRSS,ConsumedEnergyRaw,Suspended,NodeList,WorkDir,JobName"
ROW = re.compile(r"\d{1,20}[\w.+\[\]%,-]{0,80} {0,20}(?:\|[^|]{0,100000}){9,10}")
_QUEUED = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "EXPEDITING", "POWER_UP_NODE"}
_SUSPENDED = {"SUSPENDED", "STOPPED"}
_HELD = {"REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
# Reasons of pending jobs that time alone does not end.
_HELD_REASON = re.compile(
    r"JobHeld|requeued.in.held|Partition(?:Down|Inactive)|launch.failed|Invalid(?:Account|QOS)|NotAllowed"
)
_OVER_LIMIT = re.compile(
    r"Max\w+Per(?:Job|Node)|MaxWall|MaxMemPerLimit|QOSMin|Partition(?:Node|Time)Limit|BadConstraints"
    r"|DependencyNeverSatisfied"
)
ENDED: dict[str, Cause | None] = {
    "COMPLETED": None,
    "FAILED": None,
    "CANCELLED": "cancelled",
    "TIMEOUT": "time_limit",
    "DEADLINE": "time_limit",
    "OUT_OF_MEMORY": "out_of_memory",
    "NODE_FAIL": "node_failure",
    "BOOT_FAIL": "node_failure",
    "LAUNCH_FAILED": "node_failure",
    "RECONFIG_FAIL": "node_failure",
    "PREEMPTED": "preempted",
    "REVOKED": "preempted",
}


class QueueRow(NamedTuple):
    """A line of squeue as `FIELDS` names its columns; `exit_status` as wait() gives it: exit code x 256 + signal."""

    job_id: str
    state: str
    exit_status: str
    started: str
    ended: str
    restarts: str
    nodes: str
    reason: str
    directory: str
    name: str


class AccountRow(NamedTuple):
    """A line of sacct, of a job or a step, as `ACCOUNTS` names its columns."""

    job_id: str
    state: str
    exit_code: str
    started: str
    ended: str
    memory_bytes: str
    energy_joules: str
    suspended: str
    nodes: str
    directory: str
    name: str


@dataclass(frozen=True)
class SlurmJob:
    """A job as a listing of Slurm has it; `end` is how it ended once its state is one of the last ones.

    `directory`: the working folder it was submitted from.
    """

    id: str
    state: str
    reason: str
    name: str
    directory: str
    end: End | None

    def is_of(self, job: Job) -> bool:
        """Whether it is a submission's job: by its name, or, where somebody renamed it, by its id and its folder.

        The id alone says nothing: a controller that was killed may give the id of a job it lost to the next one.
        """
        return self.name == job.key or (self.id == number_of(job) and Path(self.directory) == job.directory.resolve())


def state_of(listed: SlurmJob) -> JobState:
    """What a job that has not ended does now; an unknown word is taken for running."""
    if listed.state in _HELD or (listed.state == "PENDING" and _HELD_REASON.search(listed.reason)):
        return "held"
    if is_over_limit(listed):
        return "held"
    if listed.state in _SUSPENDED:
        return "suspended"
    return "queued" if listed.state in _QUEUED else "running"


def is_over_limit(listed: SlurmJob) -> bool:
    """Whether a job does not start for what it asks for itself."""
    return listed.state == "PENDING" and bool(_OVER_LIMIT.search(listed.reason))


def number_of(job: Job) -> str:
    """A job's number on its cluster: sbatch calls a job of another one `<number>;<cluster>`."""
    return job.id.partition(";")[0]


def found_among(jobs: Iterable[Job], listed: list[SlurmJob]) -> dict[str, SlurmJob]:
    """The rows of these jobs, by key."""
    by_name: dict[str, list[SlurmJob]] = {}
    for one in listed:
        by_name.setdefault(one.name, []).append(one)
    by_id = {one.id: one for one in listed}
    found: dict[str, SlurmJob] = {}
    for job in jobs:
        row = _started_of(job, by_name[job.key]) if job.key in by_name else by_id.get(number_of(job))
        if row is not None and row.is_of(job):
            found[job.key] = row
    return found


def _started_of(job: Job, rows: list[SlurmJob]) -> SlurmJob | None:
    """The row of the one job that counts, of all that have a submission's name; None where it is not among them.

    A wrapper of sbatch may submit again what it holds to have failed: of such twins one starts, the other stands back.
    """
    if len(rows) == 1 and rows[0].state == "RUNNING":
        return rows[0]
    mark = start_mark(job.directory, job.key)
    if mark is not None and mark.job_id:
        return next((row for row in rows if row.id == mark.job_id), None)
    return next((row for row in reversed(rows) if row.end is None), rows[-1])


def from_squeue(text: str) -> list[SlurmJob]:
    """The jobs of squeue's rows in COLUMNS; what is no row is passed over."""
    rows = [_cells(line, len(FIELDS)) for line in text.splitlines() if ROW.match(line)]
    return [_queued(QueueRow._make(row)) for row in rows]


def _cells(line: str, count: int) -> list[str]:
    """The cells of a row whose last two are a folder, in whose path there may be bars, and the name of a job."""
    *cells, rest = line.split("|", count - 2)
    directory, _, name = rest.rpartition("|")
    return [cell.strip() for cell in (*cells, directory, name)]


def _queued(row: QueueRow) -> SlurmJob:
    """A job as squeue lists it."""
    end = None
    if row.state in ENDED:
        number = int(row.exit_status) if row.exit_status.isdigit() else None
        exit_code = None if number is None else _exit_code(number >> 8, number & 0x7F)
        usage = Usage(nodes=plain(row.nodes), restarts=int(row.restarts) if row.restarts.isdigit() else None)
        end = End(exit_code, ENDED[row.state], row.state, _seconds(row.started), _seconds(row.ended), usage)
    return SlurmJob(row.job_id, plain(row.state), plain(row.reason), row.name, row.directory, end)


def from_sacct(text: str) -> list[SlurmJob]:
    """Jobs of sacct's rows; the rows of a job's steps give its memory and energy."""
    width = len(AccountRow._fields)
    rows = [AccountRow._make(_cells(line, width)) for line in text.splitlines() if ROW.match(line)]
    steps: dict[str, list[AccountRow]] = {}
    for row in rows:
        steps.setdefault(row.job_id.split(".")[0], []).append(row)
    jobs = [row for row in rows if "." not in row.job_id and row.state.split()]
    return [_from_account(row, steps[row.job_id]) for row in jobs]


def _from_account(row: AccountRow, steps: list[AccountRow]) -> SlurmJob:
    """A job by its own row and by all rows of its id."""
    words, state, end = row.state, row.state.split()[0].rstrip("+"), None
    if state == "FAILED" and any(step.state.startswith("OUT_OF_MEMORY") for step in steps):
        state, words = "OUT_OF_MEMORY", f"{words}, a step OUT_OF_MEMORY"
    if state in ENDED:
        memory = max((int(step.memory_bytes) for step in steps if step.memory_bytes.isdigit()), default=0)
        energy = max((int(step.energy_joules) for step in steps if step.energy_joules.isdigit()), default=0)
        usage = Usage(
            nodes=plain(row.nodes),
            memory_bytes=memory or None,
            memory_of=MEMORY_OF if memory else None,
            energy_joules=float(energy) if energy else None,
            suspended_seconds=_clock_seconds(row.suspended),
        )
        code, signal = (int(part) for part in row.exit_code.split(":"))
        started, ended = _seconds(row.started), _seconds(row.ended)
        end = End(_exit_code(code, signal), ENDED[state], plain(words), started, ended, usage)
    return SlurmJob(row.job_id, plain(words), "", row.name, row.directory, end)


def _exit_code(code: int, signal: int) -> int:
    return 128 + signal if signal else code


def _clock_seconds(text: str) -> float | None:
    """The seconds of `[days-]hours:minutes:seconds`; None for what is none."""
    found = re.fullmatch(r"(?:(\d{1,4})-)?(\d{1,3}):(\d\d):(\d\d)(?:\.\d+)?", text.strip())
    if found is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def _seconds(text: str) -> float | None:
    return float(text) if text.isdigit() else None
