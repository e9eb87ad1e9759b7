"""Files that are either whole or absent, files of others read with care, and what to say where one cannot be had."""

import errno
import json
import math
import os
import re
import stat
import tempfile
from pathlib import Path

import pydantic_core

from .errors import DamagedFileError


def write_atomic(path: Path, text: str) -> None:
    """Write a text file so that a reader, or a crash at any moment, sees the old text or the new one whole."""
    write_atomic_bytes(path, text.encode())


def write_atomic_bytes(path: Path, content: bytes) -> None:
    """Write a binary file so that a reader, or a crash at any moment, sees the old content or the new one whole."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(descriptor, 0o644)
            os.fsync(descriptor)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_WAYS_OUT = {
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS),
        "; make it writable, or run in a folder of your own: results are written to results/ below it",
    ),
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST), "; move the file away that stands where a folder is needed"),
    errno.EISDIR: "; move the folder away that stands where a file is needed",
}


def file_error_message(error: OSError) -> str:
    """What is wrong with which file, and the way out where the error tells one."""
    name = error.filename2 or error.filename or "a file"
    return f"{name}: {error.strerror or error}{_WAYS_OUT.get(error.errno or 0, '')}"


_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


def open_regular(path: Path, flags: int = os.O_RDONLY, mode: int = 0o666) -> int:
    """A descriptor of a regular file, or of what a link to one leads to; never waits for anybody.

    Raises OSError, of it FileNotFoundError only where there is nothing at all.
    """
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY, mode)
    except FileNotFoundError:
        if path.is_symlink():
            raise OSError(errno.ENOTDIR, "is a link to nothing", str(path)) from None
        raise
    found = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(found):
        os.close(descriptor)
        kind = _KINDS.get(stat.S_IFMT(found), "something special")
        raise OSError(errno.EISDIR, f"is {kind} and no file", str(path))
    return descriptor


def read_regular(path: Path, most_bytes: int) -> bytes:
    """The content of a regular file of at most so many bytes.

    Raises FileNotFoundError where there is nothing, and DamagedFileError for all else that cannot be had.
    """
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            content = file.read(most_bytes + 1) if size <= most_bytes else b""
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a name that can be none, with a NUL
        raise unusable(path, error) from None
    if max(size, len(content)) > most_bytes:
        raise DamagedFileError(f"{path}: is larger than {most_bytes} bytes, which is all that is read; move it away")
    return content


def read_head(path: Path, most_bytes: int) -> bytes:
    """The first bytes of whatever a user names, a pipe too; raises OSError."""
    with path.open("rb") as file:
        return file.read(most_bytes)


def unusable(path: Path, error: Exception) -> DamagedFileError:
    """What is to be said of a file that could not be opened or read."""
    reason = getattr(error, "strerror", None) or error
    return DamagedFileError(f"{path}: cannot be used ({reason}); mend that, or move it away")


_MAY_BE_TOO_LARGE = re.compile(r"[eE]\+?[0-9]{3}|[0-9]{20}|9(?:[3-9][0-9]|2[2-9])[0-9]{16}")
_HIGHEST = 2**63 - 1
"""The highest whole number that a column of a table holds."""


def json_value(text: str | bytes) -> object:
    """What a text of JSON stands for, its numbers finite, whole ones of at most 63 bits.

    Raises ValueError for any other text, nested too deep or not Unicode.

    >>> json_value('{"seconds": [0.5]}')
    {'seconds': [0.5]}
    """
    try:
        value: object = pydantic_core.from_json(text, allow_inf_nan=False)
    except TypeError:  # half a character of two
        raise ValueError("not Unicode") from None
    if _MAY_BE_TOO_LARGE.search(text if isinstance(text, str) else text.decode()):
        json.loads(text, parse_float=_finite, parse_int=_bounded)
    return value


def _finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError(f"{digits:.40} is too large")
    return number


def _bounded(digits: str) -> int:
    if len(digits) > 20 or abs(number := int(digits)) > _HIGHEST:
        raise ValueError(f"{digits:.40} is too large")
    return number
