"""The queue: which layout is submitted when, found again after a crash, and recorded when it ends."""

import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nodesweep.common.errors import DamagedFileError
from nodesweep.common.outcomes import OUTCOMES, RETRIED
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.schedulers.base import End, Job, Scheduler
from nodesweep.sweep.study import Study

from . import journal
from .canary import Canary, not_submitted_record
from .decisions import Decisions, NotRun
from .expectations import Expectations
from .history import ran_of
from .journal import State
from .late_logs import LateLogs
from .progress import EventLines, LaunchProgress
from .queue import WaitingLayouts
from .recorder import Recorder
from .records import WAY_OUT, held_record, needs_run, not_run_record, summary
from .rereading import record_that_holds
from .submission import Finished, Policy, Submission, taken_over
from .submitter import RefusedSubmission, Submitter
from .watcher import JobEnded, NeverStarted, Settled, Watcher


class Runner:
    """Runs the layouts of one study exactly once each.

    `decisions` says which comes first and which need not run; without, all run in the order of the config. `tell`
    receives one line per event; of many alike their number, each goes to `note` then. `total`: how many layouts will be
    handed over, where known. `check_lock` raises LockError where another launcher has taken over. `add`, `close`,
    `wake` and `progress` may be called from any thread, the others from one.
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
        check_lock: Callable[[], None] = lambda: None,
    ):
        self._study = study
        self._scheduler = scheduler
        self._policy = policy
        self._tell = EventLines(tell, note)
        self._total, self._outcomes = total, Counter[str]()
        self._decisions, self._expectations = decisions, Expectations(study, decisions)
        in_order = {slug: (float(place),) for place, slug in enumerate(study.runs)}
        self._submitter = Submitter(study, scheduler, policy.poll_seconds, self._tell, check_lock)
        rank = decisions.rank if decisions else in_order.__getitem__
        self._waiting = WaitingLayouts(rank, self._submitter.limits.of)
        searched = study.sweep.search
        self._places = min(policy.jobs_at_once, searched.jobs_at_once) if searched else policy.jobs_at_once
        self._step_lock = threading.Lock()
        self._open: dict[str, Submission] = {}
        self._handed, self._done = set[str](), set[str]()
        self._recorder = Recorder(study)
        self._tried: Counter[str] = Counter()
        self._watcher = Watcher(study, scheduler, policy, self._tell)
        self._canary = Canary(study, scheduler, policy.canary)
        self._late_logs = LateLogs(scheduler, policy.log_wait_seconds, self._tell)

    @property
    def running(self) -> list[Job]:
        """The jobs that are queued or running now, in the order they were submitted."""
        return [submission.job for submission in self._late_logs.others(self._open.values())]

    @property
    def progress(self) -> LaunchProgress:
        """How far the layouts are that were, or will be, handed over."""
        opened, left, outcomes = list(self._open.values()), self._handed - self._done, dict(self._outcomes)
        done = sum(count for outcome, count in outcomes.items() if outcome in OUTCOMES)
        total = max(self._total, done + len(left))
        running = {one.slug: one.runs_since for one in opened if one.runs_since is not None}
        seconds = self._expectations.seconds_left(running, left, total - done - len(left)) if done < total else None
        queued, counted = len(opened) - len(running), "runs" if len(self._study.run_numbers) > 1 else "layouts"
        early = any(self._study.runs[slug].iterations.enough for slug in left if slug in self._study.runs)
        return LaunchProgress(done, total, len(running), queued, outcomes, seconds, counted, early)

    def recover(self) -> None:
        """Find every job an earlier launcher left, also those of layouts the sweep no longer holds.

        Those that have ended meanwhile are recorded; whether they run again is decided when their turn comes.
        """
        scheduler = self._study.sweep.machine.scheduler
        for path in sorted(self._study.folder.glob("layouts/*/journal.jsonl")):
            state, slug = journal.state(path), path.parent.name
            if state.record is not None:
                self._canary.ended(state.record, earlier=True)
            if state.problem and slug not in self._study.runs:
                self._tell(f"{slug}: {state.problem}")
            if not state.is_open:
                continue
            if state.scheduler not in ("", scheduler):
                job = state.job_id or state.key
                self._tell(f"{slug}: job {job} is one of {state.scheduler}, not of {scheduler}; left alone")
            else:
                self._take_over(slug, state, path.parent)
        if self._open:
            self._look()
            self._recorder.write_measurements()

    def _take_over(self, slug: str, state: State, folder: Path) -> None:
        """Watch a submission of an earlier launcher, or another one; by its key alone where its id is none."""
        if state.job_id and not re.fullmatch(self._scheduler.job_ids, state.job_id):
            self._tell(f"{slug}: {state.job_id!r:.60} in its journal is no id of a job; looking for it by its key")
            state = replace(state, job_id="")
        self._open[slug] = taken_over(slug, state, folder)

    def add(self, slugs: list[str]) -> None:
        """Hand layouts over."""
        self._handed |= set(slugs)
        self._waiting.add(slugs)

    def step(self) -> list[Finished]:
        """Record the jobs that have ended, then submit what may run now; returns what is done with."""
        with self._step_lock:
            finished = self._look() if self._open and self._watcher.due else []
            finished += self._hold_back()
            with self._tell.counted(min(self._free_places, len(self._waiting))):
                finished += self._submit_waiting()
            finished += self._leave_silent()
            self._recorder.write_measurements()  # last, since meanwhile the next job runs
            self._recorder.write_final_records(finished)
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
        """Ask for all open submissions at once, and act on those that are over."""
        finished = [done for over in self._late_logs.ended() for done in self._settle(over)]
        for over in self._watcher.look(self._late_logs.others(self._open.values())):
            match over:
                case NeverStarted():
                    finished += self._give_up(over)
                case Settled():
                    finished += self._take_note(over)
                case JobEnded():
                    finished += self._ended(over)
        self._canary.look(self._open.values())
        return finished

    @property
    def _free_places(self) -> int:
        """How many more jobs may be queued or running."""
        free = self._places - sum(one.takes_place for one in self._open.values())
        return 0 if self._canary.alarm else self._canary.places(self._open.values(), free)

    def _take_note(self, over: Settled) -> list[Finished]:
        """Somebody else brought a submission to an end: its layout stands where its journal says."""
        slug, record = over.submission.slug, over.state.record
        del self._open[slug]
        self._watcher.forget(over.submission.job)
        if slug not in self._handed:
            return []
        if over.state.problem:
            return [self._hold(slug, over.state.problem)]
        if over.state.status == "ended" and record is not None:
            return [self._finish(slug, record)]
        self.add([slug])
        return []

    def _hold_back(self) -> list[Finished]:
        """Leave what waits to the user where the first runs have shown that it would fail as well."""
        if not self._canary.alarm or not len(self._waiting):
            return []
        slugs = self._waiting.clear()
        alarm, way_out = self._canary.alarm, "mend that and give the same command again; --nodesweep-canary 0 runs all"
        self._tell(f"{alarm}; the {len(slugs)} others wait: {way_out}")
        return [self._finish(slug, not_submitted_record(slug, alarm), way_out, quiet=True) for slug in slugs]

    def _leave_silent(self) -> list[Finished]:
        """Leave layouts whose jobs nobody knows anything of to the user, once nothing else is left to do."""
        handed = [one for slug, one in self._open.items() if slug in self._handed]
        if len(self._waiting) or not handed or any(not one.silent or not self._watcher.asked(one) for one in handed):
            return []
        for one in handed:
            del self._open[one.slug]
        return [self._finish(one.slug, held_record(one.slug, one.silent), WAY_OUT % one.slug) for one in handed]

    def _give_up(self, over: NeverStarted) -> list[Finished]:
        """No job came of a submission, and none ever will: try again, unless that has come to nothing too often."""
        submission, slug = over.submission, over.submission.slug
        del self._open[slug]
        if slug not in self._handed:
            return []
        if submission.crowded:
            self._submitter.limits.crowded(slug)
        elif self._tried[slug] >= self._policy.retries:
            tried = self._tried[slug] + 1
            reason = f"{tried} submissions came to nothing; the last: {over.reason}"
            return self._refused(slug, RefusedSubmission(submission.job, reason))
        else:
            self._tried[slug] += 1
        self._tell(f"{slug}: no job came of its submission; submitting it again")
        self.add([slug])
        return []

    def _ended(self, over: JobEnded) -> list[Finished]:
        """Record an ended job. If no decision depends on it, submit the next job before reading the log, maybe long."""
        awaited = self._decisions is not None and self._decisions.awaits_ends
        if self._late_logs.wait_for(over, keeps_place=awaited):
            return []
        if awaited or not self._canary.is_over or (over.end.exit_code, over.end.cause) != (0, None):
            return self._settle(over)
        with self._tell.held_back() as lines:
            finished = self._submit_waiting(freed=1)
        finished += self._settle(over)
        for line in lines:
            self._tell(line)
        return finished

    def _settle(self, over: JobEnded) -> list[Finished]:
        """Record an end; after a failure that was not its own, the layout is submitted again."""
        submission, slug = over.submission, over.submission.slug
        try:
            record = self._record(slug, over.job, over.end)
        except DamagedFileError as error:
            return self._take_note(Settled(submission, State("unreadable", problem=str(error))))
        del self._open[slug]
        self._canary.ended(record)
        self._learn(slug, record)
        self._watcher.forget(over.job)
        if slug not in self._handed:
            when = "while no launcher was there" if submission.adopted else "as a layout the sweep no longer holds"
            self._tell.one_of_many(f"ended {when}: {record.outcome}", f"{slug}: ended {when}: {summary(record)}")
            return []
        if record.outcome in RETRIED and self._tried[slug] < self._policy.retries:
            self._tried[slug] += 1
            self._tell(f"{slug}: {summary(record)}; submitting it again")
            self.add([slug])
            return []
        return [self._finish(slug, record)]

    def _submit_waiting(self, freed: int = 0) -> list[Finished]:
        """Submit what waits for a place; `freed`: places of jobs that have ended, though they are not recorded yet."""
        finished: list[Finished] = []
        held: list[str] = []
        while self._free_places + freed > 0 and self._watcher.answered:
            slug = self._waiting.pop(self._submitter.limits.is_full)
            if slug is None:
                break
            if slug in self._open or slug in self._done:  # taken over from an earlier launcher
                continue
            state = journal.state(self._study.journal(slug))
            if state.problem:  # nobody knows whether it runs
                finished.append(self._hold(slug, state.problem))
            elif state.is_open:  # submitted meanwhile, by another launcher
                self._take_over(slug, state, self._study.directory(slug))
            elif not self._tried[slug] and (record := record_that_holds(self._study, state)) is not None:
                finished.append(self._finish(slug, record))
            elif (found := self._not_run(slug, state)) is None:
                finished.extend(self._submit(slug, state))
            elif found.for_now and (self._open or len(self._waiting)):
                held.append(slug)
            else:
                finished.append(self._finish(slug, not_run_record(slug, found)))
        self._waiting.add(held)
        return finished

    def _not_run(self, slug: str, state: State) -> NotRun | None:
        """Why a layout is not to be run now; None where it is."""
        if self._decisions is None:
            return None
        most = [self._decisions.most_node_hours(slug) for slug in self._open if slug in self._study.runs]
        return self._decisions.not_run(slug, state, sum(filter(None, most)))

    def _submit(self, slug: str, state: State) -> list[Finished]:
        """Submit one layout; a refusal is its end."""
        try:
            made = self._submitter.submit(slug, state, others=bool(self._open))
        except DamagedFileError as error:
            return [self._hold(slug, str(error))]
        if isinstance(made, RefusedSubmission):
            return self._refused(slug, made)
        if made is None:
            self.add([slug])
        else:
            self._open[slug] = made
        return []

    def _refused(self, slug: str, refused: RefusedSubmission) -> list[Finished]:
        end = End(None, "launch_failed", refused.reason)
        return [self._finish(slug, self._record(slug, refused.job, end))]

    def _record(self, slug: str, job: Job, end: End) -> TerminalRecord:
        """Have a job's output where it is looked for, and record its end."""
        self._scheduler.collect(job)
        return self._recorder.end(slug, job, end)

    def _learn(self, slug: str, record: TerminalRecord) -> None:
        """Let estimate and decisions know how a run ended."""
        if self._decisions is None or slug not in self._study.runs:
            return
        self._expectations.ended(slug, record)
        timed = self._decisions.needs_times
        if timed:
            self._recorder.write_measurements()
        self._decisions.ended(slug, ran_of(self._study, slug, record, timed))
        if slug not in self._handed and needs_run(self._study, record):  # it is made again when its turn comes
            self._decisions.reopened(slug)
        if self._decisions.searches:
            self._waiting.rerank()

    def _hold(self, slug: str, problem: str) -> Finished:
        """Report a layout whose files do not tell whether it runs: it is not submitted."""
        return self._finish(slug, held_record(slug, problem), "the next run looks again")

    def _finish(self, slug: str, record: TerminalRecord, way_out: str = "", quiet: bool = False) -> Finished:
        """Report a layout; `quiet`: it has been told of with others."""
        final = not needs_run(self._study, record)
        self._done.add(slug)
        self._outcomes[record.outcome] += 1
        if not quiet:
            self._tell(f"[{len(self._done)}/{max(self._total, len(self._handed))}] {slug}: {summary(record)}")
        return Finished(slug, record, final and not way_out, way_out)
