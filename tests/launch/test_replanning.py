"""What runs have told goes into the next plan: time limits by prediction, what has ended, when a plan is made again."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from fugaku_runs import JUNE
from sweeps import write

from nodesweep.cli.main import main
from nodesweep.launch import journal
from nodesweep.launch.journal_events import Refused
from nodesweep.launch.records import final_outcomes
from nodesweep.launch.reruns import withdraw_records
from nodesweep.launch.time_limits import with_limits
from nodesweep.performance.calibration.fit import calibrate
from nodesweep.performance.calibration.observations import Observation
from nodesweep.performance.dimensions import Dimensions
from nodesweep.sweep.study import Study

MODEL = {"layers": 48, "hidden_size": 7168, "attention_heads": 56, "vocab_size": 50257}
QUEUES = [
    {"name": "short", "max_nodes": 3072, "elapse_limit_seconds": 7200},
    {"name": "long", "elapse_limit_seconds": 18000},
]


def june(folder: Path, **changes: Any) -> Study:
    """The MP 4 layouts of June on a Slurm, with what their runs tell; `changes` are those of the machine."""
    sweep = {
        **{"sweep": "june", "model": MODEL, "workload": {"command": ["train"]}},
        "machine": {"name": "m", "scheduler": "slurm", "queues": QUEUES, **changes},
        "iterations": {"total": 3, "startup_seconds": 600, "time_margin": 1.5},
        "layouts": [
            {
                **{"nodes": [nodes for nodes, _, tensor, _ in JUNE if tensor == 4], "tensor": 4, "pipeline": 48},
                **{"global_batch": 1536, "sequence_length": 2048, "activation_checkpointing": True},
            }
        ],
    }
    study = Study.load([write(folder / "sweep.yaml", sweep)], results=folder / "results")
    seconds = {nodes: each for nodes, _, tensor, each in JUNE if tensor == 4}
    runs = [Observation(slug, Dimensions.of(one), seconds[one.nodes], None) for slug, one in study.layouts.items()]
    study.calibration("runs").parent.mkdir(parents=True, exist_ok=True)
    study.calibration("runs").write_text(calibrate("runs", runs).to_yaml())
    return study


def test_time_limits_by_prediction(tmp_path):
    """3 x 253 s and 600 s to start, half as much again: 2039 s on 6144 nodes, 2040 in whole minutes."""
    study = june(tmp_path)
    before = {one.nodes: (one.queue.name, one.elapse_limit_seconds) for one in study.layouts.values()}
    assert (before[3072], before[6144]) == (("short", 7200), ("long", 18000))
    after = {one.nodes: (one.queue.name, one.elapse_limit_seconds) for one in with_limits(study).layouts.values()}
    assert after[6144] == ("long", 2040)
    assert after[192] == ("long", 16920)  # 600 + 3 x 3550 s is more than the short queue takes
    assert after[1536] == ("short", 3420)


def test_limits_that_the_config_gives_stay(tmp_path):
    """A limit of the machine stands, and jobs of this machine have none unless they are given one."""
    fixed = june(tmp_path, elapse_limit_seconds=900)
    assert with_limits(fixed) is fixed
    local = june(tmp_path, scheduler="local", queues=[])
    assert {one.elapse_limit_seconds for one in with_limits(local).layouts.values()} == {None}


def test_longer_than_any_queue_takes(tmp_path):
    """A prediction rejects nothing: the layout keeps the longest limit of its queue."""
    study = june(tmp_path, queues=[{"name": "only", "elapse_limit_seconds": 3600}])
    limits = {one.nodes: one.elapse_limit_seconds for one in with_limits(study).layouts.values()}
    assert (limits[192], limits[6144]) == (3600, 2040)


def test_the_plan_says_what_has_ended(tmp_path, monkeypatch, capsys):
    """What needs no more runs is not asked for again; limits by prediction stand in plan and script alike."""
    monkeypatch.chdir(tmp_path)
    study = june(tmp_path)
    slug = next(slug for slug, one in study.layouts.items() if one.nodes == 1536)
    study.directory(slug).mkdir(parents=True)
    study.record(slug).write_text(json.dumps({"slug": slug, "outcome": "oom"}))
    journal.append(study.journal(slug), Refused(key="k"))  # without a journal nobody would know of its run
    assert main(["plan", "--configfile", "sweep.yaml"]) == 0
    assert "6 layouts to run, 1 ended, 0 points rejected" in capsys.readouterr().out
    text = (study.folder / "plan.md").read_text()
    assert "7 points: 6 to run, 1 ended, 0 rejected. Node-hours: " in text
    assert "## Ended (1)" in text and text.rstrip().endswith("| oom       |")
    assert main(["scripts", "--configfile", "sweep.yaml"]) == 0
    script = study.script(next(slug for slug, one in study.layouts.items() if one.nodes == 192)).read_text()
    assert "#SBATCH --time=4:42:00" in script and "#SBATCH --partition=long" in script


@pytest.mark.parametrize(("newer", "left", "renewed"), [(True, True, True), (False, True, False), (True, False, False)])
def test_when_a_plan_is_made_again(tmp_path, newer, left, renewed):
    """When runs have told something since it was made, and layouts are left to run."""
    study = june(tmp_path)
    plan = study.folder / "plan.csv"
    plan.write_text("")
    made = study.calibration("runs").stat().st_mtime_ns + (-1 if newer else 1) * 10**9
    os.utime(plan, ns=(made, made))
    for slug in study.layouts:
        study.directory(slug).mkdir(parents=True)
        if not left:
            study.record(slug).write_text(json.dumps({"slug": slug, "outcome": "ok"}))
    withdraw_records(study)
    assert plan.exists() is not renewed


def test_what_runs_again_has_not_ended(tmp_path):
    """A time limit that was raised since makes its layout one that is to run; out of memory stays an end."""
    study = june(tmp_path)
    first, second, *_ = study.layouts
    for slug, outcome in ((first, "timeout"), (second, "oom")):
        study.directory(slug).mkdir(parents=True)
        study.record(slug).write_text(json.dumps({"slug": slug, "outcome": outcome, "elapse_limit_seconds": 60}))
    assert final_outcomes(study) == {second: "oom"}
