"""Limits of a site on a real Slurm with accounts: what is over one is refused by name, what is too many waits."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from slurm.cluster import Cluster
from sweeps import drained, held, runner_of, starts
from sweeps_on_slurm import enter, events, job_id, run_on_slurm, slurm_study

from nodesweep.common.errors import SchedulerError, Throttled
from nodesweep.schedulers.base import Job
from nodesweep.schedulers.slurm import Slurm
from nodesweep.sweep.study import Study

pytestmark = pytest.mark.xdist_group("slurm-limits")

# QOS by name; all but the last one refuse what is over their limits when it is submitted.
QOS = {
    "nodes": ["MaxNodesPerJob=2", "Flags=DenyOnLimit"],
    "wall": ["MaxWall=1", "Flags=DenyOnLimit"],
    "cpus": ["MinTRESPerJob=cpu=100", "Flags=DenyOnLimit"],
    "group": ["GrpTRES=node=2", "Flags=DenyOnLimit"],
    "one": ["MaxSubmitJobsPerUser=1", "Flags=DenyOnLimit"],
    "none": ["GrpSubmitJobs=0", "Flags=DenyOnLimit"],
    "any": ["Flags=DenyOnLimit"],
    "late": ["MaxNodesPerJob=2"],
}
OVER = {
    "nodes": "QOSMaxNodePerJobLimit",
    "wall": "QOSMaxWallDurationPerJobLimit",
    "cpus": "QOSMinCpuNotSatisfied",
    "group": "QOSGrpNodeLimit",
}


@pytest.fixture(scope="module")
def limited(slurm_installed: None) -> Iterator[Cluster]:
    """A cluster whose accounts have limits, and which forgets ended jobs soon."""
    settings = ["AccountingStorageEnforce=associations,limits,qos"]
    with Cluster(accounting=True, min_job_age_seconds=2, settings=settings, users=["root"]) as cluster:
        for name, limits in QOS.items():
            cluster.administer("add", "qos", name)
            cluster.administer("modify", "qos", name, "set", *limits)
        cluster.administer("modify", "user", "root", "set", "DefaultAccount=users")
        cluster.administer("modify", "user", "root", "where", "account=users", "set", f"qos+={','.join(QOS)}")
        yield cluster


@pytest.fixture
def cluster(limited: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Slurm's commands speak to the cluster with limits; what a test leaves there goes."""
    enter(limited, monkeypatch)
    yield limited
    limited.run("scancel", "--me")


def study_of(folder: Path, nodes: list[int], hold: Path | None = None, **options: Any) -> Study:
    """Layouts of these node counts, with options of sbatch."""
    return slurm_study(folder, nodes, machine={"options": options}, hold=str(hold) if hold else "")


def test_layouts_over_limits_are_refused_and_the_others_run(cluster: Cluster, tmp_path: Path) -> None:
    """The row of each says which limit it is; the layout behind them runs meanwhile."""
    chosen = dict(zip((3, 4, 5, 6), OVER, strict=True))
    study, lines = study_of(tmp_path, [*chosen, 1], qos=f"{{{{ {chosen}[nodes] if nodes > 1 else 'normal' }}}}"), []
    done = [one.record for one in run_on_slurm(study, lines).values()]
    assert [record.outcome for record in done] == ["launch_failed"] * 4 + ["ok"]
    for record, reason in zip(done, OVER.values(), strict=False):
        assert reason in record.evidence and any(reason in line for line in lines)
        assert events(study, record.slug) == ["intent", "refused", "ended"]
    assert starts(tmp_path) == {done[-1].slug: 1}


def test_too_many_jobs_of_a_qos_keep_back_only_its_layouts(cluster: Cluster, tmp_path: Path) -> None:
    """The second job of the QOS waits, the two behind it run under another; in the end all have run once."""
    hold, lines = held(tmp_path), list[str]()
    study = study_of(tmp_path, [1, 2, 3, 4], hold, qos="{{ 'one' if nodes < 3 else 'normal' }}")
    runner = runner_of(study, lines, Slurm(), poll_seconds=60, jobs_at_once=10)
    runner.add(list(study.layouts))
    runner.step()
    first, second, *others = (events(study, slug) for slug in study.layouts)
    assert (first, second, *others) == (["intent", "submitted"], ["intent", "deferred"], *[["intent", "submitted"]] * 2)
    assert any("QOSMaxSubmitJobPerUserLimit" in line for line in lines)
    hold.unlink()
    done = run_on_slurm(study)
    assert {(one.record.outcome, one.record.attempt) for one in done.values()} == {("ok", 1)}
    assert starts(tmp_path) == dict.fromkeys(study.layouts, 1)


@pytest.mark.parametrize(
    ("qos", "limit", "says", "error"),
    [
        ("any", "MaxNodes=2", "AssocMaxNodePerJobLimit", SchedulerError),
        ("any", "MaxWall=1", "AssocMaxWallDurationPerJobLimit", SchedulerError),
        ("any", "MaxSubmitJobs=0", "AssocMaxSubmitJobLimit", Throttled),
        ("none", "", "QOSGrpSubmitJobsLimit", Throttled),
    ],
)
def test_limits_are_told_apart_by_their_names(
    cluster: Cluster, tmp_path: Path, qos: str, limit: str, says: str, error: type[SchedulerError]
) -> None:
    """Limits of an association are read like those of a QOS: what a job asks for, or how many there are."""
    study = study_of(tmp_path, [3], qos=qos)
    (slug,) = study.layouts
    of_user = ["modify", "user", "root", "where", "account=users", "set"]
    if limit:
        cluster.administer(*of_user, limit)
    try:
        with pytest.raises(SchedulerError, match=says) as raised:
            Slurm().submit(study.script(slug), "k-a1")
    finally:
        if limit:
            cluster.administer(*of_user, f"{limit.partition('=')[0]}=-1")
    assert type(raised.value) is error


def test_a_full_controller_is_a_wait(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At MaxJobCount, sbatch would sleep and try again for two minutes: it is ended, and the layout waits."""
    hold, lines = held(tmp_path), list[str]()
    study = study_of(tmp_path, [1, 2, 3], hold)
    with cluster.reconfigured("MaxJobCount=2"):
        runner = runner_of(study, lines, Slurm(), poll_seconds=60, jobs_at_once=10)
        runner.add(list(study.layouts))
        runner.step()
        assert any("temporarily unable to accept job, sleeping and retrying" in line for line in lines)
    hold.unlink()
    done = run_on_slurm(study)
    assert [one.record.outcome for one in done.values()] == ["ok"] * 3
    assert starts(tmp_path) == dict.fromkeys(study.layouts, 1)


def test_a_pending_job_over_a_limit_keeps_nobody_back(cluster: Cluster, tmp_path: Path) -> None:
    """A QOS that takes what is over its limit never starts it: told, and the one place goes to the next layout."""
    study, lines = study_of(tmp_path, [3, 1], qos="late"), list[str]()
    runner = runner_of(study, lines, Slurm(), poll_seconds=0.1, jobs_at_once=1)
    runner.add(list(study.layouts))
    (done,) = drained(runner, 1)
    assert (done.record.outcome, done.slug) == ("ok", list(study.layouts)[1])
    assert any("does not start by itself: PENDING, QOSMaxNodePerJobLimit" in line for line in lines)
    runner.close(cancel=True)


def test_what_a_site_sets_by_environment(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SBATCH_QOS counts where the script names none, and is told of where it does; SBATCH_OUTPUT never counts."""
    for name, value in (("QOS", "one"), ("OUTPUT", str(tmp_path / "elsewhere")), ("HOLD", "1")):
        monkeypatch.setenv(f"SBATCH_{name}", value)
    monkeypatch.setenv("SLURM_NTASKS", "77")  # an outer job's
    for qos, options in (("one", {}), ("any", {"qos": "any"})):
        (tmp_path / qos).mkdir()
        study, lines = study_of(tmp_path / qos, [1], hold=held(tmp_path / qos), **options), list[str]()
        runner = runner_of(study, lines, Slurm())
        runner.add(list(study.layouts))
        runner.step()
        shown = cluster.run("squeue", "-h", "-j", job_id(study), "-O", "QOS:20,NumTasks:20,STDOUT:300").stdout.split()
        assert shown == [qos, "1", str(study.directory(next(iter(study.layouts))) / "%x.log")]
        told = sorted(line.partition(" is set, but")[0] for line in lines if line.startswith("SBATCH_"))
        assert told == ["SBATCH_HOLD", "SBATCH_OUTPUT", *(["SBATCH_QOS"] if options else [])]


@pytest.mark.parametrize("damaged", ["--me", "1@2"])
def test_a_damaged_id_cancels_nothing_else(cluster: Cluster, tmp_path: Path, damaged: str) -> None:
    """`--me` for an id in a journal: the layout is left alone, or its job found by its key; other jobs stay."""
    other = cluster.run("sbatch", "--parsable", "--hold", "--wrap", "true").stdout.strip()
    study, lines = study_of(tmp_path, [1], hold=held(tmp_path)), list[str]()
    runner = runner_of(study, lines, Slurm(), poll_seconds=0.1)
    runner.add(list(study.layouts))
    runner.step()
    (slug,), own = study.layouts, job_id(study)
    path = study.journal(slug)
    path.write_text(path.read_text().replace(f'"job_id": "{own}"', f'"job_id": "{damaged}"'))
    again = runner_of(study, lines, Slurm(), poll_seconds=0.1)
    again.recover()
    assert [job.id for job in again.running] == ([own] if damaged == "1@2" else [])
    assert damaged == "--me" or any("'1@2' in its journal is no id of a job" in line for line in lines)
    again.close(cancel=True)
    Slurm().cancel([Job("k-a1", damaged, tmp_path)])
    assert other in cluster.run("squeue", "-h", "-t", "PD", "-o", "%i").stdout.split()
