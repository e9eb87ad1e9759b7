"""The one way nodesweep writes a file that others read."""

import os
import threading
from pathlib import Path


def write_atomic(path: Path, text: str) -> None:
    """Put `text` at `path` so that a reader or a crash at any moment finds the old file or the new one, whole.

    A temporary name in the same folder, flushed to disk, renamed, and the folder flushed. Raises OSError.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
