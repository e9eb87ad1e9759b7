"""Sweeps of the real trainer with the profile of Slurm on a real Slurm, their launchers killed."""

import signal
from collections import Counter
from pathlib import Path

import pytest
from minitrain_sweep import minitrain_sweep, trainings
from slurm.cluster import Cluster
from slurm.sweeps_on_slurm import enter, wait_for
from sweeps import launched, run_snakemake, starts, write

from nodesweep.launch import journal
from nodesweep.sweep.study import Study

AXES = [
    {"nodes": 1},
    {"nodes": 2, "context": 2},
    {"nodes": 2, "expert": 2, "sharding": "fsdp"},
    {"nodes": 4, "pipeline": 2, "virtual_pipeline": 2, "context": 2},
]
QUICKLY = ("--nodesweep-poll-seconds", "0.5", "--nodesweep-jobs-at-once", "3")


def test_axes_under_killed_launchers(slurm: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CP, EP with FSDP, and VPP of minitrain, two runs each, two launchers killed: Slurm was given each job once."""
    enter(slurm, monkeypatch)
    config = write(tmp_path / "sweep.yaml", minitrain_sweep("slurm", AXES, sweep="axes_on_slurm"))
    study = Study.load([config], results=tmp_path / "results")
    for count in (2, 5):
        launcher = launched(tmp_path, config, *QUICKLY, profile="slurm")
        wait_for(lambda count=count: len(starts(tmp_path)) >= count, 90)
        launcher.send_signal(signal.SIGKILL)
        said, _ = launcher.communicate()
        assert launcher.returncode == -signal.SIGKILL, said
    last = run_snakemake(tmp_path, config, *QUICKLY, profile="slurm")
    assert last.returncode == 0, last.stdout
    assert starts(tmp_path) == trainings(tmp_path) == dict.fromkeys(study.runs, 1)
    ends = [journal.records_in(journal.read(study.journal(slug))) for slug in study.runs]
    assert [[end.outcome for end in found] for found in ends] == [["ok"]] * 8
    listed = slurm.run("sacct", "-nX", "-S", "now-1hours", "-o", "JobID,JobName%60", "-P").stdout.splitlines()
    jobs = [line.split("|") for line in listed if "|axes_on_slurm-" in line]
    assert Counter(tuple(job) for job in jobs) == Counter((end.job_id.partition(";")[0], end.key) for (end,) in ends)
