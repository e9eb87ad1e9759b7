"""Gives up a job that nobody knows anything of, on the word of a user."""

from nodesweep.common.errors import NodesweepError, SchedulerAway
from nodesweep.common.launch_site import this_site
from nodesweep.schedulers import SCHEDULERS, scheduler_of
from nodesweep.schedulers.base import Job
from nodesweep.schedulers.markers import end_marker, revoke
from nodesweep.sweep.study import Study

from . import journal
from .journal import State
from .journal_events import Ended
from .records import forgotten_record


def forget(study: Study, slug: str, force: bool = False) -> str:
    """End the open submission of a run as lost, so that it may run again; returns a line about it.

    Raises NodesweepError where there is none, where its job left an exit marker, and, unless `force` says so, where its
    scheduler knows of it or does not answer.
    """
    study.runs_named(slug)
    path = study.journal(slug)
    state = journal.state(path)
    if state.problem:
        raise NodesweepError(f"{slug}: {state.problem}")
    if not state.is_open:
        raise NodesweepError(f"{slug}: no job of it is open, so that there is nothing to forget")
    job = Job(state.key, state.job_id, path.parent, state.site)
    name = f"job {job.id}" if job.id else job.key
    if end_marker(job.directory, job.key) is not None:
        raise NodesweepError(f"{slug}: {name} has ended and left its exit marker; the next launch records how")
    if not force:
        _check_unknown(slug, name, job, state)
    revoke(job.directory, job.key)  # it never runs, unless it has started
    site = this_site()
    reason = f"given up by {site.user} on {site.host} with `nodesweep forget`"
    journal.append(path, Ended(record=forgotten_record(slug, state, reason)))
    return f"{slug}: {name} is given up; the layout runs again with the next launch"


def _check_unknown(slug: str, name: str, job: Job, state: State) -> None:
    """Raise NodesweepError where the scheduler of a job knows of it, or cannot be asked."""
    way_out = "add --force where you know that it does not run"
    if state.scheduler not in SCHEDULERS:
        raise NodesweepError(f"{slug}: {name} is one of {state.scheduler!r:.40}, which cannot be asked here; {way_out}")
    try:
        answer = scheduler_of(state.scheduler).poll([job])
    except SchedulerAway as error:
        raise NodesweepError(f"{slug}: {name} cannot be asked for ({error}); {way_out}") from None
    seen = answer.get(job.key)
    if job.key in answer and seen is None:
        raise NodesweepError(f"{slug}: {name} cannot be asked for: its cluster does not answer; {way_out}")
    if seen is not None and seen.end is not None:
        raise NodesweepError(f"{slug}: {name} has ended ({seen.end.state}); the next launch records how")
    if seen is not None:
        word = seen.word or seen.state
        raise NodesweepError(f"{slug}: {name} is known to its scheduler ({word}); cancel it, or {way_out}")
