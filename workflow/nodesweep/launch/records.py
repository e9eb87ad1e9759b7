"""Terminal records: how the last run of a layout ended, and whether it needs another."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from nodesweep.common.outcomes import NOT_RUN
from nodesweep.performance.cost import node_hours
from nodesweep.results.outcome import Verdict
from nodesweep.schedulers.base import End, Job
from nodesweep.schedulers.markers import has_started
from nodesweep.sweep.study import Study

from . import journal
from .decisions import NotRun
from .journal import State

SCHEMA = 1


def terminal_record(slug: str, job: Job, state: State, end: End, verdict: Verdict) -> dict[str, Any]:
    """All that is known of how a job ended, as it goes into the journal and job.json."""
    return {
        "schema": SCHEMA,
        "slug": slug,
        "key": job.key,
        "attempt": state.attempt,
        "job_id": job.id,
        "scheduler": state.scheduler,
        **asdict(verdict),
        "exit_code": end.exit_code,
        "scheduler_state": end.state,
        "elapse_limit_seconds": state.elapse_limit_seconds,
        "submitted": _timestamp(state.submitted),
        "started": _timestamp(end.started),
        "ended": _timestamp(end.ended),
        "usage": asdict(end.usage),
        "log": f"{job.key}.log",
    }


def not_run_record(slug: str, found: NotRun) -> dict[str, Any]:
    """What job.json says of a layout that no job was submitted for."""
    verdict = Verdict(found.outcome, evidence=found.reason)
    return {"schema": SCHEMA, "slug": slug, "key": "", "attempt": 0, "job_id": "", **asdict(verdict), "log": ""}


def seconds_of(record: Mapping[str, Any]) -> float | None:
    """How long a job ran; None where nobody recorded it."""
    times = [record.get(name) for name in ("started", "ended")]
    if None in times:
        return None
    started, ended = (datetime.fromisoformat(str(time)).timestamp() for time in times)
    return max(ended - started, 0.0)


def node_hours_of(record: Mapping[str, Any], nodes: int) -> float:
    """What a job used."""
    return node_hours(seconds_of(record) or 0.0, nodes)


def standing(study: Study, slug: str) -> tuple[str, State]:
    """Where a layout stands, "pending", "queued", "running", "ended", "pruned" or "skipped", and its journal's state.

    That of a layout that is not to be run has the record which says why.
    """
    state = journal.state(study.journal(slug))
    if state.status == "pending" and not state.asked:
        record = _not_run(study, slug)
        return (record["outcome"], replace(state, record=record)) if record else (state.status, state)
    if state.status not in ("unclear", "running"):
        return state.status, state
    return "running" if has_started(study.directory(slug), state.key) else "queued", state


def needs_run(study: Study, record: dict[str, Any]) -> bool:
    """Whether the next invocation runs a layout that ended so: by its outcome, or because its time limit was raised."""
    limit, layout = record.get("elapse_limit_seconds"), study.layouts.get(record["slug"])
    if record["outcome"] == "timeout" and limit is not None and layout is not None:
        return layout.elapse_limit_seconds is None or layout.elapse_limit_seconds > limit
    return record["outcome"] in study.sweep.rerun


def _not_run(study: Study, slug: str) -> dict[str, Any] | None:
    """The record of a layout that was not to be run."""
    try:
        record = json.loads(study.record(slug).read_text())
        return record if record["outcome"] in NOT_RUN else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def ended(study: Study) -> dict[str, str]:
    """The outcomes of layouts that need no more runs."""
    found = {}
    for slug in study.layouts:
        # Without a record it is still to run; a damaged one is written again from the journal.
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            record = json.loads(study.record(slug).read_text())
            if record["outcome"] not in NOT_RUN and not needs_run(study, record):
                found[slug] = str(record["outcome"])
    return found


def summary(record: dict[str, Any]) -> str:
    """How a run ended in one line: outcome, where, and, unless all went well, the evidence and the log."""
    text = " ".join(filter(None, (record["outcome"], record.get("where"))))
    if record["outcome"] == "ok":
        return text
    if record["outcome"] in NOT_RUN:
        return f"{text}: {record['evidence']}"
    log = f" [{record['log']}]" if record["job_id"] else ""
    return f"{text}: {record['evidence'] or record['scheduler_state']}{log}"


def _timestamp(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
