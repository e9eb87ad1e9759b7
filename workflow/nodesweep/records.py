"""Terminal records: how the last run of a layout ended, and whether it needs another."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from nodesweep.common.errors import LayoutError, LockError, NodesweepError
from nodesweep.common.lock import SweepLock
from nodesweep.common.outcomes import NOT_RUN
from nodesweep.performance.calibration import Calibration
from nodesweep.performance.calibration.files import read_calibrations
from nodesweep.performance.cost import node_hours
from nodesweep.performance.forecast import forecast
from nodesweep.results.measurement_file import measurement_of
from nodesweep.results.outcome import Verdict
from nodesweep.schedulers.base import End, Job
from nodesweep.schedulers.markers import has_started
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.study import Study

from . import journal
from .decisions import Decisions, NotRun, Ran
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


def with_limits(study: Study) -> Study:
    """The same with time limits by prediction, for layouts of a batch system whose config does not say how long."""
    unsaid = [
        layout
        for layout in study.layouts.values()
        if (layout.expected_seconds, layout.machine.elapse_limit_seconds) == (None, None)
        and layout.machine.scheduler != "local"
    ]
    known = read_calibrations(study) if unsaid else {}
    if not known:
        return study
    limited = {layout.slug: _limited(layout, known.get(layout.campaign)) for layout in unsaid}
    layouts = tuple(limited.get(slug, layout) for slug, layout in study.layouts.items())
    return replace(study, expansion=replace(study.expansion, layouts=layouts))


def _limited(layout: Layout, calibration: Calibration | None) -> Layout:
    """A layout that is expected to take what its runs predict; its limit is no lower than the upper end of that."""
    time, run = forecast(layout, calibration).time, layout.iterations
    if time is None or time.guess:
        return layout
    seconds = run.startup_seconds + run.total * max(time.seconds, time.high_seconds / run.time_margin)
    try:
        return replace(layout, expected_seconds=seconds)
    except LayoutError:
        return layout  # longer than any queue takes: it keeps the longest limit of its queue


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


def decisions_of(study: Study) -> Decisions:
    """What is known of a sweep by its files: calibrations, and how the runs of its layouts ended."""
    decisions = Decisions(study.sweep, study.layouts, read_calibrations(study))
    for slug in study.layouts:
        ends = [event["record"] for event in journal.read(study.journal(slug)) if event["event"] == "ended"]
        for record in ends:
            decisions.ended(slug, ran_of(study, slug, record, timed=record is ends[-1] and decisions.searches))
    return decisions


def ran_of(study: Study, slug: str, record: dict[str, Any], timed: bool) -> Ran:
    """What a run that ended tells; seconds per iteration only where asked for, since its log is read for them."""
    layout = study.layouts[slug]
    measured = measurement_of(study, layout, record) if timed else None
    statistics = measured.statistics if measured else None
    seconds, scatter = (statistics.iteration_seconds, statistics.scatter) if statistics else (None, None)
    return Ran(record["outcome"], seconds, node_hours_of(record, layout.nodes), scatter)


def withdraw_records(study: Study) -> None:
    """Take back the job.json of layouts that need a run after all, such as after a raised time limit or budget."""
    try:
        lock = SweepLock(study.folder)
    except LockError:
        return  # another launcher is at work: this one is refused in a moment
    decisions: Decisions | None = None
    for slug in study.layouts:
        try:
            record = json.loads(study.record(slug).read_text())
            if record["outcome"] in NOT_RUN:
                decisions = decisions or decisions_of(study)
                holds = decisions.not_run(slug) is not None
            else:
                holds = not needs_run(study, record)
            if not holds:
                study.record(slug).unlink()
        except FileNotFoundError:
            pass  # not finished yet
        except (ValueError, KeyError, TypeError):
            study.record(slug).unlink()  # damaged: it is written again from the journal
    if not all(study.script(slug).exists() for slug in study.layouts):
        study.scripts_list.unlink(missing_ok=True)
    _renew_plan(study)
    lock.release()


def _renew_plan(study: Study) -> None:
    """Have the plan made again where layouts are left to run and runs have told something since it was made."""
    plan = study.folder / "plan.csv"
    if plan.exists() and any(not path.exists() for path in study.records):
        made = plan.stat().st_mtime_ns
        if any(path.stat().st_mtime_ns > made for path in study.calibrations):
            plan.unlink()


def summary(record: dict[str, Any]) -> str:
    """How a run ended in one line: outcome, where, and, unless all went well, the evidence and the log."""
    text = " ".join(filter(None, (record["outcome"], record.get("where"))))
    if record["outcome"] == "ok":
        return text
    if record["outcome"] in NOT_RUN:
        return f"{text}: {record['evidence']}"
    log = f" [{record['log']}]" if record["job_id"] else ""
    return f"{text}: {record['evidence'] or record['scheduler_state']}{log}"


def request_rerun(study: Study, slug: str) -> None:
    """Ask that a layout runs again; raises NodesweepError while it runs."""
    study.layout(slug)
    status = journal.state(study.journal(slug)).status
    if status in ("unclear", "running"):
        raise NodesweepError(f"{slug} was submitted and has not been seen to end; let a launcher finish it first")
    if status == "ended" or _not_run(study, slug):
        journal.append(study.journal(slug), "rerun")
    study.record(slug).unlink(missing_ok=True)


def _timestamp(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
