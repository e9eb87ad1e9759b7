"""Looks at the submissions that have not ended: which jobs run, which have ended, and which never came to be."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from nodesweep.common.errors import DamagedFileError, SchedulerAway
from nodesweep.common.launch_site import this_site
from nodesweep.schedulers import SCHEDULERS
from nodesweep.schedulers.base import End, Job, Scheduler, Sighting
from nodesweep.schedulers.markers import end_marker, has_started, revoke
from nodesweep.sweep.study import Study

from . import journal
from .backoff import Backoff
from .enough_watch import EnoughWatch
from .hang_detection import OutputWatch
from .journal import State
from .journal_events import Adopted, Hung, JobHeld, Revoked, Silent
from .outputs import written_bytes
from .progress import EventLines
from .submission import Policy, Submission


@dataclass(frozen=True)
class JobEnded:
    """A submission whose job has ended, and how; `job`: with the id its scheduler knows it by."""

    submission: Submission
    job: Job
    end: End


@dataclass(frozen=True)
class NeverStarted:
    """A submission that no job came of, nor ever will, and why."""

    submission: Submission
    reason: str


@dataclass(frozen=True)
class Settled:
    """A submission that somebody else brought to an end, such as `nodesweep forget`: where its layout stands now."""

    submission: Submission
    state: State


Over = JobEnded | NeverStarted | Settled


class Watcher:
    """Asks the scheduler for all open submissions of a study at once; no answer is no news."""

    def __init__(self, study: Study, scheduler: Scheduler, policy: Policy, tell: EventLines):
        self._study = study
        self._scheduler = scheduler
        self._policy = policy
        self._tell = tell
        self._looks = Backoff(policy.poll_seconds)
        self._outputs = OutputWatch(scheduler, policy.hang_seconds)
        self._enough = EnoughWatch(study, scheduler, tell)

    @property
    def answered(self) -> bool:
        """Whether the scheduler answered when it was asked last."""
        return not self._looks.failures

    @property
    def due(self) -> bool:
        """Whether it is time to look again."""
        return self._looks.due or (self._scheduler.poll_at_will and self.answered)

    def asked(self, submission: Submission) -> bool:
        """Whether this watcher itself has looked for a missing submission as often as its scheduler's patience asks."""
        return submission.missed >= self._scheduler.patience.polls

    def forget(self, job: Job) -> None:
        """Drop what is known of the output of a job that has ended."""
        self._outputs.forget(job)
        self._enough.forget(job)

    def look(self, submissions: Sequence[Submission]) -> Iterator[Over]:
        """Note what is new about the submissions, one after the other, and yield those that are over.

        Whoever takes them may change what is open before the next is looked at.
        """
        if not submissions:
            return
        try:
            seen = self._scheduler.poll([one.job for one in submissions])
        except SchedulerAway as error:
            if self.answered:
                self._tell(f"no answer from the scheduler ({error}); asking again until there is one")
            self._looks.failed()
            return
        if not self.answered:
            self._tell("the scheduler answers again")
        self._looks.succeeded()
        ended = sum(one is not None and one.end is not None for one in seen.values())
        held = sum(one is not None and one.state == "held" for one in seen.values())
        missing = len(submissions) - len(seen)
        with self._tell.counted(max(ended, held, missing, sum(one.adopted for one in submissions))):
            for submission in submissions:
                try:
                    yield from self._looked_at(submission, seen)
                except DamagedFileError as error:
                    yield Settled(submission, State("unreadable", problem=str(error)))

    def _looked_at(self, submission: Submission, seen: Mapping[str, Sighting | None]) -> Iterator[Over]:
        """Note what is new about one submission. Raises DamagedFileError where that cannot be noted."""
        sighting = seen.get(submission.job.key)
        if submission.job.key not in seen:
            yield from self._missing(submission)
        elif sighting is None:
            return  # who could have it did not answer: no news
        elif sighting.end is not None:
            yield JobEnded(submission, _with_id(submission.job, sighting.id), _paused(submission, sighting.end))
        else:
            self._alive(submission, sighting)

    def _alive(self, submission: Submission, sighting: Sighting) -> None:
        """Note what is new about a job that has not ended."""
        slug, job = submission.slug, submission.job
        submission.missed, submission.output_bytes = 0, None
        if submission.adopted or not job.id:
            submission.job = job = replace(job, id=sighting.id)
            journal.append(self._study.journal(slug), Adopted(key=job.key, job_id=job.id))
            verb = "still waits" if sighting.state in ("queued", "held") else "still runs"
            self._tell.one_of_many("of an earlier launcher taken over", f"{slug}: {verb} as job {job.id}; taken over")
            submission.adopted = False
        self._found_again(submission)
        submission.over_limit = sighting.over_limit
        held = sighting.word if sighting.state == "held" else ""
        if held != submission.held:
            submission.held = held
            journal.append(self._study.journal(slug), JobHeld(key=job.key, word=held))
            if held:
                self._tell.one_of_many(
                    f"that do not start by themselves: {held}", f"{slug}: job {job.id} does not start by itself: {held}"
                )
        self._note_suspension(submission, sighting)
        if sighting.state == "running":
            submission.runs_since = submission.runs_since or time.monotonic()
            submission.is_ending = end_marker(job.directory, job.key) is not None
            if submission.is_ending:
                return
            silent_seconds = None if submission.enough else self._outputs.silent(job)
            if silent_seconds is not None:
                self._hangs(slug, job, silent_seconds)
            self._enough.look(submission)
        elif submission.enough:  # requeued, or suspended, before it heard that it was to end
            self._enough.end(submission)

    def _note_suspension(self, submission: Submission, sighting: Sighting) -> None:
        """Count for how long a job is suspended, to within a look; what it does not say meanwhile is no hanging."""
        now = time.monotonic()
        if sighting.state == "suspended":
            self._outputs.forget(submission.job)
            if submission.suspended_since is None:
                submission.suspended_since = now
                self._tell(f"{submission.slug}: job {submission.job.id} is suspended; what it measures holds the pause")
        elif submission.suspended_since is not None:
            submission.suspended_seconds += now - submission.suspended_since
            submission.suspended_since = None

    def _found_again(self, submission: Submission) -> None:
        """Take back that nobody knows anything of a job."""
        if submission.silent:
            submission.silent = ""
            journal.append(self._study.journal(submission.slug), Silent(key=submission.job.key, evidence=""))
            self._tell(f"{submission.slug}: job {submission.job.id or submission.job.key} is known of again")

    def _hangs(self, slug: str, job: Job, silent_seconds: float) -> None:
        """Report a job that no longer says anything, and end it where the profile says so."""
        log = f"{job.key}.log"
        if self._policy.on_hang == "report":
            self._tell(f"{slug}: job {job.id} has said nothing for {silent_seconds:.0f} s; it may hang [{log}]")
            return
        self._tell(f"{slug}: job {job.id} has said nothing for {silent_seconds:.0f} s; cancelled as hanging [{log}]")
        journal.append(self._study.journal(slug), Hung(key=job.key, silent_seconds=round(silent_seconds)))
        try:
            self._scheduler.cancel([job])
        except SchedulerAway as error:
            self._tell(f"job {job.id} could not be cancelled: {error}")

    def _missing(self, submission: Submission) -> Iterator[Over]:
        """A submission in none of the listings: absence is no end, however long, and no listing the only witness."""
        job, patience, now = submission.job, self._scheduler.patience, time.monotonic()
        state = journal.state(self._study.journal(submission.slug))
        if state.key == job.key and not state.is_open:  # by `nodesweep forget`
            yield Settled(submission, state)
            return
        submission.missed += 1
        submission.missing_since = submission.missing_since if submission.missed > 1 else now
        marker = end_marker(job.directory, job.key)
        if marker is not None:
            yield JobEnded(submission, job, marker)
            return
        if self._output_grows(submission):
            submission.missed = 0
            self._found_again(submission)
            return
        seconds = now - submission.missing_since
        if submission.missed < patience.polls:
            return
        started = has_started(job.directory, job.key)
        if not job.id and not started:
            if seconds >= patience.unclear_seconds and revoke(job.directory, job.key):  # else it has just started
                reason = submission.complaint or "was never started"
                journal.append(self._study.journal(submission.slug), Revoked(key=job.key, reason=reason))
                yield NeverStarted(submission, reason)
        elif seconds >= patience.silent_seconds and not submission.silent:
            submission.silent = _asked_in_vain(job, started, SCHEDULERS[self._study.sweep.machine.scheduler].is_batch)
            journal.append(self._study.journal(submission.slug), Silent(key=job.key, evidence=submission.silent))
            self._tell.one_of_many(
                "that nobody knows anything of; `nodesweep status` names them",
                f"{submission.slug}: held: {submission.silent}; the others go on",
            )

    def _output_grows(self, submission: Submission) -> bool:
        """Whether a job's output has grown since the last look at it."""
        size = written_bytes(self._scheduler.outputs(submission.job)) or 0
        before, submission.output_bytes = submission.output_bytes, size
        return before is not None and size > before


def _asked_in_vain(job: Job, started: bool, is_listed: bool) -> str:
    """That nobody knows what became of a job, and who was asked: listings, or, where there are none, this host."""
    name = f"job {job.id}" if job.id else job.key
    where = f" of {job.site.user or 'somebody'} on {job.site.cluster or job.site.host}" if job.site.host else ""
    witnesses = [
        "no listing has it" if is_listed else f"its processes cannot be seen from {this_site().host}",
        "no exit marker",
        "its log does not grow" if started else "never started",
    ]
    return f"nobody knows what became of {name}{where}: {', '.join(witnesses)}"


def _paused(submission: Submission, end: End) -> End:
    """An end with how long its job was seen suspended, where its scheduler's accounts do not say."""
    if submission.suspended_since is not None:
        submission.suspended_seconds += time.monotonic() - submission.suspended_since
        submission.suspended_since = None
    if end.usage.suspended_seconds is not None or not submission.suspended_seconds:
        return end
    return replace(end, usage=replace(end.usage, suspended_seconds=max(1.0, round(submission.suspended_seconds))))


def _with_id(job: Job, job_id: str) -> Job:
    return replace(job, id=job_id or job.id)
