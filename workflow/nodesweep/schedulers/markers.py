"""What a job script leaves in its layout's folder: the mark of its start and the marker of its end.

A submission starts at most once because `<key>.started` can be made only once: by the job script when it starts, or by
a launcher that gives the submission up (`revoke`). Whoever comes second stands back. That holds however late a job
appears, and whatever its scheduler says.
"""

import signal
from pathlib import Path

from nodesweep.common.errors import DamagedFileError
from nodesweep.common.files import json_value, read_regular, write_exclusive
from nodesweep.common.outcomes import Cause

from .base import End

_SIGNALLED = (128 + signal.SIGINT, 128 + signal.SIGTERM)
_REVOKED = "revoked"
_MOST_BYTES = 2**16
LAST_TIME = 253402300800
"""Seconds since the epoch at which the year 10000 begins."""
CAUSES: frozenset[Cause] = frozenset({"time_limit", "cancelled", "lost"})
"""Causes that an end marker may give, whoever runs the job."""


def revoke(directory: Path, key: str) -> bool:
    """See to it that the submission of a key never runs; False when it has already started."""
    path = directory / f"{key}.started"
    return write_exclusive(path, f"{_REVOKED}\n") or _text(path) == _REVOKED


def has_started(directory: Path, key: str) -> bool:
    """Whether the job script of a key has started."""
    path = directory / f"{key}.started"
    return path.exists() and _text(path) != _REVOKED


def _text(path: Path) -> str:
    """What a mark says; nothing where a network file system does not show it yet."""
    try:
        return read_regular(path, _MOST_BYTES).decode(errors="replace").strip()
    except (FileNotFoundError, DamagedFileError):
        return ""


def end_marker(directory: Path, key: str) -> End | None:
    """The end as the job script itself recorded it; None where it left no marker, or only the beginning of one."""
    path = directory / f"{key}.exit"
    try:
        text = read_regular(path, _MOST_BYTES)
        if not text.endswith(b"\n"):
            return None
        marker = json_value(text)
        if not isinstance(marker, dict):
            raise TypeError("no object")
        exit_code, cause = int(marker["exit_code"]), None
        started, ended = float(marker["started"]), float(marker["ended"])
        if not (0 <= exit_code < 256 and 0 <= started < LAST_TIME and 0 <= ended < LAST_TIME):
            raise ValueError("no exit code and times")
        if marker["cause"] == "time_limit":
            cause = "time_limit"
        elif exit_code in _SIGNALLED and marker["returned"] is None:  # the script itself, not its launch
            cause = "cancelled"
        state = f"exit code {exit_code}" + (f", {cause.replace('_', ' ')}" if cause else "")
        return End(exit_code, cause, state, started, ended)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, OverflowError, DamagedFileError):
        return End(None, "lost", f"{path.name} is damaged")


def launch_returned(directory: Path, key: str) -> bool | None:
    """Whether a job script saw its launch end, after which it ends its log with a line; None without a marker."""
    try:
        text = read_regular(directory / f"{key}.exit", _MOST_BYTES)
        marker = json_value(text) if text.endswith(b"\n") else None
    except (FileNotFoundError, ValueError, DamagedFileError):
        return None
    return marker.get("returned") is not None if isinstance(marker, dict) else None
