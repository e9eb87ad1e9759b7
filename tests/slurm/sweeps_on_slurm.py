"""Sweeps of the toy trainer on a test cluster, and commands of Slurm that count their calls or go wrong on purpose."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from slurm.cluster import Cluster
from sweeps import drained, runner_of, study_in

from nodesweep.launch import journal
from nodesweep.launch.runner import Finished
from nodesweep.schedulers.slurm import Slurm
from nodesweep.sweep.study import Study

LAYOUT = {"global_batch": 840, "sequence_length": 128}  # any number of nodes up to 8 divides the batch

WRAPPER = """\
#!/bin/bash
# {name} in front of the real one: leaves a line in a file of calls, then goes wrong where told to.
echo "$*" >>{calls}
real={real}
{body}
exec "$real" "$@"
"""


def enter(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, Slurm's commands speak to this cluster."""
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)


def slurm_study(
    folder: Path, nodes: list[int] | int = 1, machine: dict[str, Any] | None = None, **changes: Any
) -> Study:
    """A toy sweep for the cluster with its scripts written."""
    settings = {"name": "cluster", "scheduler": "slurm", "elapse_limit_seconds": 600, **(machine or {})}
    return study_in(folder, machine=settings, layouts=[{"nodes": nodes, **LAYOUT}], **changes)


def run_on_slurm(
    study: Study, lines: list[str] | None = None, seconds: float = 60, **policy: Any
) -> dict[str, Finished]:
    """What a new launcher makes of all layouts that need a run, looking ten times a second."""
    options = {"jobs_at_once": 100, "poll_seconds": 0.1, **policy}
    runner = runner_of(study, lines, Slurm(), **options)
    todo = [slug for slug in study.layouts if not study.record(slug).exists()]
    runner.add(todo)
    return {done.slug: done for done in drained(runner, len(todo), seconds)}


def events(study: Study, slug: str | None = None) -> list[str]:
    """The names of the events in a layout's journal, by default of the first."""
    return [event.kind for event in journal.read(study.journal(slug or next(iter(study.layouts))))]


def job_id(study: Study) -> str:
    """The id of the first layout's last job."""
    return journal.state(study.journal(next(iter(study.layouts)))).job_id


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> None:
    """Wait until something holds."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"not so after {seconds:g} s"
        time.sleep(0.05)


class Wrappers:
    """A folder of wrappers in front of PATH; `calls` tells what a wrapped command was called with."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch):
        self._folder = folder / "wrappers"
        self._folder.mkdir()
        monkeypatch.setenv("PATH", f"{self._folder}:{os.environ['PATH']}")

    def wrap(self, name: str, body: str = "") -> None:
        """Put `body`, in bash, before the real command, which it finds as "$real"."""
        real = shutil.which(name, path=os.environ["PATH"].partition(":")[2])
        path = self._folder / name
        path.write_text(WRAPPER.format(name=name, calls=self._calls(name), real=real, body=body))
        path.chmod(0o755)

    def calls(self, name: str) -> list[str]:
        """The words of each call of a wrapped command."""
        path = self._calls(name)
        return path.read_text().splitlines() if path.exists() else []

    def _calls(self, name: str) -> Path:
        return self._folder / f"{name}.calls"
