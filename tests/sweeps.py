"""Small sweeps for tests, and the real snakemake run on them."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from paths import REPOSITORY

from nodesweep.launch.runner import Finished, Policy, Runner
from nodesweep.schedulers.base import Scheduler
from nodesweep.schedulers.job_script import PROVENANCE, provenance_script, render
from nodesweep.schedulers.local import Local
from nodesweep.sweep.study import Study

TOY_TRAINER = REPOSITORY / "tests" / "programs" / "toy_trainer.sh"


def toy(seconds: float | str = 0.05, ending: str = "ok", hold: str = "", **changes: Any) -> dict[str, Any]:
    """A sweep of two layouts that runs the toy trainer; each start leaves a line in <layout>/starts.

    `hold`: no iteration ends while that file is there.
    """
    return {
        "sweep": "toy",
        "title": "Toy sweep",
        "model": {"name": "toy", "layers": 4, "hidden_size": 64, "attention_heads": 4, "vocab_size": 1024},
        "machine": {"name": "here", "scheduler": "local", "elapse_limit_seconds": 120},
        "workload": {
            "name": "toy",
            "command": ["bash", str(TOY_TRAINER), "{{ iterations }}", f"{seconds}", ending],
            "environment": {"STARTS": "{{ directory }}/starts"} | ({"HOLD": hold} if hold else {}),
            "log_format": "megatron-deepspeed",
        },
        "iterations": {"total": 3, "warmup": 1},
        "layouts": [{"nodes": [1, 2], "global_batch": 16, "sequence_length": 128}],
        **changes,
    }


def write(path: Path, sweep: Any) -> Path:
    """Write a sweep as YAML."""
    path.write_text(yaml.safe_dump(sweep, sort_keys=False, allow_unicode=True))
    return path


def study_in(folder: Path, **changes: Any) -> Study:
    """A sweep with its scripts written, below `folder`/results."""
    study = Study.load([write(folder / "sweep.yaml", toy(**changes))], results=folder / "results")
    study.folder.mkdir(parents=True, exist_ok=True)
    (study.folder / PROVENANCE).write_text(provenance_script())
    for slug, layout in study.runs.items():
        study.directory(slug).mkdir(parents=True, exist_ok=True)
        study.script(slug).write_text(render(layout, study.sweep.sweep, study.folder))
    return study


def runner_of(
    study: Study, lines: list[str] | None = None, scheduler: Scheduler | None = None, **policy: Any
) -> Runner:
    """A new launcher's runner, as after a restart; on this machine unless another scheduler is given."""
    runner = Runner(study, scheduler or Local(), Policy(**policy), (lines if lines is not None else []).append)
    runner.recover()
    return runner


def drained(runner: Runner, count: int, seconds: float = 60) -> list[Finished]:
    """Step until `count` layouts are done with."""
    done: list[Finished] = []
    limit = time.monotonic() + seconds
    while len(done) < count:
        assert time.monotonic() < limit
        done += runner.step()
        runner.wait(0.2)
    return done


def held(folder: Path) -> Path:
    """A file that holds the runs of a toy sweep until it is removed."""
    path = folder / "hold"
    path.touch()
    return path


def snakemake_command(config: Path, *words: str, repository: Path = REPOSITORY, profile: str = "local") -> list[str]:
    """The command a user types, from any folder; without figures and page, which take seconds, unless a target asks."""
    unwanted = [] if {"all", "figures", "report"} & set(words) else ["--omit-from", "figures"]
    return [
        *(sys.executable, "-m", "snakemake", *words, *unwanted),
        *("--snakefile", str(repository / "Snakefile"), "--profile", str(repository / "profiles" / profile)),
        *("--configfile", str(config)),
    ]


def hear_signals() -> None:
    """Have a command heed Ctrl-C and a terminal that closes, also where the tests run in the background or by nohup."""
    for heard in (signal.SIGINT, signal.SIGHUP):
        signal.signal(heard, signal.SIG_DFL)


def launched(folder: Path, config: Path, *words: str, profile: str = "local") -> subprocess.Popen[str]:
    """A launcher in the background, open to Ctrl-C even where the tests themselves run in the background."""
    return subprocess.Popen(
        snakemake_command(config, *words, profile=profile),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=hear_signals,
    )


def run_snakemake(
    folder: Path, config: Path, *words: str, repository: Path = REPOSITORY, profile: str = "local"
) -> subprocess.CompletedProcess[str]:
    """Run the whole workflow in `folder`; stderr is merged into stdout."""
    return _run(folder, snakemake_command(config, *words, repository=repository, profile=profile), repository)


def run_nodesweep(folder: Path, *words: str, repository: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    """Run the nodesweep command in `folder`; stderr is merged into stdout."""
    return _run(folder, [sys.executable, "-m", "nodesweep", *words], repository)


def copied_repository(folder: Path) -> Path:
    """A copy of what runs of the repository, to be edited."""
    folder.mkdir()
    for name in ("Snakefile", "workflow", "config", "profiles"):
        source = REPOSITORY / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    return folder


def _run(folder: Path, command: list[str], repository: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(repository / "workflow")}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.run(command, cwd=folder, env=environment, timeout=120, **streams)


def starts(folder: Path) -> dict[str, int]:
    """How often each layout below results/ was started, by the trainer's own count."""
    return {path.parent.name: len(path.read_text().splitlines()) for path in folder.glob("results/*/layouts/*/starts")}
