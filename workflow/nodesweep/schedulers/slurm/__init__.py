"""Slurm: sbatch, squeue for what is there, sacct for what has been, where the site keeps accounts."""

import os
import pwd
import re
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from nodesweep.common.errors import SchedulerAway
from nodesweep.common.files import regular_head
from nodesweep.common.launch_site import this_site
from nodesweep.schedulers.base import KEY_VARIABLE, SCRIPT_BYTES, End, Job, Patience, SchedulerRow, Sighting, askable
from nodesweep.schedulers.batch import Batch, environment_without, job_id_of, run_command
from nodesweep.schedulers.directives import quoted
from nodesweep.schedulers.markers import end_marker

from .listing import (
    ACCOUNTS,
    COLUMNS,
    ENDED,
    MEMORY_OF,
    SlurmJob,
    found_among,
    from_sacct,
    from_squeue,
    is_over_limit,
    number_of,
    state_of,
)
from .submission import COMPLAINTS, OWN_OPTIONS, SITE_VARIABLES, SLEEPS, check_script, sbatch_variables, unheeded

ACCOUNTING_SECONDS = 60.0
"""How long the end of a job may wait for the accounts of it."""
ACCOUNTS_DAYS = 90
"""How far back accounts are asked for by a job's name."""
_SACCT = ("sacct", "--noheader", "--parsable2", "--noconvert", f"--format={ACCOUNTS}")
_VARIABLES = ("SBATCH_", "SLURM_", "SQUEUE_", "SACCT_", "SCANCEL_")
# A name, and not `all`, which would have scancel ask every cluster.
_CLUSTER = r"(?![Aa][Ll][Ll](?![\w-]))[A-Za-z0-9][\w-]{0,79}"


class Slurm(Batch):
    """Submits by sbatch; a job's name is its key."""

    patience = Patience(polls=2, unclear_seconds=5, silent_seconds=900)
    job_ids = rf"\d{{1,20}}(?:;{_CLUSTER})?"
    """As `sbatch --parsable` prints them: a job's number, and its cluster where that is another than the launcher's."""

    def __init__(self) -> None:
        super().__init__()
        self._environment = environment_without(*_VARIABLES, keep=SITE_VARIABLES)
        self._queries = {**self._environment, "SLURM_TIME_FORMAT": "%s"}
        self._cluster: str | None = None
        self._accounting = True
        self._ended_since: dict[str, float] = {}

    def submit(self, script: Path, key: str) -> str:
        """Submit by sbatch; what it says decides whether there can be a job."""
        words = ["sbatch", "--parsable", f"--job-name={key}", script.name]
        environment = {name: value for name, value in self._environment.items() if name != "SLURM_CLUSTERS"}
        environment |= {**sbatch_variables(script.read_text(errors="replace")), KEY_VARIABLE: key}
        reply = run_command(words, environment, script.parent, sleeps=SLEEPS)
        return job_id_of(reply, re.findall(rf"^{self.job_ids}$", reply.stdout, re.MULTILINE), COMPLAINTS)

    def cluster(self) -> str:
        """The name of the cluster that the commands speak to where none is named; raises SchedulerAway."""
        if self._cluster is None:
            reply = run_command(["scontrol", "show", "config"], self._queries)
            found = re.search(r"^ClusterName\s*= (\S{1,80})$", reply.stdout, re.MULTILINE)
            if reply.code != 0 or found is None:
                raise SchedulerAway(reply.complaint)
            self._cluster = found[1].lower()
        return self._cluster

    def poll(self, jobs: list[Job]) -> dict[str, Sighting | None]:
        """One squeue a cluster for all jobs there, and one sacct for those of them that have ended.

        Raises SchedulerAway where no cluster answers.
        """
        by_cluster = self._by_cluster(jobs)
        seen: dict[str, Sighting | None] = {}
        away: dict[str, SchedulerAway] = {}
        for cluster, some in by_cluster.items():
            try:
                seen |= self._poll_cluster(cluster, some)
            except SchedulerAway as error:
                away[cluster] = error
        if away and len(away) == len(by_cluster):
            raise next(iter(away.values()))
        unasked = (job.key for cluster in away for job in by_cluster[cluster])
        return dict.fromkeys(unasked) | seen

    def _by_cluster(self, jobs: Iterable[Job]) -> dict[str, list[Job]]:
        """Jobs by each cluster they may be on, an empty text for the launcher's own."""
        by_cluster: dict[str, list[Job]] = {}
        for job in askable(jobs, self.job_ids):
            for cluster in self._clusters_of(job):
                by_cluster.setdefault(cluster, []).append(job)
        return by_cluster

    def _clusters_of(self, job: Job) -> list[str]:
        """The clusters a job may be on, an empty text for the launcher's own."""
        named = [job.id.partition(";")[2] or job.site.cluster] if job.id else [job.site.cluster, *_asked_for(job)]
        own = self.cluster() if any(named) else ""
        clusters = dict.fromkeys("" if name.lower() in ("", own) else name for name in named)
        return [name for name in clusters if not name or re.fullmatch(_CLUSTER, name)]

    def _poll_cluster(self, cluster: str, jobs: list[Job]) -> dict[str, Sighting]:
        """What one cluster knows of these jobs; raises SchedulerAway."""
        seen = found_among(jobs, self._squeue(jobs, cluster))
        over = [job for job in jobs if job.key not in seen]
        over += [replace(job, id=seen[job.key].id) for job in jobs if job.key in seen and seen[job.key].end is not None]
        accounts = self._sacct(over, set(seen), cluster) if over and self._accounting else {}
        sightings = {job.key: self._sighting(job, seen.get(job.key), accounts.get(job.key)) for job in jobs}
        suffix = f";{cluster}" if cluster else ""
        return {key: replace(one, id=one.id + suffix) for key, one in sightings.items() if one is not None}

    def cancel(self, jobs: list[Job]) -> None:
        """One scancel a cluster, of the jobs that its queue has; raises SchedulerAway where it does not answer.

        The id in a journal alone may be another job's by now, where a controller has lost what it knew.
        """
        for cluster, some in self._by_cluster(jobs).items():
            listed = found_among(some, self._squeue(some, cluster)).values()
            ids = [one.id for one in listed if one.end is None]
            reply = run_command(["scancel", *_at(cluster), *ids], self._queries) if ids else None
            if reply is not None and reply.code != 0 and "Invalid job id" not in reply.stderr:
                raise SchedulerAway(reply.complaint)

    def _squeue(self, jobs: list[Job], cluster: str) -> list[SlurmJob]:
        """All jobs of the users of these, and those that ended a short while ago; raises SchedulerAway."""
        words = ["squeue", "--noheader", "--all", "--states=all", f"--user={','.join(_users_of(jobs))}"]
        reply = run_command([*words, f"--Format={COLUMNS}", *_at(cluster)], self._queries)
        if reply.code != 0 or (not reply.stdout.strip() and "error:" in reply.stderr):
            raise SchedulerAway(reply.complaint)
        return from_squeue(reply.stdout)

    def _sacct(self, jobs: list[Job], listed: set[str], cluster: str) -> dict[str, SlurmJob]:
        """The accounts of these jobs, by id, and by name those that no queue has; none where the site keeps none."""
        found: dict[str, SlurmJob] = {}
        ids = [number_of(job) for job in jobs if job.id]
        if ids:
            found = found_among(jobs, self._accounts(cluster, f"--jobs={','.join(ids)}", *_everybody(jobs)))
        names = [job.key for job in jobs if job.key not in found and (not job.id or job.key not in listed)]
        if names and self._accounting:
            since = f"--starttime=now-{ACCOUNTS_DAYS}days"
            found |= found_among(jobs, self._accounts(cluster, f"--name={','.join(names)}", since, *_everybody(jobs)))
        return found

    def _accounts(self, cluster: str, *words: str) -> list[SlurmJob]:
        """What sacct says; nothing where it cannot be had now."""
        reply = run_command([*_SACCT, *words, *_at(cluster)], self._queries)
        if "accounting storage is disabled" in reply.stderr:
            self._accounting = False
        return from_sacct(reply.stdout) if reply.code == 0 else []

    def _sighting(self, job: Job, listed: SlurmJob | None, account: SlurmJob | None) -> Sighting | None:
        """What the two listings say together; an end waits for its accounts a while."""
        if account is not None and account.end is not None and (listed is None or listed.end is not None):
            self._ended_since.pop(job.key, None)
            return _ended(account.id, _combined(account.end, listed, job))
        if listed is None:
            return _by_account(account)
        if listed.end is None:
            word = f"{listed.state}, {listed.reason}"
            return Sighting(listed.id, state_of(listed), word, over_limit=is_over_limit(listed))
        since = self._ended_since.setdefault(job.key, time.monotonic())
        if self._accounting and time.monotonic() - since < ACCOUNTING_SECONDS:
            return Sighting(listed.id, "running", listed.state)
        self._ended_since.pop(job.key, None)
        return _ended(listed.id, _combined(listed.end, listed, job))


def _by_account(account: SlurmJob | None) -> Sighting | None:
    """A job that no queue has, and that the accounts do not say the end of."""
    if account is None:
        return None
    return Sighting(account.id, state_of(account), f"{account.state} by the accounts alone")


def _at(cluster: str) -> list[str]:
    """The option that asks another cluster than the launcher's own, for which the name is empty."""
    return [f"--clusters={cluster}"] if cluster else []


def _asked_for(job: Job) -> list[str]:
    """The clusters that a job's script or the site asks for; Slurm chooses one of several."""
    try:
        script = regular_head(job.directory / "job.sh", SCRIPT_BYTES).decode(errors="replace")
    except OSError:
        script = ""
    directives = re.findall(r"^#SBATCH (?:--clusters=|-M )\"?([\w,-]{1,200})", script, re.MULTILINE)
    named = [*directives, *(os.environ.get(name, "") for name in ("SBATCH_CLUSTERS", "SLURM_CLUSTERS"))]
    return [cluster for names in named for cluster in names.split(",") if cluster]


def _users_of(jobs: Iterable[Job]) -> list[str]:
    """This account, and the others that submitted some of these jobs, as far as they are accounts here."""
    others = dict.fromkeys(job.site.user for job in jobs if job.site.user and job.site.user != this_site().user)
    return [str(os.getuid()), *(name for name in others if _is_account(name))]


def _is_account(name: str) -> bool:
    try:
        return pwd.getpwnam(name).pw_name == name
    except (KeyError, ValueError):
        return False


def _everybody(jobs: Iterable[Job]) -> list[str]:
    """The option that has sacct tell of other users' jobs too, where there are some."""
    return ["--allusers"] if len(_users_of(jobs)) > 1 else []


def _ended(job_id: str, end: End) -> Sighting:
    return Sighting(job_id, "ended", end.state, end)


def _combined(end: End, listed: SlurmJob | None, job: Job) -> End:
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
    causes=frozenset(cause for cause in ENDED.values() if cause),
    directive=_directive,
    check_script=check_script,
    own_options=OWN_OPTIONS,
    limited_by=r"#SBATCH --?(?:partition|p|qos|q|account|A|reservation|clusters|M)[ =].*\n",
    unheeded=unheeded,
    variables=("SLURM_", "SBATCH_", "SRUN_"),
    job_id_variable="SLURM_JOB_ID",
    nodes_variable="SLURM_JOB_NODELIST",
    memory_of=MEMORY_OF,
    accounts={
        "memory_bytes": "sacct's MaxRSS, the highest of all steps",
        "energy_joules": "sacct's ConsumedEnergyRaw, the highest of all steps",
        "nodes": "sacct's NodeList",
    },
)
