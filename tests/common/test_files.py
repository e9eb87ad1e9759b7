"""Files of others read with care, and what is said of those that cannot be read or written."""

import doctest
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nodesweep.common import files, text
from nodesweep.common.errors import DamagedFileError
from nodesweep.common.files import file_error_message, json_value, read_regular


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


def test_doctests() -> None:
    """The examples hold."""
    assert doctest.testmod(files).failed == doctest.testmod(text).failed == 0


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (os.mkfifo, "is a pipe where a file is needed"),
        (Path.mkdir, "is a folder where a file is needed"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device where a file is needed"),
        (lambda path: path.symlink_to("nowhere"), "is a link to nothing"),
        (lambda path: path.symlink_to(path.name), "where a file is needed"),
        (lambda path: path.write_bytes(b"x" * 11), "is larger than 10 bytes"),
        (lambda path: os.truncate(os.open(path, os.O_WRONLY | os.O_CREAT), 2**40), "is larger than 10 bytes"),
    ],
)
def test_what_is_no_small_file(make: Callable[[Path], object], said: str, tmp_path: Path) -> None:
    """Nothing is waited for, and no more is read than asked for: the message names the file and what it is."""
    path = tmp_path / "file"
    make(path)
    with pytest.raises(DamagedFileError, match=f"file.*{said}"):
        read_regular(path, 10)


def test_a_small_file_is_read(tmp_path: Path) -> None:
    """A link to one too; where there is none the caller is told so."""
    (tmp_path / "file").write_bytes(b"x" * 10)
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link", 10) == b"x" * 10
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none", 10)


@pytest.mark.parametrize(
    "written",
    [
        *("[" * 100_000, "1e400", "-1e400", "NaN", "Infinity", "1" * 5000, "9223372036854775808", "1" * 400 + ".0"),
        *('"\\ud800"', '"\ud800"', '"\0"', b'"\xff"', "{", "", "1 2", "{'a': 1}", "[1,]"),
    ],
)
def test_what_is_no_json_to_compute_with(written: str | bytes) -> None:
    """Too deep, too large, half a character: one kind of error, in no time."""
    with pytest.raises(ValueError):
        json_value(written)


@pytest.mark.parametrize(
    "written", ["9223372036854775807", "1.7976931348623157e308", '"\\u0000 E400"', '{"a": [null, true]}']
)
def test_json_that_is_read(written: str) -> None:
    """The highest numbers there are, and texts that only look like larger ones."""
    assert json_value(written) == json.loads(written)
