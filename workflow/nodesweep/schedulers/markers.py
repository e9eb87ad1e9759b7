"""What a job script leaves in its layout's folder: the mark of its start and the marker of its end.

A submission starts at most once because `<key>.started` can be made only once: by the job script when it starts, or by
a launcher that gives the submission up (`revoke`). Whoever comes second stands back. That holds however late a job
appears, and whatever its scheduler says.
"""

import json
import os
import signal
import tempfile
from pathlib import Path

from nodesweep.common.files import sync_folder
from nodesweep.common.outcomes import Cause

from .base import End

_SIGNALLED = (128 + signal.SIGINT, 128 + signal.SIGTERM)
_REVOKED = "revoked"
CAUSES: frozenset[Cause] = frozenset({"time_limit", "cancelled", "lost"})
"""Causes that an end marker may give, whoever runs the job."""


def revoke(directory: Path, key: str) -> bool:
    """See to it that the submission of a key never runs; False when it has already started."""
    path = directory / f"{key}.started"
    descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{_REVOKED}\n")
            file.flush()
            os.fsync(descriptor)
        os.link(temporary, path)  # fails where the name is taken, and is never there without its text
    except FileExistsError:
        return _text(path) == _REVOKED
    finally:
        Path(temporary).unlink()
    sync_folder(directory)
    return True


def has_started(directory: Path, key: str) -> bool:
    """Whether the job script of a key has started."""
    path = directory / f"{key}.started"
    return path.exists() and _text(path) != _REVOKED


def _text(path: Path) -> str:
    """What a mark says; nothing where a network file system does not show it yet."""
    try:
        return path.read_text(errors="replace").strip()
    except FileNotFoundError:
        return ""


def end_marker(directory: Path, key: str) -> End | None:
    """The end as the job script itself recorded it; None where it left no marker, or only the beginning of one."""
    path = directory / f"{key}.exit"
    try:
        text = path.read_text()
        if not text.endswith("\n"):
            return None
        marker = json.loads(text)
        exit_code, cause = int(marker["exit_code"]), None
        if marker["cause"] == "time_limit":
            cause = "time_limit"
        elif exit_code in _SIGNALLED and marker["returned"] is None:  # the script itself, not its launch
            cause = "cancelled"
        state = f"exit code {exit_code}" + (f", {cause.replace('_', ' ')}" if cause else "")
        return End(exit_code, cause, state, float(marker["started"]), float(marker["ended"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return End(None, "lost", f"{path.name} is damaged")


def launch_returned(directory: Path, key: str) -> bool | None:
    """Whether a job script saw its launch end, after which it ends its log with a line; None without a marker."""
    try:
        text = (directory / f"{key}.exit").read_text(errors="replace")
        return json.loads(text)["returned"] is not None if text.endswith("\n") else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
