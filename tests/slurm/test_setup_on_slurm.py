"""Set-ups and keys of jobs on a real Slurm."""

from pathlib import Path

import pytest
from set_ups import KINDS, set_up
from slurm.cluster import Cluster
from slurm.sweeps_on_slurm import enter, job_id, run_on_slurm, slurm_study, wait_for
from sweeps import drained, runner_of

from nodesweep.launch import journal
from nodesweep.schedulers.markers import start_mark
from nodesweep.schedulers.slurm import Slurm


@pytest.fixture(autouse=True)
def _on_slurm(slurm_without_accounting: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slurm's commands speak to the cluster."""
    enter(slurm_without_accounting, monkeypatch)


def test_set_ups_of_clusters(tmp_path: Path) -> None:
    """Both kinds of modules, a virtual environment and conda's manner serve jobs; a line that fails is told."""
    when = []
    for nodes, kind in enumerate(KINDS, start=1):
        (tmp_path / str(nodes)).mkdir()
        when.append({"if": f"nodes == {nodes}", "workload": {"setup": set_up(kind, tmp_path / str(nodes))}})
    when.append({"if": "nodes == 5", "workload": {"setup": ["true", "module load cuda/12.4"]}})
    workload = {"command": ["srun", "-n1", "lab-stack"], "log_format": "megatron-deepspeed"}
    study = slurm_study(tmp_path, [1, 2, 3, 4, 5], workload=workload, when=when)
    done = run_on_slurm(study)
    for slug in study.layouts:
        log = (study.directory(slug) / done[slug].record.log).read_text()
        if slug.startswith("n5-"):
            assert (done[slug].record.outcome, done[slug].final) == ("setup_failed", False)
            words = "set-up line 2 (config) ended with exit code 127: module: command not found"
            assert done[slug].record.evidence == f"line 3: {words}"
        else:
            assert "\nstack 7.1\nnodesweep: the launch ended with exit code 0\n" in log


def test_a_job_that_is_renamed_while_it_waits_keeps_its_key(slurm_without_accounting: Cluster, tmp_path: Path) -> None:
    """Its key comes by the environment: one start, all output in its log, and a mark that says which script ran."""
    study = slurm_study(tmp_path, machine={"options": {"begin": "now+3"}})
    runner = runner_of(study, None, Slurm(), jobs_at_once=1, poll_seconds=0.1)
    (slug,) = study.layouts
    runner.add([slug])
    wait_for(lambda: runner.step() or job_id(study))
    slurm_without_accounting.run("scontrol", "update", f"jobid={job_id(study)}", "name=mine", "StartTime=now")
    (done,) = drained(runner, 1)
    assert done.record.outcome == "ok", done.record
    key = journal.state(study.journal(slug)).key
    mark = start_mark(study.directory(slug), key)
    intent = journal.read(study.journal(slug))[0]
    assert mark is not None and (mark.job_id, mark.script_sha256) == (done.record.job_id, intent.script_sha256)
    assert not list(study.directory(slug).glob("*byhand*"))
