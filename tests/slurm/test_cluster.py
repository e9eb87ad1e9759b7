"""The cluster that tests run on is a real one: what these tests break is what breaks on large machines."""

import sys
import time
from collections.abc import Callable

import psutil
import pytest
from slurm.cluster import MEMORY_CGROUPS, NODES, Cluster, memory_cgroups


def submit(cluster: Cluster, script: str, *options: str) -> str:
    """Submit a script, its output to slurm-<id>.out in the cluster's folder; returns the id."""
    done = cluster.run("sbatch", "--parsable", *options, "--wrap", script)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def state(cluster: Cluster, job: str) -> str:
    """The state of a job, ended or not; empty if the controller does not know it."""
    return cluster.run("squeue", "-h", "-t", "all", "-j", job, "-o", "%T").stdout.strip()


def wait(ready: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, f"not so after {seconds:g} s"
        time.sleep(0.05)


def wait_state(cluster: Cluster, job: str, expected: str) -> None:
    """Wait until a job is in a state."""
    wait(lambda: state(cluster, job) == expected)


def output(cluster: Cluster, job: str) -> str:
    """What a job printed."""
    return (cluster.folder / f"slurm-{job}.out").read_text()


def test_a_job_runs_on_different_nodes(slurm_without_accounting: Cluster) -> None:
    """All eight nodes come up, and the tasks of a job run each on a node of its own."""
    slurm_without_accounting.wait_idle(len(NODES), 20)
    job = submit(slurm_without_accounting, "srun printenv SLURMD_NODENAME", "-N3", "-n3")
    wait_state(slurm_without_accounting, job, "COMPLETED")
    names = output(slurm_without_accounting, job).split()
    assert len(set(names)) == 3 and set(names) <= set(NODES)


@pytest.mark.parametrize("kill", [False, True])
def test_a_job_outlives_the_controller(slurm_without_accounting: Cluster, kill: bool) -> None:
    """A job runs on while there is no controller, and the next one knows it."""
    go = slurm_without_accounting.folder / f"go-{kill}"
    job = submit(slurm_without_accounting, f"until [ -e {go} ]; do sleep 0.1; done; echo done", "-N1")
    wait_state(slurm_without_accounting, job, "RUNNING")
    if kill:  # before it has saved the job, which takes some seconds, its sudden death would lose it
        seen, saved = time.time(), slurm_without_accounting.folder / "state" / "job_state"
        wait(lambda: saved.exists() and saved.stat().st_mtime > seen)
    slurm_without_accounting.stop_controller(kill=kill)
    slurm_without_accounting.start_controller()
    assert state(slurm_without_accounting, job) == "RUNNING"
    go.touch()
    wait_state(slurm_without_accounting, job, "COMPLETED")
    assert output(slurm_without_accounting, job) == "done\n"


def test_a_lost_node_ends_the_job(slurm: Cluster) -> None:
    """A job that may not be requeued ends as NODE_FAIL when one of its nodes goes down."""
    job = submit(slurm, "srun sleep 60", "-N2", "-n2", "-w", "node[7-8]", "--no-requeue")
    wait_state(slurm, job, "RUNNING")
    slurm.set_node("node8", "down")
    wait_state(slurm, job, "NODE_FAIL")
    slurm.set_node("node8", "resume")
    slurm.wait_idle(len(NODES), 20)


def test_steps_have_their_memory_measured(slurm: Cluster) -> None:
    """Accounting knows the largest resident memory of a step, in bytes."""
    program = f"{sys.executable} -c 'import time; data = bytearray(100 << 20); time.sleep(2)'"
    job = submit(slurm, f"srun {program}", "-N1")
    wait_state(slurm, job, "COMPLETED")
    words = ["sacct", "-n", "-P", "--noconvert", "-j", f"{job}.0", "-o", "State,MaxRSS"]
    wait(lambda: slurm.run(*words).stdout.startswith("COMPLETED"))
    assert int(slurm.run(*words).stdout.strip().split("|")[1]) > 100 << 20


@pytest.mark.usefixtures("slurm_installed")
def test_the_kernel_limits_memory() -> None:
    """A job that takes more than its --mem ends as OUT_OF_MEMORY; a cluster leaves no process and no file behind."""
    if not memory_cgroups():
        pytest.skip("no memory control groups of version 1 that can be written")
    with Cluster(memory_enforced="cgroup") as cluster:
        job = submit(cluster, f"{sys.executable} -c 'bytearray(200 << 20)'", "-N1", "--mem=50M")
        left = submit(cluster, "sleep 1234.5", "-N1", "--mem=50M")
        wait_state(cluster, job, "OUT_OF_MEMORY")
        wait_state(cluster, left, "RUNNING")
        cluster.stop_controller(kill=True)
        folder = cluster.folder
    assert not folder.exists() and not (MEMORY_CGROUPS / folder.name).exists()
    words = [word for process in psutil.process_iter(["cmdline"]) for word in process.info["cmdline"] or ()]
    assert "1234.5" not in words and not [word for word in words if str(folder) in word]
