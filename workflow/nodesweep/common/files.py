"""Files that are either whole or absent, files of others read with care, and what to say where one cannot be had."""

import errno
import json
import math
import os
import pwd
import re
import secrets
import stat
from pathlib import Path

import pydantic_core

from .errors import DamagedFileError

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_NO_FILE = (errno.ELOOP, errno.EISDIR, errno.ENXIO)
"""What opening a link, a folder, a pipe or a socket for writing, or without following links, comes to."""
_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def write_atomic(path: Path, text: str) -> None:
    """Write a text file so that a reader, or a crash at any moment, sees the old text or the new one whole."""
    write_atomic_bytes(path, text.encode())


def write_atomic_bytes(path: Path, content: bytes) -> None:
    """Write a binary file so that a reader, or a crash at any moment, sees the old content or the new one whole."""
    descriptor, temporary = new_file(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_exclusive(path: Path, text: str, durable: bool = True) -> bool:
    """Make a text file that is whole as soon as it is there; False where its name is taken.

    Of any number of processes that try at one moment, on one host or on several, one succeeds: a hard link is made at
    once or not at all, on NFS and Lustre too. `durable`: whether it must last through a power cut.
    """
    descriptor, temporary = new_file(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            if durable:
                os.fsync(descriptor)
        made = _link(temporary, path) or temporary.stat().st_nlink == 2  # or the server's first answer was lost
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        made = _create(path, text)
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        sync_folder(path.parent)
    return made


def _link(source: Path, path: Path) -> bool:
    try:
        os.link(source, path)
    except FileExistsError:
        return False
    return True


def _create(path: Path, text: str) -> bool:
    """Make a file that is whole in a moment, where a file system has no hard links."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode())
    return True


def new_file(path: Path) -> tuple[int, Path]:
    """A hidden file beside `path`, open for writing and to be renamed to it; its mode is as the umask says."""
    temporary = path.parent / f".{path.name[:100]}.{secrets.token_hex(8)}.tmp"
    return os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), temporary


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)
_WAYS_OUT = {
    **dict.fromkeys(
        _UNWRITABLE, "; make it writable, or run in a folder of your own: results are written to results/ below it"
    ),
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST), "; move the file away that stands where a folder is needed"),
    errno.EISDIR: "; move the folder away that stands where a file is needed",
}


def file_error_message(error: OSError) -> str:
    """What is wrong with which file, and the way out where the error tells one."""
    name = error.filename2 or error.filename or "a file"
    way_out = _WAYS_OUT.get(error.errno or 0, "")
    if error.errno in (errno.EACCES, errno.EPERM) and isinstance(name, str):
        way_out = _shared_way_out(Path(name)) or way_out
    return f"{name}: {error.strerror or error}{way_out}"


def _shared_way_out(path: Path) -> str:
    """What to do about a file of somebody else that cannot be used; nothing where it is one's own."""
    while not os.access(path.parent, os.X_OK) and path != path.parent:
        path = path.parent
    if not os.path.lexists(path) or os.access(path, os.W_OK):
        path = path.parent
    try:
        owner = path.stat().st_uid
    except OSError:
        return ""
    if owner == os.geteuid():
        return ""
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = f"user {owner}"
    return (
        f"; {path} belongs to {name}: to share a folder, {name} runs `chmod -R g+w` on its results and .snakemake, and "
        "everybody works with `umask 002`; or run in a folder of your own"
    )


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """A descriptor of a regular file, made as the umask says where `flags` have O_CREAT; never waits for anybody.

    Links are followed unless `flags` have O_NOFOLLOW. Raises FileNotFoundError where there is nothing, DamagedFileError
    for what is no file, and for what cannot be read; OSError for what cannot be written.
    """
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY, 0o666)
    except FileNotFoundError:
        if path.is_symlink():
            raise DamagedFileError(
                f"{path} is a link to nothing; take it away, or bring back what it leads to"
            ) from None
        raise
    except OSError as error:
        if error.errno in _NO_FILE:
            kind = _kind_of(path.lstat().st_mode) if os.path.lexists(path) else "no file"
            raise DamagedFileError(f"{path} is {kind} where a file is needed; move it away") from None
        if flags & os.O_ACCMODE != os.O_RDONLY:
            raise
        raise DamagedFileError(file_error_message(error)) from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise DamagedFileError(f"{path} is {_kind_of(mode)} where a file is needed; move it away")
    return descriptor


def _kind_of(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "a socket")


def open_file(path: Path) -> int:
    """A descriptor of a regular file of whatever size, to be read; never waits for anybody. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    if not stat.S_ISREG(mode := os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"is {_kind_of(mode)} where a file is needed", str(path))
    return descriptor


def regular_head(path: Path, most_bytes: int) -> bytes:
    """The first bytes of a regular file of whatever size; raises OSError."""
    with os.fdopen(open_file(path), "rb") as file:
        return file.read(most_bytes)


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
        reason = getattr(error, "strerror", None) or error
        raise DamagedFileError(f"{path}: cannot be read ({reason}); mend that, or move it away") from None
    if max(size, len(content)) > most_bytes:
        raise DamagedFileError(f"{path}: is larger than {most_bytes} bytes, which is all that is read; move it away")
    return content


def read_head(path: Path, most_bytes: int) -> bytes:
    """The first bytes of whatever a user names, a pipe too; raises OSError."""
    with path.open("rb") as file:
        return file.read(most_bytes)


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
