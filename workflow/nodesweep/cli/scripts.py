"""Render the job scripts of all layouts that do not run and have not finished."""

import argparse
from hashlib import sha256

from nodesweep.common.files import write_atomic
from nodesweep.config.origins import origins
from nodesweep.launch import journal
from nodesweep.schedulers.job_script import PROVENANCE, provenance_script, render
from nodesweep.schedulers.setup_lines import setup_places
from nodesweep.sweep.study import DEFAULT_SWEEP

from .arguments import add_sweep_options
from .common import limited_study_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which sweep."""
    add_sweep_options(parser)


def run(options: argparse.Namespace) -> None:
    """Render them, and list all scripts with their digests."""
    study = limited_study_of(options)
    study.folder.mkdir(parents=True, exist_ok=True)
    write_atomic(study.folder / PROVENANCE, provenance_script())
    named = origins(options.configfile or [DEFAULT_SWEEP], options.config)
    rendered, digests = 0, []
    for slug, layout in study.layouts.items():
        path = study.script(slug)
        state = journal.state(study.journal(slug))
        started = study.record(slug).exists() or state.is_open or bool(state.problem)
        if not (started and path.exists()):
            path.parent.mkdir(parents=True, exist_ok=True)
            places = setup_places(study.sweep, layout, named)
            write_atomic(path, render(layout, study.sweep.sweep, study.folder, places))
            rendered += 1
        digests.append(f"{sha256(path.read_bytes()).hexdigest()}  {path.relative_to(study.folder)}\n")
    write_atomic(study.scripts_list, "".join(digests))
    kept = len(study.layouts) - rendered
    print(f"{study.sweep.sweep}: {rendered} job scripts written, {kept} kept as they were submitted")
