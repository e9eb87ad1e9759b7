"""What a journal can say: one class an event, its fields in the order they are written in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeGuard

from nodesweep.common.launch_site import LaunchSite
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.schedulers.markers import LAST_TIME


@dataclass(frozen=True, kw_only=True)
class JournalEvent:
    """An event of a layout's journal.

    `time`: seconds since the epoch at which it was written; None before that, and where the file does not say.
    """

    kind: ClassVar[str]
    time: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """What the event says beside its kind and time, as an object of JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "time"}


@dataclass(frozen=True, kw_only=True)
class Intent(JournalEvent):
    """A submission is about to be made under `key`.

    `user` to `cluster`: where, as in `LaunchSite`. `folder`: the layout's own, by which a copy of a results folder is
    told from the original. All are empty in journals of earlier versions.
    """

    kind = "intent"
    key: str
    attempt: int
    script_sha256: str = ""
    scheduler: str = ""
    elapse_limit_seconds: int | None = None
    user: str = ""
    host: str = ""
    boot_id: str = ""
    pid_namespace: str = ""
    cluster: str = ""
    folder: str = ""

    @property
    def site(self) -> LaunchSite:
        """Where the submission is made."""
        return LaunchSite(**{field.name: getattr(self, field.name) for field in fields(LaunchSite)})


@dataclass(frozen=True, kw_only=True)
class Submitted(JournalEvent):
    """The scheduler took the submission as job `job_id`."""

    kind = "submitted"
    key: str = ""
    job_id: str


@dataclass(frozen=True, kw_only=True)
class Refused(JournalEvent):
    """The scheduler certainly did not take the submission."""

    kind = "refused"
    key: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Deferred(JournalEvent):
    """The scheduler refused the submission, only for now."""

    kind = "deferred"
    key: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Revoked(JournalEvent):
    """The submission was given up: it can never start."""

    kind = "revoked"
    key: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Adopted(JournalEvent):
    """A later launcher, or a later look, found the submission as job `job_id`."""

    kind = "adopted"
    key: str = ""
    job_id: str


@dataclass(frozen=True, kw_only=True)
class JobHeld(JournalEvent):
    """The scheduler says by `word` that the job does not start by itself; an empty word: it no longer says so."""

    kind = "held"
    key: str = ""
    word: str


@dataclass(frozen=True, kw_only=True)
class Silent(JournalEvent):
    """Nobody knows anything of the job; `evidence`: who was asked in vain, empty where somebody knows of it again."""

    kind = "silent"
    key: str = ""
    evidence: str


@dataclass(frozen=True, kw_only=True)
class Hung(JournalEvent):
    """The job was cancelled because it had said nothing for so long."""

    kind = "hung"
    key: str = ""
    silent_seconds: int = 0


@dataclass(frozen=True, kw_only=True)
class Enough(JournalEvent):
    """The job is about to be cancelled, since its iterations up to `iteration`, counted from 1, are enough."""

    kind = "enough"
    key: str = ""
    iteration: int


@dataclass(frozen=True, kw_only=True)
class Ended(JournalEvent):
    """The job has ended as `record` says."""

    kind = "ended"
    record: TerminalRecord

    def to_dict(self) -> dict[str, Any]:
        """The terminal record as an object of JSON."""
        return {"record": self.record.to_dict()}


@dataclass(frozen=True, kw_only=True)
class Reread(JournalEvent):
    """A later look at the log of a job that had ended gave another verdict, as `record` says."""

    kind = "reread"
    record: TerminalRecord

    def to_dict(self) -> dict[str, Any]:
        """The terminal record as an object of JSON."""
        return {"record": self.record.to_dict()}


@dataclass(frozen=True, kw_only=True)
class RerunAsked(JournalEvent):
    """Somebody asked for another run."""

    kind = "rerun"


_SHAPES = {
    "folder": re.compile(r"[^\0]{0,4096}"),
    "key": re.compile(r"(?:[A-Za-z][A-Za-z0-9_-]{0,99})?"),
    "job_id": re.compile(r"(?:(?=\D*\d)[A-Za-z0-9][A-Za-z0-9_.@:;\[\]-]{0,127})?"),
}
"""What becomes the name of a file or a word of a command; no option, and no word such as `all` for many jobs."""
_HIGHEST = {"attempt": 10**6, "iteration": 10**10, "silent_seconds": 10**10, "elapse_limit_seconds": 10**10}
_CLASSES: dict[str, type[JournalEvent]] = {event.kind: event for event in JournalEvent.__subclasses__()}


def event_of(value: object) -> JournalEvent:
    """The event in an object of JSON; raises ValueError for what is none."""
    event = _CLASSES.get(str(value.get("event"))) if isinstance(value, Mapping) else None
    if event is None or not isinstance(value, Mapping):
        raise ValueError("no event of a journal")
    time = value.get("time")
    known: dict[str, Any] = {"time": time if _is_number(time) and 0 <= time < LAST_TIME else None}
    for field in fields(event):
        if field.name in value and field.name != "time":
            known[field.name] = _read(field.name, value[field.name])
    try:
        return event(**known)
    except TypeError as error:  # a field without a default is missing
        raise ValueError(str(error)) from None


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _read(name: str, value: object) -> object:
    """A field of an event; raises ValueError for a value of another type than is written, or out of its bounds."""
    if name == "record":
        return TerminalRecord.from_dict(value)
    if name in _HIGHEST:
        if value is None and name == "elapse_limit_seconds":
            return None
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _HIGHEST[name]:
            return value
    elif isinstance(value, str) and (name not in _SHAPES or _SHAPES[name].fullmatch(value)):
        return value
    raise ValueError(f"{name} is {value!r:.40}")
