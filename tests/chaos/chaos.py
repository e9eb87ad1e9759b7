"""Kills launchers at random moments of real Slurm sweeps, and checks that nothing is lost and nothing runs twice.

`make chaos` runs a long campaign; tests/chaos/test_chaos.py a short one. The seed decides what is killed and when.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import pandas
from slurm.cluster import Cluster
from sweeps import REPOSITORY, TOY_TRAINER, snakemake_command, write

from nodesweep.launch import journal
from nodesweep.sweep.study import Study

LATEST_KILL_SECONDS = 6.0
LONGEST_LAUNCH_SECONDS = 240
# What differs between any two runs of a sweep: names of submissions, and what the cluster gave them.
OF_ONE_RUN = ["attempt", "job_id", "log", "allocated_nodes"]


@dataclass
class Report:
    """What a campaign did and found; `wrong` has one line for each broken promise."""

    kills: int = 0
    sweeps: int = 0
    layouts: int = 0
    starts: int = 0
    scripted: int = 0
    events: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


class Campaign:
    """Sweeps on one cluster, one after the other, under fire."""

    def __init__(self, cluster: Cluster, folder: Path, seed: int):
        self._cluster = cluster
        self._folder = folder
        self._random = random.Random(seed)
        self._environment = {**os.environ, **cluster.environment, "PYTHONPATH": str(REPOSITORY / "workflow")}
        self.report = Report()

    def undisturbed(self) -> pandas.DataFrame:
        """The rows of the sweep when nothing is done to it but its own scripted crash."""
        folder = self._new_folder("undisturbed")
        self._launch_to_the_end(folder)
        return _rows(folder)

    def killing(self, kills: int, expected: pandas.DataFrame) -> None:
        """Run sweeps until so many launchers have been killed."""
        while self.report.kills < kills:
            folder = self._new_folder(f"sweep{self.report.sweeps}")
            while self.report.kills < kills and not self._launch_and_kill(folder):
                pass
            self._launch_to_the_end(folder)
            self._check(folder, expected)

    def faults(self, expected: pandas.DataFrame) -> None:
        """One sweep while the controller goes away for 30 s, one while nodes fail, one while the disk is full."""
        for fault in (self._controller_away, self._node_fails):
            folder = self._new_folder(fault.__name__.strip("_"))
            launcher = self._launch(folder)
            _wait_for_starts(folder, 2)
            fault()
            self._end(launcher)
            self._launch_to_the_end(folder)
            self._check(folder, expected)
        with _small_disk(self._new_folder("full_disk")) as folder:
            launcher = self._launch(folder)
            _wait_for_starts(folder, 2)
            with _filled(folder / "results"):
                self.report.events["disk full"] += 1
                self._end(launcher)
            self._launch_to_the_end(folder)
            # Jobs that could not write their output ended as best they could: their rows have other words.
            self._check(folder, expected, ("evidence", "outcome_note", "flags"))

    def _new_folder(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir()
        write(folder / "sweep.yaml", sweep(folder))
        return folder

    def _launch(self, folder: Path) -> subprocess.Popen[bytes]:
        words = ["--nodesweep-poll-seconds", "0.5", "--nodesweep-jobs-at-once", "4", "--nodesweep-retries", "3"]
        with (folder / "launchers.log").open("ab") as log:
            return subprocess.Popen(
                snakemake_command(folder / "sweep.yaml", *words, profile="slurm"),
                **{"cwd": folder, "env": self._environment, "start_new_session": True, "stdout": log, "stderr": log},
            )

    def _launch_and_kill(self, folder: Path) -> bool:
        """One launcher, killed at a random moment, alone or with all it has started; True if it was done before."""
        launcher = self._launch(folder)
        try:
            return launcher.wait(self._random.uniform(0, LATEST_KILL_SECONDS)) == 0
        except subprocess.TimeoutExpired:
            if self._random.random() < 0.5:
                launcher.kill()
            else:
                os.killpg(launcher.pid, signal.SIGKILL)
            launcher.wait()
            self.report.kills += 1
            return False

    def _launch_to_the_end(self, folder: Path) -> None:
        """The same command until it has nothing left to do; each layout that crashes by script fails one of them."""
        for _ in range(4):
            if self._end(self._launch(folder)) == 0:
                return
        self.report.wrong.append(f"{folder.name} did not come to an end: {_tail(folder / 'launchers.log')}")

    def _end(self, launcher: subprocess.Popen[bytes]) -> int:
        return launcher.wait(LONGEST_LAUNCH_SECONDS)

    def _controller_away(self) -> None:
        self._cluster.stop_controller()
        time.sleep(30)
        self._cluster.start_controller()
        self.report.events["controller away for 30 s"] += 1

    def _node_fails(self) -> None:
        """Each of four nodes goes down in turn, whatever runs there, and comes back."""
        for name in ("node1", "node2", "node3", "node4"):
            self._cluster.set_node(name, "down")
            time.sleep(1)
            self._cluster.set_node(name, "resume")
            self.report.events["node failure"] += 1

    def _check(self, folder: Path, expected: pandas.DataFrame, but: tuple[str, ...] = ()) -> None:
        """Starts are those the journal has ends for, scripted failures alone come twice, and the rows are the same."""
        study = Study.load([folder / "sweep.yaml"], results=folder / "results")
        self.report.sweeps += 1
        for slug in study.layouts:
            starts = len((folder / "starts" / slug).read_text().splitlines())
            ends = journal.records_in(journal.read(study.journal(slug)))
            started = [end for end in ends if (study.directory(slug) / f"{end.key}.started").exists()]
            failures = sum(end.outcome in ("crash", "node_failure", "preempted") for end in started[:-1])
            self.report.layouts += 1
            self.report.starts += starts
            self.report.scripted += failures
            # On a full disk a script may end after its mark and before its trainer: fewer starts, never more.
            unexplained = starts > len(started) if but else starts != len(started)
            if unexplained or len(started) - failures != 1:
                self.report.wrong.append(f"{folder.name}/{slug}: {starts} starts, ends {[e.outcome for e in ends]}")
        rows = _rows(folder)
        same = [name for name in expected.columns if name not in but]
        if not rows[same].equals(expected[same]):
            self.report.wrong.append(f"{folder.name}: other rows:\n{rows[same].compare(expected[same])}")


def sweep(folder: Path) -> dict[str, Any]:
    """Layouts of 1 to 8 nodes; one crashes in its first run, one runs out of memory."""
    return {
        "sweep": "chaos",
        "model": {"name": "toy", "layers": 4, "hidden_size": 64, "attention_heads": 4, "vocab_size": 1024},
        "machine": {"name": "cluster", "scheduler": "slurm", "elapse_limit_seconds": 600},
        "workload": {
            "name": "toy",
            "setup": [f"mkdir -p {folder}/starts"],
            "command": [
                *("bash", str(TOY_TRAINER), "{{ iterations }}", "{{ 0.1 * micro_batch }}"),
                "{{ 'once' if nodes == 3 else 'oom' if nodes == 6 else 'ok' }}",
            ],
            "environment": {"STARTS": f"{folder}/starts/{{{{ slug }}}}"},
            "log_format": "megatron-deepspeed",
        },
        "iterations": {"total": 3, "warmup": 1},
        "layouts": [{"nodes": [1, 2, 3, 4, 6, 8], "micro_batch": [1, 2], "global_batch": 48, "sequence_length": 128}],
    }


def _rows(folder: Path) -> pandas.DataFrame:
    """results.csv without what belongs to one run; the evidence without its line's number."""
    rows = pandas.read_csv(folder / "results" / "chaos" / "results.csv")
    return rows.drop(columns=OF_ONE_RUN)


def _wait_for_starts(folder: Path, count: int) -> None:
    limit = time.monotonic() + 60
    while len(list(folder.glob("starts/*"))) < count:
        if time.monotonic() > limit:
            raise TimeoutError(f"{folder.name}: no {count} starts in a minute: {_tail(folder / 'launchers.log')}")
        time.sleep(0.05)


def _tail(path: Path) -> str:
    return " / ".join(path.read_text(errors="replace").splitlines()[-5:])


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    """A folder whose results lie on a file system of two MiB."""
    results = folder / "results"
    results.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(results)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(results)], check=True)


@contextlib.contextmanager
def _filled(folder: Path) -> Iterator[None]:
    """The file system is full to its last byte."""
    filler = folder / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 512)
    try:
        yield
    finally:
        filler.unlink()


def campaign(cluster: Cluster, folder: Path, kills: int, seed: int, faults: bool) -> Report:
    """A whole campaign in a folder of its own."""
    run = Campaign(cluster, folder, seed)
    expected = run.undisturbed()
    run.killing(kills, expected)
    if faults:
        run.faults(expected)
    return run.report


def main() -> int:
    """Run a campaign from the command line; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    print(f"seed {options.seed}, in {folder}", flush=True)
    with Cluster(accounting=True) as cluster:
        report = campaign(cluster, folder, options.kills, options.seed, faults=True)
    print(
        f"{report.kills} launchers killed over {report.sweeps} sweeps of {report.layouts} layouts in all: "
        f"{report.starts} starts, {report.scripted} of them repeated after scripted failures "
        f"({', '.join(f'{count} x {name}' for name, count in report.events.items())})"
    )
    for line in report.wrong:
        print(f"WRONG: {line}")
    if not report.wrong:
        shutil.rmtree(folder)
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
