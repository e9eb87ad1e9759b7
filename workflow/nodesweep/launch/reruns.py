"""Which finished layouts run again."""

import json

from nodesweep.common.errors import LockError, NodesweepError
from nodesweep.common.lock import SweepLock
from nodesweep.common.outcomes import NOT_RUN
from nodesweep.sweep.study import Study

from . import journal
from .decisions import Decisions
from .history import decisions_of
from .records import _not_run, needs_run


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


def request_rerun(study: Study, slug: str) -> None:
    """Ask that a layout runs again; raises NodesweepError while it runs."""
    study.layout(slug)
    status = journal.state(study.journal(slug)).status
    if status in ("unclear", "running"):
        raise NodesweepError(f"{slug} was submitted and has not been seen to end; let a launcher finish it first")
    if status == "ended" or _not_run(study, slug):
        journal.append(study.journal(slug), "rerun")
    study.record(slug).unlink(missing_ok=True)
