"""The queue: which layout is submitted when, found again after a crash, and recorded when it ends."""

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nodesweep.common.errors import SchedulerAway, SchedulerError, SubmissionUnclear, Throttled
from nodesweep.common.outcomes import RETRIED
from nodesweep.schedulers.base import End, Job, Scheduler, Sighting
from nodesweep.schedulers.job_script import key_of
from nodesweep.schedulers.markers import end_marker, has_started, revoke
from nodesweep.sweep.study import Study

from . import journal
from .backoff import Backoff
from .decisions import Decisions, NotRun
from .eta import Estimate
from .hang_detection import OutputWatch
from .history import ran_of
from .journal import State
from .progress import Progress, Telling
from .queue import Waiting
from .recorder import Recorder
from .records import needs_run, not_run_record, summary
from .submission import Finished, Policy, Submission


class Runner:
    """Runs the layouts of one study exactly once each.

    `decisions` says which comes first and which need not run; without, all run in the order of the config. `tell`
    receives one line per event; of many alike their number, each goes to `note` then. `total`: how many layouts will be
    handed over, where known. `add`, `close`, `wake` and `progress` may be called from any thread, the others from one.
    """

    def __init__(
        self,
        study: Study,
        scheduler: Scheduler,
        policy: Policy,
        tell: Callable[[str], None],
        decisions: Decisions | None = None,
        note: Callable[[str], None] | None = None,
        total: int = 0,
    ):
        self._study = study
        self._scheduler = scheduler
        self._policy = policy
        self._tell = Telling(tell, note)
        self._total, self._outcomes = total, Counter[str]()
        self._decisions, self._estimate = decisions, Estimate(study.layouts, decisions)
        self._waiting = Waiting(decisions.rank if decisions else list(study.layouts).index)
        searched = study.sweep.search
        self._places = min(policy.jobs_at_once, searched.jobs_at_once) if searched else policy.jobs_at_once
        self._step_lock = threading.Lock()
        self._open: dict[str, Submission] = {}
        self._handed, self._done = set[str](), set[str]()
        self._recorder = Recorder(study)
        self._tried: Counter[str] = Counter()
        self._looks, self._accepts = Backoff(policy.poll_seconds), Backoff(policy.poll_seconds)
        self._watch = OutputWatch(scheduler, policy.hang_seconds)

    @property
    def running(self) -> list[Job]:
        """The jobs that are queued or running now, in the order they were submitted."""
        return [submission.job for submission in self._open.values()]

    @property
    def progress(self) -> Progress:
        """How far the layouts are that were, or will be, handed over."""
        open_, left = list(self._open.values()), self._handed - self._done
        running = {one.slug: time.monotonic() - one.runs_since for one in open_ if one.runs_since is not None}
        return self._estimate.progress(running, len(open_), left, dict(self._outcomes), self._total)

    def recover(self) -> None:
        """Find every job an earlier launcher left, also those of layouts the sweep no longer holds.

        Those that have ended meanwhile are recorded; whether they run again is decided when their turn comes.
        """
        scheduler = self._study.sweep.machine.scheduler
        for path in sorted(self._study.folder.glob("layouts/*/journal.jsonl")):
            state, slug = journal.state(path), path.parent.name
            if state.status not in ("unclear", "running"):
                continue
            if state.scheduler not in ("", scheduler):
                job = state.job_id or state.key
                self._tell(f"{slug}: job {job} is one of {state.scheduler}, not of {scheduler}; left alone")
            else:
                self._open[slug] = Submission(slug, Job(state.key, state.job_id, path.parent), adopted=True)
        if self._open:
            self._look()
            self._recorder.keep([])

    def add(self, slugs: list[str]) -> None:
        """Hand layouts over."""
        self._handed |= set(slugs)
        self._waiting.add(slugs)

    def step(self) -> list[Finished]:
        """Record the jobs that have ended, then submit what may run now; returns what is done with."""
        with self._step_lock:
            finished = []
            if self._open and (self._looks.due or (self._scheduler.poll_at_will and not self._looks.failures)):
                finished = self._look()
            with self._tell.together(min(self._places - len(self._open), len(self._waiting))):
                finished += self._submit_waiting()
            self._recorder.keep(finished)  # last, since meanwhile the next job runs
            return finished

    def wait(self, seconds: float) -> None:
        """Sleep until something may have happened, at most `seconds`."""
        self._scheduler.wait(self.running, seconds)

    def wake(self) -> None:
        """End a `wait` in another thread."""
        self._scheduler.wake()

    def close(self, cancel: bool) -> list[Job]:
        """Submit nothing more; the running jobs, which are asked to end where `cancel` says so."""
        with self._step_lock:
            self._waiting.clear()
            if cancel:
                self._scheduler.cancel(self.running)
            return self.running

    def _look(self) -> list[Finished]:
        """Ask for all open submissions at once, and act on what is new; no answer is no news."""
        try:
            seen = self._scheduler.poll(self.running)
        except SchedulerAway as error:
            if not self._looks.failures:
                self._tell(f"no answer from the scheduler ({error}); asking again until there is one")
            self._looks.failed()
            return []
        if self._looks.failures:
            self._tell("the scheduler answers again")
        self._looks.succeeded()
        finished = []
        ended = sum(one is not None and one.end is not None for one in seen.values())
        with self._tell.together(max(ended, sum(one.adopted for one in self._open.values()))):
            for submission in list(self._open.values()):
                sighting = seen.get(submission.job.key)
                if sighting is None:
                    finished += self._missing(submission)
                elif sighting.end is not None:
                    finished += self._ended(submission, sighting.end, sighting.id)
                else:
                    self._alive(submission, sighting)
        return finished

    def _alive(self, submission: Submission, sighting: Sighting) -> None:
        """Note what is new about a job that has not ended."""
        slug, job = submission.slug, submission.job
        submission.missed = 0
        if submission.adopted or not job.id:
            submission.job = job = replace(job, id=sighting.id)
            journal.append(self._study.journal(slug), "adopted", key=job.key, job_id=job.id)
            verb = "still runs" if sighting.state == "running" else "still waits"
            self._tell.alike("of an earlier launcher taken over", f"{slug}: {verb} as job {job.id}; taken over")
            submission.adopted = False
        held = sighting.word if sighting.state == "held" else ""
        if held != submission.told:
            submission.told = held
            journal.append(self._study.journal(slug), "held", key=job.key, word=held)
            if held:
                self._tell(f"{slug}: job {job.id} does not start by itself: {held}")
        if sighting.state == "running":
            submission.runs_since = submission.runs_since or time.monotonic()
            if (silent_seconds := self._watch.silent(job)) is not None:
                self._hangs(slug, job, silent_seconds)

    def _hangs(self, slug: str, job: Job, silent_seconds: float) -> None:
        """Report a job that no longer says anything, and end it where the profile says so."""
        log = f"{job.key}.log"
        if self._policy.on_hang == "report":
            self._tell(f"{slug}: job {job.id} has said nothing for {silent_seconds:.0f} s; it may hang [{log}]")
            return
        self._tell(f"{slug}: job {job.id} has said nothing for {silent_seconds:.0f} s; cancelled as hanging [{log}]")
        journal.append(self._study.journal(slug), "hung", key=job.key, silent_seconds=round(silent_seconds))
        self._cancel(job)

    def _cancel(self, job: Job) -> None:
        try:
            self._scheduler.cancel([job])
        except SchedulerAway as error:
            self._tell(f"job {job.id} could not be cancelled: {error}")

    def _missing(self, submission: Submission) -> list[Finished]:
        """A submission in none of the listings: absence is no end, until nothing else is left to explain it."""
        job, patience, now = submission.job, self._scheduler.patience, time.monotonic()
        submission.missed += 1
        submission.missing_since = submission.missing_since if submission.missed > 1 else now
        seconds = now - submission.missing_since
        marker = end_marker(job.directory, job.key)
        if marker is not None:
            return self._ended(submission, marker, job.id)
        if submission.missed < patience.polls:
            return []
        if not job.id and seconds >= patience.unclear_seconds and not has_started(job.directory, job.key):
            return self._give_up(submission)
        if seconds >= patience.lost_seconds and (job.id or has_started(job.directory, job.key)):
            revoke(job.directory, job.key)
            return self._ended(submission, End(None, "lost", "not listed, and no exit marker"), job.id)
        return []

    def _give_up(self, submission: Submission) -> list[Finished]:
        """No job came of a submission: see to it that none ever will, then try again."""
        slug, job = submission.slug, submission.job
        if not revoke(job.directory, job.key):  # it has started in this moment
            return []
        reason = submission.complaint or "was never started"
        journal.append(self._study.journal(slug), "revoked", key=job.key, reason=reason)
        del self._open[slug]
        if slug not in self._handed:
            return []
        if submission.crowded:
            self._accepts.failed()
        elif self._tried[slug] >= self._policy.retries:
            return self._refused(slug, job, f"{self._tried[slug] + 1} submissions came to nothing; the last: {reason}")
        else:
            self._tried[slug] += 1
        self._tell(f"{slug}: no job came of its submission; submitting it again")
        self.add([slug])
        return []

    def _ended(self, submission: Submission, end: End, job_id: str) -> list[Finished]:
        """Record a job that has ended; where nothing hangs on it the next runs while its log, maybe long, is read."""
        awaited = self._decisions is not None and self._decisions.awaits_ends
        if awaited or (end.exit_code, end.cause) != (0, None):
            return self._settle(submission, end, job_id)
        with self._tell.kept() as lines:
            finished = self._submit_waiting(freed=1)
        finished += self._settle(submission, end, job_id)
        for line in lines:
            self._tell(line)
        return finished

    def _settle(self, submission: Submission, end: End, job_id: str) -> list[Finished]:
        """Record an end; after a failure that was not its own, the layout is submitted again."""
        slug = submission.slug
        record = self._record(slug, replace(submission.job, id=job_id or submission.job.id), end)
        del self._open[slug]
        self._learn(slug, record)
        self._watch.forget(submission.job)
        if slug not in self._handed:
            when = "while no launcher was there" if submission.adopted else "as a layout the sweep no longer holds"
            self._tell.alike(f"ended {when}: {record['outcome']}", f"{slug}: ended {when}: {summary(record)}")
            return []
        if record["outcome"] in RETRIED and self._tried[slug] < self._policy.retries:
            self._tried[slug] += 1
            self._tell(f"{slug}: {summary(record)}; submitting it again")
            self.add([slug])
            return []
        return [self._finish(slug, record)]

    def _submit_waiting(self, freed: int = 0) -> list[Finished]:
        """Submit what waits for a place; `freed`: places of jobs that have ended, though they are not recorded yet."""
        finished, held = [], []
        while len(self._open) < self._places + freed and not self._looks.failures:
            slug = self._waiting.pop()
            if slug is None:
                break
            if slug in self._open or slug in self._done:  # taken over from an earlier launcher
                continue
            state = journal.state(self._study.journal(slug))
            tried_here = self._tried[slug] > 0
            if state.status == "ended" and state.record and not tried_here and not needs_run(self._study, state.record):
                finished.append(self._finish(slug, state.record))
            elif not self._accepts.due and self._accepts.failures:
                held.append(slug)
                break
            elif (found := self._not_run(slug, state)) is None:
                finished.extend(self._submit(slug, state))
            elif found.for_now and self._open:
                held.append(slug)
            else:
                finished.append(self._finish(slug, not_run_record(slug, found)))
        self._waiting.add(held)
        return finished

    def _not_run(self, slug: str, state: State) -> NotRun | None:
        """Why a layout is not to be run, unless somebody asked for it; one that ran before is not pruned."""
        if self._decisions is None or state.asked:
            return None
        most = [self._decisions.most_node_hours(slug) for slug in self._open if slug in self._study.layouts]
        found = self._decisions.not_run(slug, sum(filter(None, most)))
        return None if found and found.outcome == "pruned" and state.attempt else found

    def _learn(self, slug: str, record: dict[str, Any]) -> None:
        """Let decisions know how a run ended."""
        if self._decisions is None or slug not in self._study.layouts:
            return
        self._estimate.ended(slug, record)
        if self._decisions.searches:
            self._recorder.keep([])
        self._decisions.ended(slug, ran_of(self._study, slug, record, timed=self._decisions.searches))
        if self._decisions.searches:
            self._waiting.rerank()

    def _submit(self, slug: str, state: State) -> list[Finished]:
        """Submit one layout, intent first; a refusal is its end."""
        script, path = self._study.script(slug), self._study.journal(slug)
        attempt = state.attempt + 1
        job = Job(f"{key_of(self._study.folder, slug)}-a{attempt}", "", path.parent)
        digest = hashlib.sha256(script.read_bytes()).hexdigest()
        asked = {
            "scheduler": self._study.sweep.machine.scheduler,
            "elapse_limit_seconds": self._study.layouts[slug].elapse_limit_seconds,
        }
        journal.append(path, "intent", key=job.key, attempt=attempt, script_sha256=digest, **asked)
        try:
            job_id = self._scheduler.submit(script, job.key)
        except Throttled as error:
            journal.append(path, "deferred", key=job.key, reason=str(error))
            if not self._accepts.failures:
                self._tell(f"the scheduler takes no more jobs for now ({error}); the others wait")
            self._accepts.failed()
            self.add([slug])
            return []
        except SubmissionUnclear as error:
            self._tell(f"{slug}: {error}; looking for its job before anything else")
            self._open[slug] = Submission(slug, job, adopted=False, complaint=str(error), crowded=error.crowded)
            return []
        except SchedulerError as error:
            journal.append(path, "refused", key=job.key, reason=str(error))
            return self._refused(slug, job, str(error))
        self._accepts.succeeded()
        journal.append(path, "submitted", key=job.key, job_id=job_id)
        verb, since = ("started", time.monotonic()) if self._scheduler.poll_at_will else ("submitted", None)
        self._open[slug] = Submission(slug, replace(job, id=job_id), adopted=False, runs_since=since)
        self._tell.alike(verb, f"{slug}: {verb} as job {job_id}")
        return []

    def _refused(self, slug: str, job: Job, reason: str) -> list[Finished]:
        return [self._finish(slug, self._record(slug, job, End(None, "launch_failed", reason)))]

    def _record(self, slug: str, job: Job, end: End) -> dict[str, Any]:
        """Have a job's output where it is looked for, and record its end."""
        self._scheduler.collect(job)
        return self._recorder.end(slug, job, end)

    def _finish(self, slug: str, record: dict[str, Any]) -> Finished:
        """Report a layout."""
        final = not needs_run(self._study, record)
        self._done.add(slug)
        self._outcomes[record["outcome"]] += 1
        self._tell(f"[{len(self._done)}/{max(self._total, len(self._handed))}] {slug}: {summary(record)}")
        return Finished(slug, record, final)
