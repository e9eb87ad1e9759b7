"""The queue: which layout is submitted when, found again after a crash, and recorded when it ends."""

import hashlib
import heapq
import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from . import journal
from .errors import NodesweepError, SchedulerError
from .files import write_atomic
from .journal import State
from .logs.formats import FORMATS
from .logs.scan import scan
from .outcome import decide
from .schedulers.base import End, Job, Scheduler
from .script import key_of
from .study import Study


@dataclass(frozen=True)
class Finished:
    """A layout this invocation is done with: its terminal record, and whether it needs no more runs."""

    slug: str
    record: dict[str, Any]
    final: bool


class Runner:
    """Runs the layouts of one study exactly once each, at most `at_once` jobs at a time.

    `tell` receives one line per event. `add`, `close` and `wake` may be called from any thread, the others from one.
    """

    def __init__(self, study: Study, scheduler: Scheduler, at_once: int, tell: Callable[[str], None]):
        self._study = study
        self._scheduler = scheduler
        self._at_once = at_once
        self._tell = tell
        self._slugs = list(study.layouts)
        self._order = {slug: number for number, slug in enumerate(self._slugs)}
        self._queue: list[int] = []
        self._queue_lock = threading.Lock()
        self._step_lock = threading.Lock()
        self._running: dict[str, Job] = {}
        self._handed: set[str] = set()
        self._done: set[str] = set()

    @property
    def running(self) -> list[Job]:
        """The jobs that run now, in the order they were started."""
        return list(self._running.values())

    def recover(self) -> None:
        """Find every job an earlier launcher left, also those of layouts the sweep no longer holds.

        Those that have ended meanwhile are recorded; whether they run again is decided when their turn comes.
        """
        found: dict[str, Job] = {}
        for path in sorted(self._study.folder.glob("layouts/*/journal.jsonl")):
            state = journal.state(path)
            if state.status not in ("unclear", "running"):
                continue
            if state.job_id:
                job = Job(state.key, state.job_id, path.parent)
            else:
                job = self._scheduler.find(path.parent, state.key)
            if job is None:
                journal.append(path, "refused", key=state.key, reason="was never started")
            else:
                found[path.parent.name] = job
        ends = self._scheduler.poll(list(found.values())) if found else {}
        for slug, job in found.items():
            end = ends.get(job.key)
            if end is not None:
                self._tell(f"{slug}: {self._record(slug, job, end)['outcome']} while no launcher was there")
            else:
                journal.append(self._study.journal(slug), "adopted", key=job.key, job_id=job.id)
                self._running[slug] = job
                self._tell(f"{slug}: still runs as job {job.id}; taken over")

    def add(self, slugs: list[str]) -> None:
        """Hand layouts over; they are submitted in the order of the config."""
        with self._queue_lock:
            self._handed |= set(slugs)
            for slug in slugs:
                heapq.heappush(self._queue, self._order[slug])

    def step(self) -> list[Finished]:
        """Record the jobs that have ended, then submit what may run now; returns what is done with."""
        finished = []
        with self._step_lock:
            ends = self._scheduler.poll(self.running) if self._running else {}
            for slug, job in list(self._running.items()):
                end = ends.get(job.key)
                if end is not None:
                    del self._running[slug]
                    record = self._record(slug, job, end)
                    if slug in self._study.layouts:
                        finished.append(self._finish(slug, record))
            return finished + self._submit_waiting()

    def wait(self, seconds: float) -> None:
        """Sleep until something may have happened, at most `seconds`."""
        self._scheduler.wait(self.running, seconds)

    def wake(self) -> None:
        """End a `wait` in another thread."""
        self._scheduler.wake()

    def close(self, cancel: bool) -> list[Job]:
        """Submit nothing more; the running jobs, which are asked to end where `cancel` says so."""
        with self._step_lock:
            with self._queue_lock:
                self._queue.clear()
            if cancel:
                self._scheduler.cancel(self.running)
            return self.running

    def _submit_waiting(self) -> list[Finished]:
        finished = []
        while len(self._running) < self._at_once:
            with self._queue_lock:
                if not self._queue:
                    break
                slug = self._slugs[heapq.heappop(self._queue)]
            if slug in self._running or slug in self._done:  # taken over from an earlier launcher
                continue
            state = journal.state(self._study.journal(slug))
            if state.status == "ended" and state.record and not self._again(state.record):
                finished.append(self._finish(slug, state.record))
            else:
                finished.extend(self._submit(slug, state))
        return finished

    def _submit(self, slug: str, state: State) -> list[Finished]:
        """Submit one layout, intent first; a refusal is its end."""
        script, path = self._study.script(slug), self._study.journal(slug)
        attempt = state.attempt + 1
        key = f"{key_of(self._study.folder, slug)}-a{attempt}"
        digest = hashlib.sha256(script.read_bytes()).hexdigest()
        journal.append(path, "intent", key=key, attempt=attempt, script_sha256=digest)
        try:
            job = self._scheduler.submit(script, key)
        except SchedulerError as error:
            journal.append(path, "refused", key=key, reason=str(error))
            record = self._record(slug, Job(key, "", path.parent), End(None, "launch_failed", str(error)))
            return [self._finish(slug, record)]
        journal.append(path, "submitted", key=key, job_id=job.id)
        self._running[slug] = job
        self._tell(f"{slug}: started as job {job.id}")
        return []

    def _record(self, slug: str, job: Job, end: End) -> dict[str, Any]:
        """Read a job's log, decide its outcome, and write its end into the journal."""
        path = self._study.journal(slug)
        state = journal.state(path)
        log = job.directory / f"{job.key}.log"
        workload = self._study.layouts[slug].workload if slug in self._study.layouts else self._study.sweep.workload
        reading = scan(log, FORMATS[workload.log_format])
        verdict = decide(end, reading, self._study.sweep.iterations.total)
        record = {
            "schema": 1,
            "slug": slug,
            "key": job.key,
            "attempt": state.attempt,
            "job_id": job.id,
            "scheduler": self._study.sweep.machine.scheduler,
            **asdict(verdict),
            "exit_code": end.exit_code,
            "scheduler_state": end.state,
            "submitted": _timestamp(state.submitted),
            "started": _timestamp(end.started),
            "ended": _timestamp(end.ended),
            "log": log.name,
        }
        journal.append(path, "ended", record=record)
        return record

    def _finish(self, slug: str, record: dict[str, Any]) -> Finished:
        """Report a layout; one that needs no more runs gets its job.json."""
        final = not self._again(record)
        if final:
            write_atomic(self._study.record(slug), json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        self._done.add(slug)
        self._tell(f"[{len(self._done)}/{len(self._handed | self._done)}] {slug}: {summary(record)}")
        return Finished(slug, record, final)

    def _again(self, record: dict[str, Any]) -> bool:
        return record["outcome"] in self._study.sweep.rerun


def summary(record: dict[str, Any]) -> str:
    """How a run ended in one line: outcome, where, and, unless all went well, the evidence and the log."""
    text = " ".join(filter(None, (record["outcome"], record.get("where"))))
    if record["outcome"] == "ok":
        return text
    return f"{text}: {record['evidence'] or record['scheduler_state']} [{record['log']}]"


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
