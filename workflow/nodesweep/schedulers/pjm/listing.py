"""What pjstat --data prints, as jobs: states, PJM codes, and how each of them ended."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from nodesweep.common.outcomes import Cause
from nodesweep.common.text import plain
from nodesweep.schedulers.base import End, JobState

COLUMNS = {
    "jid": "JOB_ID",
    "jnam": "JOB_NAME",
    "st": "ST",
    "ec": "EC",
    "pc": "PC",
    "sn": "SN",
    "ermsg": "REASON",  # last: nothing is quoted, and a reason may hold commas
}
"""The items asked for, and the headers that pjstat prints over them."""

_QUEUED = {"ACC", "QUE", "RNA"}
_HELD = {"HLD"}
_ENDED = {"EXT", "CCL", "RJT", "ERR"}
_STARTS_NOT = re.compile(
    r"INSUFF |(?:RSCGRP|RSCUNIT) STOP|IMPOSSIBLE SCHED|NOT EXIS|INVALID HOSTFILE|NO CURRENT DIR|INTERNAL ERROR"
)
_CAUSE_OF_CODE: dict[int, Cause] = {
    **dict.fromkeys((1,), "cancelled"),
    **dict.fromkeys((10, 11), "time_limit"),
    **dict.fromkeys((12, 23), "out_of_memory"),
    **dict.fromkeys((7, 18), "preempted"),  # maintenance; an adaptive time limit cut short
    **dict.fromkeys((9, 20, 22, 25, 28, 30, 100, 120, 140, 160, 180), "node_failure"),
    **dict.fromkeys((2, 3, 6, 8, 13, 16, 21, 24, 26, 27, 29), "launch_failed"),
}
_CAUSE_OF_STATE: dict[str, Cause | None] = {
    "EXT": None,
    "CCL": "cancelled",
    "RJT": "launch_failed",
    "ERR": "launch_failed",
}
CAUSES = frozenset(cause for cause in (*_CAUSE_OF_CODE.values(), *_CAUSE_OF_STATE.values()) if cause)
JOB_IDS = r"\d{1,20}(?:_\d{1,10}|\[\d{1,10}\])?"
_STATE = re.compile(r"[A-Z]{2,8}")


@dataclass(frozen=True)
class ListedJob:
    """A job as pjstat lists it; `word` is its state and reason, `end` how it ended, None while it has not."""

    id: str
    name: str
    state: JobState
    word: str
    end: End | None


def parse(text: str, names: Collection[str]) -> dict[str, ListedJob]:
    """The jobs of these names. What is no record is passed over: notices, progress dots, lines of a site's wrapper.

    Raises ValueError for records that cannot be told apart, which is no answer at all.
    """
    header: list[str] = []
    listed: dict[str, ListedJob] = {}
    for line in text.splitlines():
        line = line.lstrip(". ")  # the dots of `Data loading...` may stand before the first record
        if line.startswith("H,"):
            header = [name.strip() for name in line.split(",")]
        elif line.startswith(",") or (header and line[:1].isdigit()):
            job = _job(_by_header(header, line))
            if job is not None and job.name in names:
                listed[job.name] = job
            elif job is None and any(name in line for name in names):
                raise ValueError(f"not a job: {plain(line, 80)}")
    return listed


def _by_header(header: list[str], line: str) -> dict[str, str]:
    """A record's values by the names over them; one leading field more or less is the site's way to print."""
    values = line.split(",")
    if values[0].strip():
        values = ["", *values]
    names = list(header)
    if len(values) < len(names) and "" in names:
        names.remove("")  # an empty header without a value under it
    if "JOB_ID" not in names:
        raise ValueError(f"a record without a header: {plain(line, 80)}")
    last = len(names) - 1
    return dict(zip(names, [*values[:last], ",".join(values[last:])], strict=False))


def _job(values: dict[str, str]) -> ListedJob | None:
    """A record as a job; None where it makes no sense, such as one of another job with a comma in its name."""
    job_id, name, state, code, pjm_code, signal, reason = (
        values.get(column, "").strip() for column in COLUMNS.values()
    )
    if not re.fullmatch(JOB_IDS, job_id) or not _STATE.fullmatch(state):
        return None
    reason = "" if reason in ("", "-") else plain(reason, 100)
    word = ", ".join(filter(None, (state, reason)))
    if state not in _ENDED:
        return ListedJob(job_id, name, _alive(state, reason), word, None)
    end = _end(state, _number(code), _number(pjm_code) or 0, _number(signal) or 0, reason)
    return ListedJob(job_id, name, "ended", end.state, end)


def _alive(state: str, reason: str) -> JobState:
    if state in _HELD or (state == "QUE" and _STARTS_NOT.search(reason)):
        return "held"
    return "queued" if state in _QUEUED else "running"


def _end(state: str, code: int | None, pjm_code: int, signal: int, reason: str) -> End:
    """How a job ended: PJM's code decides; without one, the script's exit code or the signal that ended it."""
    cause = _CAUSE_OF_CODE.get(pjm_code, _CAUSE_OF_STATE[state])
    exit_code = 128 + signal if signal and not code else code
    if pjm_code and not exit_code:
        exit_code = None  # of a job that PJM itself ended: 0 says nothing
    words = (state, f"PJM code {pjm_code}" if pjm_code else "", reason)
    return End(exit_code, cause, ", ".join(filter(None, words)))


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,9}", text) else None
