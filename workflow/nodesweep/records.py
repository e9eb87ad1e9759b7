"""Terminal records: how the last run of a layout ended, and whether it needs another."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from . import journal
from .errors import LockError, NodesweepError
from .journal import State
from .lock import SweepLock
from .outcome import Verdict
from .schedulers.base import End, Job
from .schedulers.marks import has_started
from .study import Study

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


def standing(study: Study, slug: str) -> tuple[str, State]:
    """Where a layout stands, "pending", "queued", "running" or "ended", and its journal's state."""
    state = journal.state(study.journal(slug))
    if state.status not in ("unclear", "running"):
        return state.status, state
    return "running" if has_started(study.directory(slug), state.key) else "queued", state


def needs_run(study: Study, record: dict[str, Any]) -> bool:
    """Whether the next invocation runs a layout that ended so: by its outcome, or because its time limit was raised."""
    limit, layout = record.get("elapse_limit_seconds"), study.layouts.get(record["slug"])
    if record["outcome"] == "timeout" and limit is not None and layout is not None:
        return layout.elapse_limit_seconds is None or layout.elapse_limit_seconds > limit
    return record["outcome"] in study.sweep.rerun


def withdraw_records(study: Study) -> None:
    """Take back the job.json of layouts that need another run after all, such as after a raised time limit."""
    try:
        lock = SweepLock(study.folder)
    except LockError:
        return  # another launcher is at work: this one is refused in a moment
    for slug in study.layouts:
        try:
            record = json.loads(study.record(slug).read_text())
            if needs_run(study, record):
                study.record(slug).unlink()
        except FileNotFoundError:
            pass  # not finished yet
        except (ValueError, KeyError, TypeError):
            study.record(slug).unlink()  # damaged: it is written again from the journal
    lock.release()


def summary(record: dict[str, Any]) -> str:
    """How a run ended in one line: outcome, where, and, unless all went well, the evidence and the log."""
    text = " ".join(filter(None, (record["outcome"], record.get("where"))))
    if record["outcome"] == "ok":
        return text
    log = f" [{record['log']}]" if record["job_id"] else ""
    return f"{text}: {record['evidence'] or record['scheduler_state']}{log}"


def request_rerun(study: Study, slug: str) -> None:
    """Ask that a layout runs again; raises NodesweepError while it runs."""
    study.layout(slug)
    status = journal.state(study.journal(slug)).status
    if status in ("unclear", "running"):
        raise NodesweepError(f"{slug} was submitted and has not been seen to end; let a launcher finish it first")
    if status == "ended":
        journal.append(study.journal(slug), "rerun")
    study.record(slug).unlink(missing_ok=True)


def _timestamp(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
