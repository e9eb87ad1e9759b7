"""Results folders that are named on the command line, and what lies in them."""

import csv
from pathlib import Path

from nodesweep.common.errors import DamagedFileError, NodesweepError
from nodesweep.common.files import read_regular
from nodesweep.config.tidy_row import TidyRow
from nodesweep.results.results_file import MOST_BYTES as TABLE_BYTES
from nodesweep.results.table import from_csv, records

MOST_BYTES = 64 * 2**20
"""Of a file of one layout that is read."""


def results_of(name: str) -> Path:
    """The results folder a user means: itself, its results.csv, or its name below results/; raises NodesweepError."""
    for path in (Path(name), Path("results") / name):
        folder = path.parent if path.name == "results.csv" else path
        if (folder / "results.csv").is_file():
            return folder
    raise NodesweepError(
        f"{name!r:.200} is no results folder: there is no {Path(name) / 'results.csv'} and no "
        f"{Path('results') / name / 'results.csv'}; run the sweep, or `nodesweep measure`, first"
    )


def rows_in(folder: Path) -> list[TidyRow]:
    """The rows of the results.csv in a folder; raises NodesweepError."""
    path = folder / "results.csv"
    try:
        return records(from_csv(read_regular(path, TABLE_BYTES).decode(errors="replace")))
    except FileNotFoundError:
        raise NodesweepError(f"{path} does not exist") from None
    except (NodesweepError, OverflowError, TypeError, csv.Error) as error:
        raise NodesweepError(f"{path}: {error}") from None


def layout_folder(folder: Path, slug: str) -> Path:
    """Where the files of a layout lie; raises ValueError for a name that is none of a folder."""
    if not slug or slug != Path(slug).name or slug == "..":
        raise ValueError(slug)
    return folder / "layouts" / slug


def bounded_text(path: Path) -> str:
    """The text of a file, if it is one of a bearable size; raises OSError or ValueError."""
    try:
        return read_regular(path, MOST_BYTES).decode(errors="replace")
    except DamagedFileError as error:
        raise ValueError(str(error)) from None
