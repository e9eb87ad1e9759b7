"""What the rooms of the command have in common: the sweep that is named, and reading what another room wrote."""

import argparse
from pathlib import Path

from nodesweep.common.errors import NodesweepError
from nodesweep.launch.time_limits import with_limits
from nodesweep.sweep.study import DEFAULT_SWEEP, Study


def study_of(options: argparse.Namespace) -> Study:
    """The sweep that is named, or the quickstart."""
    return Study.load(options.configfile or [DEFAULT_SWEEP], options.config)


def limited_study_of(options: argparse.Namespace) -> Study:
    """The same with time limits by prediction where nothing else gives any, as a launcher has it."""
    return with_limits(study_of(options))


def named_study(options: argparse.Namespace) -> Study | None:
    """The sweep that is named, if one is."""
    return study_of(options) if options.configfile else None


def written(path: Path) -> str:
    """The text of a file that another room writes; raises NodesweepError where it has not."""
    try:
        return path.read_text()
    except FileNotFoundError:
        raise NodesweepError(f"{path} does not exist yet; run the sweep, or `nodesweep measure`, first") from None
