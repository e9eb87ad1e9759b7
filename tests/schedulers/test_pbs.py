"""PBS: what its commands say is read as meant, on a fake that really runs the jobs."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.pbs import FakePbs
from job_scripts import noted, script
from sweeps import REPOSITORY, toy

from nodesweep.common.errors import ConfigError, SchedulerAway, SchedulerError, SubmissionUnclear, Throttled
from nodesweep.logs.reader import read_log
from nodesweep.logs.trainers import FORMATS
from nodesweep.results.outcome import decide
from nodesweep.schedulers import SCHEDULERS
from nodesweep.schedulers import batch as commands
from nodesweep.schedulers.base import End, Job, Sighting
from nodesweep.schedulers.job_script import key_of
from nodesweep.schedulers.markers import has_started
from nodesweep.schedulers.pbs import Pbs

NOON = "Fri Nov 11 12:00:00 2016"
ONE = "Fri Nov 11 13:00:00 2016"
JSON = """{
    "timestamp": 1479277336, "pbs_version": "19.1.3", "pbs_server": "srv",
    "Jobs": {
        "7.srv": {
            "Job_Name": "k-a1", "job_state": "F", "queue": "workq", "Exit_status": 0, "run_count": 1,
            "exec_host": "n1/0*48+n1/1*48+n2/0*48", "comment": "Job run at Fri | on (n1) and finished",
            "resources_used": {"cput": "00:10:00", "mem": "2048kb", "walltime": "01:00:00"},
            "Resource_List": {"select": "2:ncpus=48", "walltime": "02:00:00"},
            "stime": "Fri Nov 11 12:00:00 2016", "mtime": "Fri Nov 11 13:00:00 2016"
        },
        "8.srv": {"Job_Name": "k-a2", "job_state": "H", "comment": "held at request of admin"}
    }
}"""
DSV = r"""
Job Id: 7.srv|Job_Name=k-a1|resources_used.cput=00:10:00|resources_used.mem=2048kb|job_state=F|Exit_status=0|
run_count=1|exec_host=n1/0*48+n1/1*48+n2/0*48|stime=Fri Nov 11 12:00:00 2016|mtime=Fri Nov 11 13:00:00 2016|
comment=Job run at Fri \| on (n1) and finished
Job Id: 8.srv|Job_Name = k-a2|job_state = H|comment = held at request of admin
""".replace("|\n", "|")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PBS starts jobs in the home folder, which is not where they belong."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Sighting]]:
    """What `Pbs` makes of a job whose qstat answers with these attributes or this text; the job has a log."""

    def poll(text: str = "", code: int = 0, complaint: str = "", **attributes: Any) -> dict[str, Sighting]:
        text = text or json.dumps({"Jobs": {"7.srv": {"Job_Name": "k-a1", "job_state": "F", **attributes}}})
        (tmp_path / "k-a1.log").touch()
        monkeypatch.setattr(
            "nodesweep.schedulers.pbs.run_command", lambda *words: commands.Reply("qstat", code, text, complaint)
        )
        return Pbs().poll([Job("k-a1", "7.srv", tmp_path), Job("k-a2", "8.srv", tmp_path)])

    return poll


def quick(folder: Path, seconds: float = 0.01, **machine: Any) -> Path:
    """The job script of a toy run of three iterations, each of so many seconds."""
    queues = [{"name": "debug", "elapse_limit_seconds": 3600}]
    return script(folder, toy(seconds, machine={"name": "cluster", "scheduler": "pbs", "queues": queues, **machine}))


def key(path: Path, attempt: int = 1) -> str:
    """The key of a submission of a script."""
    return f"{key_of(path.parents[2], path.parent.name)}-a{attempt}"


def submitted(path: Path, attempt: int = 1) -> Job:
    """A job of a script, submitted."""
    return Job(key(path, attempt), Pbs().submit(path, noted(path, f"a{attempt}")), path.parent)


def sighted(scheduler: Pbs, job: Job, state: str = "ended", seconds: float = 20) -> Sighting:
    """Poll until a job is in a state."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        sighting = scheduler.poll([job]).get(job.key)
        if sighting is not None and sighting.state == state:
            return sighting
        time.sleep(0.05)
    raise AssertionError(f"{job} is not {state}")


def ended(scheduler: Pbs, job: Job) -> End:
    """Poll until a job has ended."""
    end = sighted(scheduler, job).end
    assert end is not None
    return end


def outcome(end: End, log: str, tmp_path: Path) -> str:
    """The outcome of a run of three iterations that ended so."""
    (tmp_path / "read.log").write_text(log)
    return decide(end, read_log(tmp_path / "read.log", FORMATS["megatron-deepspeed"]), 3).outcome


def marker(directory: Path, exit_code: int, cause: str | None = None, returned: float | None = None) -> None:
    """Leave the exit marker of k-a1."""
    end = {"exit_code": exit_code, "cause": cause, "returned": returned, "started": 10.5, "ended": 20.5}
    (directory / "k-a1.exit").write_text(json.dumps(end) + "\n")


@pytest.mark.parametrize(
    ("attributes", "exit_code", "wanted"),
    [
        ({"Exit_status": 0}, 0, "crash"),  # its log holds no iterations
        ({"Exit_status": 1}, 1, "crash"),
        ({"Exit_status": 127}, 127, "launch_failed"),
        ({"Exit_status": 265}, 137, "crash"),  # SIGKILL
        ({"Exit_status": 267}, 139, "crash"),  # SIGSEGV
        ({"Exit_status": 271}, 143, "crash"),  # SIGTERM by nobody knows whom
        ({"Exit_status": 271, "comment": "Job run at Fri and terminated"}, 143, "cancelled"),
        ({"Exit_status": 143, "comment": "Job run at Fri and terminated by op@n1"}, 143, "cancelled"),
        ({"Exit_status": 271, "comment": "Job run at Fri and exceeded resource walltime"}, 143, "timeout"),
        ({"Exit_status": 265, "comment": "Cgroup memory limit exceeded: Killed"}, 137, "oom"),
        ({"Exit_status": -29}, None, "timeout"),
        ({"Exit_status": -27}, None, "oom"),
        ({"Exit_status": -26}, None, "oom"),
        ({"Exit_status": -20}, None, "node_failure"),
        ({"Exit_status": -14}, None, "node_failure"),
        ({"Exit_status": -11}, None, "node_failure"),
        ({"Exit_status": -3}, None, "node_failure"),
        ({"Exit_status": -1}, None, "launch_failed"),
        ({"Exit_status": -10}, None, "launch_failed"),
        ({"Exit_status": -13}, None, "launch_failed"),
        ({"Exit_status": -21}, None, "launch_failed"),
        ({"Exit_status": -23}, None, "launch_failed"),
        ({"Exit_status": -19}, None, "cancelled"),
        ({"Exit_status": -99}, None, "lost"),
        ({"Exit_status": 75, "run_count": 2}, 75, "preempted"),
        ({"Exit_status": 1, "run_count": 2}, 1, "crash"),  # its first start failed before the script ran
        ({"comment": "Job deleted, execution node n1 down"}, None, "node_failure"),
        ({}, None, "lost"),
    ],
)
def test_ends_and_their_outcomes(
    attributes: dict[str, Any], exit_code: int | None, wanted: str, told: Any, tmp_path: Path
) -> None:
    """Exit_status and comment of a job that has run, as exit code and outcome."""
    sighting = told(stime=NOON, **attributes)["k-a1"]
    assert sighting.state == "ended" and sighting.end.exit_code == exit_code
    assert outcome(sighting.end, "", tmp_path) == wanted


def test_a_job_deleted_before_its_start_is_cancelled(told: Any) -> None:
    """A job that never started has neither Exit_status nor a time of its start."""
    end = told(comment="Not Running: Insufficient amount of resource: ncpus")["k-a1"].end
    assert (end.exit_code, end.cause, end.usage.restarts) == (None, "cancelled", 0)


def test_the_jobs_own_marker_tells_what_a_signal_meant(told: Any, tmp_path: Path) -> None:
    """Exit_status 271 is a time limit where the script noted one, and qdel where it only got the signal."""
    marker(tmp_path, 143, cause="time_limit")
    assert told(Exit_status=271, stime=NOON, comment="Job run at Fri and terminated")["k-a1"].end.cause == "time_limit"
    marker(tmp_path, 143)
    end = told(Exit_status=271, stime=NOON, mtime=ONE)["k-a1"].end
    assert (end.cause, end.started, end.ended) == ("cancelled", 10.5, 20.5)
    marker(tmp_path, 139, returned=20.0)
    assert told(stime=NOON)["k-a1"].end == replace(end, exit_code=139, cause=None, state="F, no Exit_status")


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("=>> PBS: job killed: walltime 3622 exceeded limit 3600", "timeout"),
        ("=>> PBS: job killed: vmem 17205012kb exceeded limit 16777216kb", "oom"),
        ("Cgroup memsw limit exceeded: Killed process 77", "oom"),
    ],
)
def test_the_log_tells_why_pbs_killed_a_job(line: str, wanted: str, told: Any, tmp_path: Path) -> None:
    """Where the server only knows of the signal, PBS's own line in the log decides."""
    assert outcome(told(Exit_status=271, stime=NOON)["k-a1"].end, f"{line}\n", tmp_path) == wanted


@pytest.mark.parametrize("text", [JSON, DSV])
def test_listings(text: str, told: Any) -> None:
    """JSON and the form with bars give the same: times, memory in bytes, nodes once each, the comment."""
    seen = told(text)
    end = seen["k-a1"].end
    assert (end.exit_code, end.cause) == (0, None)
    assert end.state == "F, Job run at Fri | on (n1) and finished, Exit_status 0"
    assert end.started == time.mktime(time.strptime(NOON)) and end.ended == end.started + 3600
    assert (end.usage.memory_bytes, end.usage.memory_of) == (2048 * 1024, "job")
    assert (end.usage.nodes, end.usage.restarts) == ("n1,n2", 0)
    assert seen["k-a2"] == Sighting("8.srv", "held", "H, held at request of admin")


@pytest.mark.parametrize(
    ("attributes", "state"),
    [
        *[({"job_state": letter}, "queued") for letter in "QWTM"],
        *[({"job_state": letter}, "running") for letter in "RESUB"],
        ({"job_state": ""}, "running"),
        ({"job_state": "H"}, "held"),
        ({"job_state": "Q", "comment": "Not Running: Not enough free nodes available"}, "queued"),
        ({"job_state": "Q", "comment": "Can Never Run: Not enough total nodes available"}, "held"),
    ],
)
def test_states(attributes: dict[str, str], state: str, told: Any) -> None:
    """The letters of qstat, and a queued job of which the scheduler says that it can never run."""
    assert told(**attributes)["k-a1"].state == state


def test_a_moved_job_ends_by_its_marker(told: Any, tmp_path: Path) -> None:
    """The server that moved a job to another one does not learn its end; the job itself does."""
    marker(tmp_path, 3, returned=20.0)
    assert told(job_state="M")["k-a1"].end.exit_code == 3


def test_a_job_of_another_name_is_not_taken_for_it(told: Any) -> None:
    """An id that a server has given twice is not enough."""
    assert told(Job_Name="k-a3") == {}


@pytest.mark.parametrize(
    ("code", "text", "complaint"),
    [
        (153, "", "qstat: Unknown Job Id 7.srv"),
        (35, '{"timestamp": 1}', "qstat: 7.srv Job has finished, use -x or -H to obtain historical job information"),
        (0, '{"timestamp": 1}', ""),
    ],
)
def test_all_jobs_unknown_is_an_answer(code: int, text: str, complaint: str, told: Any) -> None:
    """Then they are missing, whatever that means; the server has answered."""
    assert told(text or "\n", code, complaint) == {}


@pytest.mark.parametrize(
    ("code", "text", "complaint"),
    [
        (None, "", ""),
        (111, "", "qstat: cannot connect to server srv (errno=111)"),
        (153, JSON, "qstat: End of File"),
        (0, "\n", ""),
        (0, '{"Jobs": {"7.srv": {"Job_Name": "k-a1", "job_s', ""),
    ],
)
def test_no_answer_is_no_news(code: int | None, text: str, complaint: str, told: Any) -> None:
    """No server, no reply in time, an error of another kind, or text that cannot be read."""
    with pytest.raises(SchedulerAway):
        told(text, code, complaint)


@pytest.mark.parametrize("letters", ["", " two  words", "'\"\\ %j #x", ";$(touch pwned)", "…é"])
def test_a_job_runs_in_any_folder(letters: str, pbs: FakePbs, tmp_path: Path) -> None:
    """From submission to end, with the output in <key>.log, whatever the folder is called."""
    folder = tmp_path / f"results{letters}"
    folder.mkdir()
    job = submitted(quick(folder))
    end = ended(Pbs(), job)
    assert (end.exit_code, end.cause, end.usage.nodes) == (0, None, "fake01,fake02")
    assert end.state.startswith("F, Job run at ") and end.state.endswith("and finished, Exit_status 0")
    assert "[after training is done]" in (job.directory / f"{job.key}.log").read_text()
    assert not list(tmp_path.rglob("pwned"))


def test_one_status_command_a_look(pbs: FakePbs, tmp_path: Path) -> None:
    """Three jobs are asked for at once; one without an id costs one qselect more."""
    path = quick(tmp_path)
    jobs = [submitted(path, number) for number in (1, 2, 3)]
    scheduler = Pbs()
    assert set(scheduler.poll([*jobs[:2], replace(jobs[2], id="")])) == {job.key for job in jobs}
    assert pbs.calls("qstat") == [["-x", "-f", "-F", "json", "1.fakepbs", "2.fakepbs", "3.fakepbs"]]
    assert pbs.calls("qselect") == [["-x", "-N", jobs[2].key]]
    assert scheduler.poll([]) == {} and len(pbs.calls("qstat")) == 1


def test_a_lost_response_makes_one_job_that_is_found(
    pbs: FakePbs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether qsub fails or hangs, its job may be there: it is found by its name."""
    path = quick(tmp_path)
    monkeypatch.setattr(commands, "COMMAND_SECONDS", 2.0)
    for number, how in enumerate(("fail", "sleep"), start=1):
        pbs.set("lost_response", how)
        with pytest.raises(SubmissionUnclear):
            submitted(path, number)
        assert sighted(Pbs(), Job(key(path, number), "", path.parent)).id == f"{number}.fakepbs"
    assert len(pbs.jobs()) == 2


def test_what_qsub_says_decides(pbs: FakePbs, tmp_path: Path) -> None:
    """Limits of the queue are for now, an unknown queue for ever, and no connection proves nothing."""
    path = quick(tmp_path)
    pbs.set("full", 0)
    with pytest.raises(Throttled, match="per-user limit"):
        submitted(path)
    pbs.clear("full")
    pbs.set("refused", "qsub")
    with pytest.raises(SubmissionUnclear, match="Connection refused"):
        submitted(path)
    pbs.clear("refused")
    path.write_text(path.read_text().replace("#PBS -r n", "#PBS -q nowhere"))
    with pytest.raises(SchedulerError, match="refused: qsub: Unknown queue"):
        submitted(path)
    assert pbs.jobs() == []


def test_text_of_a_hook_is_not_taken_for_the_id(pbs: FakePbs, tmp_path: Path) -> None:
    """The last line that looks like an id is it."""
    pbs.set("says", "Welcome to 3.14 of\n99 nodes: project 12.5% used\n")
    assert submitted(quick(tmp_path)).id == "1.fakepbs"


def test_an_outer_jobs_environment_does_not_reach_qsub(
    pbs: FakePbs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A launcher inside a job, or with defaults of its own, submits as any other; which server it asks stays."""
    for name in ("PBS_JOBNAME", "PBS_DPREFIX", "PBS_SHELL", "PBS_DEFAULT", "PBS_CONF_FILE"):
        monkeypatch.setenv(name, "x")
    assert {name for name in Pbs()._environment if name.startswith("PBS_")} == {"PBS_DEFAULT", "PBS_CONF_FILE"}


def test_invalid_json_is_asked_for_in_another_form(pbs: FakePbs, tmp_path: Path) -> None:
    """A server whose JSON nobody can read costs one more command, not the job."""
    job = submitted(quick(tmp_path))
    pbs.set("invalid_json")
    assert ended(Pbs(), job).exit_code == 0
    assert [words[3] for words in pbs.calls("qstat")][-2:] == ["json", "dsv"]


def test_a_server_without_history(pbs: FakePbs, tmp_path: Path) -> None:
    """A job is seen while it is there, and then missing, which its marker explains."""
    pbs.set("no_history")
    job = submitted(quick(tmp_path, 0.3))
    scheduler = Pbs()
    assert sighted(scheduler, replace(job, id=""), "running").id == job.id
    while scheduler.poll([job]):
        time.sleep(0.05)
    assert scheduler.poll([replace(job, id="")]) == {}
    asked = [*pbs.calls("qselect"), *pbs.calls("qstat")]
    assert [words for words in asked if "-x" in words] == [["-x", "-N", job.key]]


def test_jobs_that_are_not_known_are_left_out(pbs: FakePbs, tmp_path: Path) -> None:
    """qstat's exit code tells of the unknown one; the known one is in its answer."""
    job = submitted(quick(tmp_path))
    assert set(Pbs().poll([Job("k-a9", "99.fakepbs", tmp_path), job])) == {job.key}
    assert Pbs().poll([Job("k-a9", "99.fakepbs", tmp_path)]) == {}


def test_no_server_is_no_news(pbs: FakePbs, tmp_path: Path) -> None:
    """A connection refused to any of the commands says nothing about any job."""
    pbs.set("refused", "qstat qselect qdel")
    for act in (Pbs().poll, Pbs().cancel):
        for job_id in ("1.fakepbs", ""):
            with pytest.raises(SchedulerAway, match="Connection refused"):
                act([Job("k-a1", job_id, tmp_path)])


def test_an_end_waits_for_its_log(pbs: FakePbs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Output that is copied after the end is not read before; a log that never comes is not waited for for ever."""
    pbs.set("stage_out_seconds", 1)
    job = submitted(quick(tmp_path))
    log = job.directory / f"{job.key}.log"
    ended(Pbs(), job)
    assert log.exists()
    log.unlink()
    scheduler = Pbs()
    assert scheduler.poll([job])[job.key].state == "running"
    monkeypatch.setattr(Pbs, "log_seconds", 0.0)
    assert scheduler.poll([job])[job.key].state == "ended"


def test_qdel_ends_running_and_waiting_jobs_at_once(pbs: FakePbs, tmp_path: Path) -> None:
    """One qdel for all, also by name; jobs that have ended or are unknown are no error."""
    path = quick(tmp_path, 30)
    running = submitted(path, 1)
    sighted(Pbs(), running, "running")
    pbs.set("hold")
    held = submitted(path, 2)
    assert sighted(Pbs(), held, "held").word == "H"
    unknown = Job("k-a9", "99.fakepbs", tmp_path)
    for _ in range(2):
        Pbs().cancel([running, replace(held, id=""), unknown])
        assert ended(Pbs(), held).cause == "cancelled"
        end = ended(Pbs(), running)
        assert (end.exit_code, end.cause) == (143, "cancelled")
    assert pbs.calls("qdel") == [["1.fakepbs", "2.fakepbs", "99.fakepbs"]] * 2
    assert not has_started(held.directory, held.key)


def test_a_job_over_its_limit(pbs: FakePbs, tmp_path: Path) -> None:
    """PBS ends it and says why."""
    end = ended(Pbs(), submitted(quick(tmp_path, 30, elapse_limit_seconds=1)))
    assert (end.exit_code, end.cause) == (143, "time_limit")
    assert end.state.endswith("and exceeded resource walltime, Exit_status -29")


def test_scripted_ends(pbs: FakePbs, tmp_path: Path) -> None:
    """What the server says of an end outweighs a script that went well."""
    pbs.set("ends", {"*": {"Exit_status": -20, "comment": "Job run at Fri and failed", "run_count": 3}})
    end = ended(Pbs(), submitted(quick(tmp_path)))
    assert (end.cause, end.usage.restarts) == ("node_failure", 2)


def directives(path: Path) -> list[str]:
    """The words of a script's #PBS lines."""
    return [line.removeprefix("#PBS ") for line in path.read_text().splitlines() if line.startswith("#PBS")]


def test_script_for_pbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Any) -> None:
    """The rendered script with options that qsub must not split or take for something else."""
    monkeypatch.chdir(tmp_path)
    options = {
        "A": "two words # and 100%, really",
        "W": ["umask=0027", "sandbox=HOME"],
        "h": True,
        "ncpus": 48,
        "ngpus": 4,
        "mem": "{{ 45 * ranks_per_node }}gb",
        "ompthreads": 12,
        "filesystems": "home:eagle",
        "software": "one, two",
        "exclusive": True,
    }
    (tmp_path / "it's a folder").mkdir()
    path = quick(tmp_path / "it's a folder", ranks_per_node=4, options=options)
    text = path.read_text()
    names = ((str(tmp_path), "/WORK"), (sys.executable, "/VENV/bin/python"), (str(REPOSITORY), "/NODESWEEP"))
    for known, name in (*names, (key(path).removesuffix("-a1"), "toy-0123456789ab")):
        text = text.replace(known, name)
    golden("job.pbs.sh", text)


def test_select_and_place_may_be_given_whole(tmp_path: Path) -> None:
    """What the options say replaces what nodesweep would ask for; a select and parts of one do not mix."""
    path = quick(tmp_path, options={"select": "{{ nodes }}:model=bro", "place": "pack"})
    assert [line for line in directives(path) if line.startswith("-l")] == [
        "-l walltime=1:00:00",
        "-l select=1:model=bro",
        "-l place=pack",
    ]
    (tmp_path / "second").mkdir()
    with pytest.raises(ConfigError, match="select whole and mem, ncpus beside it"):
        quick(tmp_path / "second", options={"select": "1:x=y", "mem": "1gb", "ncpus": 4})


def test_one_letter_is_an_option_and_a_word_a_resource() -> None:
    """A value with a comma or a blank is in quotes of its own, which qsub leaves to the server."""
    assert SCHEDULERS["pbs"].directive("A", "lab") == "-A lab"
    assert SCHEDULERS["pbs"].directive("h", None) == "-h"
    assert SCHEDULERS["pbs"].directive("A", "a b") == "-A 'a b'"
    assert SCHEDULERS["pbs"].directive("filesystems", "home:eagle") == "-l filesystems=home:eagle"
    assert SCHEDULERS["pbs"].directive("software", "a,b") == "-l 'software=\"a,b\"'"


def test_the_script_runs_by_hand(pbs: FakePbs, tmp_path: Path) -> None:
    """`qsub job.sh` makes a key of its own and puts all output into that one's log."""
    path = quick(tmp_path)
    subprocess.run(["qsub", "job.sh"], cwd=path.parent, check=True, capture_output=True)
    while not list(path.parent.glob("*.exit")):
        time.sleep(0.05)
    (mark,) = path.parent.glob("*.exit")
    assert "-byhand-" in mark.stem and json.loads(mark.read_text())["exit_code"] == 0
    assert "[after training is done]" in (path.parent / f"{mark.stem}.log").read_text()
