"""Append-only record of every submission of a layout: the one truth about what was started and how it ended.

Events: `intent` (before a submission, with its key), `submitted` (with the job's id), `refused` (certainly not
accepted), `adopted` (found again by a later launcher), `ended` (with the terminal record), `rerun` (asked for by hand).
"""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .errors import JournalError
from .files import sync_folder

Event = Literal["intent", "submitted", "refused", "adopted", "ended", "rerun"]
Status = Literal["pending", "unclear", "running", "ended"]
_NEXT: dict[str, Status] = {
    "intent": "unclear",
    "submitted": "running",
    "refused": "pending",
    "adopted": "running",
    "ended": "ended",
    "rerun": "pending",
}


@dataclass(frozen=True)
class State:
    """Where a layout stands.

    `status`: "unclear" means a submission was begun and nothing more is known.
    `attempt`: number of the last submission, 0 before the first. `record`: that of the last `ended`.
    """

    status: Status = "pending"
    attempt: int = 0
    key: str = ""
    job_id: str = ""
    submitted: float | None = None
    record: dict[str, Any] | None = None


def append(path: Path, event: Event, **fields: Any) -> None:
    """Add one event and make it last; a line torn by an earlier crash is cut off first."""
    line = json.dumps({"event": event, "time": round(time.time(), 3), **fields}, ensure_ascii=False) + "\n"
    created = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    with os.fdopen(descriptor, "r+b") as file:
        file.seek(_whole_length(file.read()))
        file.truncate()
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())
    if created:
        sync_folder(path.parent)


def read(path: Path) -> list[dict[str, Any]]:
    """All whole events; a torn last line was never written. Raises JournalError for a line that is no event."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    events = []
    for number, line in enumerate(data[: _whole_length(data)].splitlines(), start=1):
        try:
            event = json.loads(line)
            if event["event"] not in _NEXT:
                raise ValueError(event["event"])
        except (ValueError, KeyError, TypeError):
            raise JournalError(
                f"{path}:{number}: is no journal event: {line[:80]!r}; take the line out if you know how the run ended"
            ) from None
        events.append(event)
    return events


def state(path: Path) -> State:
    """Where the layout of a journal stands."""
    attempt, key, job_id, submitted, record, status = 0, "", "", None, None, "pending"
    for event in read(path):
        status = _NEXT[event["event"]]
        if event["event"] == "intent":
            attempt, key, job_id, submitted = event["attempt"], event["key"], "", event["time"]
        elif event["event"] in ("submitted", "adopted"):
            job_id = event["job_id"]
        elif event["event"] == "ended":
            record = event["record"]
        elif event["event"] == "rerun":
            record = None
    return State(status, attempt, key, job_id, submitted, record)


def _whole_length(data: bytes) -> int:
    return data.rfind(b"\n") + 1
