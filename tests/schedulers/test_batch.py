"""Commands of batch schedulers: what they had said is kept, and one that only sleeps is ended without losing a job."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nodesweep.common.errors import SchedulerError, SubmissionUnclear, Throttled
from nodesweep.schedulers import SCHEDULERS, batch
from nodesweep.schedulers.base import Job, askable
from nodesweep.schedulers.batch import Reply, job_id_of, run_command
from nodesweep.schedulers.pbs import COMPLAINTS as PBS_COMPLAINTS
from nodesweep.schedulers.slurm.submission import COMPLAINTS, SLEEPS

POLICY = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
FULL = "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying"


def bash(script: str, sleeps: re.Pattern[str] | None = None) -> Reply:
    """What a shell script answers, run as a command."""
    return run_command(["bash", "-c", script], sleeps=sleeps)


def test_what_a_command_had_said_outlives_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time-out both streams are there: an id that was printed is the job's, and the complaint quotes."""
    monkeypatch.setattr(batch, "COMMAND_SECONDS", 0.5)
    reply = bash("echo 17; echo slow disk >&2; sleep 60")
    assert (reply.code, reply.stdout, reply.asleep) == (None, "17\n", False)
    assert reply.complaint.endswith("it said: slow disk")
    assert job_id_of(reply, ["17"], COMPLAINTS) == "17"
    with pytest.raises(SubmissionUnclear, match="no answer within"):
        job_id_of(bash("sleep 60"), [], COMPLAINTS)


def test_a_command_that_sleeps_before_it_tries_again_is_ended(tmp_path: Path) -> None:
    """The word of it is known as a full queue, and what would have come after its sleep never happens."""
    reply = bash(f"echo '{FULL}' >&2; sleep 30; touch {tmp_path}/tried; echo 17", SLEEPS)
    assert reply.code is None and FULL in reply.complaint and not (tmp_path / "tried").exists()
    # Where the look came too late to be sure that it slept, its job is looked for first.
    with pytest.raises(Throttled if reply.asleep else SubmissionUnclear):
        job_id_of(reply, [], COMPLAINTS)


def test_a_late_look_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended later than a second after the last look without the word: a request may have been under way."""
    monkeypatch.setattr(batch, "_SLEEP_SECONDS", 0.0)
    reply = bash(f"echo '{FULL}' >&2; sleep 30", SLEEPS)
    assert not reply.asleep
    with pytest.raises(SubmissionUnclear) as raised:
        job_id_of(reply, [], COMPLAINTS)
    assert raised.value.crowded


def test_an_id_behind_the_word_is_not_lost() -> None:
    """A wrapper may print all at its end: the sleep is over by then, and the job is there."""
    reply = bash(f"echo '{FULL}' >&2; echo 17", SLEEPS)
    assert (reply.code, job_id_of(reply, ["17"], COMPLAINTS)) == (0, "17")


def test_what_a_command_leaves_behind_keeps_nobody_waiting(tmp_path: Path) -> None:
    """A process that a wrapper leaves behind holds its output open; the command has ended all the same."""
    reply = bash(f"sleep 600 & echo $! >{tmp_path}/left; echo 17; echo bye >/dev/stdout")
    subprocess.run(["kill", (tmp_path / "left").read_text().strip()], check=True)
    assert (reply.code, reply.stdout) == (0, "17\nbye\n")


def test_much_output_is_taken_in() -> None:
    """A listing of many jobs is longer than a pipe is: 10 MB arrive whole, on both streams at once."""
    reply = bash("head -c 10000000 /dev/zero | tr '\\0' x; head -c 1000000 /dev/zero | tr '\\0' y >&2")
    assert (len(reply.stdout), len(reply.stderr)) == (10_000_000, 1_000_000)


@pytest.mark.parametrize(
    "word",
    [
        "QOSMaxNodePerJobLimit",
        "QOSMaxWallDurationPerJobLimit",
        "QOSMaxCpuMinutesPerJobLimit",
        "QOSMinCpuNotSatisfied",
        "QOSGrpNodeLimit",
        "QOSGrpCPUMinutesLimit",
        "AssocMaxNodePerJobLimit",
        "AssocMaxWallDurationPerJobLimit",
        "MaxTRESPerJob",
        "PartitionNodeLimit",
        "NobodyHasSeenThisLimitYet",
    ],
)
def test_a_limit_on_what_a_job_asks_for_is_a_refusal(word: str) -> None:
    """Slurm names the limit in a line of its own; the reason is told."""
    with pytest.raises(SchedulerError, match=f"refused: .*{word}") as raised:
        job_id_of(Reply("sbatch", 1, "", f"sbatch: error: {word}\nsbatch: error: {POLICY}\n"), [], COMPLAINTS)
    assert not isinstance(raised.value, Throttled)


@pytest.mark.parametrize(
    "word",
    ["QOSMaxSubmitJobPerUserLimit", "QOSGrpSubmitJobsLimit", "AssocMaxSubmitJobLimit", "MaxSubmitJobsPerAccount"],
)
def test_a_limit_on_the_number_of_jobs_is_a_wait(word: str) -> None:
    """All of Slurm's words for such limits hold Submit."""
    with pytest.raises(Throttled, match=word) as raised:
        job_id_of(Reply("sbatch", 1, "", f"sbatch: error: {word}\nsbatch: error: {POLICY}\n"), [], COMPLAINTS)
    assert not raised.value.perhaps_for_ever


def test_a_limit_without_a_name_may_be_either() -> None:
    """An old Slurm says one sentence for all limits: for now, or for ever."""
    with pytest.raises(Throttled) as raised:
        job_id_of(Reply("sbatch", 1, "", f"sbatch: error: Batch job submission failed: {POLICY}\n"), [], COMPLAINTS)
    assert raised.value.perhaps_for_ever


@pytest.mark.parametrize(
    ("says", "wanted"),
    [
        ("Maximum number of jobs already in queue workq", "wait"),
        ("Maximum number of jobs in 'Q' state for user jane already in complex", "wait"),
        ("would exceed queue workq's per-user limit", "wait"),
        ("would exceed complex's per-project limit of jobs in 'Q' state", "wait"),
        ("would exceed per-user limit on resource ncpus in queue workq", "either"),
        ("would exceed user jane's limit on resource mem in complex for jobs in 'Q' state", "either"),
        ("Job exceeds queue and/or server resource limits", "refusal"),
        ("Job violates queue and/or server resource limits", "refusal"),
        ("Job rejected by all possible destinations", "refusal"),
    ],
)
def test_limits_of_pbs(says: str, wanted: str) -> None:
    """A number of jobs is a wait; a sum of resources may be over its limit by one job alone; the rest are refusals."""
    with pytest.raises(SchedulerError) as raised:
        job_id_of(Reply("qsub", 1, "", f"qsub: {says}\n"), [], PBS_COMPLAINTS)
    found = "refusal"
    if isinstance(raised.value, Throttled):
        found = "either" if raised.value.perhaps_for_ever else "wait"
    assert found == wanted


HOSTILE = [
    "--me",
    "-u root",
    "all",
    "1 2",
    "1,2",
    "1\n2",
    "$(id)",
    "*",
    "0@0",
    "-1@5",
    "1;--me",
    "1;all",
    "../1",
    "9" * 200,
]


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("job_id", HOSTILE)
def test_what_is_no_id_reaches_no_command(
    name: str, job_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a look nor a cancel passes it on: the job is asked for by its key."""
    for command in (*SCHEDULERS[name].commands, "sacct", "scontrol", "kill"):
        (tmp_path / command).write_text(f'#!/bin/bash\nprintf "%s\\n" "$@" >>{tmp_path}/calls\n')
        (tmp_path / command).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    scheduler = SCHEDULERS[name].connect()
    job = Job("k-a1", job_id, tmp_path)
    assert askable([job], scheduler.job_ids) == [Job("k-a1", "", tmp_path)]
    for asked in (scheduler.poll, scheduler.cancel):
        try:
            asked([job])
        except Exception as error:
            assert type(error).__name__ == "SchedulerAway", error
    calls = (tmp_path / "calls").read_text().split("\n") if (tmp_path / "calls").exists() else []
    assert job_id not in calls and not [word for word in calls if job_id in word and len(job_id) > 3]


@pytest.mark.parametrize("key", ["", "--me", "../../etc/passwd", "a b", "a\0b", "a" * 200, "é"])
def test_a_job_without_a_key_is_asked_for_by_nobody(key: str, tmp_path: Path) -> None:
    """Its name would stand in commands and in paths of files."""
    assert askable([Job(key, "17", tmp_path)], r"\d+") == []


def test_nothing_but_jobs_is_signalled(tmp_path: Path) -> None:
    """An id that names another process of this machine ends nothing: the key has to stand in its environment."""
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    start = Path(f"/proc/{other.pid}/stat").read_text().rpartition(")")[2].split()[19]
    SCHEDULERS["local"].connect().cancel([Job("k-a1", f"{other.pid}@{start}", tmp_path)])
    assert other.poll() is None
    other.kill()
    other.wait()
