"""PJM of Fujitsu's Technical Computing Suite, as on Fugaku: pjsub, pjstat for what is there and for what has been."""

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nodesweep.common.errors import ConfigError, SchedulerAway, SchedulerError, SubmissionUnclear, Throttled
from nodesweep.schedulers.base import KEY_VARIABLE, End, Job, Patience, SchedulerRow, Sighting, askable
from nodesweep.schedulers.batch import Batch, Reply, environment_without, run_command
from nodesweep.schedulers.directives import in_quotes
from nodesweep.schedulers.markers import end_marker, has_started
from nodesweep.schedulers.own_options import OwnOptions

from .files import MEMORY_OF, JobStatistics, gather, rank_files, read_statistics
from .listing import CAUSES, COLUMNS, JOB_IDS, ListedJob, parse

STATISTICS_SECONDS = 120.0
"""How long the end of a job may wait for the statistics of it."""

_ASKED = 100
_PJSTAT = ("pjstat", "--data", f"--choose={','.join(COLUMNS)}")
_HISTORY = ("pjstat", "-v", "-H", "day=90", "--data", f"--choose={','.join(COLUMNS)}")
_SUBMITTED = re.compile(r"pjsub Job (\d{1,20}) submitted")
_ERROR = re.compile(r"\[ERR\.?\] PJM (\d{4}) ")
# What is wrong with a script, an option or a user's rights. Not among them: 0068, 0090 and 0091, which may mean a job.
_REFUSED = re.compile(r"00(?:0[123489]|1[28]|2[0-35-8]|4[1569]|5[46-9]|6[039]|7[013679]|8[49]|93)")
_REFUSED_BY_SITE = re.compile(r"is not a data area|--no-check-directory|PJM_LLIO_GFSCACHE")
_CROWDED = {"0072"}
_NOT_THERE = {"0112", "0113", "0119"}
_PLAIN = re.compile(r"[A-Za-z0-9_:./+@%-]+")
_MOST_DIRECTIVES = 64
_LONG_OPTIONS = {"appname", "at", "comment", "llio", "mail-list", "mpi", "net-route", "rsc-list", "sparam", "spath"}
_COMMAND_LINE_ONLY = {"all-mount-gfscache", "dir-prefix", "no-check-directory", "no-check-gfscache"}


class Pjm(Batch):
    """Submits by pjsub; a job's name is its key."""

    patience = Patience(polls=10, unclear_seconds=120, silent_seconds=900)
    job_ids = JOB_IDS

    def __init__(self) -> None:
        super().__init__()
        self._environment = {**environment_without("PJM_", "LC_", "LANG"), "LC_ALL": "C"}
        self._ended_since: dict[str, float] = {}
        self._deleted: set[str] = set()

    def submit(self, script: Path, key: str) -> str:
        """Submit by pjsub, which takes no path but a plain one; what it says decides whether there can be a job."""
        words = ["pjsub", "-N", key, "-o", f"{key}.out", "--spath", f"{key}.stats", script.name]
        reply = run_command(words, {**self._environment, KEY_VARIABLE: key}, script.parent)
        found: list[str] = _SUBMITTED.findall(reply.stdout)
        if reply.code == 0 and found:
            return found[-1]
        errors = set(_ERROR.findall(reply.stderr))
        if reply.code and not found and errors and errors <= _CROWDED:
            raise Throttled(reply.complaint)
        by_site = not errors and _REFUSED_BY_SITE.search(reply.stderr + reply.stdout)
        by_pjm = reply.code and errors and all(_REFUSED.fullmatch(error) for error in errors)
        if not found and (by_site or by_pjm):
            raise SchedulerError(f"refused: {reply.complaint}")
        raise SubmissionUnclear(reply.complaint, bool(errors & _CROWDED))

    def poll(self, jobs: list[Job]) -> dict[str, Sighting]:
        """One pjstat for all jobs, and one of the history for those of them that are no longer listed.

        A job in state ERROR stays listed, and counts against the user's limits, until somebody deletes it: done here.
        """
        jobs = askable(jobs, self.job_ids)
        listed = self._pjstat(_PJSTAT, jobs)
        missing = [job for job in jobs if job.key not in listed]
        listed = (self._history(missing) if missing else {}) | listed
        seen = {job.key: self._sighting(job, listed[job.key]) for job in jobs if job.key in listed}
        self._delete_failed([listed[key] for key in seen])
        return seen

    def outputs(self, job: Job) -> list[Path]:
        """The output of the job script and of each rank."""
        return [job.directory / f"{job.key}.out", *rank_files(job.directory, job.key)]

    def collect(self, job: Job) -> None:
        """Bring the output of all ranks and of the job script into one log."""
        gather(job.directory, job.key)

    def cancel(self, jobs: list[Job]) -> None:
        """One pjdel for all; raises SchedulerAway where PJM does not answer."""
        jobs = askable(jobs, self.job_ids)
        listed = self._pjstat(_PJSTAT, jobs) if any(not job.id for job in jobs) else {}
        ids = [job.id or listed[job.key].id for job in jobs if job.id or job.key in listed]
        if ids:
            reply = run_command(["pjdel", *ids], self._environment)
            errors = set(_ERROR.findall(reply.stderr))
            if reply.code != 0 and not (errors and errors <= _NOT_THERE):
                raise SchedulerAway(reply.complaint)

    def _pjstat(self, words: Sequence[str], jobs: list[Job]) -> dict[str, ListedJob]:
        """What one call says of these jobs, by name; raises SchedulerAway."""
        reply: Reply = run_command(words, self._environment)
        if reply.code != 0 or _ERROR.search(reply.stderr):
            raise SchedulerAway(reply.complaint)
        try:
            return parse(reply.stdout, {job.key for job in jobs})
        except ValueError as error:
            raise SchedulerAway(f"pjstat: {error}") from None

    def _history(self, jobs: list[Job]) -> dict[str, ListedJob]:
        """What has become of these jobs: by id, and by name those whose id nobody knows."""
        ids = [job.id for job in jobs if job.id]
        names = [job.key for job in jobs if not job.id]
        asked = [ids[start : start + _ASKED] for start in range(0, len(ids), _ASKED)]
        for start in range(0, len(names), _ASKED):
            asked.append(["--filter", f"jnam={'+'.join(names[start : start + _ASKED])}"])
        listed: dict[str, ListedJob] = {}
        for words in asked:
            listed |= self._pjstat((*_HISTORY, *words), jobs)
        return listed

    def _sighting(self, job: Job, listed: ListedJob) -> Sighting:
        """A job as it is listed; the end of one that has run waits for its statistics a while."""
        if listed.end is None:
            return Sighting(listed.id, listed.state, listed.word)
        statistics = read_statistics(job.directory / f"{job.key}.stats")
        if statistics is None and has_started(job.directory, job.key):
            since = self._ended_since.setdefault(job.key, time.monotonic())
            if time.monotonic() - since < STATISTICS_SECONDS:
                return Sighting(listed.id, "running", "waiting for its statistics")
        self._ended_since.pop(job.key, None)
        end = _combined(listed.end, statistics or JobStatistics(), job)
        return Sighting(listed.id, "ended", end.state, end)

    def _delete_failed(self, listed: list[ListedJob]) -> None:
        """Delete what is in state ERROR, each once; a pjdel that fails changes nothing about the end."""
        ids = [one.id for one in listed if one.word.startswith("ERR") and one.id not in self._deleted]
        if ids:
            self._deleted |= set(ids)
            run_command(["pjdel", *ids], self._environment)


def _combined(end: End, statistics: JobStatistics, job: Job) -> End:
    """An end with what only the statistics and the job itself know."""
    restarts = statistics.usage.restarts
    end = replace(end, started=statistics.started, ended=statistics.ended, usage=statistics.usage)
    marker = end_marker(job.directory, job.key)
    if marker is not None and marker.started is not None and not restarts:
        end = replace(end, started=marker.started, ended=marker.ended)
    if restarts and end.cause is None:  # PJM starts again only what a failed node took down
        return replace(end, cause="node_failure", state=f"{end.state} after a restart")
    return end


def _directive(name: str, value: str | None) -> str:
    """`-n value`, `--name value` for the long options of pjsub, `-L "name=value"` for everything else, resources."""
    if name in _COMMAND_LINE_ONLY:
        raise ConfigError(f"machine.options.{name}: pjsub takes it on its command line only; leave it out")
    dashed = f"-{name}" if len(name) == 1 else f"--{name}"
    if value is None:
        return dashed
    if len(name) > 1 and name not in _LONG_OPTIONS:
        return f"-L {in_quotes(f'{name}={value}')}"
    return f"{dashed} {value if _PLAIN.fullmatch(value) else in_quotes(value)}"


def _check_script(script: str) -> None:
    """Raise ConfigError where a script holds more directives than pjsub reads, which passes over the others."""
    lines = [line for line in script.splitlines() if line.startswith("#PJM")]
    if len(lines) > _MOST_DIRECTIVES:
        raise ConfigError(
            f"machine.options: make {len(lines)} #PJM lines with nodesweep's own; pjsub reads {_MOST_DIRECTIVES}: "
            "take some out"
        )


_OWN = OwnOptions(
    {
        "N name": "a job's name is the key it is found by; leave it out",
        "o out e err j join spath": "nodesweep sends all output and statistics to files of <key>; leave it out",
        "restart norestart": "a submission starts once, and nodesweep itself submits it again; leave it out",
        "bulk step sparam interact": "a submission is one job of the normal kind; leave it out",
        "node": "`nodes` of the layouts says it, with `node_shapes` and `node_allocation` of the machine",
        "proc max-proc-per-node": "`nodes` of the layouts and `ranks_per_node` of the machine say it",
        "z": "nodesweep reads pjsub's answer; leave it out",
    },
    beside={"queues": "rscgrp rg elapse", "elapse_limit_seconds": "elapse", "frequencies_ghz": "freq"},
    holders=("L", "rsc-list", "mpi"),
)

SCHEDULER = SchedulerRow(
    title="PJM",
    meaning="PJM of Fujitsu's Technical Computing Suite",
    connect=Pjm,
    commands=("pjsub", "pjstat", "pjdel"),
    causes=CAUSES,
    machine_keys=("node_shapes", "node_allocation"),
    directive=_directive,
    check_script=_check_script,
    own_options=_OWN,
    limited_by=r"""#PJM (?:-g .*|.*"rsc(?:grp|unit)=.*)\n""",
    variables=("PJM_",),
    job_id_variable="PJM_JOBID",
    node_file_variable="PJM_O_NODEINF",
    memory_of=MEMORY_OF,
    accounts={
        "memory_bytes": "MAX MEMORY SIZE (USE) of the job's statistics",
        "energy_joules": "ENERGY CONSUMPTION OF NODE of the job's statistics, in Wh, x 3600",
        "power_watts": "AVG POWER CONSUMPTION OF NODE of the job's statistics",
        "nodes": "NODE NUM (ALLOC) of the job's statistics",
    },
)
