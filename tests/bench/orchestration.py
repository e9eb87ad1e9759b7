"""What a sweep costs beside its jobs: the same trivial sweep through nodesweep and through ReFrame, as a table.

`python tests/bench/orchestration.py [--layouts 100 1000 10000] [--reframe COMMAND] [--most 1000]`

Each layout runs a program that prints a log of 50 iterations in some milliseconds: one at a time, as nodesweep runs
benchmarks on one machine, then as many at once as ReFrame runs by default. nodesweep is the one command a user types,
its phases read off the times of the files it writes; then the same command again, with nothing left to do.
Memory is the highest of the launcher and of any process it started.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from nodesweep.sweep.study import REPOSITORY

PROGRAM = REPOSITORY / "tests" / "programs" / "printer.sh"
PHASES = {"plan": "plan.md", "scripts": "scripts.sha256", "run": "layouts", "measure": "results.csv"}
COLUMNS = ["all", *PHASES, "tables", "again", "memory"]
SETTLE_SECONDS = 61
"""After ReFrame, which deletes its folders: at each new file ext4 looks through what was deleted in the last minute."""
POLICIES = {1: "serial", 8: "async"}
"""ReFrame's execution policies by jobs at once; the second is its default."""
REFRAME_TEST = """\
import reframe
import reframe.utility.sanity as sanity


@reframe.simple_test
class Layout(reframe.RunOnlyRegressionTest):
    number = parameter(range({layouts}))
    valid_systems = ["*"]
    valid_prog_environs = ["*"]
    sourcesdir = None
    executable = "bash"
    executable_opts = [{program!r}, "50"]

    @sanity_function
    def finished(self):
        return sanity.assert_found(r"iteration\\s+50/\\s+50 ", self.stdout)

    @performance_function("s")
    def iteration_seconds(self):
        return sanity.avg(sanity.extractall(r"per iteration \\(ms\\): (\\S+)", self.stdout, 1, float)) / 1000
"""


def measured(command: list[str], log: Path, **environment: str) -> tuple[float, float]:
    """Wall seconds of a command and the highest resident memory of it and its children in MiB; ends where it fails."""
    started = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **environment}
        )
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed:\n{log.read_text(errors='replace')[-2000:]}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def sweep_of(layouts: int) -> dict:
    """A sweep of so many layouts that differ in their global batch."""
    return {
        "title": "A program that prints a log",
        "model": {"name": "toy", "layers": 4, "hidden_size": 64, "attention_heads": 4, "vocab_size": 1024},
        "machine": {"name": "here", "description": "this machine", "scheduler": "local"},
        "workload": {"name": "printer", "command": ["bash", str(PROGRAM), "{{ iterations }}"]},
        "iterations": {"total": 50, "warmup": 2},
        "layouts": [{"nodes": 1, "global_batch": list(range(1, layouts + 1)), "sequence_length": 128}],
    }


def run_nodesweep(layouts: int, at_once: int) -> dict[str, float]:
    """Seconds of the whole command, of its phases, and of the same command again."""
    name = f"trivial-{layouts}-{at_once}"
    config = Path(f"{name}.yaml")
    config.write_text(yaml.safe_dump(sweep_of(layouts) | {"sweep": name}))
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")),
        *("--profile", str(REPOSITORY / "profiles" / "local"), "--configfile", str(config)),
        *("--nodesweep-jobs-at-once", str(at_once)),
    ]
    began = time.time()
    seconds, memory = measured(command, Path(f"{name}.out"))
    folder = Path("results") / name
    figures, last = {"all": seconds}, began
    for phase, name in PHASES.items():
        paths = folder.glob("layouts/*/job.json") if name == "layouts" else [folder / name]
        written = max(path.stat().st_mtime for path in paths)
        figures[phase], last = written - last, written
    again, memory_again = measured(command, Path(f"{name}-again.out"))
    return figures | {"tables": began + seconds - last, "again": again, "memory": max(memory, memory_again)}


def run_reframe(reframe: str, layouts: int, at_once: int) -> dict[str, float]:
    """Seconds of the whole command, and its memory."""
    policy = POLICIES[at_once]
    test = Path(f"reframe_{layouts}.py")
    test.write_text(REFRAME_TEST.format(layouts=layouts, program=str(PROGRAM)))
    log, prefix = Path(f"reframe-{layouts}-{policy}.out"), f"reframe-{layouts}-{policy}"
    words = ["--prefix", prefix, "--checkpath", str(test), "--run", f"--exec-policy={policy}", "--performance-report"]
    seconds, memory = measured([reframe, *words], log)
    if f"Ran {layouts}/{layouts} test case(s)" not in log.read_text():
        sys.exit(f"ReFrame did not run {layouts} layouts:\n{log.read_text()[-2000:]}")
    return {"all": seconds, "memory": memory}


def show(rows: dict[tuple[str, int, int], dict[str, float]], version_seconds: float) -> None:
    """The table, and the ratios that matter."""
    print(f"| {'':33} | " + " | ".join(f"{name:>7}" for name in COLUMNS) + " |")
    print(f"| {'':-<33} | " + " | ".join("------:" for _ in COLUMNS) + " |")
    for (tool, at_once, layouts), row in rows.items():
        cells = (f"{row[column]:.{0 if column == 'memory' else 1}f}" if column in row else "-" for column in COLUMNS)
        name = f"{tool}, {layouts} layouts, {at_once} at once"
        print(f"| {name:33} | " + " | ".join(f"{cell:>7}" for cell in cells) + " |")
    print("all: seconds of the whole command, then of its phases; again: nothing left to do; memory: highest, MiB")
    print(f"snakemake --version: {version_seconds:.2f} s")
    for (tool, at_once, layouts), row in rows.items():
        if rival := rows.get(("ReFrame", at_once, layouts)) if tool == "nodesweep" else None:
            print(f"{layouts} layouts, {at_once} at once: {row['all'] / rival['all']:.3f} of ReFrame's time")
        if fewer := rows.get((tool, at_once, layouts // 10)):
            print(
                f"{tool}, {layouts} layouts, {at_once} at once: {row['all'] / fewer['all']:.1f} times a tenth of them"
            )
        if "again" in row:
            print(f"{layouts} layouts: nothing to do in {row['again'] / version_seconds:.1f} times snakemake --version")


def main() -> None:
    """Run all in a new folder, the rivals in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layouts", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--reframe", help="its command; without, nodesweep alone")
    parser.add_argument("--most", type=int, default=1000, help="layouts for ReFrame, and for more than one at once")
    options = parser.parse_args()
    reframe = str(Path(options.reframe).absolute()) if options.reframe else ""
    rows: dict[tuple[str, int, int], dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        version = [sys.executable, "-m", "snakemake", "--version"]
        version_seconds = min(measured(version, Path("version.out"))[0] for _ in range(5))
        for layouts in options.layouts:
            for at_once in POLICIES if layouts <= options.most else [1]:
                rows["nodesweep", at_once, layouts] = run_nodesweep(layouts, at_once)
                if reframe and layouts <= options.most:
                    rows["ReFrame", at_once, layouts] = run_reframe(reframe, layouts, at_once)
                    time.sleep(SETTLE_SECONDS)
    show(rows, version_seconds)


if __name__ == "__main__":
    main()
