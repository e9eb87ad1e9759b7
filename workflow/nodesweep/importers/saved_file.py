"""Files that `nodesweep import` and `nodesweep ingest` have written, read again."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from nodesweep.common.errors import DamagedFileError, NodesweepError
from nodesweep.common.files import read_regular

Saved = TypeVar("Saved")
_MOST_BYTES = 512 * 2**20
"""Of a file that is read: it may hold the series of thousands of logs."""


def read_saved(path: Path, from_json: Callable[[bytes], Saved]) -> Saved:
    """What a file holds; raises NodesweepError with its name for a damaged one, or one of another version."""
    try:
        return from_json(read_regular(path, _MOST_BYTES))
    except FileNotFoundError:
        raise NodesweepError(f"{path}: was taken away while it was looked for; try again") from None
    except DamagedFileError:
        raise
    except NodesweepError as error:
        raise NodesweepError(f"{path}: {error}") from None
