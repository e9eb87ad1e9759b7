"""Append-only record of every submission of a layout: the one truth about what was started and how it ended.

The events and what each says stand in `journal_events`.
"""

import errno
import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from nodesweep.common.errors import DamagedFileError, JournalError
from nodesweep.common.files import file_error_message, json_value, open_regular, read_regular, sync_folder
from nodesweep.common.launch_site import NOWHERE, LaunchSite
from nodesweep.results.terminal_record import TerminalRecord

from .journal_events import (
    Adopted,
    Deferred,
    Ended,
    Enough,
    Hung,
    Intent,
    JobHeld,
    JournalEvent,
    Refused,
    Reread,
    RerunAsked,
    Revoked,
    Silent,
    Submitted,
    event_of,
)
from .keys import is_file_of_submission

JournalStatus = Literal["pending", "unclear", "running", "ended", "unreadable"]
_MOST_BYTES = 16 * 2**20
_TORN = b"\x18\n"
"""Ends what a crash left of a line; no line of JSON holds it."""


@dataclass(frozen=True)
class State:
    """Where a layout stands by its journal.

    `status`: "unclear" means a submission was begun and nothing more is known, "unreadable" that nobody knows whether
    one was, `problem` being what is wrong with the journal.
    `attempt`: number of the last submission, 0 before the first; `scheduler`, `elapse_limit_seconds`,
    `script_sha256`: what it was submitted with; `site`, `folder`: where, `folder` being the layout's own; `held`: why
    it does not start by itself; `silent`: who was asked in vain, where nobody knows anything of it; `hung`: whether
    it was cancelled as hanging; `enough`: the iteration after which it was, as it had done enough, 0 where not;
    `asked`: whether somebody asked for its run. `record`: of the last `ended`, or its later reading.
    """

    status: JournalStatus = "pending"
    attempt: int = 0
    key: str = ""
    job_id: str = ""
    submitted: float | None = None
    scheduler: str = ""
    elapse_limit_seconds: int | None = None
    script_sha256: str = ""
    site: LaunchSite = NOWHERE
    folder: str = ""
    held: str = ""
    silent: str = ""
    hung: bool = False
    enough: int = 0
    asked: bool = False
    record: TerminalRecord | None = None
    problem: str = ""

    @property
    def is_open(self) -> bool:
        """Whether a submission was begun that has not been seen to end."""
        return self.status in ("unclear", "running")


def append(path: Path, event: JournalEvent) -> None:
    """Add one event and make it last, in one write, so that two launchers cannot tear each other's lines.

    A line torn by an earlier crash is closed as such, not cut off: it may be one that another is writing. Raises
    DamagedFileError where the journal is no file, or not ours to write.
    """
    words = {"event": event.kind, "time": round(time.time(), 3), **event.to_dict()}
    line = json.dumps(words, ensure_ascii=False).encode() + b"\n"
    created = not os.path.lexists(path)
    try:
        descriptor = open_regular(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW)
    except PermissionError as error:
        raise DamagedFileError(file_error_message(error)) from None
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = _TORN + line
        if os.write(descriptor, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if created:
        sync_folder(path.parent)


def read(path: Path) -> list[JournalEvent]:
    """All whole events; a torn line was never written.

    Raises JournalError for a line that is no event, for what is no file, and where there are files of runs beside none.
    """
    try:
        data = read_regular(path, _MOST_BYTES)
    except FileNotFoundError:
        data = b""
    except DamagedFileError as error:
        raise JournalError(str(error)) from None
    events = []
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        if line.endswith(_TORN[:1]):
            continue
        try:
            events.append(_event_in(line))
        except ValueError:
            raise JournalError(
                f"{path}:{number}: is no journal event: {line[:80]!r}; take the line out if you know how the run ended"
            ) from None
    if not events and (trace := _trace(path.parent)):
        raise JournalError(
            f"{path}: says nothing, while {trace} beside it tells of a run; bring it back, or move "
            f"{path.parent} away if the layout is to run anew"
        )
    return events


@lru_cache(maxsize=8192)  # a line is written once, and read by every look at its layout
def _event_in(line: bytes) -> JournalEvent:
    return event_of(json_value(line))


def _trace(folder: Path) -> str:
    """The name of a file that a submission left in a layout's folder; empty where there is none."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208  # a Path for each would take longer than the look
    except OSError:  # no folder, no run: one that cannot be read is told by whoever writes into it
        return ""
    return next(
        (name for name in names if is_file_of_submission(name) or (name == "job.json" and _was_run(folder / name))), ""
    )


def _was_run(record: Path) -> bool:
    """Whether a job.json tells of a run; one that is damaged tells nothing."""
    try:
        return TerminalRecord.from_json(read_regular(record, _MOST_BYTES)).was_run
    except (FileNotFoundError, DamagedFileError, ValueError):
        return False


def state(path: Path) -> State:
    """Where the layout of a journal stands; "unreadable" where that cannot be read."""
    try:
        return state_in(path, read(path))
    except JournalError as error:
        return State("unreadable", problem=str(error))


def state_in(path: Path, events: Iterable[JournalEvent]) -> State:
    """Where the layout of a journal stands after these events of it.

    A submission that was made in another folder, of which this one is a copy, is history: it is the other's.
    """

    def is_history(state: State) -> bool:
        return state.is_open and bool(state.folder) and _is_copied(path, Path(state.folder), state.key)

    return state_after(events, is_history)


def _is_copied(path: Path, original: Path, key: str) -> bool:
    """Whether the submission of a journal is one of the folder `original` still, and the journal's folder a copy of it.

    Else that folder was moved, or goes by two names.
    """
    if original in (path.parent.absolute(), path.parent.resolve()):
        return False
    try:
        return not original.samefile(path.parent) and key.encode() in read_regular(original / path.name, _MOST_BYTES)
    except FileNotFoundError:
        return False
    except (OSError, DamagedFileError):  # it is there, and not ours to read
        return True


def state_after(events: Iterable[JournalEvent], is_history: Callable[[State], bool] = lambda _: False) -> State:
    """Where a layout stands after these events, but for submissions that are history.

    Two launchers that did not know of each other may both have noted an intent before one of them stood aside: then
    each event counts for the submission it names, and what came of neither is gone as if it had not been noted.
    """
    states, noted = [State()], set[str]()
    for event in events:
        key = _key_of(event)
        if isinstance(event, Intent):
            noted.add(key)
            if any(state.is_open and state.key == event.key for state in states):  # a line that stands twice
                continue
            after = _after(states[-1], event)
            states = [*states, after] if any(state.is_open for state in states) else [after]
            continue
        at = next((at for at, state in enumerate(states) if state.key == key), None if key else -1)
        if at is None:
            if key not in noted and isinstance(event, Submitted | Adopted):  # the line of its intent was taken out
                states.append(replace(states[-1], status="running", key=key, job_id=event.job_id))
            continue  # else of one that was given up while its launcher was stopped
        if len(states) > 1 and isinstance(event, Deferred | Refused | Revoked):
            del states[at]
        else:
            states[at] = _after(states[at], event)
    last = states[-1]
    states = [state for state in states if not is_history(state)] or [State(attempt=last.attempt, record=last.record)]
    return next((state for state in reversed(states) if state.is_open), states[-1])


def _key_of(event: JournalEvent) -> str:
    """The submission that an event is about; empty where it does not say."""
    return event.record.key if isinstance(event, Ended) else str(getattr(event, "key", ""))


def records_in(events: Iterable[JournalEvent]) -> list[TerminalRecord]:
    """The terminal records of all runs that have ended, in the order they ended, each by its last reading."""
    records: list[TerminalRecord] = []
    for event in events:
        if isinstance(event, Ended):
            records.append(event.record)
        elif isinstance(event, Reread):
            records = [event.record if one.key == event.record.key else one for one in records]
    return records


def _after(state: State, event: JournalEvent) -> State:
    match event:
        case Intent():
            return State(
                status="unclear",
                attempt=event.attempt,
                key=event.key,
                submitted=event.time,
                scheduler=event.scheduler,
                elapse_limit_seconds=event.elapse_limit_seconds,
                script_sha256=event.script_sha256,
                site=event.site,
                folder=event.folder,
                record=state.record,
            )
        case Submitted() | Adopted():
            return replace(state, status="running", job_id=event.job_id, held="", silent="")
        case Silent():
            return replace(state, silent=event.evidence)
        case JobHeld():
            return replace(state, status="running", held=event.word)
        case Hung():
            return replace(state, status="running", hung=True)
        case Enough():
            return replace(state, status="running", enough=event.iteration)
        case Deferred():  # no job came of it, so that its number can be used again
            return replace(state, status="pending", attempt=state.attempt - 1)
        case Refused() | Revoked():
            return replace(state, status="pending")
        case Ended():
            return replace(state, status="ended", record=event.record)
        case Reread():
            is_last = state.record is not None and state.record.key == event.record.key
            return replace(state, record=event.record) if is_last else state
        case RerunAsked():  # of a job that is open it says nothing: it was asked in the moment of its submission
            return state if state.is_open else replace(state, status="pending", asked=True, record=None)
    raise TypeError(f"{event!r} is no event of a journal")
