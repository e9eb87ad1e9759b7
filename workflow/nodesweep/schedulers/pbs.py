"""PBS Pro and OpenPBS: qsub, and qstat for what is there and, where the server keeps a history, for what has been."""

import json
import re
import shlex
import time
from pathlib import Path
from typing import Any

from nodesweep.common.errors import ConfigError, SchedulerAway
from nodesweep.common.outcomes import Cause
from nodesweep.common.text import plain
from nodesweep.sweep.layout import Layout

from .base import KEY_VARIABLE, Directive, End, Job, JobState, Patience, SchedulerRow, Sighting, Usage, askable
from .batch import Batch, Complaints, Reply, environment_without, job_id_of, run_command
from .markers import end_marker
from .own_options import OwnOptions

Attributes = dict[str, str]
"""A job as qstat lists it: values by name, those of a group by `group.name`."""

# What tells the commands which server to ask; everything else of the name is an outer job's, or changes what qsub does.
_KEPT = ("PBS_CONF_FILE", "PBS_DEFAULT", "PBS_SERVER", "PBS_EXEC", "PBS_HOME", "PBS_PRIMARY", "PBS_SECONDARY")
_QUEUED = {"Q", "W", "T", "M"}
_ENDED = {"F", "X"}
_NEVER = re.compile(r"Can Never Run")
_SECOND_START = 75  # how a job script ends that finds its mark: see templates/job.sh.j2
_ABORTED: dict[int, Cause] = {
    **dict.fromkeys((-28, -29), "time_limit"),
    **dict.fromkeys((-26, -27), "out_of_memory"),
    **dict.fromkeys((-3, -4, -5, -6, -7, -11, -14, -15, -16, -18, -20, -30), "node_failure"),
    **dict.fromkeys((-12,), "preempted"),
    **dict.fromkeys((-17, -19, -24, -25), "cancelled"),
    **dict.fromkeys((-1, -2, -10, -13, -21, -22, -23), "launch_failed"),
}
"""Exit statuses of jobs that PBS itself ended or could not start."""
_COMMENTS: tuple[tuple[re.Pattern[str], Cause], ...] = (
    (re.compile(r"exceeded resource (?:walltime|cput)|walltime \S+ exceeded limit"), "time_limit"),
    (re.compile(r"exceeded resource v?mem|mem \S+ exceeded limit|Cgroup mem\w* limit exceeded"), "out_of_memory"),
    (re.compile(r"execution node \S+ down"), "node_failure"),
    (re.compile(r"\bterminated\b|\bdeleted\b"), "cancelled"),
)
"""What the server adds to a job's comment when it ends."""
# A limit on a resource is one of what all jobs of somebody ask for together: one job alone may be over it.
_RESOURCE_LIMIT = r"would exceed .{0,100}limit on resource"
COMPLAINTS = Complaints(
    refused=re.compile(
        r"Unknown (?:queue|resource)|Undefined attribute|Queue is not enabled|Access to queue is denied"
        r"|Job (?:violates|exceeds) queue and/or server resource limits|Unauthorized Request"
        r"|Illegal attribute or resource value|illegal -\w value|directive error|usage: qsub|unmatched"
        r"|cannot be used with|Cannot (?:be used with select|have \"place\")|(?:Resource invalid|duplicated resource)"
        r"|Bad [UG]ID|Invalid (?:Account|Job Dependency)|name is too long|script (?:not a file|contains cr)"
        r"|[Nn]o default queue|cannot access script|hook rejected request|Resource limit exceeds allowable"
        r"|Job rejected by all possible destinations"
    ),
    crowded=re.compile(rf"Maximum number of jobs|(?!{_RESOURCE_LIMIT})would exceed .{{1,100}} limit"),
    unsure=re.compile(_RESOURCE_LIMIT),
)
_UNKNOWN = {153: "Unknown Job Id", 35: "has finished"}
"""qstat's exit codes when all went well but for jobs that it does not know, with what it says of them."""
_NO_HISTORY = "not configured to maintain job history"
_CHUNK = {"ncpus", "ngpus", "naccelerators", "mem", "vmem", "ompthreads", "arch", "model", "vntype", "aoe"}
"""Resources of a node, which stand in its chunk of `select`."""
_GONE = re.compile(r"Unknown Job Id|has finished|Request invalid for state of job|Delete already in progress")
_UNITS = {"b": 1, "kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40}


class Pbs(Batch):
    """Submits by qsub; a job's name is its key."""

    patience = Patience(polls=3, unclear_seconds=60, silent_seconds=900)
    job_ids = r"\d{1,20}(?:\[\d{0,10}\])?\.[A-Za-z0-9][\w.-]{0,250}"
    log_seconds = 30.0
    """How long the end of a job may wait for its log, which PBS may copy only afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self._environment = environment_without("PBS_", keep=_KEPT)
        self._history = ["-x"]
        self._ended_since: dict[str, float] = {}

    def submit(self, script: Path, key: str) -> str:
        """Submit by qsub; what it says decides whether there can be a job."""
        # By bare names: qsub refuses a path with other letters than ASCII's, but not such a folder that it runs in.
        words = ["qsub", "-N", key, "-v", f"{KEY_VARIABLE}={key}", "-o", f"{key}.log", script.name]
        reply = run_command(words, self._environment, script.parent)
        found = re.findall(rf"^({self.job_ids})\s*$", reply.stdout, re.MULTILINE)
        return job_id_of(reply, found, COMPLAINTS)

    def poll(self, jobs: list[Job]) -> dict[str, Sighting]:
        """One qstat for all jobs, after a qselect for each that has no id."""
        ids = [found for job in askable(jobs, self.job_ids) for found in ([job.id] if job.id else self._named(job.key))]
        listed = self._qstat(ids) if ids else {}
        by_name = {attributes.get("Job_Name"): job_id for job_id, attributes in listed.items()}
        found = {job: by_name.get(job.key) or _renamed(job, listed) for job in jobs}
        return {job.key: self._sighting(job, job_id, listed[job_id]) for job, job_id in found.items() if job_id}

    def cancel(self, jobs: list[Job]) -> None:
        """One qdel for all; raises SchedulerAway where the server does not answer."""
        ids = [found for job in askable(jobs, self.job_ids) for found in ([job.id] if job.id else self._named(job.key))]
        if not ids:
            return
        reply = run_command(["qdel", *ids], self._environment)
        complaints = [line for line in reply.stderr.splitlines() if line.strip() and not _GONE.search(line)]
        if reply.code is None or (reply.code and (complaints or not reply.stderr.strip())):
            raise SchedulerAway(reply.complaint)

    def _ask(self, command: str, *words: str) -> Reply:
        """Ask for jobs that have ended too, as long as the server does not say that it keeps none."""
        reply = run_command([command, *self._history, *words], self._environment)
        if self._history and _NO_HISTORY in reply.stderr:
            self._history = []
            reply = run_command([command, *words], self._environment)
        return reply

    def _named(self, key: str) -> list[str]:
        """The ids of the jobs of a name; raises SchedulerAway."""
        reply = self._ask("qselect", "-N", key)
        if reply.code != 0:
            raise SchedulerAway(reply.complaint)
        return [job_id for job_id in reply.stdout.split() if re.fullmatch(self.job_ids, job_id)]

    def _qstat(self, ids: list[str]) -> dict[str, Attributes]:
        """The jobs among these that the server knows, by id; raises SchedulerAway."""
        for form, parse in (("json", _from_json), ("dsv", _from_dsv)):  # its JSON is not always valid
            reply = self._ask("qstat", "-f", "-F", form, *ids)
            some_unknown = reply.code in _UNKNOWN and _UNKNOWN[reply.code] in reply.stderr
            if reply.code != 0 and not some_unknown:
                raise SchedulerAway(reply.complaint)
            listed = {} if some_unknown and not reply.stdout.strip() else parse(reply.stdout)
            if listed is not None:
                return listed
        raise SchedulerAway(f"qstat: its answer cannot be read: {plain(reply.stdout, 80) or 'it is empty'}")

    def _sighting(self, job: Job, job_id: str, attributes: Attributes) -> Sighting:
        """A job as the server has it; an end waits for its log a while."""
        state, comment = attributes.get("job_state", ""), plain(attributes.get("comment", ""))
        word = f"{state}, {comment}" if comment else state
        if state == "M" and (marker := end_marker(job.directory, job.key)) is not None:
            return Sighting(job_id, "ended", marker.state, marker)  # only the other server could say more
        if state not in _ENDED:
            never = state in _QUEUED and bool(_NEVER.search(comment))
            word_of_state: JobState = "queued" if state in _QUEUED else "running"
            return Sighting(job_id, "held" if never or state == "H" else word_of_state, word, over_limit=never)
        since = self._ended_since.setdefault(job.key, time.monotonic())
        awaited = "stime" in attributes and not self.outputs(job)[0].exists()
        if awaited and time.monotonic() - since < self.log_seconds:
            return Sighting(job_id, "running", word)
        del self._ended_since[job.key]
        end = _end(word, comment, attributes, end_marker(job.directory, job.key))
        return Sighting(job_id, "ended", end.state, end)


def _renamed(job: Job, listed: dict[str, Attributes]) -> str:
    """The id of a job that somebody gave another name: by its log; empty where it is not listed, or not this one."""
    path = listed.get(job.id, {}).get("Output_Path", "")
    return job.id if path.endswith(f"/{job.key}.log") else ""


def _end(word: str, comment: str, attributes: Attributes, marker: End | None) -> End:
    """How a job ended by the server's accounts, and by what it left itself where those are silent."""
    status = _integer(attributes.get("Exit_status", ""))
    cause = next((cause for pattern, cause in _COMMENTS if pattern.search(comment)), None)
    exit_code = status
    if status is None:
        cause = cause or (None if "stime" in attributes else "cancelled")  # it has none if deleted before its start
        word = f"{word}, no Exit_status"
    else:
        word = f"{word}, Exit_status {status}"
        if status < 0:
            cause, exit_code = _ABORTED.get(status, cause), None
        elif status >= 256:
            exit_code = 128 + status - 256
    if marker is not None and (exit_code is None or exit_code > 128):
        # A signal may come from a time limit or from qdel; the script noted the time when it got it.
        if cause is None or (cause == "cancelled" and marker.cause == "time_limit"):
            cause = marker.cause
        exit_code = marker.exit_code if exit_code is None else exit_code
    restarts = max((_integer(attributes.get("run_count", "")) or 1) - 1, 0)
    started, ended = _seconds(attributes, "stime"), _seconds(attributes, "obittime", "mtime")
    if restarts and exit_code == _SECOND_START:
        cause, word = cause or "preempted", f"{word}, restarted"
    elif marker is not None and marker.started is not None:
        started, ended = marker.started, marker.ended
    return End(exit_code, cause, word, started, ended, _usage(attributes, restarts))


def _usage(attributes: Attributes, restarts: int) -> Usage:
    memory = re.fullmatch(r"(\d+)([kmgt]?b)", attributes.get("resources_used.mem", ""))
    memory_bytes = int(memory[1]) * _UNITS[memory[2]] if memory else 0
    hosts = (chunk.partition("/")[0].strip("()") for chunk in attributes.get("exec_host", "").split("+"))
    return Usage(
        nodes=plain(",".join(dict.fromkeys(hosts))),
        memory_bytes=memory_bytes or None,
        memory_of=SCHEDULER.memory_of if memory_bytes else None,
        restarts=restarts,
    )


def _integer(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?\d{1,18}", text) else None


def _seconds(attributes: Attributes, *names: str) -> float | None:
    """The first of these times that can be read, as ctime() writes it in the launcher's time zone."""
    for name in names:
        try:
            return time.mktime(time.strptime(attributes.get(name, ""), "%a %b %d %H:%M:%S %Y"))
        except (ValueError, OverflowError):
            continue
    return None


def _from_json(text: str) -> dict[str, Attributes] | None:
    """The jobs of `qstat -F json`; None where that is no JSON."""
    try:
        jobs = json.loads(text).get("Jobs", {})
        return {str(job_id): _flat(attributes) for job_id, attributes in jobs.items()}
    except (ValueError, AttributeError):
        return None


def _flat(attributes: dict[str, Any]) -> Attributes:
    flat: Attributes = {}
    for name, value in attributes.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{inner}": str(one) for inner, one in value.items()}
        else:
            flat[name] = str(value)
    return flat


def _from_dsv(text: str) -> dict[str, Attributes] | None:
    """The jobs of `qstat -F dsv`, one a line, the bars in values escaped; None where there are none."""
    jobs = {}
    for line in text.splitlines():
        head, *fields = (field.replace(r"\|", "|") for field in re.split(r"(?<!\\)\|", line))
        name, _, job_id = head.partition(":")
        if name == "Job Id":
            pairs = (field.partition("=") for field in fields)
            jobs[job_id.strip()] = {name.strip(): value.strip() for name, _, value in pairs}
    return jobs or None


def _directive(name: str, value: str | None) -> str:
    """`-n value` for a name of one letter, else the resource `-l name=value`; in quotes where qsub would split it."""
    if len(name) == 1:
        return f"-{name}" if value is None else f"-{name} {shlex.quote(value)}"
    resource = "True" if value is None else f'"{value}"' if re.search(r"[,\s]", value) else value
    return f"-l {shlex.quote(f'{name}={resource}')}"


def _arranged(options: list[Directive], layout: Layout) -> list[Directive]:
    return with_select(options, layout.nodes, layout.ranks_per_node)


def with_select(pairs: list[Directive], nodes: int, ranks_per_node: int) -> list[Directive]:
    """A node's resources gathered into one `select`, and one job on a node, unless the options say otherwise.

    Raises ConfigError.

    >>> with_select([("mem", "180gb"), ("A", "lab")], nodes=4, ranks_per_node=2)
    [('select', '4:ncpus=2:mpiprocs=2:mem=180gb'), ('place', 'scatter:excl'), ('A', 'lab')]
    """
    names = {name for name, _ in pairs}
    if "select" in names and names & _CHUNK:
        both = ", ".join(sorted(names & _CHUNK))
        raise ConfigError(f"machine.options gives select whole and {both} beside it; put all into select")
    chunk = [f"{name}={'True' if value is None else value}" for name, value in pairs if name in _CHUNK - {"ncpus"}]
    cores = next((value for name, value in pairs if name == "ncpus"), ranks_per_node)
    select = ":".join([f"{nodes}:ncpus={cores}:mpiprocs={ranks_per_node}", *chunk])
    defaults: list[Directive] = [("select", select), ("place", "scatter:excl")]
    rest = [(name, value) for name, value in pairs if name not in _CHUNK]
    return [(name, value) for name, value in defaults if name not in names] + rest


_LIMITS = "walltime min_walltime max_walltime soft_walltime"
_OWN = OwnOptions(
    {
        "N": "a job's name is the key it is found by; leave it out",
        "o e j k R": "nodesweep sends all output to <key>.log and reads it there; leave it out",
        "S": "the job script is for bash; leave it out",
        "J r": "a submission is one job that starts once, and nodesweep itself submits it again; leave it out",
        "v": "`environment` of the machine sets variables; put them there",
        "nodes nodect": "`nodes` of the layouts says it",
        "mpiprocs": "`ranks_per_node` of the machine says it",
        "C": "the directives of the job script begin with #PBS; leave it out",
        "f I X G z block": "nodesweep reads qsub's answer and watches the job itself; leave it out",
    },
    beside={"queues": f"q {_LIMITS}", "elapse_limit_seconds": _LIMITS},
    holders=("l", "W"),
)

SCHEDULER = SchedulerRow(
    title="PBS",
    meaning="PBS Pro or OpenPBS",
    connect=Pbs,
    commands=("qsub", "qstat", "qselect", "qdel"),
    causes=frozenset({*_ABORTED.values(), *(cause for _, cause in _COMMENTS)}),
    directive=_directive,
    arrange=_arranged,
    own_options=_OWN,
    limited_by=r"#PBS -[qAP] .*\n",
    variables=("PBS_",),
    job_id_variable="PBS_JOBID",
    node_file_variable="PBS_NODEFILE",
    memory_of="job",
    accounts={
        "memory_bytes": "resources_used.mem of qstat -f",
        "nodes": "the hosts in exec_host of qstat -f",
    },
)
