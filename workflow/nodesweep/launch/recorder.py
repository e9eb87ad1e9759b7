"""What is kept of a run that has ended: its log is read once, for its outcome and its measurement."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from nodesweep.common.files import write_atomic
from nodesweep.logs.custom_format import format_of
from nodesweep.logs.reader import read_log
from nodesweep.logs.reading import LogReading
from nodesweep.results.measurement_file import measured_from
from nodesweep.results.outcome import decide
from nodesweep.schedulers.base import End, Job
from nodesweep.sweep.study import Study

from . import journal
from .records import terminal_record
from .submission import Finished


@dataclass(frozen=True)
class _Ended:
    """A run that has ended: its terminal record, and what its log says."""

    slug: str
    record: dict[str, Any]
    reading: LogReading


class Recorder:
    """Writes down how runs of a study ended: the outcome at once, what was measured when the queue has time."""

    def __init__(self, study: Study):
        self._study = study
        self._unkept: list[_Ended] = []

    def end(self, slug: str, job: Job, end: End) -> dict[str, Any]:
        """Decide the outcome of a job whose output has been collected, and write it into the journal."""
        path = self._study.journal(slug)
        state = journal.state(path)
        log = job.directory / f"{job.key}.log"
        layout = self._study.layouts.get(slug)
        meant = layout or self._study.sweep
        reading = read_log(log, format_of(meant.workload.log_format))
        if state.hung and end.cause == "cancelled":
            end = replace(end, cause="hang", state=f"cancelled as hanging ({end.state})")
        record = terminal_record(slug, job, state, end, decide(end, reading, meant.iterations.total))
        journal.append(path, "ended", record=record)
        if layout and log.is_file():
            self._unkept.append(_Ended(slug, record, reading))
        return record

    def keep(self, finished: Iterable[Finished]) -> None:
        """Write measurement.json, for which `nodesweep measure` would read logs again, and job.json.

        The latter says that a layout needs no more runs.
        """
        while self._unkept:
            ended = self._unkept.pop()
            measured_from(self._study, self._study.layouts[ended.slug], ended.record, ended.reading)
        for done in finished:
            if done.final:
                text = json.dumps(done.record, indent=1, ensure_ascii=False) + "\n"
                write_atomic(self._study.record(done.slug), text)
