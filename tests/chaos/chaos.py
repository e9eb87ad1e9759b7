"""Kills launchers at random moments of real Slurm sweeps, and checks that nothing is lost and nothing runs twice.

Meanwhile the site does to each sweep what sites do: see mischief.py. `make chaos` runs a long campaign;
tests/chaos/test_chaos.py a short one. The seed decides what is killed and when, and what else happens.
"""

import argparse
import contextlib
import random
import shutil
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
from mischief import MISCHIEF, PLACES, Sweep
from slurm.stage import Launcher, Site, Stage, site
from sweeps import TOY_TRAINER, write

from nodesweep.launch import journal
from nodesweep.sweep.study import Study

LATEST_KILL_SECONDS = 6.0
LONGEST_LAUNCH_SECONDS = 240
OUT_OF_MEMORY_NODES = 6
POLICY = {"jobs_at_once": 4, "retries": 3}
# What differs between any two runs of a sweep: names of submissions, and what the cluster gave them.
OF_ONE_RUN = ["attempt", "job_id", "log", "allocated_nodes"]
# What may differ where a job was suspended, or its log or its marker was not to be had when it ended.
WORDS_OF_ENDS = ("evidence", "outcome_note", "flags")


@dataclass
class Report:
    """What a campaign did and found; `wrong` has one line for each broken promise."""

    kills: int = 0
    sweeps: int = 0
    runs: int = 0
    starts: int = 0
    scripted: int = 0
    events: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.kills} launchers killed over {self.sweeps} sweeps of {self.runs} runs in all: "
            f"{self.starts} starts, {self.scripted} of them repeated after scripted failures "
            f"({', '.join(f'{count} x {name}' for name, count in self.events.items())}), {len(self.wrong)} wrong"
        )


class Campaign:
    """Sweeps on one site, one after the other, under fire."""

    def __init__(self, place: Site, folder: Path, seed: int, mischief: bool):
        self._site = place
        self._folder = folder
        self._random = random.Random(seed)
        self._mischief = mischief
        self._latest_kill_seconds = LATEST_KILL_SECONDS
        self.report = Report()

    def undisturbed(self) -> pandas.DataFrame:
        """The rows of the sweep when nothing is done to it but its own scripted crash."""
        one, began = self._new_sweep("undisturbed"), time.monotonic()
        launcher = self._launch(one)
        _wait_for_starts(one, 1)
        # A machine with much else to do takes longer to begin: half of the kills come after the first start.
        self._latest_kill_seconds = max(LATEST_KILL_SECONDS, 2 * (time.monotonic() - began))
        self._end(launcher)
        self._launch_to_the_end(one)
        return _rows(one)

    def killing(self, kills: int, expected: pandas.DataFrame) -> None:
        """Run sweeps until so many launchers have been killed, each sweep in some place of the site."""
        while self.report.kills < kills:
            place = self._random.choice([*PLACES]) if self._mischief else "default partition"
            self.report.events[f"sweep in {place}"] += 1
            one = self._new_sweep(f"sweep{self.report.sweeps}", **PLACES[place])
            while self.report.kills < kills and not self._launch_and_kill(one):
                pass
            self._launch_to_the_end(one)
            self._check(one, expected, WORDS_OF_ENDS if one.disturbed else ())
            one.stage.close()

    def faults(self, expected: pandas.DataFrame) -> None:
        """One sweep while the controller goes away for 30 s, one while nodes fail, one while the disk is full."""
        for fault in (self._controller_away, self._node_fails):
            one = self._new_sweep(fault.__name__.strip("_"))
            launcher = self._launch(one)
            _wait_for_starts(one, 2)
            fault()
            self._end(launcher)
            self._launch_to_the_end(one)
            # A node may fail when the work is done, which the row then says.
            self._check(one, expected, ("outcome_note",))
        one = self._new_sweep("full_disk")
        with _small_disk(one):
            launcher = self._launch(one)
            _wait_for_starts(one, 2)
            with _filled(one.home / "results"):
                self.report.events["disk full"] += 1
                self._end(launcher)
            self._launch_to_the_end(one)
            # Jobs that could not write their output ended as best they could.
            self._check(one, expected, WORDS_OF_ENDS, disk_full=True)

    def _new_sweep(self, name: str, **options: str) -> Sweep:
        folder = self._folder / name
        stage = Stage(self._site, folder, silent_seconds=None, quick=False)
        (folder / "home").mkdir()
        stage.own(folder / "home")
        write(folder / "home" / "sweep.yaml", sweep(folder, options))
        return Sweep(stage, folder / "home", self._random, self.report.events)

    def _launch(self, one: Sweep) -> Launcher:
        return one.launch(POLICY)

    def _launch_and_kill(self, one: Sweep) -> bool:
        """One launcher, killed at a random moment, alone or with all it has started; True if it was done before.

        Before half of the kills something else happens to the sweep.
        """
        launcher = self._launch(one)
        try:
            if launcher.process.wait(self._random.uniform(0, self._latest_kill_seconds)) == 0:
                return True
        except subprocess.TimeoutExpired:
            if self._mischief and self._random.random() < 0.5:
                one.disturbed = True
                self._random.choice(MISCHIEF)(one)
        try:
            return launcher.process.wait(self._random.uniform(0, 1)) == 0
        except subprocess.TimeoutExpired:
            if self._random.random() < 0.5:
                launcher.process.kill()
            else:
                launcher.kill()
            launcher.process.wait()
            self.report.kills += 1
            return False

    def _launch_to_the_end(self, one: Sweep) -> None:
        """The same command until it has nothing left to do; each layout that crashes by script fails one of them."""
        for _ in range(one.most_launches):
            if self._end(self._launch(one)) == 0:
                return
        self.report.wrong.append(f"{one.home} did not come to an end: {_tail(one.home / 'launchers.log')}")

    def _end(self, launcher: Launcher) -> int:
        return launcher.process.wait(LONGEST_LAUNCH_SECONDS)

    def _controller_away(self) -> None:
        self._site.a.stop_controller()
        time.sleep(30)
        self._site.a.start_controller()
        self.report.events["controller away for 30 s"] += 1

    def _node_fails(self) -> None:
        """Each of four nodes goes down in turn, whatever runs there, and comes back."""
        for name in ("node1", "node2", "node3", "node4"):
            self._site.a.set_node(name, "down")
            time.sleep(1)
            self._site.a.set_node(name, "resume")
            self.report.events["node failure"] += 1

    def _check(
        self, one: Sweep, expected: pandas.DataFrame, but: tuple[str, ...] = (), disk_full: bool = False
    ) -> None:
        """Starts are those the journal has ends for, scripted failures alone come twice, and the rows are the same.

        A second run of what runs out of memory is needless, and starts at most once.
        """
        study = Study.load([one.home / "sweep.yaml"], results=one.home / "results")
        self.report.sweeps += 1
        for slug, run in study.runs.items():
            starts = one.starts(slug)
            ends = journal.records_in(journal.read(study.journal(slug)))
            started = [end for end in ends if (study.directory(slug) / f"{end.key}.started").exists()]
            failures = sum(end.outcome in ("crash", "node_failure", "preempted") for end in started[:-1])
            needless = run.repeat > 1 and run.nodes == OUT_OF_MEMORY_NODES and not started
            self.report.runs += not needless
            self.report.starts += starts
            self.report.scripted += failures
            # A script may end after its mark and before its trainer, on a full disk or with its node: fewer starts
            # than marks then, never more.
            cut_short = len(started) if disk_full else sum(end.outcome == "node_failure" for end in started)
            unexplained = not len(started) - cut_short <= starts <= len(started)
            if unexplained or len(started) - failures != (not needless):
                self.report.wrong.append(f"{one.home}/{slug}: {starts} starts, ends {[e.outcome for e in ends]}")
        rows = _rows(one)
        same = [name for name in expected.columns if name not in but]
        if not rows[same].equals(expected[same]):
            self.report.wrong.append(f"{one.home}: other rows:\n{rows[same].compare(expected[same])}")
        print(self.report, flush=True)


def sweep(folder: Path, options: dict[str, str]) -> dict[str, Any]:
    """Layouts of 1 to 8 nodes, two runs each; the runs of one crash at first, one runs out of memory.

    `options`: of all its jobs.
    """
    return {
        "sweep": "chaos",
        "model": {"name": "toy", "layers": 4, "hidden_size": 64, "attention_heads": 4, "vocab_size": 1024},
        "machine": {"name": "cluster", "scheduler": "slurm", "elapse_limit_seconds": 600, "options": options},
        "workload": {
            "name": "toy",
            "setup": [f"mkdir -p {folder}/starts"],
            "command": [
                *("bash", str(TOY_TRAINER), "{{ iterations }}", "{{ 0.1 * micro_batch }}"),
                f"{{{{ 'once' if nodes == 3 else 'oom' if nodes == {OUT_OF_MEMORY_NODES} else 'ok' }}}}",
            ],
            "environment": {"STARTS": f"{folder}/starts/{{{{ slug }}}}"},
            "log_format": "megatron-deepspeed",
        },
        "iterations": {"total": 3, "warmup": 1},
        "repeats": 2,
        "layouts": [
            {"nodes": [OUT_OF_MEMORY_NODES, 3, 1, 2, 4, 8], "global_batch": 48, "sequence_length": 128},
            {"nodes": [2, 8], "micro_batch": 2, "global_batch": 48, "sequence_length": 128},
        ],
    }


def _rows(one: Sweep) -> pandas.DataFrame:
    """results.csv without what belongs to one run, and without whether a needless run was made all the same."""
    rows = pandas.read_csv(one.home / "results" / "chaos" / "results.csv")
    rows.loc[rows["nodes"] == OUT_OF_MEMORY_NODES, ["runs_ended", "flags"]] = None
    return rows.drop(columns=OF_ONE_RUN)


def _wait_for_starts(one: Sweep, count: int) -> None:
    limit = time.monotonic() + 60
    while len(list(one.stage.folder.glob("starts/*"))) < count:
        if time.monotonic() > limit:
            raise TimeoutError(f"{one.home}: no {count} starts in a minute: {_tail(one.home / 'launchers.log')}")
        time.sleep(0.05)


def _tail(path: Path) -> str:
    return " / ".join(path.read_text(errors="replace").splitlines()[-5:])


@contextlib.contextmanager
def _small_disk(one: Sweep) -> Iterator[None]:
    """The results of a sweep lie on a file system of two MiB."""
    results = one.home / "results"
    results.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=1777", "tmpfs", str(results)], check=True)
    try:
        yield
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


def campaign(place: Site, folder: Path, kills: int, seed: int, faults: bool) -> Report:
    """A whole campaign in a folder of its own; `faults`: with all that goes wrong beside the launchers."""
    run = Campaign(place, folder, seed, mischief=faults)
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
    folder.chmod(0o755)
    with site(nodes=8, nodes_of_b=8) as place:
        report = campaign(place, folder, options.kills, options.seed, faults=True)
    print(report)
    for line in report.wrong:
        print(f"WRONG: {line}")
    if not report.wrong:
        shutil.rmtree(folder)
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
