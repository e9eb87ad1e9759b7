"""results.csv as it lies in a folder, and whether it is still what nodesweep wrote.

Beside it lies the digest of what was written, as `sha256sum --check` reads it; folders of earlier versions have none.
"""

from hashlib import sha256
from pathlib import Path

import pandas

from nodesweep.common.errors import NodesweepError
from nodesweep.common.files import read_regular, write_atomic

from .table import from_csv, to_csv

MOST_BYTES = 256 * 2**20
"""Of the table that is read; ten thousand layouts take a tenth of that."""
NAME, DIGEST = "results.csv", "results.csv.sha256"


def write_results(folder: Path, table: pandas.DataFrame) -> None:
    """Write results.csv and its digest."""
    text = to_csv(table)
    write_atomic(folder / NAME, text)
    write_atomic(folder / DIGEST, f"{sha256(text.encode()).hexdigest()}  {NAME}\n")


def read_results(folder: Path) -> pandas.DataFrame:
    """The tidy table of a folder; raises NodesweepError where it is missing or of another version."""
    path = folder / NAME
    try:
        return from_csv(read_regular(path, MOST_BYTES).decode())
    except FileNotFoundError:
        raise NodesweepError(f"{path} does not exist yet; run the sweep, or `nodesweep measure`, first") from None
    except UnicodeDecodeError as error:
        raise NodesweepError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}); run `nodesweep measure` again"
        ) from None


def edited_remark(folder: Path) -> str:
    """What to say of a results.csv that is no longer what nodesweep wrote; empty where it is, or nobody knows."""
    try:
        written = read_regular(folder / DIGEST, 4096).split()
        if written[:1] == [sha256(read_regular(folder / NAME, MOST_BYTES)).hexdigest().encode()]:
            return ""
    except FileNotFoundError:
        return ""
    return f"{folder / NAME} was changed after nodesweep wrote it; `nodesweep measure` writes it anew from the logs"
