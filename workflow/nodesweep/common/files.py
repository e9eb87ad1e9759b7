"""Files that are either whole or absent, and what to say where a file cannot be written."""

import errno
import os
import tempfile
from pathlib import Path


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
