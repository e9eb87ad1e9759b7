"""Looks at the submissions that have not ended: which jobs run, which have ended, and which never came to be."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from nodesweep.common.errors import SchedulerAway
from nodesweep.schedulers.base import End, Job, Scheduler, Sighting
from nodesweep.schedulers.markers import end_marker, has_started, revoke
from nodesweep.sweep.study import Study

from . import journal
from .backoff import Backoff
from .hang_detection import OutputWatch
from .journal_events import Adopted, Hung, JobHeld, Revoked
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


class Watcher:
    """Asks the scheduler for all open submissions of a study at once; no answer is no news."""

    def __init__(self, study: Study, scheduler: Scheduler, policy: Policy, tell: EventLines):
        self._study = study
        self._scheduler = scheduler
        self._policy = policy
        self._tell = tell
        self._looks = Backoff(policy.poll_seconds)
        self._outputs = OutputWatch(scheduler, policy.hang_seconds)

    @property
    def answered(self) -> bool:
        """Whether the scheduler answered when it was asked last."""
        return not self._looks.failures

    @property
    def due(self) -> bool:
        """Whether it is time to look again."""
        return self._looks.due or (self._scheduler.poll_at_will and self.answered)

    def forget(self, job: Job) -> None:
        """Drop what is known of the output of a job that has ended."""
        self._outputs.forget(job)

    def look(self, submissions: Sequence[Submission]) -> Iterator[JobEnded | NeverStarted]:
        """Note what is new about the submissions, one after the other, and yield those that are over.

        Whoever takes them may change what is open before the next is looked at.
        """
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
        with self._tell.counted(max(ended, sum(one.adopted for one in submissions))):
            for submission in submissions:
                sighting = seen.get(submission.job.key)
                if sighting is None:
                    yield from self._missing(submission)
                elif sighting.end is not None:
                    yield JobEnded(submission, _with_id(submission.job, sighting.id), sighting.end)
                else:
                    self._alive(submission, sighting)

    def _alive(self, submission: Submission, sighting: Sighting) -> None:
        """Note what is new about a job that has not ended."""
        slug, job = submission.slug, submission.job
        submission.missed = 0
        if submission.adopted or not job.id:
            submission.job = job = replace(job, id=sighting.id)
            journal.append(self._study.journal(slug), Adopted(key=job.key, job_id=job.id))
            verb = "still runs" if sighting.state == "running" else "still waits"
            self._tell.one_of_many("of an earlier launcher taken over", f"{slug}: {verb} as job {job.id}; taken over")
            submission.adopted = False
        held = sighting.word if sighting.state == "held" else ""
        if held != submission.held:
            submission.held = held
            journal.append(self._study.journal(slug), JobHeld(key=job.key, word=held))
            if held:
                self._tell(f"{slug}: job {job.id} does not start by itself: {held}")
        if sighting.state == "running":
            submission.runs_since = submission.runs_since or time.monotonic()
            if (silent_seconds := self._outputs.silent(job)) is not None:
                self._hangs(slug, job, silent_seconds)

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

    def _missing(self, submission: Submission) -> Iterator[JobEnded | NeverStarted]:
        """A submission in none of the listings: absence is no end, until nothing else is left to explain it."""
        job, patience, now = submission.job, self._scheduler.patience, time.monotonic()
        submission.missed += 1
        submission.missing_since = submission.missing_since if submission.missed > 1 else now
        seconds = now - submission.missing_since
        marker = end_marker(job.directory, job.key)
        if marker is not None:
            yield JobEnded(submission, job, marker)
            return
        if submission.missed < patience.polls:
            return
        if not job.id and seconds >= patience.unclear_seconds and not has_started(job.directory, job.key):
            if revoke(job.directory, job.key):  # else it has started in this moment
                reason = submission.complaint or "was never started"
                journal.append(self._study.journal(submission.slug), Revoked(key=job.key, reason=reason))
                yield NeverStarted(submission, reason)
            return
        if seconds >= patience.lost_seconds and (job.id or has_started(job.directory, job.key)):
            revoke(job.directory, job.key)
            yield JobEnded(submission, job, End(None, "lost", "not listed, and no exit marker"))


def _with_id(job: Job, job_id: str) -> Job:
    return replace(job, id=job_id or job.id)
