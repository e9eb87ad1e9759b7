"""What is kept of a run that has ended: its log is read once, for its outcome and its measurement."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from nodesweep.common.errors import DamagedFileError
from nodesweep.common.files import file_error_message, write_atomic
from nodesweep.logs.custom_format import format_of
from nodesweep.logs.packed import UnreadableLog
from nodesweep.logs.reader import read_log
from nodesweep.logs.reading import LogReading
from nodesweep.results.enough import verdict_of_enough
from nodesweep.results.measurement_file import measured_from
from nodesweep.results.outcome import decide
from nodesweep.results.rereading import is_torn
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.schedulers.base import End, Job
from nodesweep.schedulers.markers import another_script, start_mark
from nodesweep.sweep.study import Study

from . import journal
from .journal_events import Ended
from .records import terminal_record
from .submission import Finished


@dataclass(frozen=True)
class _UnmeasuredRun:
    """A run that has ended and is not measured yet: its terminal record, and what its log says."""

    slug: str
    record: TerminalRecord
    reading: LogReading


class Recorder:
    """Writes down how runs of a study ended: the outcome at once, what was measured when the queue has time."""

    def __init__(self, study: Study):
        self._study = study
        self._unmeasured: list[_UnmeasuredRun] = []

    def end(self, slug: str, job: Job, end: End) -> TerminalRecord:
        """Decide the outcome of a job whose output has been collected, and write it into the journal.

        Raises DamagedFileError for a journal or a log that cannot be read.
        """
        path = self._study.journal(slug)
        state = journal.state(path)
        if state.problem:
            raise DamagedFileError(state.problem)
        log = job.directory / f"{job.key}.log"
        layout = self._study.runs.get(slug)
        meant = layout or self._study.sweep
        try:
            reading = read_log(log, format_of(meant.workload.log_format))
        except UnreadableLog:  # bytes of a compressed file, and none that can be unpacked
            reading = LogReading()
        except OSError as error:  # no file, or another user's own: a later look may read it
            raise DamagedFileError(file_error_message(error)) from None
        if state.hung and end.cause == "cancelled":
            end = replace(end, cause="hang", state=f"cancelled as hanging ({end.state})")
        requested = meant.iterations.total
        verdict = decide(end, reading, requested, is_torn(job.directory, job.key, end, reading))
        if state.enough:
            verdict = verdict_of_enough(verdict, end, reading, state.enough, requested)
        other = another_script(start_mark(job.directory, job.key), state.script_sha256)
        verdict = replace(verdict, note="; ".join(filter(None, (verdict.note, other))))
        record = terminal_record(slug, job, state, end, verdict, requested, reading.content_bytes)
        journal.append(path, Ended(record=record))
        if layout and log.is_file():
            self._unmeasured.append(_UnmeasuredRun(slug, record, reading))
        return record

    def write_measurements(self) -> None:
        """Write measurement.json of the runs that have ended, for which `nodesweep measure` would read logs again."""
        while self._unmeasured:
            ended = self._unmeasured.pop()
            with suppress(OSError):  # `nodesweep measure` makes it again, and says what stands in the way
                measured_from(self._study, self._study.runs[ended.slug], ended.record, ended.reading)

    def write_final_records(self, finished: Iterable[Finished]) -> None:
        """Write job.json of the layouts that need no more runs."""
        for done in finished:
            if done.final:
                write_atomic(self._study.record(done.slug), done.record.to_json())
