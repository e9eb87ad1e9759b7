"""results.csv as it lies in a folder."""

from pathlib import Path

import pytest

from nodesweep.common.errors import NodesweepError
from nodesweep.results.results_file import read_results


def test_bytes_that_are_no_text_are_one_message(tmp_path: Path) -> None:
    """A file that is not UTF-8 is named with the place of the first wrong byte."""
    (tmp_path / "results.csv").write_bytes(b"slug,nodes\n\xe9\n")
    with pytest.raises(NodesweepError, match=r"results\.csv is not UTF-8 text \(.* at byte 11\)"):
        read_results(tmp_path)
