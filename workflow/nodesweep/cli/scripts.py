"""Render the job scripts of all layouts that do not run and have not finished."""

import argparse
from hashlib import sha256
from pathlib import Path

from nodesweep.common.errors import ConfigError, ExpressionError
from nodesweep.common.files import regular_head, write_atomic
from nodesweep.config.origins import origins, place_of
from nodesweep.launch import journal
from nodesweep.schedulers.base import SCRIPT_BYTES
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
    for slug, layout in study.runs.items():
        path = study.script(slug)
        state = journal.state(study.journal(slug))
        started = study.record(slug).exists() or state.is_open or bool(state.problem)
        if not (started and _is_script(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
            places = setup_places(study.sweep, layout, named)
            try:
                write_atomic(path, render(layout, study.sweep.sweep, study.folder, places))
            except ExpressionError as error:
                place = place_of(study.sources, error.source)
                raise ConfigError(f"{place} {error}; it is needed for {slug}".lstrip()) from None
            rendered += 1
        digests.append(f"{sha256(path.read_bytes()).hexdigest()}  {path.relative_to(study.folder)}\n")
    write_atomic(study.scripts_list, "".join(digests))
    kept = len(study.runs) - rendered
    print(f"{study.sweep.sweep}: {rendered} job scripts written, {kept} kept as they were submitted")


def _is_script(path: Path) -> bool:
    """Whether a script can be kept as it was submitted."""
    try:
        return len(regular_head(path, SCRIPT_BYTES + 1)) <= SCRIPT_BYTES
    except OSError:
        return False
