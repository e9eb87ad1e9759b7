"""Append-only record of every submission of a layout: the one truth about what was started and how it ended.

Events: `intent` (before a submission, with its key), `submitted` (with the job's id), `refused` (certainly not
accepted), `deferred` (refused only for now), `revoked` (given up: it can never start), `adopted` (found again by a
later launcher), `held` (its scheduler says by `word` that it does not start by itself, no longer where that is empty),
`hung` (cancelled because it no longer said anything), `ended` (with the terminal record), `rerun` (asked for by hand).
"""

import json
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from nodesweep.common.errors import JournalError
from nodesweep.common.files import sync_folder

Event = Literal["intent", "submitted", "refused", "deferred", "revoked", "adopted", "held", "hung", "ended", "rerun"]
Status = Literal["pending", "unclear", "running", "ended"]
_NEXT: dict[str, Status] = {
    "intent": "unclear",
    "submitted": "running",
    "refused": "pending",
    "deferred": "pending",
    "revoked": "pending",
    "adopted": "running",
    "held": "running",
    "hung": "running",
    "ended": "ended",
    "rerun": "pending",
}


@dataclass(frozen=True)
class State:
    """Where a layout stands.

    `status`: "unclear" means a submission was begun and nothing more is known.
    `attempt`: number of the last submission, 0 before the first; `scheduler`, `elapse_limit_seconds`: what it was
    submitted with; `held`: why it does not start by itself; `hung`: whether it was cancelled as hanging; `asked`:
    whether somebody asked for its run. `record`: that of the last `ended`.
    """

    status: Status = "pending"
    attempt: int = 0
    key: str = ""
    job_id: str = ""
    submitted: float | None = None
    scheduler: str = ""
    elapse_limit_seconds: int | None = None
    held: str = ""
    hung: bool = False
    asked: bool = False
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
    return state_after(read(path))


def state_after(events: list[dict[str, Any]]) -> State:
    """Where a layout stands after these events."""
    state = State()
    for event in events:
        status = _NEXT[event["event"]]
        match event["event"]:
            case "intent":
                state = State(
                    status,
                    event["attempt"],
                    event["key"],
                    submitted=event["time"],
                    scheduler=event.get("scheduler", ""),
                    elapse_limit_seconds=event.get("elapse_limit_seconds"),
                    record=state.record,
                )
            case "submitted" | "adopted":
                state = replace(state, status=status, job_id=event["job_id"], held="")
            case "held":
                state = replace(state, status=status, held=event["word"])
            case "deferred":  # no job came of it, so that its number can be used again
                state = replace(state, status=status, attempt=state.attempt - 1)
            case "hung":
                state = replace(state, status=status, hung=True)
            case "ended":
                state = replace(state, status=status, record=event["record"])
            case "rerun":
                state = replace(state, status=status, asked=True, record=None)
            case _:
                state = replace(state, status=status)
    return state


def _whole_length(data: bytes) -> int:
    return data.rfind(b"\n") + 1
