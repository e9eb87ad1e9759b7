"""PJM: what it prints is read as meant, a submission is never lost, and the output of all ranks comes together.

Nobody outside Fujitsu's sites has a PJM: these tests talk to a fake (tests/fakes/pjm.py), which runs real scripts.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.pjm import LOST_RESPONSE, NO_DAEMON, FakePjm, statistics
from sweeps import toy, write

from nodesweep.common.errors import SchedulerAway, SchedulerError, SubmissionUnclear, Throttled
from nodesweep.launch.runner import Finished, Policy, Runner
from nodesweep.logs.reader import read_log
from nodesweep.logs.trainers import FORMATS
from nodesweep.results.outcome import decide
from nodesweep.schedulers import batch as commands
from nodesweep.schedulers import pjm
from nodesweep.schedulers.base import End, Job, Sighting, Usage
from nodesweep.schedulers.job_script import render
from nodesweep.schedulers.pjm import Pjm
from nodesweep.schedulers.pjm.files import gather, rank_files, read_statistics
from nodesweep.schedulers.pjm.listing import ListedJob, parse
from nodesweep.sweep.study import Study

HEADER = "H,JOB_ID,JOB_NAME,ST,EC,PC,SN,REASON\n"
ITERATION = (
    " iteration {}/ 3 | consumed samples: 16 | elapsed time per iteration (ms): 500.0 | learning rate: 1.000E-04 |\n"
)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePjm]:
    """A PJM whose commands are on PATH; jobs that still run are ended with the test."""
    one = FakePjm(tmp_path / "pjm")
    for name, value in one.environment().items():
        monkeypatch.setenv(name, value)
    yield one
    one.close()


def a_job(folder: Path, key: str = "k-a1", text: str = "echo hello; exit 3", **options: str) -> Job:
    """A folder with a job script in it, and its job, still without an id."""
    folder.mkdir(exist_ok=True)
    lines = "".join(f"#PJM {value}\n" for value in options.values())
    (folder / "job.sh").write_text(f"#!/bin/bash\n{lines}{text}\n")
    return Job(key, "", folder)


def submitted(scheduler: Pjm, job: Job) -> Job:
    """The job, submitted."""
    return Job(job.key, scheduler.submit(job.directory / "job.sh", job.key), job.directory)


def until(ready: Callable[[], Any], seconds: float = 20) -> Any:
    """Wait until something is true; gives it."""
    limit = time.monotonic() + seconds
    while not (value := ready()):
        assert time.monotonic() < limit, f"not so after {seconds:g} s"
        time.sleep(0.02)
    return value


def ended(scheduler: Pjm, job: Job) -> End:
    """Wait for a job's end."""
    return until(lambda: (sighting := scheduler.poll([job]).get(job.key)) and sighting.end)


def one(row: str, name: str = "k-a1") -> ListedJob:
    """The one job of a listing with one record."""
    return parse(f"{HEADER}{row}\n", {name})[name]


@pytest.mark.parametrize(
    ("row", "exit_code", "cause", "outcome"),
    [
        # ST, EC, PC, SN, REASON. The job was to do three iterations, and its log has one.
        ("EXT,0,0,0,-", 0, None, "crash"),
        ("EXT,1,0,0,-", 1, None, "crash"),
        ("EXT,0,0,9,-", 137, None, "crash"),
        ("EXT,137,0,-,-", 137, None, "crash"),
        ("EXT,0,11,24,ELAPSE LIMIT EXC", 152, "time_limit", "timeout"),
        ("EXT,152,11,0,ELAPSE LIMIT EXCEEDED", 152, "time_limit", "timeout"),
        ("EXT,0,12,0,LIMIT OVER MEMORY", None, "out_of_memory", "oom"),
        ("EXT,0,23,9,-", 137, "out_of_memory", "oom"),
        ("EXT,0,20,0,-", None, "node_failure", "node_failure"),
        ("EXT,1,20,0,-", 1, "node_failure", "node_failure"),
        *((f"EXT,0,{code},0,-", None, "node_failure", "node_failure") for code in (9, 22, 25, 28, 30, 100, 120, 140)),
        *((f"EXT,0,{code},0,INTERNAL ERROR", None, "node_failure", "node_failure") for code in (160, 180)),
        ("EXT,0,7,0,-", None, "preempted", "preempted"),
        ("EXT,0,18,15,ANOTHER JOB STARTED", 143, "preempted", "preempted"),
        ("CCL,-,18,-,DEADLINE SCHEDULE STARTED", None, "preempted", "preempted"),
        ("CCL,0,1,15,-", 143, "cancelled", "cancelled"),
        ("CCL,-,0,-,-", None, "cancelled", "cancelled"),
        ("CCL,-,8,-,GATE CHECK", None, "launch_failed", "launch_failed"),
        ("RJT,-,2,-,-", None, "launch_failed", "launch_failed"),
        ("RJT,-,1,-,-", None, "cancelled", "cancelled"),
        ("ERR,-,21,-,-", None, "launch_failed", "launch_failed"),
        ("ERR,0,26,0,-", None, "launch_failed", "launch_failed"),
        ("ERR,-,-,-,-", None, "launch_failed", "launch_failed"),
        *((f"CCL,-,{code},-,-", None, "launch_failed", "launch_failed") for code in (3, 6, 13, 16, 24, 27, 29)),
        ("EXT,0,77,0,-", None, None, "lost"),  # a code nobody has heard of says nothing
    ],
)
def test_ends(tmp_path: Path, row: str, exit_code: int | None, cause: str | None, outcome: str) -> None:
    """State, exit code, PJM code and signal together say how a job ended, and the outcome follows."""
    end = one(f",34704010,k-a1,{row}").end
    assert end is not None and (end.exit_code, end.cause) == (exit_code, cause)
    log = tmp_path / "k-a1.log"
    log.write_text(ITERATION.format(1))
    assert decide(end, read_log(log, FORMATS["megatron-deepspeed"]), 3).outcome == outcome


def test_a_run_that_did_its_work_is_ok(tmp_path: Path) -> None:
    """PJM code 0, exit code 0 and all iterations in the log."""
    end = one(",34704010,k-a1,EXT,0,0,0,-").end
    log = tmp_path / "k-a1.log"
    log.write_text("".join(ITERATION.format(number) for number in (1, 2, 3)))
    assert end is not None and decide(end, read_log(log, FORMATS["megatron-deepspeed"]), 3).outcome == "ok"


def test_the_words_kept_as_evidence() -> None:
    """State, PJM code and reason, in words a reader can look up."""
    assert one(",1,k-a1,EXT,0,11,24,ELAPSE LIMIT EXC").word == "EXT, PJM code 11, ELAPSE LIMIT EXC"
    assert one(",1,k-a1,EXT,0,0,0,-").word == "EXT"


@pytest.mark.parametrize(
    ("row", "state"),
    [
        ("ACC,-,-,-,-", "queued"),
        ("QUE,-,-,-,-", "queued"),
        ("QUE,-,-,-,WAIT SCHED", "queued"),
        ("QUE,-,-,-,RUNLIMIT EXCEED", "queued"),
        ("RNA,-,-,-,-", "queued"),
        ("QUE,-,-,-,INSUFF NODE", "held"),
        ("QUE,-,-,-,RSCGRP STOP", "held"),
        ("QUE,-,-,-,IMPOSSIBLE SCHED", "held"),
        ("HLD,-,4,-,user: later", "held"),
        *((f"{state},-,-,-,-", "running") for state in ("RNP", "RUN", "RNE", "RNO", "SPP", "SPD", "RSM", "NEW")),
    ],
)
def test_states(row: str, state: str) -> None:
    """A job in a state nobody has heard of is taken to run: only the four last ones are an end."""
    listed = one(f",1,k-a1,{row}")
    assert (listed.state, listed.end) == (state, None)


def test_real_records() -> None:
    """Two jobs of Fugaku, one over its time limit, in the two places where a site may put further columns."""
    text = (
        "[INFO] PJM 0281 pjstat Data loading...\n"
        ".....H,JOB_ID,JOB_NAME,MD,ST,EC,PC,SN,RSC_GRP,REASON\n"
        ",49047829,bench-qc-b,NM,EXT,0,0,0,small,-\n"
        ",49047939,bench-qc-c,NM,EXT,0,11,24,small,ELAPSE LIMIT EXC\n"
    )
    listed = parse(text, {"bench-qc-b", "bench-qc-c"})
    assert [(job.id, job.word) for job in listed.values()] == [
        ("49047829", "EXT"),
        ("49047939", "EXT, PJM code 11, ELAPSE LIMIT EXC"),
    ]
    text = "H,JOB_ID,ACCEPT,RSC_GRP,ST,JOB_NAME\n,34716160,10/11 10:21:35,small,QUE,k\n"
    assert parse(text, {"k"})["k"] == ListedJob("34716160", "k", "queued", "QUE", None)


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER},7,k,RUN,-,-,-,-\n",
        f"{HEADER}7,k,RUN,-,-,-,-\n",  # without the empty field in front
        f"{HEADER},7,k,RUN,-,-,-\n",  # without the last one
        "H,RSCUNIT,RSCGRP,,JOB_ID,JOB_NAME,MD,ST\n,unit1,group1,7,k,NM,RUN\n",  # a header without a value
        f"warn: something of the site's\n{HEADER}\n,6,other,RUN,-,-,-,-\n,7,k,RUN,-,-,-,-\nanother line\n",
        f"{HEADER},6,a,name,of,commas,RUN\n,7,k,RUN,-,-,-,-\n",
    ],
)
def test_records_a_field_more_or_less(text: str) -> None:
    """Columns are found by their headers."""
    assert {name: (job.id, job.state) for name, job in parse(text, {"k"}).items()} == {"k": ("7", "running")}


def test_commas_in_a_reason() -> None:
    """Nothing is quoted: the last column takes what is left."""
    assert one(",7,k-a1,HLD,-,4,-,user1: later, perhaps").word == "HLD, user1: later, perhaps"


def test_hostile_records() -> None:
    """A name must be ours to the last letter; escapes do not get through; what cannot be read is no answer."""
    rows = ",7,k-a11,RUN,-,-,-,-\n,8,K-a1,RUN,-,-,-,-\n,9,k-a1 x,RUN,-,-,-,-\n,10,,RUN,-,-,-,-\n"
    assert parse(HEADER + rows, {"k-a1"}) == {}
    assert parse("", {"k-a1"}) == parse(HEADER, {"k-a1"}) == {}
    assert one(",7,k-a1,HLD,-,-,-,\x1b[31mred\x1b[0m\x07\u202e").word == "HLD, red"
    assert one(f",7,k-a1,EXT,{'9' * 40},0,0,{'x' * 9000}").end == End(None, None, f"EXT, {'x' * 99}…")
    for bad in (",7;rm,k-a1,RUN,-,-,-,-\n", ",7,k-a1\n", ",k-a1\n"):
        with pytest.raises(ValueError, match="not a job"):
            parse(HEADER + bad, {"k-a1"})
    with pytest.raises(ValueError, match="without a header"):
        parse(",7,k-a1,RUN,-,-,-,-\n", {"k-a1"})


STATISTICS = """Job Statistical Information

 JOB ID                    : 1006904
 JOB NAME                  : k-a1
 STEP DEPENDENCY EXP       : ec : 0
 RETRY NUM                 : 1
 JOB START DATE            : 2026/06/01 15:03:44<
 JOB END DATE              : 2026/06/01 15:12:11
 ELAPSE TIME (USE)         : 00:08:27 (507)
 MEMORY SIZE (LIMIT)       : 29315.3 MiB (30739333120)
 MAX MEMORY SIZE (USE)     : 16622.8 MiB (17430216704)
 AVG POWER CONSUMPTION OF NODE (IDEAL) : 21394.424000
 ENERGY CONSUMPTION OF NODE (IDEAL) : 2900.000000
 AVG POWER CONSUMPTION OF NODE (MEASURED) : 24000.500000
 ENERGY CONSUMPTION OF NODE (MEASURED) : 3380.000000
 POWER CAPPING DATE        : 2026/06/01 15:05:00
 NODE NUM (REQUIRE)        : 192
 NODE NUM (ALLOC)          : 192:8x6x4
-----------------------------------------------------------------
Node Statistical Information

 MAX MEMORY SIZE (USE)     : 1.0 MiB (1048576)
 JOB END DATE              : 1999/01/01 00:00:00
"""


def test_statistics(tmp_path: Path) -> None:
    """Memory in bytes of the fullest node, energy as measured (3380 Wh are 12168000 J); no node's own part."""
    path = tmp_path / "k.stats"
    path.write_text(STATISTICS)
    read = read_statistics(path)
    assert read is not None
    assert read.usage == Usage("192:8x6x4", 17430216704, "node", 12168000.0, 24000.5, "2026/06/01 15:05:00", 1)
    assert read.started == time.mktime((2026, 6, 1, 15, 3, 44, 0, 0, -1))
    assert read.ended is not None and read.ended - read.started == 507
    path.write_text("".join(line for line in STATISTICS.splitlines(True) if "MEASURED" not in line))
    read = read_statistics(path)
    assert read is not None and (read.usage.energy_joules, read.usage.power_watts) == (2900 * 3600, 21394.424)


def test_statistics_that_say_nothing(tmp_path: Path) -> None:
    """Dashes, nonsense and binary are no figures; a file half written is not there yet."""
    path = tmp_path / "k.stats"
    assert read_statistics(path) is None
    path.write_text(STATISTICS[:300])
    assert read_statistics(path) is None
    path.write_bytes(b"\xff\x00" * 10000)
    assert read_statistics(path) is None
    path.write_text(re.sub(r"(?<= : ).*", "-", STATISTICS))
    read = read_statistics(path)
    assert read is not None and (read.usage, read.started, read.ended) == (Usage(), None, None)
    path.write_text(
        "Job Statistical Information\n JOB END DATE : 2026/13/99 99:99:99\n RETRY NUM : 1e9\n"
        f" MAX MEMORY SIZE (USE) : ({'9' * 500})\n ENERGY CONSUMPTION OF NODE (MEASURED) : nan\n{'x' * 10**6}\n : : :\n"
        " POWER CAPPING DATE : \x1b[31m2026\x07\n"
    )
    read = read_statistics(path)
    assert read is not None and (read.usage, read.ended) == (Usage(power_capped="2026"), None)


def test_the_output_of_all_ranks_comes_together(tmp_path: Path) -> None:
    """The last rank first, then by number and not by name, then the script; what else lies there is left alone."""
    folder = tmp_path / "k-a1.ranks"
    for rank, text in ((0, "zero"), (2, "two\n"), (10, "ten\n"), (1000, "thousand")):
        path = folder / str(rank // 1000) / f"std.1.{rank}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "0" / "stderr.1.2").write_text("complaint of two\n")
    for name in ("std.1.x", "std.1", "notes", "std.1.3.swp"):
        (folder / "0" / name).write_text("not of a rank")
    (folder / "0" / "std.1.4").mkdir()
    (tmp_path / "k-a1.out").write_text("script\n")
    expected = (
        "nodesweep: rank 1000, stdout and stderr\nthousand\n"
        "nodesweep: rank 0, stdout and stderr\nzero\n"
        "nodesweep: rank 2, stdout and stderr\ntwo\n"
        "nodesweep: rank 2, stderr\ncomplaint of two\n"
        "nodesweep: rank 10, stdout and stderr\nten\n"
        "nodesweep: the job script\nscript\n"
    )
    for _ in range(2):  # again after a crash of the launcher: the same
        gather(tmp_path, "k-a1")
        assert (tmp_path / "k-a1.log").read_text() == expected
    assert [path.name for path in rank_files(tmp_path, "k-a1")][:2] == ["std.1.1000", "std.1.0"]
    assert not list(tmp_path.glob(".k-a1*"))


def test_no_output_makes_no_log(tmp_path: Path) -> None:
    """A job that never ran leaves no log; one without ranks has the script's output alone."""
    gather(tmp_path, "k-a1")
    assert not list(tmp_path.iterdir())
    (tmp_path / "k-a1.out").write_bytes(b"\xffscript, cut")
    gather(tmp_path, "k-a1")
    assert (tmp_path / "k-a1.log").read_bytes() == b"\xffscript, cut\n"


def test_the_cause_is_found_whichever_rank_wrote_it(tmp_path: Path) -> None:
    """An out-of-memory on rank 1 is not taken for survived because the records of rank 3 stand in another file."""
    (tmp_path / "k.ranks" / "0").mkdir(parents=True)
    texts = ["started\n", "std::bad_alloc\n", "", "".join(ITERATION.format(number) for number in (1, 2))]
    for rank, text in enumerate(texts):
        (tmp_path / "k.ranks" / "0" / f"std.1.{rank}").write_text(text)
    gather(tmp_path, "k")
    reading = read_log(tmp_path / "k.log", FORMATS["megatron-deepspeed"])
    verdict = decide(End(1), reading, 3)
    assert (verdict.outcome, verdict.where) == ("oom", "after iteration 2")


def test_a_job_runs_to_its_end(tmp_path: Path, fake: FakePjm) -> None:
    """Submitted under its key from its own folder; exit code, output and statistics come back."""
    scheduler = Pjm()
    job = submitted(scheduler, a_job(tmp_path / "with space", s="-s"))
    end = ended(scheduler, job)
    assert (end.exit_code, end.cause, end.state) == (3, None, "EXT")
    assert fake.calls("pjsub") == [["pjsub", "-N", "k-a1", "-o", "k-a1.out", "--spath", "k-a1.stats", "job.sh"]]
    scheduler.collect(job)
    assert (job.directory / "k-a1.log").read_text() == "hello\n"
    assert scheduler.outputs(job) == [job.directory / "k-a1.out"]
    assert scheduler.poll([Job("k-a1", "", job.directory)])["k-a1"].id == job.id  # by name alone


def test_late_statistics_are_waited_for(tmp_path: Path, fake: FakePjm, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end is held back until they are there, and not for ever; what never started has none."""
    fake.set(stats_seconds=0.4)
    scheduler = Pjm()
    job = submitted(scheduler, a_job(tmp_path / "one", text=": >$PJM_JOBNAME.started", s="-s"))
    until(lambda: fake.jobs()[0]["st"] == "EXT")
    assert scheduler.poll([job])["k-a1"] == Sighting(job.id, "running", "waiting for its statistics")
    end = ended(scheduler, job)
    assert (end.usage.memory_bytes, end.usage.energy_joules, end.usage.power_watts) == (100000000, 54.0, 25.0)
    monkeypatch.setattr(pjm, "STATISTICS_SECONDS", 0)
    fake.set(ends={"*": {"statistics": None}})
    job = submitted(scheduler, a_job(tmp_path / "two", text=": >$PJM_JOBNAME.started", s="-s"))
    assert ended(scheduler, job).usage == Usage()


def test_a_restart_is_no_measurement(tmp_path: Path, fake: FakePjm) -> None:
    """A job that PJM started again counts as a failed node, which is what made PJM do so."""
    fake.set(ends={"*": {"statistics": {"RETRY NUM": "1"}}})
    scheduler = Pjm()
    end = ended(scheduler, submitted(scheduler, a_job(tmp_path / "one", text="exit 75", s="-s")))
    assert (end.cause, end.state, end.usage.restarts) == ("node_failure", "EXT after a restart", 1)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("[ERR.] PJM 0058 pjsub rscgrp=foo does not exist.", SchedulerError),
        ("[ERR.] PJM 0057 pjsub elapse=18000 is greater than the upper limit (14400).", SchedulerError),
        ("[ERR] PJM 0071 pjsub Group not authorized to submit a job: group(59999).", SchedulerError),
        ("[WARN] PJM 0029 pjsub The option is ignored.\n[ERR.] PJM 0001 pjsub Unknown option.", SchedulerError),
        ("[ERR.] PJM 0079 pjsub Computing resources shortage occurred.[group].", SchedulerError),
        ("The current directory is not a data area. (directory: /home/x)", SchedulerError),
        ("so set PJM_LLIO_GFSCACHE to vol0003.", SchedulerError),
        ("[ERR.] PJM 0072 pjsub Job exceeded the accept limit: ru-accept.", Throttled),
        ("[ERR.] PJM 0090 pjsub PJM daemon is not present.", SubmissionUnclear),
        ("[ERR.] PJM 0091 pjsub Internal error: x.", SubmissionUnclear),
        ("[ERR.] PJM 0068 pjsub System configuration has been changed.", SubmissionUnclear),
        ("[ERR.] PJM 0058 pjsub x\n[ERR.] PJM 0091 pjsub Internal error: x.", SubmissionUnclear),
        ("[ERR.] PJM 0999 pjsub Something new.", SubmissionUnclear),
        ("segmentation fault", SubmissionUnclear),
        ("", SubmissionUnclear),
    ],
)
def test_what_pjsub_refuses(tmp_path: Path, fake: FakePjm, message: str, error: type[Exception]) -> None:
    """Only what is known to be a refusal is one; whatever else goes wrong may have made a job."""
    fake.fail("pjsub", {"rc": 1, "stderr": f"{message}\n"})
    with pytest.raises(error) as caught:
        submitted(Pjm(), a_job(tmp_path / "one"))
    assert type(caught.value) is error
    assert message.splitlines()[-1:] == [] or message.splitlines()[-1] in str(caught.value)


def test_the_id_is_found_among_a_sites_own_words(tmp_path: Path, fake: FakePjm) -> None:
    """A wrapper may talk before pjsub does."""
    fake.set(notice="warn: specification of core retention is invalid because job size is too large.")
    assert submitted(Pjm(), a_job(tmp_path / "one")).id == fake.jobs()[0]["id"]


def test_too_many_jobs_is_for_later(tmp_path: Path, fake: FakePjm) -> None:
    """Over the accept limit nothing is submitted, and nothing unclear is left."""
    fake.set(accept_limit=0)
    with pytest.raises(Throttled, match="accept limit: ru-accept"):
        submitted(Pjm(), a_job(tmp_path / "one"))
    assert fake.jobs() == []


def test_a_pjsub_that_does_not_answer(tmp_path: Path, fake: FakePjm, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time nobody knows whether there is a job; its name tells."""
    monkeypatch.setattr(commands, "COMMAND_SECONDS", 0.5)
    fake.set(queue_seconds=60)
    fake.fail("pjsub", {"done": True, "sleep": 20})
    job = a_job(tmp_path / "one")
    with pytest.raises(SubmissionUnclear, match="no answer within"):
        submitted(Pjm(), job)
    assert Pjm().poll([job])["k-a1"].state == "queued"


def test_one_status_command_for_all_jobs(tmp_path: Path, fake: FakePjm) -> None:
    """Five jobs cost one pjstat while they are listed, one more when some are not, and a third for names alone."""
    fake.set(queue_seconds=60, loading=True)
    scheduler = Pjm()
    jobs = [submitted(scheduler, a_job(tmp_path / f"{number}", f"k{number}-a1")) for number in range(5)]
    assert {sighting.state for sighting in scheduler.poll(jobs).values()} == {"queued"}
    assert len(fake.calls("pjstat")) == 1
    scheduler.cancel(jobs[:2])
    until(lambda: fake.jobs("k1-a1")[0]["ended"])
    seen = scheduler.poll(jobs)
    assert [seen[job.key].state for job in jobs] == ["ended", "ended", "queued", "queued", "queued"]
    assert len(fake.calls("pjstat")) == 3
    unknown = [Job(f"u{number}-a1", "", tmp_path) for number in range(3)]
    assert set(scheduler.poll([*jobs, *unknown])) == {job.key for job in jobs}
    assert len(fake.calls("pjstat")) == 6
    assert fake.calls("pjstat")[-1][-2:] == ["--filter", "jnam=u0-a1+u1-a1+u2-a1"]


def test_the_history_is_asked_for_a_hundred_at_a_time(tmp_path: Path, fake: FakePjm) -> None:
    """250 jobs that are no longer listed cost three calls."""
    jobs = [Job(f"k{number}-a1", str(number), tmp_path) for number in range(250)]
    assert Pjm().poll(jobs) == {}
    assert [len(words) - 6 for words in fake.calls("pjstat")] == [-3, 100, 100, 50]


@pytest.mark.parametrize("header", [True, False])
def test_in_neither_listing_is_left_out(tmp_path: Path, fake: FakePjm, header: bool) -> None:
    """A job between the two listings has no sighting: the runner's patience decides."""
    fake.set(listing_seconds=60, header=header)
    scheduler = Pjm()
    job = submitted(scheduler, a_job(tmp_path / "one", text="sleep 60"))
    assert scheduler.poll([job]) == {}
    fake.set(listing_seconds=0)
    assert scheduler.poll([job])["k-a1"].id == job.id


@pytest.mark.parametrize(
    "fault",
    [
        NO_DAEMON["pjstat"],
        {"rc": 1},
        {"rc": 0, "stderr": "[ERR.] PJM 0291 pjstat Internal error: x.\n"},
        {"rc": 0, "stdout": ",1,k-a1,RUN,-,-,-,-\n"},
    ],
    ids=["0290", "no word", "0291 with exit code 0", "no header"],
)
def test_no_answer_is_no_news(tmp_path: Path, fake: FakePjm, fault: dict[str, Any]) -> None:
    """Neither listing may be missing: a pjstat that fails, whichever of the two, tells nothing of any job."""
    job = Job("k-a1", "1", tmp_path)
    fake.fail("pjstat", fault)
    with pytest.raises(SchedulerAway, match="pjstat: "):
        Pjm().poll([job])
    fake.fail("pjstat", {"rc": 0}, fault)
    with pytest.raises(SchedulerAway, match="pjstat: "):
        Pjm().poll([job])


def test_cancel(tmp_path: Path, fake: FakePjm) -> None:
    """One pjdel for all, also for those known by name alone; what has ended or is unknown is no error."""
    scheduler = Pjm()
    jobs = [submitted(scheduler, a_job(tmp_path / f"{number}", f"k{number}-a1", "sleep 60")) for number in range(2)]
    until(lambda: [job["st"] for job in fake.jobs()] == ["RUN", "RUN"])
    scheduler.cancel([jobs[0], Job(jobs[1].key, "", jobs[1].directory), Job("x", "99", tmp_path)])
    assert fake.calls("pjdel") == [["pjdel", jobs[0].id, jobs[1].id, "99"]]
    assert [ended(scheduler, job).cause for job in jobs] == ["cancelled", "cancelled"]
    scheduler.cancel(jobs)
    fake.fail("pjdel", NO_DAEMON["pjdel"])
    with pytest.raises(SchedulerAway, match="pjdel: "):
        scheduler.cancel(jobs)


def test_a_job_in_error_is_an_end_and_is_deleted_once(tmp_path: Path, fake: FakePjm) -> None:
    """A job in state ERR would stay listed for ever; a pjdel that fails is not tried again with every look."""
    fake.set(ends={"*": {"st": "ERR", "pc": 21, "runs": False}})
    fake.fail("pjdel", NO_DAEMON["pjdel"])
    scheduler = Pjm()
    job = submitted(scheduler, a_job(tmp_path / "one"))
    end = ended(scheduler, job)
    assert (end.cause, end.state) == ("launch_failed", "ERR, PJM code 21")
    scheduler.poll([job])
    assert fake.calls("pjdel") == [["pjdel", job.id]]
    Pjm().poll([job])
    until(lambda: fake.jobs()[0]["st"] == "CCL")


def test_a_job_that_waits_for_ever_says_so(tmp_path: Path, fake: FakePjm) -> None:
    """Held, with PJM's own reason."""
    fake.set(waits={"k-*": ["QUE", "RSCGRP STOP"]})
    scheduler = Pjm()
    job = submitted(scheduler, a_job(tmp_path / "one"))
    until(lambda: fake.jobs()[0]["reason"] != "-")
    assert scheduler.poll([job])["k-a1"] == Sighting(job.id, "held", "QUE, RSCGRP STOP")


def a_study(folder: Path, **machine: Any) -> Study:
    """A sweep of one layout of three ranks, of which the last one trains, with its script written."""
    trainer = folder / "rank.sh"
    trainer.write_text('#!/bin/bash\n[[ $PMIX_RANK == 2 ]] || { echo "rank $PMIX_RANK"; exit; }\nexec "$@"\n')
    sweep = toy(layouts=[{"nodes": 3, "global_batch": 48, "sequence_length": 128}])
    sweep["machine"] |= {
        "scheduler": "pjm",
        "launcher": ["mpiexec", "-n", "{{ ranks }}", "-std-proc", "{{ directory }}/${NODESWEEP_KEY}.ranks/%/1000r/std"],
        **machine,
    }
    sweep["workload"]["command"] = ["bash", str(trainer), *sweep["workload"]["command"]]
    study = Study.load([write(folder / "sweep.yaml", sweep)], results=folder / "results")
    for slug, layout in study.layouts.items():
        study.directory(slug).mkdir(parents=True)
        study.script(slug).write_text(render(layout, "toy", study.folder))
    return study


def run_all(study: Study, lines: list[str]) -> list[Finished]:
    """What a launcher makes of the study."""
    runner = Runner(study, Pjm(), Policy(poll_seconds=0.1), lines.append)
    runner.recover()
    runner.add(list(study.layouts))
    done: list[Finished] = []

    def drained() -> bool:
        done.extend(runner.step())
        return len(done) == len(study.layouts)

    until(drained)
    return done


@pytest.mark.parametrize("fault", [LOST_RESPONSE, None], ids=["lost response", "all well"])
def test_a_layout_runs_once(tmp_path: Path, fake: FakePjm, fault: dict[str, Any] | None) -> None:
    """A job whose submission seemed to fail is found by its name and taken over: one job, one start, one record."""
    study, lines = a_study(tmp_path), []
    fake.set(queue_seconds=0.3)
    if fault:
        fake.fail("pjsub", fault)
    record = run_all(study, lines)[0].record
    assert (record.outcome, record.job_id) == ("ok", fake.jobs()[0]["id"]), lines
    assert (len(fake.jobs()), len(fake.calls("pjsub"))) == (1, 1)
    assert (record.usage.memory_bytes, record.usage.memory_of) == (100000000, "node")
    log = next(tmp_path.glob("results/toy/layouts/*/*.log")).read_text()
    heads = [line for line in log.splitlines() if line.startswith(("nodesweep: rank", "nodesweep: the job", "rank"))]
    assert heads == [
        "nodesweep: rank 2, stdout and stderr",
        *("nodesweep: rank 0, stdout and stderr", "rank 0", "nodesweep: rank 1, stdout and stderr", "rank 1"),
        "nodesweep: the job script",
    ]
    assert not list(tmp_path.glob("results/toy/layouts/*/output.*"))


def test_over_the_time_limit(tmp_path: Path, fake: FakePjm) -> None:
    """SIGXCPU reaches the script, which marks the cause, and PJM's word makes it a time-out."""
    study, lines = a_study(tmp_path, elapse_limit_seconds=1), []
    for path in tmp_path.glob("results/toy/layouts/*/job.sh"):
        path.write_text(path.read_text().replace("        0.05", "        60"))
    record = run_all(study, lines)[0].record
    assert (record.outcome, record.exit_code) == ("timeout", 152), lines
    assert record.scheduler_state == "EXT, PJM code 11, ELAPSE LIMIT EXC"
    marker = json.loads(next(tmp_path.glob("results/toy/layouts/*/*.exit")).read_text())
    assert (marker["cause"], marker["exit_code"]) == ("time_limit", 152)


def test_by_hand(tmp_path: Path, fake: FakePjm) -> None:
    """`pjsub job.sh` makes a run of its own name, with a log of its own."""
    study = a_study(tmp_path)
    folder = next(tmp_path.glob("results/toy/layouts/*"))
    reply = commands.run_command(["pjsub", "job.sh"], directory=folder)
    assert reply.code == 0, reply
    until(lambda: fake.jobs()[0]["ended"])
    log = next(folder.glob("*-byhand-*.log"))
    assert "the launch ended with exit code 0" in log.read_text()
    name = fake.jobs()[0]["name"]
    assert (folder / f"{name}.{fake.jobs()[0]['id']}.out").read_text().startswith("output goes to ")
    assert len(study.layouts) == 1


def test_statistics_of_the_fake_have_the_form_that_is_read(tmp_path: Path) -> None:
    """The fake and the sample above agree on how an item is written."""
    job = {"id": "1", "name": "k", "st": "EXT", "ec": 0, "sn": 0, "pc": 0, "reason": "-", "ended": 0.0}
    (tmp_path / "k.stats").write_text(statistics({**job, "options": {"-L": {"node": "2x3x8"}}}, {}))
    read = read_statistics(tmp_path / "k.stats")
    assert read is not None and (read.usage.nodes, read.started) == ("48", None)
