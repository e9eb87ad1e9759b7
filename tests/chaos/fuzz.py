"""Damaged and hostile files under results/: each reader refuses them in words, in time, and runs no command for them.

`make fuzz`: a toy sweep is run once, then one file a time is changed and read again: by readers of its layout, and of
each SAMPLE-th change by the commands, in one process. A finding is any exception but NodesweepError, a layout's file
that changes the rows of others, a reader that takes longer than a watchdog, an unprintable character in what is shown,
and a word of a scheduler's command that is neither an option nor an id.
"""

import argparse
import contextlib
import dataclasses
import gc
import io
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from hostile_values import REPLACEMENTS, changed_bytes, changed_cell, changed_json, remove
from sweeps import drained, runner_of, study_in, toy, write

from nodesweep.cli.main import main as nodesweep
from nodesweep.common import lock
from nodesweep.common.errors import NodesweepError
from nodesweep.importers.job_logs import Ingested
from nodesweep.importers.saved_file import read_saved
from nodesweep.launch import journal
from nodesweep.launch.journal_events import Intent, Submitted
from nodesweep.launch.records import read_phase
from nodesweep.launch.runner import Runner
from nodesweep.launch.status_reader import StatusReader
from nodesweep.launch.submission import Policy
from nodesweep.performance.calibration.files import read_calibrations
from nodesweep.results.measurement_file import measurement_of
from nodesweep.results.results_file import edited_remark, read_results
from nodesweep.results.rows import LayoutRun, row_of_run
from nodesweep.schedulers import slurm
from nodesweep.schedulers.batch import Reply
from nodesweep.sweep.study import Study

SAMPLE = 1000
WATCHDOG_SECONDS = 10.0
ENDINGS = {1: "ok", 2: "crash", 3: "oom", 4: "missing", 5: "ok"}
QUEUED, STARTED, PENDING = 6, 7, 8
COMMANDS = ("status", "measure", "plan", "tables", "why", "show", "explain", "status --all", "rerun", "report")
_WORD = re.compile(
    r"--[a-z-]+|--(states=all|user=\d+|Format=\S+|clusters=[\w,-]+|starttime=[\w-]+|format=\S+)"
    r"|--jobs=\d+(,\d+)*|--name=[\w-]+(,[\w-]+)*|--parsable2?|\d+|show|config|-[a-zA-Z]|[a-z]+"
)
_OF_A_JOB = re.compile(r"\d{1,20}(_\d+)?")


class Watchdog(BaseException):
    """A reader took too long; no handler of errors takes it for one."""


class Fuzz:
    """A results folder of a real sweep, and what reading it gave once one of its files was changed."""

    def __init__(self, folder: Path, seed: int):
        self.folder, self.rng = folder, random.Random(seed)
        self.findings: list[str] = []
        self.outcomes: Counter[str] = Counter()
        self.commands: list[Sequence[str]] = []
        self.study = _seed_sweep(folder)
        self.pristine = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
        self.times = {path: path.stat().st_mtime_ns for path in self.pristine}
        self.files = [path for path in self.pristine if path.is_relative_to(self.study.folder)]
        self.alone = {slug: _alone(self.study, slug) for slug in self.study.layouts}
        self.rows = self._rows()

    def run(self, mutations: int, sample: int) -> None:
        """Change, read and restore one file so often; each `sample`-th is read by the commands as well."""
        slurm.run_command, real = self._run_command, slurm.run_command
        lock.GIVEN_UP_SECONDS, lock.LOOK_SECONDS = 0.1, 0.02  # how long a claim is watched that says nothing
        before = signal.signal(signal.SIGALRM, _bark)
        try:
            for number in range(mutations):
                self._mutation(number, commands=number % sample == sample - 1)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            slurm.run_command = real

    def _mutation(self, number: int, commands: bool) -> None:
        path = self.rng.choice(self.files)
        change = self._change(path)
        self.commands.clear()
        try:
            for name, reader in self._readers(path):
                self._try(f"{number} {name}", path, change, reader)
            if commands:
                self._try_commands(number, path, change)
        finally:
            self._restore(path, commands)
        wrong = [words for words in self.commands if not _is_about_ids(words)]
        if wrong:
            self._find(f"{number} ran {wrong[0]!r:.200}", path, change)

    def _change(self, path: Path) -> str:
        """Change a file, or put something else in its place; says how."""
        if self.rng.random() < 0.1:
            replacement = self.rng.choice(REPLACEMENTS)
            remove(path)
            replacement(path)
            return f"replaced by {REPLACEMENTS.index(replacement)}"
        data = self.pristine[path]
        structured = (
            changed_json
            if path.suffix in (".json", ".jsonl", ".exit") or path.name.startswith(".lock")
            else changed_cell
        )
        changed = (structured if self.rng.random() < 0.6 else changed_bytes)(data, self.rng)
        path.write_bytes(changed)
        return repr(changed if len(changed) < 3000 else changed[:3000])

    def _readers(self, path: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
        """What reads a file in a process of nodesweep: those of its layout, or those of the sweep."""
        if path.parent.parent.name == "layouts":
            alone = self.alone[path.parent.name]
            yield "phase", lambda: _phase(alone)
            yield self.rng.choice((("status", lambda: _status(alone)), ("recover", lambda: _recover(alone))))
        elif path.parent.name == "calibration":
            yield "calibrations", lambda: read_calibrations(self.study)
        elif path.parent.name == "ingested":
            yield "ingested", lambda: read_saved(path, Ingested.from_json).figures()
        elif path.name.startswith("results.csv"):
            yield "results", lambda: (read_results(self.study.folder), edited_remark(self.study.folder))
        elif path.name.startswith(".lock"):
            yield "lock", lambda: StatusReader(self.study).at_once

    def _try(self, name: str, path: Path, change: str, reader: Callable[[], Any]) -> None:
        """Read; only a NodesweepError is an answer."""
        signal.setitimer(signal.ITIMER_REAL, WATCHDOG_SECONDS)
        try:
            reader()
            self.outcomes["read"] += 1
        except NodesweepError:
            self.outcomes["refused"] += 1
        except (Exception, Watchdog):
            self._find(f"{name}: {traceback.format_exc(limit=-4)}", path, change)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _try_commands(self, number: int, path: Path, change: str) -> None:
        """Run the commands as a user would; a damaged layout costs its own row alone."""
        for command in COMMANDS:
            words = command.split() + (
                [self.rng.choice(list(self.study.layouts))] if command in ("why", "rerun") else []
            )
            self._try(f"{number} nodesweep {command}", path, change, lambda words=words: self._command(words))
            if command == "measure" and path.parent.parent.name == "layouts":
                rows = self._rows()
                others = [slug for slug, row in self.rows.items() if slug != path.parent.name and rows.get(slug) != row]
                if others:
                    self._find(f"{number} measure changed {others}", path, change)

    def _command(self, words: list[str]) -> None:
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
            code = nodesweep(["--configfile", "sweep.yaml", *words])
        shown = out.getvalue().replace("\n", "").replace("\t", "")
        if code not in (0, 1, 2) or not shown.isprintable():
            raise AssertionError(f"exit code {code}: {out.getvalue()!r:.300}")

    def _rows(self) -> dict[str, str]:
        """The lines of results.csv by slug, without what may follow from all runs together."""
        try:
            frame = read_results(self.study.folder)[["slug", "state", "outcome", "iteration_seconds", "log"]]
        except NodesweepError:
            return {}
        return {str(row[1]): repr(row[1:]) for row in frame.itertuples()}

    def _restore(self, path: Path, everything: bool) -> None:
        remove(path)
        if not everything:
            self._write(path)
            written = path.parent / "measurement.json"
            if path.parent.parent.name == "layouts" and written in self.pristine and written != path:
                self._write(written)
            return
        for there in sorted(self.study.folder.rglob("*"), reverse=True):
            if there not in self.pristine and (there.is_symlink() or not there.is_dir()):
                there.unlink()
        for file in self.pristine:
            if file.is_dir():
                shutil.rmtree(file)
            file.parent.mkdir(parents=True, exist_ok=True)
            self._write(file)

    def _write(self, path: Path) -> None:
        """Write a file as it was, with its time: a log of another time is measured again."""
        path.write_bytes(self.pristine[path])
        os.utime(path, ns=(self.times[path], self.times[path]))

    def _find(self, what: str, path: Path, change: str) -> None:
        self.findings.append(f"{path.relative_to(self.folder)}: {what}\n    {change}")

    def _run_command(self, words: Sequence[str], *_: Any, **__: Any) -> Reply:
        """A scheduler that knows of no job, and notes what it was asked."""
        self.commands.append(words)
        return Reply(words[0], 0, "ClusterName = c\n" if words[0] == "scontrol" else "", "")


def _bark(number: int, frame: FrameType | None) -> None:
    raise Watchdog


def _is_about_ids(words: Sequence[str]) -> bool:
    """Whether a command of a scheduler is made of options and of what may be ids and names of jobs."""
    if words[0] == "scancel":
        ids = [word for word in words[1:] if not word.startswith("--clusters=")]
        return bool(ids) and all(_OF_A_JOB.fullmatch(word) for word in ids)
    return all(_WORD.fullmatch(word) for word in words)


def _phase(study: Study) -> None:
    for slug, layout in study.layouts.items():
        phase, _, record = read_phase(study, slug)
        with contextlib.suppress(OSError):  # told by `nodesweep measure`
            row_of_run(LayoutRun(layout, phase, record, measurement_of(study, layout, record) if record else None))


def _status(study: Study) -> None:
    reader, now = StatusReader(study), time.time()
    for one in reader.layouts(now):
        reader.progress(one, now)


def _recover(study: Study) -> None:
    runner = Runner(study, slurm.Slurm(), Policy(), tell=lambda line: None)
    runner.recover()
    runner.close(cancel=True)


def _alone(study: Study, slug: str) -> Study:
    """The sweep as if it held one layout, in the folder of all."""
    expansion = dataclasses.replace(study.expansion, layouts=(study.layouts[slug],), blocks=(0,))
    machine = study.sweep.machine.model_copy(update={"scheduler": "slurm"})
    return dataclasses.replace(study, expansion=expansion, sweep=study.sweep.model_copy(update={"machine": machine}))


def _seed_sweep(folder: Path) -> Study:
    """A sweep with an end of each kind, jobs that are queued and that run, and all that commands write of it."""
    os.chdir(folder)
    ending = "{{ 'crash' if nodes == 2 else 'oom' if nodes == 3 else 'missing' if nodes == 4 else 'ok' }}"
    axes = {"global_batch": 840, "sequence_length": 128, "parameters": {"backend": "flash", "depth": 4}}
    layouts = [{"nodes": [*ENDINGS, QUEUED, STARTED, PENDING], **axes}]
    changes = {"seconds": 0.01, "ending": ending, "layouts": layouts}
    study = study_in(folder, **changes)
    write(folder / "sweep.yaml", toy(**changes))
    slugs = {layout.nodes: slug for slug, layout in study.layouts.items()}
    runner = runner_of(study, jobs_at_once=4, canary=0)
    runner.add([slugs[nodes] for nodes in ENDINGS])
    drained(runner, len(ENDINGS))
    for path in study.folder.glob("layouts/*/journal.jsonl"):
        _as_slurm(path)
    for nodes in (QUEUED, STARTED):
        directory, key = study.directory(slugs[nodes]), f"toy-0123456789ab-a1-{nodes}xyz"
        journal.append(directory / "journal.jsonl", Intent(key=key, attempt=1, scheduler="slurm"))
        journal.append(directory / "journal.jsonl", Submitted(key=key, job_id=f"40{nodes}"))
        if nodes == STARTED:
            (directory / f"{key}.started").write_text("1\n")
            shutil.copy(next(study.directory(slugs[1]).glob("*.log")), directory / f"{key}.log")
    logs = next(study.directory(slugs[1]).glob("*.log"))
    for words in ("plan", "scripts", f"ingest {logs} --name old --set nodes=1", "measure", "tables", "report"):
        with contextlib.redirect_stdout(io.StringIO()):
            assert nodesweep(["--configfile", "sweep.yaml", *words.split()]) == 0, words
    lock.SweepLock(study.folder, jobs_at_once=2).release()
    return study


def _as_slurm(path: Path) -> None:
    """A journal as it would be of Slurm's jobs."""
    text = path.read_text().replace('"scheduler": "local"', '"scheduler": "slurm"')
    path.write_text(re.sub(r'"job_id": "(\d+)@\d+"', r'"job_id": "\1"', text))


def fuzzed(seed: int, mutations: int, sample: int) -> tuple[Counter[str], list[str]]:
    """Make a sweep and change its files so often; how often they were read and refused, and the findings."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        before = Path.cwd()
        try:
            fuzz = Fuzz(Path(folder), seed)
            gc.freeze()  # what is there already is looked through no more
            fuzz.run(mutations, sample)
        finally:
            os.chdir(before)
    return fuzz.outcomes, fuzz.findings


def main() -> int:
    """Print what was found; 1 for any finding."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mutations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sample", type=int, default=SAMPLE, help="the commands read each so many-th change")
    options = parser.parse_args()
    processes = len(os.sched_getaffinity(0))
    started, share = time.monotonic(), -(-options.mutations // processes)
    with ProcessPoolExecutor(processes) as pool:
        seeds = range(options.seed, options.seed + processes)
        found = list(pool.map(fuzzed, seeds, [share] * processes, [options.sample] * processes))
    outcomes = sum((counts for counts, _ in found), Counter[str]())
    findings = [finding for _, some in found for finding in some]
    seconds = time.monotonic() - started
    print(f"seeds {seeds[0]} to {seeds[-1]}: {share * processes} changes in {seconds:.0f} s, {processes} processes")
    print(f"{outcomes['read']} readings, {outcomes['refused']} refusals, {len(findings)} findings")
    print("\n".join(findings[:20]))
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main())
