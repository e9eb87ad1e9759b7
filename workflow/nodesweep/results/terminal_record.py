"""How the last run of a layout ended: what job.json, the journal's `ended` event and measurement.json say of it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, get_args

from nodesweep.common.files import json_value
from nodesweep.common.outcomes import NOT_RUN
from nodesweep.config.memory_sources import MemoryScope
from nodesweep.performance.cost import node_hours
from nodesweep.schedulers.base import Usage

SCHEMA = 1
NOTHING_COUNTED = Usage()
_OF_A_JOB = (
    "scheduler",
    "exit_code",
    "scheduler_state",
    "elapse_limit_seconds",
    "submitted",
    "started",
    "ended",
    "usage",
)
"""Fields left out of the JSON of a record without a job of a launcher: a layout that was not run, an ingested log."""
_LATER = ("cause", "scheduler_cause", "iterations_requested", "log_bytes")
"""Fields that earlier versions did not write, left out of the JSON where nothing is known."""


@dataclass(frozen=True, kw_only=True)
class TerminalRecord:
    """How the last run of a layout ended, or why none was submitted (an outcome in NOT_RUN).

    `key`, `attempt`, `job_id`, `scheduler`: the submission; empty, 0 or None where there was none. `outcome` to `rule`:
    as in `Verdict`. `exit_code`, `scheduler_state`, `usage`: what the scheduler says. `elapse_limit_seconds`: the time
    limit of the job. `submitted`, `started`, `ended`: ISO 8601 in UTC, None where nobody knows. `log`: name of the log
    in the layout's folder, empty where there is none.

    What the verdict can be derived from again, beside the log: `scheduler_cause`, empty where it gave none, and the
    `iterations_requested` of the job. `cause`: the verdict's, empty in a record of an earlier version. `log_bytes`: how
    much of the log had been read.
    """

    schema: int = SCHEMA
    slug: str = ""
    key: str = ""
    attempt: int | None = None
    job_id: str = ""
    scheduler: str = ""
    outcome: str
    where: str = ""
    evidence: str = ""
    note: str = ""
    rule: str = ""
    exit_code: int | None = None
    scheduler_state: str = ""
    elapse_limit_seconds: int | None = None
    submitted: str | None = None
    started: str | None = None
    ended: str | None = None
    usage: Usage = NOTHING_COUNTED
    log: str = ""
    cause: str = ""
    scheduler_cause: str = ""
    iterations_requested: int | None = None
    log_bytes: int | None = None

    @property
    def was_run(self) -> bool:
        """Whether a job was submitted, so that the record tells how that ended and not why there was none."""
        return self.outcome not in NOT_RUN

    @property
    def verdict(self) -> str:
        """Outcome and how far the run came, in words, such as `oom in iteration 1`."""
        return " ".join(filter(None, (self.outcome, self.where)))

    @property
    def run_seconds(self) -> float | None:
        """How long the job ran; None where nobody recorded it."""
        if self.started is None or self.ended is None:
            return None
        started, ended = (datetime.fromisoformat(time).timestamp() for time in (self.started, self.ended))
        return max(ended - started, 0.0)

    def node_hours(self, nodes: int) -> float:
        """What the job used on so many nodes; 0 where nobody recorded how long it ran."""
        return node_hours(self.run_seconds or 0.0, nodes)

    def to_dict(self) -> dict[str, Any]:
        """The record as an object of JSON, its keys in the order they are written in."""
        values = {name: value for name, value in asdict(self).items() if name not in _LATER or value not in ("", None)}
        if self.usage.suspended_seconds is None:
            del values["usage"]["suspended_seconds"]  # as in earlier versions
        return values if self.key else {name: value for name, value in values.items() if name not in _OF_A_JOB}

    def to_json(self) -> str:
        """The text of job.json."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_dict(cls, value: object) -> "TerminalRecord":
        """The record in an object of JSON; what an earlier version left out has its default. Raises ValueError."""
        if not isinstance(value, Mapping) or not isinstance(value.get("outcome"), str):
            raise ValueError("a terminal record is an object with an outcome")
        return cls(
            **{name: _text(value.get(name)) for name in _TEXTS if name != "log"},
            log=_file_name(value.get("log")),
            schema=_whole(value.get("schema")) or SCHEMA,
            attempt=_whole(value.get("attempt")),
            exit_code=_whole(value.get("exit_code")),
            elapse_limit_seconds=_whole(value.get("elapse_limit_seconds")),
            submitted=_time(value.get("submitted")),
            started=_time(value.get("started")),
            ended=_time(value.get("ended")),
            usage=_usage(value.get("usage")),
            iterations_requested=_whole(value.get("iterations_requested")),
            log_bytes=_whole(value.get("log_bytes")),
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> "TerminalRecord":
        """The record in the text of a job.json; raises ValueError for a text that is none."""
        return cls.from_dict(json_value(text))


_TEXTS = tuple(name for name, field in TerminalRecord.__dataclass_fields__.items() if field.type is str)


_LONGEST_NAME_BYTES = 250  # of 255, with the ending of a packed log


def _usage(value: object) -> Usage:
    known = value if isinstance(value, Mapping) else {}
    memory_of = known.get("memory_of")
    return Usage(
        nodes=_text(known.get("nodes")),
        memory_bytes=_whole(known.get("memory_bytes")),
        memory_of=next((scope for scope in get_args(MemoryScope) if scope == memory_of), None),
        energy_joules=_number(known.get("energy_joules")),
        power_watts=_number(known.get("power_watts")),
        power_capped=_text(known.get("power_capped")),
        restarts=_whole(known.get("restarts")),
        suspended_seconds=_number(known.get("suspended_seconds")),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _file_name(value: object) -> str:
    """The name of a file in a folder; empty for a path that leads out of it, and for what is too long for a name."""
    name = _text(value)
    is_one = name not in (".", "..") and "/" not in name and "\0" not in name
    return name if is_one and len(name.encode(errors="replace")) <= _LONGEST_NAME_BYTES else ""


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _time(value: object) -> str | None:
    """A time as it was written; None for what is no ISO 8601, or no time of a computer."""
    try:
        return value if isinstance(value, str) and datetime.fromisoformat(value).timestamp() >= 0 else None
    except (ValueError, OverflowError):
        return None
