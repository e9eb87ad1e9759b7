"""What is said of files that cannot be read or written."""

import errno
import os

import pytest

from nodesweep.common.files import file_error_message


@pytest.mark.parametrize(
    ("number", "way_out"),
    [
        (errno.EACCES, "; make it writable, or run in a folder of your own: results are written to results/ below it"),
        (errno.ENOTDIR, "; move the file away that stands where a folder is needed"),
        (errno.EISDIR, "; move the folder away that stands where a file is needed"),
        (errno.ENOSPC, ""),
    ],
)
def test_the_way_out_fits_the_error(number: int, way_out: str) -> None:
    """Only what cannot be written is to be made writable; what stands in the way is to be moved."""
    message = file_error_message(OSError(number, os.strerror(number), "results/toy"))
    assert message == f"results/toy: {os.strerror(number)}{way_out}"


def test_the_file_that_was_meant_is_named() -> None:
    """Of a rename that failed the target is named, not the hidden file that was to become it."""
    error = OSError(errno.EISDIR, "Is a directory", ".tables.md.x.tmp", None, "tables.md")
    assert file_error_message(error).startswith("tables.md: Is a directory")
