"""What a job script leaves in its layout's folder: the mark of its start and the marker of its end.

A submission starts at most once because `<key>.started` can be made only once: by the job script when it starts, or by
a launcher that gives the submission up (`revoke`). Whoever comes second stands back. That holds however late a job
appears, and whatever its scheduler says.
"""

import signal
from dataclasses import dataclass
from pathlib import Path

from nodesweep.common.errors import DamagedFileError
from nodesweep.common.files import json_value, read_regular, write_exclusive
from nodesweep.common.outcomes import Cause
from nodesweep.common.text import plain

from .base import End

SETUP_FAILED: Cause = "setup_failed"
_SIGNALLED = (128 + signal.SIGINT, 128 + signal.SIGTERM)
_REVOKED = "revoked"
_MOST_BYTES = 2**16
_MOST_CHARACTERS = 255
LAST_TIME = 253402300800
"""Seconds since the epoch at which the year 10000 begins."""
CAUSES: frozenset[Cause] = frozenset({"time_limit", "cancelled", "lost", SETUP_FAILED})
"""Causes that an end marker may give, whoever runs the job."""


@dataclass(frozen=True)
class StartMark:
    """What a job script noted when it started; empty or None where the mark does not say.

    `job_id`: by its scheduler. `host`, `boot_id`, `process_id`: where it runs, by /proc there. `script_sha256`: of the
    script that runs, in a scheduler's spool maybe. `time`: in seconds since the epoch, by the host's clock.
    """

    job_id: str = ""
    host: str = ""
    boot_id: str = ""
    process_id: int | None = None
    script_sha256: str = ""
    time: float | None = None


def start_mark(directory: Path, key: str) -> StartMark | None:
    """What the job of a key noted at its start; None where it has not started, an empty note where that is not known.

    Scripts of earlier versions left an empty mark, and so does one that is read before its text is there.
    """
    if not has_started(directory, key):
        return None
    try:
        noted = json_value(_text(directory / f"{key}.started"))
    except ValueError:
        return StartMark()
    if not isinstance(noted, dict):
        return StartMark()
    texts = {
        name: plain(value, _MOST_CHARACTERS) if isinstance(value := noted.get(name), str) else ""
        for name in ("job_id", "host", "boot_id", "script_sha256")
    }
    pid, time = _number(noted.get("pid")), _number(noted.get("time"))
    return StartMark(**texts, process_id=None if pid is None else int(pid), time=time)


def _number(value: object) -> float | None:
    """A number above 0 that may be a process id or a time; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value < LAST_TIME else None


def another_script(mark: StartMark | None, submitted_sha256: str) -> str:
    """A note where the script that ran is not the one that was submitted; empty where it is, or nobody knows."""
    if mark is None or not mark.script_sha256 or not submitted_sha256 or mark.script_sha256 == submitted_sha256:
        return ""
    return (
        f"the script that ran (sha256 {mark.script_sha256[:12]}) is not the one that was submitted "
        f"({submitted_sha256[:12]})"
    )


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
        if marker["cause"] in ("time_limit", SETUP_FAILED):
            cause = marker["cause"]
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
