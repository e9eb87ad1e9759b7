"""Looks at a sweep's files again and again, reading only what has changed; writes nothing and starts nothing."""

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from nodesweep.common.errors import JournalError, NodesweepError
from nodesweep.common.lock import read_holder
from nodesweep.logs.custom_format import format_of
from nodesweep.logs.reading import LogReading
from nodesweep.logs.tail import GrowingLog
from nodesweep.performance.calibration import Calibration
from nodesweep.performance.calibration.files import read_calibrations
from nodesweep.performance.forecast import Forecast
from nodesweep.results.measurement_file import last_measurement
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.schedulers import SCHEDULERS
from nodesweep.schedulers.base import Job, Scheduler
from nodesweep.sweep.study import Study

from . import journal
from .forecasts import ExpectedRun, Forecasts
from .journal import State
from .late_logs import missing_end
from .outputs import few_of
from .records import HELD, needs_run, phase_of, reason_of
from .status import LayoutStatus, LogProgress, log_progress, measured_progress

SUBMITTING_SECONDS = 60.0
"""After which a submission of which nothing more is known needs a look."""
_LINE = re.compile(r"^line \d+: ")
FileStamp = tuple[int, int, int] | None


@dataclass
class _JournalSeen:
    """What a layout's journal said when it was last read; `status`: kept of a layout that has ended."""

    stamp: FileStamp
    state: State = field(default_factory=State)
    records: list[TerminalRecord] = field(default_factory=list)
    problem: str = ""
    status: LayoutStatus | None = None


class StatusReader:
    """What the files of one sweep say, look by look; `problem`: why nothing is foreseen by its runs."""

    def __init__(self, study: Study):
        self._study = study
        self._journals = {slug: str(study.journal(slug)) for slug in study.runs}
        self._seen: dict[str, _JournalSeen] = {}
        self._logs: dict[str, dict[Path, GrowingLog]] = {}
        self._progress: dict[str, LogProgress] = {}
        self._schedulers: dict[str, Scheduler] = {}
        self._calibrated: list[FileStamp] = []
        self._forecasts = Forecasts(study.runs, {})
        self.problem = ""

    def layouts(self, now: float) -> list[LayoutStatus]:
        """Where all layouts stand at a time of this machine's clock. Raises OSError."""
        return [self._status(slug, now) for slug in self._study.runs]

    def progress(self, status: LayoutStatus, now: float) -> LogProgress | None:
        """What the log of a layout's last run says so far; None where there is none, or it cannot be read."""
        if not status.key or status.group not in ("running", "ended"):
            return None
        if status.key in self._progress:
            return self._progress[status.key]
        ended = status.group == "ended" and status.record is not None
        if ended and (told := self._measured(status)) is not None:
            self._progress[status.key] = told
            return told
        logs = self._logs.setdefault(status.key, {})
        form = format_of(status.layout.workload.log_format)
        found: list[tuple[LogReading, GrowingLog]] = []
        for path in self._outputs(status, ended):
            log = logs.get(path) or logs.setdefault(path, GrowingLog(path, form))
            try:
                reading = log.look()
            except OSError:
                continue
            if log.changed is not None:
                found.append((reading, log))
        if not found:
            return None
        reading = max((reading for reading, _ in found), key=lambda one: len(one.iterations))
        silent = None if status.group == "ended" else max(now - max(log.changed or now for _, log in found), 0.0)
        progress = log_progress(status.layout, status.record if ended else None, reading, silent)
        if ended:  # it changes no more
            self._progress[status.key] = progress
            del self._logs[status.key]
        return progress

    def _measured(self, status: LayoutStatus) -> LogProgress | None:
        """What was measured of an ended run whose log is gone or compressed since; None where the log says it."""
        if status.record is None or (self._study.directory(status.slug) / status.record.log).is_file():
            return None
        measured, _ = last_measurement(self._study, status.layout, status.record)
        return None if measured is None else measured_progress(status.layout, measured)

    def forecast(self, slug: str) -> Forecast:
        """What is foreseen of a layout by the calibrations there were when `expected` was asked last."""
        return self._forecasts.of(slug)

    def expected(self) -> dict[str, ExpectedRun | None]:
        """What whole runs are foreseen to take, by slug; without calibrations where `problem` says what is wrong."""
        stamps = [_stamp(str(path)) for path in self._study.calibrations]
        if stamps != self._calibrated:
            self._calibrated = stamps
            found, self.problem = dict[str, Calibration](), ""
            try:
                found = read_calibrations(self._study)
            except NodesweepError as error:
                self.problem = str(error)
            self._forecasts = Forecasts(self._study.runs, found)
        return {slug: self._forecasts.expected_run(slug) for slug in self._study.runs}

    @property
    def at_once(self) -> int | None:
        """How many jobs the last launcher had queued or running at once, where it has said so."""
        holder = read_holder(self._study.folder)
        return holder.jobs_at_once if holder else None

    @property
    def others(self) -> int:
        """How many layouts have run here that this config does not hold."""
        try:
            names = [name for name in os.listdir(self._study.folder / "layouts") if name not in self._journals]  # noqa: PTH208
        except OSError:
            return 0
        return sum((self._study.folder / "layouts" / name / "journal.jsonl").exists() for name in names)

    def _status(self, slug: str, now: float) -> LayoutStatus:
        stamp = _stamp(self._journals[slug])
        seen = self._seen.get(slug)
        if seen is None or seen.stamp != stamp:
            seen = self._seen[slug] = self._read(slug, stamp)
        if seen.status is not None:
            return seen.status
        layout = self._study.runs[slug]
        if seen.problem:
            return LayoutStatus(slug, layout, "waiting", "unreadable", reason=seen.problem, troubled=True)
        phase, record = phase_of(self._study, slug, seen.state)
        spent = sum(record.node_hours(layout.nodes) for record in seen.records)
        before = seen.records[-1].outcome if seen.records else ""
        if phase == "pending":
            scheduler = seen.state.scheduler
            return LayoutStatus(
                slug, layout, "waiting", phase, scheduler=scheduler, before=before, spent_node_hours=spent
            )
        if phase == "ended" and record is not None:
            seen.status = self._ended(slug, record, seen, spent)
            return seen.status
        if record is not None and not record.was_run:
            return LayoutStatus(slug, layout, "not run", phase, reason=record.evidence)
        submitted = LayoutStatus(
            slug,
            layout,
            "queued",
            "queued",
            job_id=seen.state.job_id,
            key=seen.state.key,
            scheduler=seen.state.scheduler,
            attempt=seen.state.attempt,
            before=before,
            spent_node_hours=spent,
        )
        if phase == HELD:
            return replace(
                submitted, word=HELD, seconds=_since(seen.state, now), reason=seen.state.silent, troubled=True
            )
        return self._running(submitted, seen.state, now) if phase == "running" else _queued(submitted, seen.state, now)

    def _read(self, slug: str, stamp: FileStamp) -> _JournalSeen:
        try:
            events = journal.read(Path(self._journals[slug]))
        except JournalError as error:
            folder = self._study.directory(slug)
            return _JournalSeen(
                stamp, problem=str(error).removeprefix(f"{folder}/")
            )  # what is in the row's first words
        return _JournalSeen(stamp, journal.state_in(Path(self._journals[slug]), events), journal.records_in(events))

    def _ended(self, slug: str, record: TerminalRecord, seen: _JournalSeen, spent: float) -> LayoutStatus:
        return LayoutStatus(
            slug,
            self._study.runs[slug],
            "ended",
            record.outcome,
            record.run_seconds,
            job_id=seen.state.job_id,
            key=seen.state.key,
            scheduler=seen.state.scheduler,
            attempt=seen.state.attempt,
            before=seen.records[-2].outcome if len(seen.records) > 1 else "",
            reason=_LINE.sub("", reason_of(record)) or record.where,
            again=needs_run(self._study, record),
            record=record,
            spent_node_hours=spent,
        )

    def _running(self, submitted: LayoutStatus, state: State, now: float) -> LayoutStatus:
        """A layout whose job has started and has not been recorded as ended."""
        folder = self._study.directory(submitted.slug)
        started = _changed(folder / f"{state.key}.started")
        if started is None or state.held:  # also one that was started, and requeued in a held state
            return _queued(submitted, state, now)
        if (ended := _changed(folder / f"{state.key}.exit")) is not None:
            late = missing_end(self._outputs(submitted, False)[0])
            ran, reason = max(ended - started, 0.0), late or "waits for a launcher to record how it ended"
            return replace(submitted, group="ended", word="ending", seconds=ran, reason=reason)
        ran, reason = max(now - started, 0.0), "cancelled as hanging" if state.hung else ""
        if state.enough:
            reason = f"being ended: {state.enough} iterations are enough"
        return replace(submitted, group="running", word="running", seconds=ran, reason=reason, troubled=state.hung)

    def _outputs(self, status: LayoutStatus, ended: bool) -> list[Path]:
        """The files a run writes to; one that has ended has one log."""
        folder = self._study.directory(status.slug)
        log = folder / f"{status.key}.log"
        if ended or log.exists():
            return [log]
        name = status.scheduler or status.layout.machine.scheduler
        if name not in SCHEDULERS:
            return [log]
        scheduler = self._schedulers.setdefault(name, SCHEDULERS[name].connect())
        return few_of(scheduler.outputs(Job(status.key, status.job_id, folder)))


def _queued(submitted: LayoutStatus, state: State, now: float) -> LayoutStatus:
    """A layout that was submitted and has not started."""
    queued = _since(state, now)
    if state.held:
        return replace(submitted, word="held", seconds=queued, reason=state.held, troubled=True)
    if state.status == "unclear":
        late = queued is not None and queued > SUBMITTING_SECONDS
        reason = "nobody knows yet whether a job came of it" if late else ""
        return replace(submitted, word="submitting", seconds=queued, reason=reason, troubled=late)
    return replace(submitted, seconds=queued)


def _since(state: State, now: float) -> float | None:
    """How long ago a layout was submitted; None where nobody knows."""
    return max(now - state.submitted, 0.0) if state.submitted is not None else None


def _stamp(path: str) -> FileStamp:
    """What changes when a file does; None where there is none."""
    try:
        # A Path for each of 10,000 files at each look would take longer than the look.
        status = os.stat(path)  # noqa: PTH116
    except OSError:  # what is wrong with it is told when it is read
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _changed(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None
