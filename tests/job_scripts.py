"""Job scripts of small sweeps, written and run by hand."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from sweeps import write

from nodesweep.schedulers.job_script import PROVENANCE, provenance_script, render
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


def run(path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script by hand."""
    return subprocess.run(
        ["bash", str(path)], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )


def marker(path: Path, key: str) -> dict[str, Any]:
    """The exit marker of a key."""
    return json.loads((path.parent / f"{key}.exit").read_text())
