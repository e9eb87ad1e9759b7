"""Sweeps on a real Slurm: each job submitted once, each end named rightly, whatever fails in between."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from slurm.cluster import Cluster, memory_cgroups
from sweeps import drained, held, run_nodesweep, runner_of, starts
from sweeps_on_slurm import Wrappers, enter, events, job_id, run_on_slurm, slurm_study, wait_for

from nodesweep.common.errors import SchedulerAway
from nodesweep.launch import journal
from nodesweep.launch.journal_events import Intent
from nodesweep.launch.reruns import withdraw_records
from nodesweep.schedulers import batch as commands
from nodesweep.schedulers.base import Job
from nodesweep.schedulers.slurm import Slurm
from nodesweep.sweep.study import Study

WITH_AND_WITHOUT_ACCOUNTS = [
    pytest.param("slurm", marks=pytest.mark.xdist_group("slurm"), id="accounts"),
    pytest.param("slurm_without_accounting", marks=pytest.mark.xdist_group("slurm-plain"), id="no accounts"),
]


@pytest.fixture(params=WITH_AND_WITHOUT_ACCOUNTS)
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Slurm's commands speak to a cluster, once with accounts and once without.

    The job that runs into its time limit is submitted before the first test with accounts, and looked at by the last.
    """
    cluster = request.getfixturevalue(request.param)
    if request.param == "slurm":
        request.getfixturevalue("over_its_limit")
    enter(cluster, monkeypatch)
    return cluster


@pytest.fixture
def accounts(slurm: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Slurm's commands speak to a cluster with accounts."""
    enter(slurm, monkeypatch)
    return slurm


@pytest.fixture(scope="session")
def over_its_limit(slurm: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    """A study whose job of endless sleep has node8 since a while ago: a minute is the shortest limit there is."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        enter(slurm, monkeypatch)
        folder = tmp_path_factory.mktemp("limit")
        study = slurm_study(folder, seconds=300, machine={"elapse_limit_seconds": 60, "options": {"nodelist": "node8"}})
        runner = runner_of(study, None, Slurm())
        runner.add(list(study.layouts))
        runner.step()
    yield study


def submitted(study: Study, **policy: Any) -> Any:
    """A launcher that has submitted all layouts."""
    runner = runner_of(study, None, Slurm(), poll_seconds=0.1, jobs_at_once=100, **policy)
    runner.add(list(study.layouts))
    runner.step()
    return runner


def test_a_sweep_runs_to_its_end(either: Cluster, tmp_path: Path) -> None:
    """Layouts of 1 to 7 nodes run once each; records name the nodes, and out of memory and a crash what they are."""
    study = slurm_study(
        tmp_path, [1, 2, 4, 7], ending="{{ {2: 'oom', 4: 'crash'}[nodes] if nodes in (2, 4) else 'ok' }}"
    )
    done = run_on_slurm(study)
    assert [done[slug].record.outcome for slug in study.layouts] == ["ok", "oom", "crash", "ok"]
    assert [done[slug].record.exit_code for slug in study.layouts] == [0, 1, 1, 0]
    states = [done[slug].record.scheduler_state for slug in study.layouts]
    assert states == ["COMPLETED", "FAILED", "FAILED", "COMPLETED"]
    job = journal.state(study.journal(list(study.layouts)[3])).job_id
    shown = either.run("scontrol", "show", "job", job).stdout.split()
    nodes = done[list(study.layouts)[3]].record.usage.nodes
    assert f"NodeList={nodes}" in shown and nodes in ("node[1-7]", "node[2-8]")  # the first may still run
    assert done[list(study.layouts)[2]].record.evidence.endswith("ValueError: made to fail")
    assert starts(tmp_path) == dict.fromkeys(study.layouts, 1)


def test_accounts_give_the_memory_of_a_rank(accounts: Cluster, tmp_path: Path) -> None:
    """MaxRSS of a program that holds 100 MiB for two seconds is in the record."""
    line = " iteration 3/ 3 | elapsed time per iteration (ms): 1.0 |"
    program = f"import time; data = bytearray(100 << 20); time.sleep(2.5); print({line!r})"
    workload = {"command": ["srun", "python3", str(tmp_path / "hold.py")], "log_format": "megatron-deepspeed"}
    (tmp_path / "hold.py").write_text(program)
    (done,) = run_on_slurm(slurm_study(tmp_path, workload=workload)).values()
    usage = done.record.usage
    assert done.record.outcome == "ok", done.record
    assert 100 << 20 < usage.memory_bytes < 200 << 20 and usage.memory_of == "rank"


def allocating(folder: Path, **machine: Any) -> Study:
    """A layout whose program, started by srun, takes 400 MiB after its first iteration."""
    line = " iteration 1/ 3 | elapsed time per iteration (ms): 1.0 |"
    (folder / "grow.py").write_text(f"print({line!r}, flush=True); data = bytearray(400 << 20)")
    workload = {"command": ["srun", "python3", str(folder / "grow.py")], "log_format": "megatron-deepspeed"}
    return slurm_study(folder, workload=workload, machine=machine)


def test_out_of_memory_by_ulimit(either: Cluster, tmp_path: Path) -> None:
    """Each rank is held to its share of the node, wherever srun starts it: Python's last word is the evidence."""
    (done,) = run_on_slurm(allocating(tmp_path, memory_mib_per_node=200, enforce_memory=True)).values()
    assert (done.record.outcome, done.record.where, done.final) == ("oom", "after iteration 1", True)
    assert done.record.evidence.endswith(": MemoryError")


@pytest.mark.usefixtures("slurm_installed")
@pytest.mark.xdist_group("slurm-plain")
def test_out_of_memory_by_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step over its cgroup's limit: Slurm calls the job FAILED, its log says why, and the outcome is oom."""
    if not memory_cgroups():
        pytest.skip("no memory control groups of version 1 that can be written")
    with Cluster(memory_enforced="cgroup") as cluster:
        enter(cluster, monkeypatch)
        (done,) = run_on_slurm(allocating(tmp_path, options={"mem": "100M"})).values()
    assert (done.record.outcome, done.record.where) == ("oom", "after iteration 1")
    assert "oom-kill event" in done.record.evidence or "Out Of Memory" in done.record.evidence


def test_options_reach_slurm_as_they_were_meant(either: Cluster, tmp_path: Path) -> None:
    """Blanks, commas, #, % and shell characters in an option's value arrive unchanged."""
    comment = "50 % of #3, then (a|b) & * in a row"
    runner = submitted(slurm_study(tmp_path, machine={"options": {"comment": comment, "hold": True}}))
    shown = either.run("squeue", "-h", "--me", "-t", "PD", "-o", "%k").stdout.splitlines()
    runner.close(cancel=True)
    assert comment in shown


def test_cancelled_while_it_runs_and_while_it_waits(either: Cluster, tmp_path: Path) -> None:
    """scancel by somebody: cancelled, with Slurm's line as evidence where the job ran; it runs again next time."""
    study = slurm_study(tmp_path, [7, 6], seconds=30)
    runner = submitted(study)
    running, waiting = (journal.state(study.journal(slug)).job_id for slug in study.layouts)
    wait_for(lambda: len(starts(tmp_path)) == 1)
    either.run("scancel", waiting)
    either.run("scancel", running)
    done = {one.slug: one for one in drained(runner, 2)}
    first, second = (done[slug] for slug in study.layouts)
    assert (first.record.outcome, second.record.outcome) == ("cancelled", "cancelled")
    assert "CANCELLED AT" in first.record.evidence
    assert second.record.evidence.startswith("scheduler: CANCELLED")
    assert not first.final and not second.final
    assert len(starts(tmp_path)) == 1


def test_no_job_of_another_is_cancelled(either: Cluster, tmp_path: Path) -> None:
    """An id that is another job's by now, as after a controller lost what it knew, ends nothing."""
    study = slurm_study(tmp_path, nodes=[1, 2], seconds=300)
    runner = submitted(study)
    first, second = runner.running
    Slurm().cancel([replace(first, id=second.id), replace(first, key=f"{first.key}x", id=second.id)])
    shown = {one: either.run("squeue", "-h", "-j", one.id, "-o", "%T").stdout.strip() for one in (first, second)}
    runner.close(cancel=True)
    assert shown[first] in ("", "CANCELLED", "COMPLETING") and shown[second] in ("PENDING", "RUNNING")


def test_a_node_fails_under_a_job(either: Cluster, tmp_path: Path) -> None:
    """The layout is submitted again at once; both submissions are in the journal, and it has one record."""
    hold = held(tmp_path)
    study, lines = slurm_study(tmp_path, 2, hold=str(hold)), []
    runner = runner_of(study, lines, Slurm(), poll_seconds=0.1)
    (slug,) = study.layouts
    runner.add([slug])
    runner.step()
    wait_for(lambda: starts(tmp_path))
    node = either.run("squeue", "-h", "-j", job_id(study), "-O", "BatchHost:").stdout.strip()
    either.set_node(node, "down")
    hold.unlink()
    try:
        (done,) = drained(runner, 1)
    finally:
        either.set_node(node, "resume")
        either.wait_idle(7, 30)
    assert (done.record.outcome, done.record.attempt, done.final) == ("ok", 2, True)
    first = journal.records_in(journal.read(study.journal(slug)))[0]
    assert (first.outcome, first.scheduler_state) == ("node_failure", "NODE_FAIL")
    assert "DUE TO NODE FAILURE" in first.evidence
    assert [name for name in events(study) if name in ("submitted", "ended")] == ["submitted", "ended"] * 2
    assert starts(tmp_path) == {slug: 2}


def test_requeued_by_an_operator(either: Cluster, tmp_path: Path) -> None:
    """A job may not be requeued; where an operator does it all the same, its second start does no work."""
    hold = held(tmp_path)
    study = slurm_study(tmp_path, hold=str(hold))
    runner = submitted(study)
    wait_for(lambda: starts(tmp_path))
    job = job_id(study)
    assert "disabled" in either.run("scontrol", "requeue", job).stderr
    assert either.run("scontrol", "update", f"jobid={job}", "requeue=1").returncode == 0
    assert either.run("scontrol", "requeue", job).returncode == 0
    hold.unlink()
    (done,) = drained(runner, 1)
    (slug,) = study.layouts
    first = journal.records_in(journal.read(study.journal(slug)))[0]
    assert first.outcome == "preempted" and "DUE TO JOB REQUEUE" in first.evidence
    assert (done.record.outcome, done.record.attempt) == ("ok", 2)
    assert starts(tmp_path) == {slug: 2}
    assert "does not run" in (study.directory(slug) / first.log).read_text()


def test_no_controller_for_a_while(either: Cluster, tmp_path: Path) -> None:
    """slurmctld goes away in mid-sweep and comes back: the sweep goes on, and nothing starts twice."""
    study, lines = slurm_study(tmp_path, [3, 4, 5, 6], seconds=1), []
    either.wait_idle(6, 30)

    def go_away_until_it_is_told() -> None:
        either.stop_controller()
        try:
            wait_for(lambda: any("no answer from the scheduler" in line for line in lines), 40)
        finally:
            either.start_controller()

    outage = threading.Timer(1.5, go_away_until_it_is_told)
    outage.start()
    done = run_on_slurm(study, lines, seconds=90, jobs_at_once=2)
    outage.join()
    assert {one.record.outcome for one in done.values()} == {"ok"}
    assert starts(tmp_path) == dict.fromkeys(study.layouts, 1)
    assert any("no answer from the scheduler" in line for line in lines)
    assert any("the scheduler answers again" in line for line in lines)


@pytest.mark.parametrize("failure", ["error", "time-out"])
def test_the_answer_is_lost(either: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: str) -> None:
    """sbatch makes the job, then fails or says nothing: the one job is found by its name and taken over."""
    wrappers = Wrappers(tmp_path, monkeypatch)
    says = {
        "error": 'echo "sbatch: error: Socket timed out on send/recv operation" >&2; exit 1',
        "time-out": "sleep 20",
    }
    wrappers.wrap("sbatch", f'"$real" "$@" >/dev/null; {says[failure]}')
    monkeypatch.setattr(commands, "COMMAND_SECONDS", 1.5)
    study = slurm_study(tmp_path, seconds=1)
    (done,) = run_on_slurm(study).values()
    assert (done.record.outcome, done.record.attempt) == ("ok", 1)
    assert events(study) == ["intent", "adopted", "ended"]
    assert len(wrappers.calls("sbatch")) == 1
    assert set(starts(tmp_path).values()) == {1}


def test_no_job_came_of_it(either: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """sbatch fails unclearly without having made a job: its key is revoked, and the layout submitted again."""
    wrappers = Wrappers(tmp_path, monkeypatch)
    wrappers.wrap("sbatch", f"[[ -e {tmp_path}/once ]] || {{ touch {tmp_path}/once; echo odd >&2; exit 1; }}")
    study, lines = slurm_study(tmp_path), []
    (done,) = run_on_slurm(study, lines).values()
    assert (done.record.outcome, done.record.attempt) == ("ok", 2)
    assert events(study) == ["intent", "revoked", "intent", "submitted", "ended"]
    assert any("no job came of its submission" in line for line in lines)


def test_a_job_that_appears_after_it_was_given_up_does_nothing(either: Cluster, tmp_path: Path) -> None:
    """However late a submission comes through: once another took its place, it ends without a start."""
    study = slurm_study(tmp_path)
    (slug,) = study.layouts
    directory, key = study.directory(slug), "late-a1"
    journal.append(study.journal(slug), Intent(key=key, attempt=1, script_sha256="0"))
    (done,) = run_on_slurm(study).values()
    assert (done.record.attempt, starts(tmp_path)) == (2, {slug: 1})
    late = either.run("sbatch", "--parsable", f"--job-name={done.record.key}", str(study.script(slug))).stdout.strip()
    wait_for(lambda: either.run("squeue", "-h", "-t", "all", "-j", late, "-o", "%T").stdout.strip() == "FAILED")
    assert starts(tmp_path) == {slug: 1}
    assert "does not run" in (directory / done.record.log).read_text()


def test_a_stale_listing_is_no_end(either: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """squeue leaves a running job out six times: it is neither lost nor submitted again."""
    wrappers = Wrappers(tmp_path, monkeypatch)
    wrappers.wrap("squeue", f"[[ $(wc -l <{tmp_path}/wrappers/squeue.calls) -gt 6 ]] || exit 0")
    study = slurm_study(tmp_path, seconds=1.5)
    (done,) = run_on_slurm(study).values()
    assert (done.record.outcome, done.record.attempt) == ("ok", 1)
    assert len(wrappers.calls("squeue")) > 6
    assert set(starts(tmp_path).values()) == {1}


def test_forgotten_by_slurm(either: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that ended while no launcher was there, and that Slurm no longer lists: its exit marker tells."""
    study = slurm_study(tmp_path)
    submitted(study)
    (slug,) = study.layouts
    wait_for(lambda: list(study.directory(slug).glob("*.exit")))
    Wrappers(tmp_path, monkeypatch).wrap("squeue", "exit 0")
    (done,) = run_on_slurm(study).values()
    assert (done.record.outcome, done.record.exit_code, starts(tmp_path)) == ("ok", 0, {slug: 1})


def test_too_many_jobs_are_queued_already(either: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on submissions makes the others wait; none fails, and none uses up a number of attempts."""
    wrappers, hold = Wrappers(tmp_path, monkeypatch), held(tmp_path)
    error = (
        "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size)"
    )
    full = f'rm -f {hold}; echo "{error}" >&2; exit 1'
    wrappers.wrap("sbatch", f'[[ $("${{real%sbatch}}squeue" -h --me | wc -l) -lt 2 ]] || {{ {full}; }}')
    study, lines = slurm_study(tmp_path, [1, 2, 3, 4], hold=str(hold)), []
    done = run_on_slurm(study, lines)
    assert {(one.record.outcome, one.record.attempt) for one in done.values()} == {("ok", 1)}
    assert any("takes no more jobs for now" in line for line in lines)
    assert any("deferred" in events(study, slug) for slug in study.layouts)


def test_a_refused_submission_says_why(either: Cluster, tmp_path: Path) -> None:
    """A partition that does not exist: launch_failed with Slurm's words, at once."""
    study = slurm_study(tmp_path, machine={"options": {"partition": "none"}})
    (done,) = run_on_slurm(study).values()
    assert (done.record.outcome, done.final) == ("launch_failed", False)
    assert "invalid partition specified: none" in done.record.evidence.lower()


def test_status_commands_do_not_grow_with_the_jobs(
    either: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six looks at 5 queued jobs and at 500 are six squeue each."""
    wrappers, counts = Wrappers(tmp_path, monkeypatch), []
    wrappers.wrap("squeue")
    wrappers.wrap("sacct")
    for number in (5, 500):
        folder = tmp_path / str(number)
        folder.mkdir()
        variants = [{"name": f"v{index}"} for index in range(number)]
        study = slurm_study(folder, machine={"options": {"hold": True}}, variants=variants)
        runner = runner_of(study, None, Slurm(), poll_seconds=0.05, jobs_at_once=1000)
        runner.add(list(study.layouts))
        runner.step()
        assert len(runner.running) == number
        before = len(wrappers.calls("squeue"))
        for _ in range(6):
            time.sleep(0.06)
            runner.step()
        counts.append((len(wrappers.calls("squeue")) - before, len(wrappers.calls("sacct"))))
        either.run("scancel", "--me")
    assert counts == [(6, 0), (6, 0)]


def test_a_queued_layout_says_so_in_its_row(either: Cluster, tmp_path: Path) -> None:
    """As long as its script has not started, a submitted layout is queued."""
    study = slurm_study(tmp_path, machine={"options": {"hold": True}})
    runner = submitted(study)
    for room in ("measure", "tables"):
        assert run_nodesweep(tmp_path, room, "--configfile", str(tmp_path / "sweep.yaml")).returncode == 0
    runner.close(cancel=True)
    assert (study.folder / "tables.md").read_text().rstrip().endswith("| queued  |")


def test_a_held_job_is_reported_once(either: Cluster, tmp_path: Path) -> None:
    """A job that will not start by itself is told of, with Slurm's reason."""
    study, lines = slurm_study(tmp_path, machine={"options": {"hold": True}}), []
    runner = runner_of(study, lines, Slurm(), poll_seconds=0)
    runner.add(list(study.layouts))
    for _ in range(3):
        runner.step()
    runner.close(cancel=True)
    assert [line for line in lines if "does not start by itself: PENDING, JobHeldUser" in line] == lines[1:]


def test_a_job_that_hangs(either: Cluster, tmp_path: Path) -> None:
    """A running job that says nothing more is cancelled where the profile says so: `hang`; it runs again next time."""
    study, lines = slurm_study(tmp_path, ending="silent"), []
    (done,) = run_on_slurm(study, lines, hang_seconds=5, on_hang="cancel").values()
    assert (done.record.outcome, done.record.where, done.final) == ("hang", "after iteration 1", False)
    assert "hung" in events(study)
    assert any("has said nothing for" in line and "cancelled as hanging" in line for line in lines)


def test_a_job_whose_iterations_are_enough(either: Cluster, tmp_path: Path) -> None:
    """A running job is cancelled once its median is known well enough, and is a result; nothing runs it again."""
    iterations = {"total": 400, "warmup": 1, "enough": {"percent": 1}}
    study = slurm_study(tmp_path, iterations=iterations)
    (done,) = run_on_slurm(study).values()
    assert (done.record.outcome, done.record.scheduler_cause, done.final) == ("ok", "cancelled", True)
    assert done.record.where.startswith("stopped at iteration ") and done.record.where.endswith(": enough")
    assert events(study)[-2:] == ["enough", "ended"]


def test_a_hanging_job_is_only_reported(either: Cluster, tmp_path: Path) -> None:
    """By default a silent job is told of and left alone."""
    study, lines = slurm_study(tmp_path, ending="silent"), []
    runner = runner_of(study, lines, Slurm(), poll_seconds=0.1, hang_seconds=1)
    runner.add(list(study.layouts))
    limit = time.monotonic() + 20
    while not any("it may hang" in line for line in lines):
        assert time.monotonic() < limit
        runner.step()
        runner.wait(0.1)
    assert events(study) == ["intent", "submitted"]
    runner.close(cancel=True)


def test_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any controller a look raises SchedulerAway: it is no news of any job."""
    wrong = tmp_path / "slurm.conf"
    wrong.write_text("ClusterName=none\nSlurmctldHost=localhost(127.0.0.1)\nSlurmctldPort=9\nMessageTimeout=2\n")
    monkeypatch.setenv("SLURM_CONF", str(wrong))
    with pytest.raises(SchedulerAway):
        Slurm().poll([Job("k-a1", "1", tmp_path)])


@pytest.mark.xdist_group("slurm")
def test_z_a_time_limit_is_a_result_until_it_is_raised(
    over_its_limit: Study, accounts: Cluster, tmp_path: Path
) -> None:
    """Over its limit a job is `timeout` and stays so; once the limit is raised its record goes, and it runs again."""
    study = over_its_limit
    (slug,) = study.layouts
    (done,) = run_on_slurm(study, seconds=120).values()
    assert (done.record.outcome, done.record.where, done.final) == ("timeout", "in iteration 1", True)
    assert "DUE TO TIME LIMIT" in done.record.evidence
    assert (done.record.scheduler_state, done.record.elapse_limit_seconds) == ("TIMEOUT", 60)
    withdraw_records(study)
    assert json.loads(study.record(slug).read_text())["outcome"] == "timeout"
    raised = slurm_study(study.folder.parents[1], machine={"elapse_limit_seconds": 120}, seconds=300)
    assert list(raised.layouts) == [slug]
    withdraw_records(raised)
    assert not raised.record(slug).exists()
    runner = submitted(raised)
    assert journal.state(raised.journal(slug)).attempt == 2
    runner.close(cancel=True)
