"""Which finished layouts run again."""

import time
from contextlib import suppress

from nodesweep.common.errors import DamagedFileError, LockError, NodesweepError
from nodesweep.common.lock import SweepLock
from nodesweep.schedulers.job_script import key_in, key_of
from nodesweep.sweep.study import Study

from . import journal
from .decisions import Decisions
from .history import decisions_of
from .journal_events import RerunAsked
from .records import needs_run, read_phase, read_record
from .rereading import reread_record


def withdraw_records(study: Study) -> None:
    """Take back the job.json of layouts that need a run after all, such as after a raised time limit or budget.

    What their logs say better by now is noted before: another run is not asked for by a verdict that no longer holds.
    The plan is made again where layouts are left to run and runs have told something since it was made. Nothing is done
    while another launcher works on the sweep: the caller is refused in a moment.
    """
    with suppress(LockError), SweepLock(study.folder):
        _withdraw_records(study)


def _withdraw_records(study: Study) -> None:
    """Take back records and plan, the sweep being this process's alone."""
    decisions: Decisions | None = None
    for slug in study.runs:
        path = study.record(slug)
        try:
            record = read_record(path)
        except DamagedFileError:
            path.unlink()  # it is written again from the journal
            continue
        if record is None:
            continue
        if record.was_run:
            holds = not needs_run(study, reread_record(study, record))
        else:
            decisions = decisions or decisions_of(study)
            found = decisions.not_run(slug, journal.state(study.journal(slug)))
            holds = found is not None and not found.for_now
        if not holds:
            path.unlink(missing_ok=True)
    if not all(key_in(study.script(slug)) == key_of(study.folder, slug) for slug in study.runs):
        study.scripts_list.unlink(missing_ok=True)
    _renew_plan(study)


def _renew_plan(study: Study) -> None:
    """Have the plan made again where layouts are left to run and runs have told something since it was made."""
    plan = study.folder / "plan.csv"
    if plan.exists() and any(not path.exists() for path in study.records):
        made, now = plan.stat().st_mtime_ns, time.time_ns()
        # What is dated in the future by another host's clock would have it made again each time.
        if any(made < path.stat().st_mtime_ns <= now for path in study.calibrations):
            plan.unlink()


def request_rerun(study: Study, slug: str) -> None:
    """Ask that a run of a layout is made again; raises NodesweepError while it runs."""
    study.runs_named(slug)
    phase, state, record = read_phase(study, slug)
    if state.is_open:
        raise NodesweepError(f"{slug} was submitted and has not been seen to end; let a launcher finish it first")
    if state.problem:
        raise NodesweepError(state.problem)
    if phase == "ended" or (record is not None and not record.was_run):
        journal.append(study.journal(slug), RerunAsked())
    study.record(slug).unlink(missing_ok=True)
