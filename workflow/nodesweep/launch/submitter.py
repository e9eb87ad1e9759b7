"""Submits one layout, intent first."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from nodesweep.common.errors import DamagedFileError, SchedulerAway, SchedulerError, SubmissionUnclear, Throttled
from nodesweep.common.files import read_regular, write_atomic
from nodesweep.common.launch_site import this_site
from nodesweep.schedulers import SCHEDULERS
from nodesweep.schedulers.base import SCRIPT_BYTES, Job, Scheduler
from nodesweep.schedulers.job_script import key_in, key_of, render
from nodesweep.sweep.study import Study

from . import journal
from .attempts import claim_attempt, free_attempt, give_back_attempt
from .journal import State
from .journal_events import Deferred, Intent, Refused, Submitted
from .keys import new_key
from .progress import EventLines
from .submission import Submission, taken_over
from .submit_limits import SubmitLimits


@dataclass(frozen=True)
class RefusedSubmission:
    """A submission that certainly made no job, and why."""

    job: Job
    reason: str


class Submitter:
    """Submits layouts of one study; `limits` knows which of them the scheduler takes now.

    `check_lock` raises LockError where another launcher has taken over.
    """

    def __init__(
        self,
        study: Study,
        scheduler: Scheduler,
        poll_seconds: float,
        tell: EventLines,
        check_lock: Callable[[], None],
    ):
        self._study = study
        self._scheduler = scheduler
        self._tell = tell
        self._check_lock = check_lock
        self._unheeded: set[str] = set()
        self.limits = SubmitLimits(study, poll_seconds)

    def submit(self, slug: str, state: State, others: bool) -> Submission | RefusedSubmission | None:
        """Submit a layout whose journal is in this state; None where the scheduler does not take it for now.

        `others`: whether other jobs of the study are queued or running. Raises LockError where another launcher has
        taken over, or submits the layout at this moment; DamagedFileError where its files are no files, or cannot be
        written.
        """
        self._check_lock()
        script, path = self._study.script(slug), self._study.journal(slug)
        self._renew_script(slug)
        text = read_regular(script, SCRIPT_BYTES)
        self._tell_unheeded(text.decode(errors="replace"))
        attempt = free_attempt(path.parent, state.attempt + 1)
        if attempt > state.attempt + 1:
            state = journal.state(path)
            if state.problem:
                raise DamagedFileError(state.problem)
            if state.is_open:  # submitted in this moment, by another launcher
                return taken_over(slug, state, path.parent)
        try:
            site = replace(this_site(), cluster=self._scheduler.cluster())
        except SchedulerAway as error:
            self._wait(slug, f"no answer from the scheduler ({error}); the others wait")
            return None
        job = Job(new_key(self._study.folder, slug, attempt), "", path.parent, site)
        intent = Intent(
            key=job.key,
            attempt=attempt,
            script_sha256=hashlib.sha256(text).hexdigest(),
            scheduler=self._study.sweep.machine.scheduler,
            elapse_limit_seconds=self._study.runs[slug].elapse_limit_seconds,
            folder=str(path.parent.resolve()),  # what leads there may be closed to others
            **asdict(site),
        )
        journal.append(path, intent)
        claim_attempt(path, intent)
        self._check_lock()  # it may have been stopped since the last time
        try:
            job_id = self._scheduler.submit(script, job.key)
        except Throttled as error:
            return self._throttled(slug, job, attempt, error, others)
        except SubmissionUnclear as error:
            self._tell(f"{slug}: {error}; looking for its job before anything else")
            return Submission(slug, job, adopted=False, complaint=str(error), crowded=error.crowded)
        except SchedulerError as error:
            journal.append(path, Refused(key=job.key, reason=str(error)))
            return RefusedSubmission(job, str(error))
        return self._submitted(slug, replace(job, id=job_id))

    def _submitted(self, slug: str, job: Job) -> Submission:
        """Note and tell that a layout's job was made."""
        self.limits.accepted(slug)
        journal.append(self._study.journal(slug), Submitted(key=job.key, job_id=job.id))
        verb, since = ("started", time.monotonic()) if self._scheduler.poll_at_will else ("submitted", None)
        self._tell.one_of_many(verb, f"{slug}: {verb} as job {job.id}")
        return Submission(slug, job, adopted=False, runs_since=since)

    def _throttled(self, slug: str, job: Job, attempt: int, error: Throttled, others: bool) -> RefusedSubmission | None:
        """Let a layout wait that was refused for now, or perhaps for ever, until that is likelier."""
        path = self._study.journal(slug)
        if not error.perhaps_for_ever:
            self._defer(job, attempt, error)
            self._wait(slug, f"the scheduler takes no more jobs for now ({error}); others of its kind wait")
            return None
        is_news = self.limits.of(slug) != slug
        if self.limits.doubtful(slug, queue_is_empty=not others):
            reason = f"refused, also while no other job of the sweep was there: {error}"
            journal.append(path, Refused(key=job.key, reason=reason))
            return RefusedSubmission(job, reason)
        self._defer(job, attempt, error)
        if is_news:
            self._tell(f"{slug}: the scheduler takes no more jobs for now, or never this one ({error}); others go on")
        return None

    def _defer(self, job: Job, attempt: int, error: Throttled) -> None:
        """Note that no job came of a submission for now, so that its number can be used again."""
        # First the number: a crash before the line leaves an attempt that the next launcher gives up.
        give_back_attempt(job.directory, attempt)
        journal.append(self._study.journal(job.directory.name), Deferred(key=job.key, reason=str(error)))

    def _wait(self, slug: str, line: str) -> None:
        """Let a layout and those of its kind wait; told when it begins."""
        if self.limits.crowded(slug):
            self._tell(line)

    def _renew_script(self, slug: str) -> None:
        """Write a layout's script anew where it is one of another folder, from which this one was moved or copied."""
        script = self._study.script(slug)
        if key_in(script) not in ("", key_of(self._study.folder, slug)):
            write_atomic(script, render(self._study.runs[slug], self._study.sweep.sweep, self._study.folder))

    def _tell_unheeded(self, script: str) -> None:
        """Say once what of the environment does not reach the jobs."""
        for line in SCHEDULERS[self._study.sweep.machine.scheduler].unheeded(script):
            if line not in self._unheeded:
                self._unheeded.add(line)
                self._tell(line)
