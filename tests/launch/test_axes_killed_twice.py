"""A sweep of a real trainer over every axis, its launchers killed: each job starts once, and one table holds all."""

import csv
import signal
import subprocess
from pathlib import Path

from minitrain_sweep import minitrain_sweep, trainings
from shared_folder import wait_for
from sweeps import launched, run_nodesweep, run_snakemake, starts, write

from nodesweep.launch import journal
from nodesweep.sweep.study import Study

AXES = [
    {"nodes": 1},
    {"nodes": 2, "context": 2},
    {"nodes": 2, "expert": 2},
    {"nodes": 2, "sharding": "fsdp"},
    {"nodes": 2, "pipeline": 2, "virtual_pipeline": 2},
    {"nodes": 2, "pipeline": 2, "parameters": {"pipeline_schedule": ["gpipe", "zero-bubble"]}},
    {"nodes": 4, "context": 2, "expert": 2, "sharding": "fsdp"},
    {"nodes": 8, "context": 2, "expert": 2, "pipeline": 2, "virtual_pipeline": 2, "sharding": "fsdp"},
]
SHOWN = ("Nodes", "DP", "PP", "VPP", "CP", "EP", "Sharding", "pipeline_schedule", "Runs")
ROWS = [
    ("1", "1", "1", "1", "1", "1", "none", "-", "2"),
    ("2", "1", "1", "1", "2", "1", "none", "-", "2"),
    ("2", "2", "1", "1", "1", "2", "none", "-", "2"),
    ("2", "2", "1", "1", "1", "1", "zero3", "-", "2"),
    ("2", "1", "2", "2", "1", "1", "none", "-", "2"),
    ("2", "1", "2", "1", "1", "1", "none", "gpipe", "2"),
    ("2", "1", "2", "1", "1", "1", "none", "zero-bubble", "2"),
    ("4", "2", "1", "1", "2", "2", "zero3", "-", "2"),
    ("8", "2", "2", "2", "2", "2", "zero3", "-", "2"),
]
AT_ONCE = ("--nodesweep-jobs-at-once", "2")


def test_every_axis_under_killed_launchers(tmp_path: Path) -> None:
    """CP, EP, VPP, FSDP and a parameter on 1 to 8 ranks, two runs each, two launchers killed amid them: one table.

    Afterwards a single run is asked for again by its name, and has no bearing on the others.
    """
    config = write(tmp_path / "sweep.yaml", minitrain_sweep("workstation", AXES))
    study = Study.load([config], results=tmp_path / "results")
    for count in (5, 12):
        _killed_after(launched(tmp_path, config, *AT_ONCE), tmp_path, count)
    last = run_snakemake(tmp_path, config, *AT_ONCE)
    assert last.returncode == 0 and " runs done: " in last.stdout, last.stdout
    assert starts(tmp_path) == trainings(tmp_path) == dict.fromkeys(study.runs, 1)
    ends = [journal.records_in(journal.read(study.journal(slug))) for slug in study.runs]
    assert [[end.outcome for end in found] for found in ends] == [["ok"]] * 18
    with (study.folder / "results.csv").open() as file:
        measured = [(row["slug"], row["runs"], row["runs_ended"], row["outcome"]) for row in csv.DictReader(file)]
    assert measured == [(slug, "2", "2", "ok") for slug in study.layouts]
    assert _table(study.folder / "tables.md", SHOWN) == ROWS
    words = ("--configfile", str(config))
    widest = list(study.runs)[-1]
    assert widest.endswith("-r2") and run_nodesweep(tmp_path, "rerun", *words, widest).returncode == 0
    assert [slug for slug in study.runs if not study.record(slug).exists()] == [widest]
    status = run_nodesweep(tmp_path, "status", *words).stdout
    assert "axes: 18 runs of 9 layouts" in status and "1 pending, 17 ok" in status
    why = run_nodesweep(tmp_path, "why", *words, widest.removesuffix("-r2"), "EP").stdout
    assert f"  {widest}: pending: attempt 1 is over" in why and "expert (EP) = 2" in why


def _killed_after(launcher: "subprocess.Popen[str]", folder: Path, count: int) -> None:
    """Kill a launcher with signal 9 once so many runs have started, while one of them is at work."""
    wait_for(lambda: len(starts(folder)) >= count)
    at_work = [path for path in folder.glob("results/*/layouts/*/*.started") if not path.with_suffix(".exit").exists()]
    launcher.send_signal(signal.SIGKILL)
    said, _ = launcher.communicate()
    assert at_work and launcher.returncode == -signal.SIGKILL, said


def _table(path: Path, headings: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The cells below these headings in the first table of tables.md."""
    lines = path.read_text().partition("## Where the time goes")[0].splitlines()
    first, _, *rest = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|")]
    return [tuple(dict(zip(first, row, strict=True))[heading] for heading in headings) for row in rest]
