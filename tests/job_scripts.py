"""Job scripts of small sweeps, written and run by hand."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from sweeps import write

from nodesweep.schedulers.job_script import PROVENANCE, key_of, provenance_script, render
from nodesweep.sweep.study import Study


def script(folder: Path, sweep: dict[str, Any], number: int = 0) -> Path:
    """The written job script of one layout of a sweep."""
    study = Study.load([write(folder / "sweep.yaml", sweep)], results=folder / "results")
    slug = list(study.layouts)[number]
    path = study.script(slug)
    path.parent.mkdir(parents=True)
    (study.folder / PROVENANCE).write_text(provenance_script())
    path.write_text(render(study.layouts[slug], study.sweep.sweep, study.folder))
    return path


def run(path: Path, key: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script by hand, or as a launcher does that gives it a key, in words of `full_key`."""
    variables = submitted(path, key) if key else {**os.environ}
    return subprocess.run(
        ["bash", str(path)], env={**variables, **environment}, capture_output=True, text=True, timeout=60
    )


def full_key(path: Path, key: str) -> str:
    """A key of a script's layout that ends with `key`, or `key` as it is where it is one."""
    base = key_of(path.parents[2], path.parent.name)
    return key if key.startswith(base) else f"{base}-{key}"


def noted(path: Path, key: str) -> str:
    """The whole of a key that ends so, once the journal names it as a launcher's about to be submitted."""
    key = full_key(path, key)
    with (path.parent / "journal.jsonl").open("a") as journal:
        journal.write(json.dumps({"event": "intent", "key": key, "attempt": 1}) + "\n")
    return key


def submitted(path: Path, key: str) -> dict[str, str]:
    """The environment of a job that a launcher submits under a key."""
    return {**os.environ, "NODESWEEP_KEY": noted(path, key)}


def marker(path: Path, key: str) -> dict[str, Any]:
    """The exit marker of a key."""
    return json.loads((path.parent / f"{full_key(path, key)}.exit").read_text())
