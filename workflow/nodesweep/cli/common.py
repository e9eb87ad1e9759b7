"""What several commands need: the sweep that is named, and files that another command writes."""

import argparse
from pathlib import Path

from nodesweep.common.errors import NodesweepError
from nodesweep.common.files import read_regular
from nodesweep.common.text import plain
from nodesweep.launch.time_limits import with_limits
from nodesweep.sweep.study import DEFAULT_SWEEP, Study

MOST_BYTES = 256 * 2**20
"""Of a file that another command writes."""
_PROBLEM_CHARACTERS = 1000


def study_of(options: argparse.Namespace) -> Study:
    """The sweep that is named, or the quickstart."""
    return Study.load(options.configfile or [DEFAULT_SWEEP], options.config)


def limited_study_of(options: argparse.Namespace) -> Study:
    """The sweep that is named, with time limits by prediction where nothing else gives any, as a launcher has it."""
    return with_limits(study_of(options))


def named_study(options: argparse.Namespace) -> Study | None:
    """The sweep that is named, if one is."""
    return study_of(options) if options.configfile else None


def written(path: Path) -> str:
    """The text of a file that another command writes; raises NodesweepError where it has not."""
    try:
        return read_regular(path, MOST_BYTES).decode(errors="replace")
    except FileNotFoundError:
        raise NodesweepError(f"{path} does not exist yet; run the sweep, or `nodesweep measure`, first") from None


def tell_problem(study: Study, slug: str, problem: str) -> None:
    """Print what is wrong with the files of one layout, which costs that layout alone."""
    print(f"{study.sweep.sweep}: {slug}: {plain(problem, _PROBLEM_CHARACTERS)}")


def own_folder(name: str, other: str, way_out: str) -> Path:
    """A folder below results for what belongs to no sweep; raises NodesweepError where results of another kind lie."""
    folder = Path("results") / name
    if any((folder / made).exists() for made in ("plan.csv", "layouts")):
        raise NodesweepError(f"{folder} holds the results of a sweep; name the sweep with --configfile to {way_out}")
    if (folder / other).exists():
        raise NodesweepError(f"{folder} holds what was {other}; rename, or give --name: its tables would be lost")
    return folder
