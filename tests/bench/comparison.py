"""The same real sweep eleven times, and once with one layout slowed by 10 %: what `nodesweep compare` says of them.

`python tests/bench/comparison.py [FOLDER]`: runs the sweeps in a new folder, or takes those that lie in a folder they
ran in. Prints each pair of sweeps that followed each other, which should show no regression, then those with the slowed
layout, which should name it and nothing else.
"""

import os
import re
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import yaml

from nodesweep.study import REPOSITORY

RUNS = 11
SHARE = 0.1
SLOWED = "nodes == 1 and micro_batch == 2 and not activation_checkpointing"
COMMON = {"global_batch": 4, "sequence_length": 128}
SWEEP = {
    "sweep": "again",
    "model": "gpt-tiny",
    "machine": "workstation",
    "workload": "minitrain",
    "iterations": {"total": 45, "warmup": 5},
    "prune": "never",
    "layouts": [
        {"nodes": 1, "micro_batch": [1, 2], "activation_checkpointing": [False, True], **COMMON},
        {"nodes": 1, "micro_batch": 1, "global_batch": 8, "sequence_length": 64},
        {"nodes": 2, "tensor": [1, 2], "micro_batch": 1, **COMMON},
        {"nodes": 2, "pipeline": 2, "micro_batch": 1, **COMMON},
    ],
}


def run(folder: Path, slowed: bool = False) -> None:
    """The sweep in a folder of its own, unless it has run there."""
    if (folder / "results" / "again" / "results.csv").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    sweep = SWEEP
    if slowed:
        command = yaml.safe_load((REPOSITORY / "config" / "workloads" / "minitrain.yaml").read_text())["command"]
        brake = ["{{ python }}", str(REPOSITORY / "tests" / "bench" / "brake.py"), str(SHARE)]
        sweep = SWEEP | {"when": [{"if": SLOWED, "workload": {"command": [*brake, *command]}}]}
    (folder / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    command = ["snakemake", "--snakefile", REPOSITORY / "Snakefile", "--profile", REPOSITORY / "profiles" / "local"]
    subprocess.run(
        [*map(str, command), "--configfile", "sweep.yaml"], cwd=folder, check=True, capture_output=True, timeout=1800
    )


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
        runs = [folder / f"run-{number:02}" for number in range(RUNS)]
        for path in runs:
            run(path)
        run(folder / "slowed", slowed=True)
        alarms = 0
        for before, after in pairwise(runs):
            code, text = compared(before, after)
            alarms += code
            print(f"{before.name} {after.name}: {'REGRESSION' if code else 'none'}: {first_line(text)}")
        print(f"{RUNS - 1} pairs of the same sweep, {alarms} false alarms")
        for path in runs:
            code, text = compared(path, folder / "slowed")
            print(f"{path.name} slowed: {'REGRESSION' if code else 'none'}: {first_line(text)}")
        print(text)


def first_line(text: str) -> str:
    """The summary of a comparison."""
    return next(line for line in re.split(r"\n+", text) if line and not line.startswith("#"))


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = str(REPOSITORY / "workflow")
    main()
