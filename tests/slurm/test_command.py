"""The command a user types, with the profile of Slurm, on a real Slurm."""

import shutil
import signal
from pathlib import Path

import pytest
import yaml
from slurm.cluster import Cluster
from sweeps import REPOSITORY, held, launched, run_snakemake, starts, toy, write
from sweeps_on_slurm import enter, wait_for

QUICKLY = ("--nodesweep-poll-seconds", "0.5")


def rows(folder: Path, sweep: str) -> list[list[str]]:
    """The cells of the table, row by row."""
    lines = (folder / "results" / sweep / "tables.md").read_text().partition("## Where the time goes")[0].splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|")][2:]


def test_the_same_sweep_with_another_profile(slurm: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep written for this machine runs on the cluster: two of the quickstart, ranks started by srun."""
    enter(slurm, monkeypatch)
    quickstart = yaml.safe_load((REPOSITORY / "config" / "quickstart.yaml").read_text())
    quickstart["layouts"] = [{**quickstart["layouts"][0], "nodes": [1, 2], "tensor": 1, "pipeline": 1, "context": 1}]
    quickstart |= {"iterations": {"total": 3, "warmup": 1}, "repeats": 1}
    config = write(tmp_path / "sweep.yaml", quickstart)
    run = run_snakemake(tmp_path, config, *QUICKLY, profile="slurm")
    assert run.returncode == 0, run.stdout
    assert [row[:1] + row[3:6] for row in rows(tmp_path, "quickstart")] == [["1", *"111"], ["2", *"211"]]
    assert all(float(row[10]) > 0 and row[9].endswith("MiB") for row in rows(tmp_path, "quickstart"))
    script = next(tmp_path.glob("results/quickstart/layouts/n2-*/job.sh")).read_text()
    assert "\n#SBATCH --nodes=2\n" in script and "\n        srun \\\n" in script
    log = next(tmp_path.glob("results/quickstart/layouts/n2-*/*.log")).read_text()
    assert "world_size ...................................... 2" in log


@pytest.mark.parametrize("action", ["leave", "cancel"])
def test_interrupted(
    slurm_without_accounting: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """Ctrl-C leaves cluster jobs to the next launcher, or cancels them where the profile says so."""
    enter(slurm_without_accounting, monkeypatch)
    machine = {"name": "cluster", "scheduler": "slurm", "elapse_limit_seconds": 600}
    hold = held(tmp_path)
    config = write(tmp_path / "sweep.yaml", toy(hold=str(hold), machine=machine))
    words = (*QUICKLY, "--nodesweep-on-interrupt", action)
    launcher = launched(tmp_path, config, *words, profile="slurm")
    wait_for(lambda: len(starts(tmp_path)) == 2)
    launcher.send_signal(signal.SIGINT)
    shown, _ = launcher.communicate(timeout=60)
    assert launcher.returncode != 0 and "Traceback" not in shown
    assert ("left running: job" in shown) is (action == "leave")
    hold.unlink()
    run = run_snakemake(tmp_path, config, *QUICKLY, profile="slurm")
    assert run.returncode == 0, run.stdout
    assert set(starts(tmp_path).values()) == {1 if action == "leave" else 2}
    assert [row[-1] for row in rows(tmp_path, "toy")] == ["", ""]


def test_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no sbatch, the launcher says so in one line and runs nothing."""
    (tmp_path / "bin").mkdir()
    for name in ("bash", "sh", "tee"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or "")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    config = write(tmp_path / "sweep.yaml", toy(machine={"name": "cluster", "scheduler": "slurm"}))
    run = run_snakemake(tmp_path, config, profile="slurm")
    assert run.returncode != 0 and "sbatch is not on PATH; start nodesweep where" in run.stdout
    assert "Traceback" not in run.stdout and not list(tmp_path.glob("results/toy/layouts/*/journal.jsonl"))
