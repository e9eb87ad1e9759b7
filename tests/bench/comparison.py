"""The same sweep eleven times, and once with one layout slowed by 10 %: what `nodesweep compare` says of them.

`python tests/bench/comparison.py [FOLDER]`: runs the sweeps in a new folder, or takes those that lie in a folder they
ran in. Prints each pair of sweeps that followed each other, which should show no regression, then those with the slowed
layout, which should name it and nothing else. Once with a program that waits a set time, as on a machine that nothing
disturbs, and once with minitrain, whose times are as steady as this machine is.
"""

import os
import re
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from nodesweep.sweep.study import REPOSITORY

RUNS = 11
SHARE = 0.1
SLOWED = "nodes == 1 and micro_batch == 2 and not activation_checkpointing"
COMMON = {"global_batch": 4, "sequence_length": 128}
LAYOUTS = [
    {"nodes": 1, "micro_batch": [1, 2], "activation_checkpointing": [False, True], **COMMON},
    {"nodes": 1, "micro_batch": 1, "global_batch": 8, "sequence_length": 64},
    {"nodes": 2, "tensor": [1, 2], "micro_batch": 1, **COMMON},
    {"nodes": 2, "pipeline": 2, "micro_batch": 1, **COMMON},
]
PACE_SECONDS = 0.05
METRONOME = {
    "name": "metronome",
    "command": ["bash", str(REPOSITORY / "tests" / "programs" / "metronome.sh"), "{{ iterations }}"],
    "environment": {"PACE": PACE_SECONDS},
}
MINITRAIN = yaml.safe_load((REPOSITORY / "config" / "workloads" / "minitrain.yaml").read_text())
BRAKE = ["{{ python }}", str(REPOSITORY / "tests" / "bench" / "brake.py"), str(SHARE)]
TRAINERS = {
    "metronome": (METRONOME, {"environment": {"PACE": round(PACE_SECONDS * (1 + SHARE), 6)}}),
    "minitrain": ("minitrain", {"command": [*BRAKE, *MINITRAIN["command"]]}),
}
"""Workloads, and what slows one layout of each."""


def sweep_of(trainer: str, slowed: bool) -> dict[str, Any]:
    """Eight layouts of one or two ranks, all at one pace or one of them slower."""
    workload, slower = TRAINERS[trainer]
    return {
        "sweep": "again",
        "model": "gpt-tiny",
        "machine": "workstation",
        "workload": workload,
        "iterations": {"total": 45, "warmup": 5},
        "prune": "never",
        "layouts": LAYOUTS,
        "when": [{"if": SLOWED, "workload": slower}] if slowed else [],
    }


def run(folder: Path, trainer: str, slowed: bool = False) -> None:
    """The sweep in a folder of its own, unless it has run there."""
    if (folder / "results" / "again" / "results.csv").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sweep.yaml").write_text(yaml.safe_dump(sweep_of(trainer, slowed)))
    command = ["snakemake", "tables", "--snakefile", REPOSITORY / "Snakefile"]
    command += ["--profile", REPOSITORY / "profiles" / "local", "--configfile", "sweep.yaml"]
    subprocess.run([*map(str, command)], cwd=folder, check=True, capture_output=True, timeout=1800)


def compared(before: Path, after: Path) -> tuple[int, str]:
    """Exit code and text of the comparison of two sweeps."""
    folders = [str(folder / "results" / "again") for folder in (before, after)]
    done = subprocess.run([sys.executable, "-m", "nodesweep", "compare", *folders], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        sys.exit(done.stderr)
    return done.returncode, done.stdout


def main() -> None:
    """Run, compare, print."""
    with tempfile.TemporaryDirectory() as new:
        folder = Path(sys.argv[1] if sys.argv[1:] else new).absolute()
        for trainer in TRAINERS:
            show(folder / trainer, trainer)


def show(folder: Path, trainer: str) -> None:
    """All comparisons of one trainer's sweeps; the last as the command prints it."""
    runs = [folder / f"run-{number:02}" for number in range(RUNS)]
    for path in runs:
        run(path, trainer)
    run(folder / "slowed", trainer, slowed=True)
    print(f"## {trainer}")
    alarms = found = 0
    for before, after in pairwise(runs):
        code, text = compared(before, after)
        alarms += code
        print(f"{before.name} {after.name}: {'REGRESSION' if code else 'none'}: {first_line(text)}")
    for path in runs:
        code, text = compared(path, folder / "slowed")
        found += code
        print(f"{path.name} slowed: {'REGRESSION' if code else 'none'}: {first_line(text)}")
    print(text)
    print(f"{trainer}: {RUNS - 1} pairs of the same sweep, {alarms} false alarms", end="; ")
    print(f"one layout slowed by 10 %, found in {found} of {RUNS}\n")


def first_line(text: str) -> str:
    """The summary of a comparison."""
    return next(line for line in re.split(r"\n+", text) if line and not line.startswith("#"))


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = str(REPOSITORY / "workflow")
    main()
