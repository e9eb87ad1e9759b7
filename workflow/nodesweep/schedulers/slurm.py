"""Slurm: sbatch, squeue for what is there, sacct for what has been, where the site keeps accounts."""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from nodesweep.common.errors import SchedulerAway
from nodesweep.common.outcomes import Cause
from nodesweep.common.text import plain

from .base import End, Job, JobState, Patience, SchedulerRow, Sighting, Usage
from .batch import Batch, environment_without, job_id_of, run_command
from .directives import quoted
from .markers import end_marker
from .slurm_submission import (
    COMPLAINTS,
    OWN_OPTIONS,
    SITE_VARIABLES,
    SLEEPS,
    SUBMITTED,
    sbatch_variables,
    unheeded,
)

ACCOUNTING_SECONDS = 60.0
"""How long the end of a job may wait for the accounts of it."""


class _QueueRow(NamedTuple):
    """A line of squeue as `_FIELDS` names its columns; `exit_status` as wait() gives it: exit code x 256 + signal."""

    job_id: str
    state: str
    exit_status: str
    started: str
    ended: str
    restarts: str
    nodes: str
    reason: str
    name: str


class _AccountRow(NamedTuple):
    """A line of sacct, of a job or a step, as `_ACCOUNTS` names its columns."""

    job_id: str
    state: str
    exit_code: str
    started: str
    ended: str
    memory_bytes: str
    energy_joules: str
    nodes: str
    name: str


_FIELDS = ("JobID", "State", "exit_code", "StartTime", "EndTime", "RestartCnt", "NodeList", "Reason", "Name")
_ACCOUNTS = "JobIDRaw,State,ExitCode,Start,End,MaxRSS,ConsumedEnergyRaw,NodeList,JobName"
_SACCT = ("sacct", "--noheader", "--parsable2", "--noconvert", f"--format={_ACCOUNTS}")
_ROW = re.compile(r"\d{1,20}[\w.+\[\]%,-]{0,80} {0,20}(?:\|[^|]{0,100000}){8}")
_VARIABLES = ("SBATCH_", "SLURM_", "SQUEUE_", "SACCT_", "SCANCEL_")
_QUEUED = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "EXPEDITING", "POWER_UP_NODE"}
_HELD = {"REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
# Reasons of pending jobs that time alone does not end: somebody holds them, or a limit is below what they ask for.
_HELD_REASON = re.compile(
    r"JobHeld|DependencyNeverSatisfied|BadConstraints|Partition(?:Down|Inactive|NodeLimit|TimeLimit)|launch.failed"
    r"|Max\w+Per(?:Job|Node)|MaxWall|MaxMemPerLimit|QOSMin|Invalid(?:Account|QOS)|NotAllowed"
)
_ENDED: dict[str, Cause | None] = {
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


@dataclass(frozen=True)
class _Listed:
    """A job as a listing of Slurm has it; `end` is how it ended once its state is one of the last ones."""

    id: str
    state: str
    reason: str
    name: str
    end: End | None


class Slurm(Batch):
    """Submits by sbatch; a job's name is its key."""

    patience = Patience(polls=2, unclear_seconds=5, lost_seconds=900)

    def __init__(self) -> None:
        super().__init__()
        self._environment = environment_without(*_VARIABLES, keep=SITE_VARIABLES)
        self._queries = {**self._environment, "SLURM_TIME_FORMAT": "%s"}
        self._accounting = True
        self._ended_since: dict[str, float] = {}

    def submit(self, script: Path, key: str) -> str:
        """Submit by sbatch; what it says decides whether there can be a job."""
        words = ["sbatch", "--parsable", f"--job-name={key}", script.name]
        environment = {name: value for name, value in self._environment.items() if name != "SLURM_CLUSTERS"}
        environment |= sbatch_variables(script.read_text(errors="replace"))
        reply = run_command(words, environment, script.parent, sleeps=SLEEPS)
        found = [job_id for job_id, _ in SUBMITTED.findall(reply.stdout)]
        return job_id_of(reply, found, COMPLAINTS)

    def poll(self, jobs: list[Job]) -> dict[str, Sighting]:
        """One squeue for all jobs, and one sacct for those of them that have ended."""
        listed = self._squeue()
        seen = {job.key: listed[job.key] for job in jobs if job.key in listed}
        over = [job for job in jobs if job.key not in seen or seen[job.key].end is not None]
        accounts = self._sacct(over) if over and self._accounting else {}
        return {
            job.key: sighting
            for job in jobs
            if (sighting := self._sighting(job, seen.get(job.key), accounts.get(job.key))) is not None
        }

    def cancel(self, jobs: list[Job]) -> None:
        """One scancel for all; raises SchedulerAway where the controller does not answer."""
        listed = self._squeue() if any(not job.id for job in jobs) else {}
        ids = [job.id or listed[job.key].id for job in jobs if job.id or job.key in listed]
        if ids:
            reply = run_command(["scancel", *ids], self._environment)
            if reply.code != 0 and "Invalid job id" not in reply.stderr:
                raise SchedulerAway(reply.complaint)

    def _squeue(self) -> dict[str, _Listed]:
        """All of the user's jobs, and those that ended a short while ago; raises SchedulerAway."""
        form = ",".join(f"{name}:|" for name in _FIELDS[:-1]) + f",{_FIELDS[-1]}:200"
        reply = run_command(["squeue", "--noheader", "--me", "--states=all", f"--Format={form}"], self._queries)
        if reply.code != 0 or (not reply.stdout.strip() and "error:" in reply.stderr):
            raise SchedulerAway(reply.complaint)
        rows = [map(str.strip, line.split("|", 8)) for line in reply.stdout.splitlines() if _ROW.match(line)]
        return _indexed(_from_squeue(_QueueRow._make(row)) for row in rows)

    def _sacct(self, jobs: list[Job]) -> dict[str, _Listed]:
        """The accounts of these jobs; none where the site keeps none or they cannot be had now."""
        listed = []
        ids = [job.id for job in jobs if job.id]
        names = [job.key for job in jobs if not job.id]
        for words in ([f"--jobs={','.join(ids)}"], [f"--name={','.join(names)}", "--starttime=now-30days"]):
            if words[0].endswith("="):
                continue  # nobody to ask for in this way
            reply = run_command([*_SACCT, *words], self._queries)
            if "accounting storage is disabled" in reply.stderr:
                self._accounting = False
                return {}
            listed += _from_sacct(reply.stdout) if reply.code == 0 else []
        return _indexed(listed)

    def _sighting(self, job: Job, listed: _Listed | None, account: _Listed | None) -> Sighting | None:
        """What the two listings say together; an end waits for its accounts a while."""
        if account is not None and account.end is not None and (listed is None or listed.end is not None):
            self._ended_since.pop(job.key, None)
            return _ended(account.id, _combined(account.end, listed, job))
        if listed is None:
            return None
        if listed.end is None:
            return Sighting(listed.id, _state(listed), f"{listed.state}, {listed.reason}")
        since = self._ended_since.setdefault(job.key, time.monotonic())
        if self._accounting and time.monotonic() - since < ACCOUNTING_SECONDS:
            return Sighting(listed.id, "running", listed.state)
        self._ended_since.pop(job.key, None)
        return _ended(listed.id, _combined(listed.end, listed, job))


def _state(listed: _Listed) -> JobState:
    if listed.state in _HELD or (listed.state == "PENDING" and _HELD_REASON.search(listed.reason)):
        return "held"
    return "queued" if listed.state in _QUEUED else "running"


def _ended(job_id: str, end: End) -> Sighting:
    return Sighting(job_id, "ended", end.state, end)


def _combined(end: End, listed: _Listed | None, job: Job) -> End:
    """An end with what only squeue and the job itself know: restarts, and the times to less than a second."""
    restarts = listed.end.usage.restarts if listed is not None and listed.end is not None else end.usage.restarts
    marker = end_marker(job.directory, job.key)
    end = replace(end, usage=replace(end.usage, restarts=restarts))
    if end.cause is not None and not end.exit_code:  # of a job that Slurm itself ended: 0 says nothing
        end = replace(end, exit_code=marker.exit_code if marker is not None else None)
    if marker is not None and marker.started is not None and not restarts:
        end = replace(end, started=marker.started, ended=marker.ended)
    if restarts and end.cause is None:
        return replace(end, cause="preempted", state=f"{end.state} after a requeue")
    return end


def _indexed(listed: Iterable[_Listed]) -> dict[str, _Listed]:
    """Jobs by name: a controller that was killed may give the id of a job it lost to the next one."""
    return {one.name: one for one in listed}


def _from_squeue(row: _QueueRow) -> _Listed:
    """A job as squeue lists it."""
    end = None
    if row.state in _ENDED:
        number = int(row.exit_status) if row.exit_status.isdigit() else None
        exit_code = None if number is None else _exit_code(number >> 8, number & 0x7F)
        usage = Usage(nodes=plain(row.nodes), restarts=int(row.restarts) if row.restarts.isdigit() else None)
        end = End(exit_code, _ENDED[row.state], row.state, _seconds(row.started), _seconds(row.ended), usage)
    return _Listed(row.job_id, plain(row.state), plain(row.reason), row.name, end)


def _from_sacct(text: str) -> list[_Listed]:
    """Jobs of sacct's rows; the rows of a job's steps give its memory and energy."""
    rows = [_AccountRow._make(line.split("|", 8)) for line in text.splitlines() if _ROW.match(line)]
    steps: dict[str, list[_AccountRow]] = {}
    for row in rows:
        steps.setdefault(row.job_id.split(".")[0], []).append(row)
    jobs = [row for row in rows if "." not in row.job_id and row.state.split()]
    return [_from_account(row, steps[row.job_id]) for row in jobs]


def _from_account(row: _AccountRow, steps: list[_AccountRow]) -> _Listed:
    """A job by its own row and by all rows of its id."""
    words, state, end = row.state, row.state.split()[0].rstrip("+"), None
    if state == "FAILED" and any(step.state.startswith("OUT_OF_MEMORY") for step in steps):
        state, words = "OUT_OF_MEMORY", f"{words}, a step OUT_OF_MEMORY"
    if state in _ENDED:
        memory = max((int(step.memory_bytes) for step in steps if step.memory_bytes.isdigit()), default=0)
        energy = max((int(step.energy_joules) for step in steps if step.energy_joules.isdigit()), default=0)
        usage = Usage(
            nodes=plain(row.nodes),
            memory_bytes=memory or None,
            memory_of=SCHEDULER.memory_of if memory else None,
            energy_joules=float(energy) if energy else None,
        )
        code, signal = (int(part) for part in row.exit_code.split(":"))
        started, ended = _seconds(row.started), _seconds(row.ended)
        end = End(_exit_code(code, signal), _ENDED[state], plain(words), started, ended, usage)
    return _Listed(row.job_id, plain(words), "", row.name, end)


def _exit_code(code: int, signal: int) -> int:
    return 128 + signal if signal else code


def _seconds(text: str) -> float | None:
    return float(text) if text.isdigit() else None


def _directive(name: str, value: str | None) -> str:
    """`--name=value`, or `-n value` for a name of one letter."""
    if len(name) == 1:
        return f"-{name}" if value is None else f"-{name} {quoted(value)}"
    return f"--{name}" if value is None else f"--{name}={quoted(value)}"


SCHEDULER = SchedulerRow(
    title="Slurm",
    meaning="Slurm",
    connect=Slurm,
    commands=("sbatch", "squeue", "scancel"),
    causes=frozenset(cause for cause in _ENDED.values() if cause),
    directive=_directive,
    own_options=OWN_OPTIONS,
    limited_by=r"#SBATCH --?(?:partition|p|qos|q|account|A|reservation|clusters|M)[ =].*\n",
    unheeded=unheeded,
    job_ids=r"\d{1,20}(?:\+\d{1,6}|_\d{1,10})?",
    variables=("SLURM_", "SBATCH_", "SRUN_"),
    nodes_variable="SLURM_JOB_NODELIST",
    memory_of="rank",
    accounts={
        "memory_bytes": "sacct's MaxRSS, the highest of all steps",
        "energy_joules": "sacct's ConsumedEnergyRaw, the highest of all steps",
        "nodes": "sacct's NodeList",
    },
)
