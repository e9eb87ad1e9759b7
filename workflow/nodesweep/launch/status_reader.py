"""Looks at a sweep's files again and again, reading only what has changed; writes nothing and starts nothing."""

import json
import os
import re
from pathlib import Path
from typing import Any

from nodesweep.common.errors import JournalError
from nodesweep.common.outcomes import NOT_RUN
from nodesweep.logs.custom_format import format_of
from nodesweep.logs.reading import LogReading
from nodesweep.logs.tail import GrowingLog
from nodesweep.performance.calibration.files import read_calibrations
from nodesweep.performance.forecast import Forecast, forecast
from nodesweep.schedulers import SCHEDULERS
from nodesweep.schedulers.base import Job, Scheduler
from nodesweep.schedulers.markers import has_started
from nodesweep.sweep.study import Study

from . import journal
from .eta import Foreseen, foreseen
from .journal import State
from .records import needs_run, node_hours_of, seconds_of
from .status import SUBMITTING_SECONDS, Detail, Standing, detail_of

MOST_OUTPUTS = 4
_LINE = re.compile(r"^line \d+: ")
Stamp = tuple[int, int, int] | None


class _Known:
    """What a layout's journal said when it was last read."""

    def __init__(self, stamp: Stamp, state: State, records: list[dict[str, Any]], problem: str = ""):
        self.stamp, self.state, self.records, self.problem = stamp, state, records, problem
        self.standing: Standing | None = None


class Looks:
    """What the files of one sweep say, look by look."""

    def __init__(self, study: Study):
        self._study = study
        self._paths = {slug: (str(study.journal(slug)), str(study.record(slug))) for slug in study.layouts}
        self._known: dict[str, _Known] = {}
        self._logs: dict[str, dict[Path, GrowingLog]] = {}
        self._details: dict[str, Detail] = {}
        self._schedulers: dict[str, Scheduler] = {}
        self._forecasts: dict[str, Forecast] = {}
        self._calibrated: list[Stamp] = []
        self._calibrations: dict[str, Any] = {}

    def standings(self, now: float) -> list[Standing]:
        """Where all layouts stand at a time of this machine's clock. Raises OSError."""
        return [self._standing(slug, now) for slug in self._study.layouts]

    def detail(self, standing: Standing, now: float) -> Detail | None:
        """What the log of its last run says so far; None where there is none, or it cannot be read."""
        if not standing.key or standing.group not in ("running", "ended"):
            return None
        if standing.key in self._details:
            return self._details[standing.key]
        ended = standing.group == "ended" and standing.record is not None
        logs = self._logs.setdefault(standing.key, {})
        form = format_of(standing.layout.workload.log_format)
        found: list[tuple[LogReading, GrowingLog]] = []
        for path in self._outputs(standing, ended):
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
        silent = None if standing.group == "ended" else max(now - max(log.changed or now for _, log in found), 0.0)
        detail = detail_of(standing.layout, (ended and standing.record) or {}, reading, silent)
        if ended:  # it changes no more
            self._details[standing.key] = detail
            del self._logs[standing.key]
        return detail

    def forecast(self, slug: str) -> Forecast:
        """What is foreseen of a layout by the calibrations there are."""
        if slug not in self._forecasts:
            layout = self._study.layouts[slug]
            self._forecasts[slug] = forecast(layout, self._calibrations.get(layout.campaign))
        return self._forecasts[slug]

    def expected(self) -> dict[str, Foreseen | None]:
        """What whole runs are foreseen to take, by slug. Raises NodesweepError for a calibration of another version."""
        stamps = [_stamp(str(path)) for path in self._study.calibrations]
        if stamps != self._calibrated:
            self._calibrations, self._calibrated = read_calibrations(self._study), stamps
            self._forecasts.clear()
        return {slug: foreseen(layout, self.forecast(slug)) for slug, layout in self._study.layouts.items()}

    @property
    def at_once(self) -> int | None:
        """How many jobs the last launcher had queued or running at once, where it has said so."""
        try:
            said = json.loads((self._study.folder / ".lock").read_text())["jobs_at_once"]
            return said if isinstance(said, int) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @property
    def others(self) -> int:
        """How many layouts have run here that this config does not hold."""
        try:
            names = [path for path in os.listdir(self._study.folder / "layouts") if path not in self._paths]  # noqa: PTH208
        except FileNotFoundError:
            return 0
        return sum((self._study.folder / "layouts" / name / "journal.jsonl").exists() for name in names)

    def _standing(self, slug: str, now: float) -> Standing:
        path, record_path = self._paths[slug]
        stamp = _stamp(path)
        known = self._known.get(slug)
        if known is None or known.stamp != stamp:
            known = self._known[slug] = self._read(slug, stamp)
        if known.standing is not None:
            return known.standing
        layout, state = self._study.layouts[slug], known.state
        spent = sum(node_hours_of(record, layout.nodes) for record in known.records)
        same = {
            **{"job_id": state.job_id, "key": state.key, "scheduler": state.scheduler, "attempt": state.attempt},
            **{"spent_node_hours": spent, "before": str(known.records[-1]["outcome"]) if known.records else ""},
        }
        if known.problem:
            return Standing(slug, layout, "waiting", "unreadable", reason=known.problem, troubled=True)
        if state.status == "pending":
            return self._waiting(slug, state, record_path, same)
        if state.status == "ended" and state.record is not None:
            known.standing = self._ended(slug, state.record, known, same)
            return known.standing
        return self._open(slug, state, now, same)

    def _read(self, slug: str, stamp: Stamp) -> _Known:
        if stamp is None:
            return _Known(None, State(), [])
        try:
            events = journal.read(Path(self._paths[slug][0]))
            records = [event["record"] for event in events if event["event"] == "ended"]
            return _Known(stamp, journal.state_after(events), records)
        except (JournalError, KeyError, TypeError) as error:
            return _Known(stamp, State(), [], str(error))

    def _waiting(self, slug: str, state: State, record_path: str, same: dict[str, Any]) -> Standing:
        """A layout that is not submitted, or not to be run at all."""
        layout = self._study.layouts[slug]
        if not state.asked and (record := _not_run(record_path)) is not None:
            return Standing(slug, layout, "not run", record["outcome"], reason=str(record.get("evidence") or ""))
        return Standing(slug, layout, "waiting", "pending", **{**same, "key": "", "job_id": "", "attempt": 0})

    def _ended(self, slug: str, record: dict[str, Any], known: _Known, same: dict[str, Any]) -> Standing:
        layout, outcome = self._study.layouts[slug], str(record["outcome"])
        before = str(known.records[-2]["outcome"]) if len(known.records) > 1 else ""
        evidence = "" if outcome == "ok" else str(record.get("evidence") or record.get("scheduler_state") or "")
        reason = _LINE.sub("", evidence) or record.get("where") or ""
        again = needs_run(self._study, record)
        facts = {"reason": reason, "record": record, "again": again, **same, "before": before}
        return Standing(slug, layout, "ended", outcome, seconds_of(record), **facts)

    def _open(self, slug: str, state: State, now: float, same: dict[str, Any]) -> Standing:
        """A layout that was submitted and has not been recorded as ended."""
        layout, folder = self._study.layouts[slug], self._study.directory(slug)
        queued = max(now - state.submitted, 0.0) if state.submitted is not None else None
        started = _changed(folder / f"{state.key}.started") if has_started(folder, state.key) else None
        if started is not None:
            if (ended := _changed(folder / f"{state.key}.exit")) is not None:
                ran, reason = max(ended - started, 0.0), "waits for a launcher to record how it ended"
                return Standing(slug, layout, "ended", "ending", ran, reason=reason, **same)
            ran = max(now - started, 0.0)
            reason = "cancelled as hanging" if state.hung else ""
            return Standing(slug, layout, "running", "running", ran, reason=reason, troubled=state.hung, **same)
        if state.held:
            return Standing(slug, layout, "queued", "held", queued, reason=state.held, troubled=True, **same)
        if state.status == "unclear":
            late = queued is not None and queued > SUBMITTING_SECONDS
            reason = "nobody knows yet whether a job came of it" if late else ""
            return Standing(slug, layout, "queued", "submitting", queued, reason=reason, troubled=late, **same)
        return Standing(slug, layout, "queued", "queued", queued, **same)

    def _outputs(self, standing: Standing, ended: bool) -> list[Path]:
        """The files a run writes to; one that has ended has one log."""
        folder = self._study.directory(standing.slug)
        log = folder / f"{standing.key}.log"
        if ended or log.exists():
            return [log]
        name = standing.scheduler or standing.layout.machine.scheduler
        if name not in SCHEDULERS:
            return [log]
        scheduler = self._schedulers.setdefault(name, SCHEDULERS[name].connect())
        outputs = scheduler.outputs(Job(standing.key, standing.job_id, folder))
        return outputs if len(outputs) <= MOST_OUTPUTS else [*outputs[:2], *outputs[-2:]]


def _stamp(path: str) -> Stamp:
    """What changes when a file does; None where there is none."""
    try:
        # A Path for each of 10,000 files at each look would take longer than the look.
        status = os.stat(path)  # noqa: PTH116
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _changed(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return None


def _not_run(path: str) -> dict[str, Any] | None:
    """The record of a layout that was not to be run."""
    try:
        record = json.loads(Path(path).read_text())
        return record if record["outcome"] in NOT_RUN else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
