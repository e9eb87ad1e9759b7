"""The file measurement.json of a run: read where it still holds, else made from the log and written."""

from dataclasses import replace
from pathlib import Path

from nodesweep.common.errors import DamagedFileError
from nodesweep.common.files import read_regular, write_atomic
from nodesweep.logs.custom_format import format_of
from nodesweep.logs.packed import UnreadableLog, found_log
from nodesweep.logs.reader import read_log
from nodesweep.logs.reading import LogReading
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.study import Study

from .measure import measure
from .measurement import Measurement, MeasurementSettings
from .rereading import reread
from .terminal_record import TerminalRecord

_MOST_BYTES = 256 * 2**20
"""Of a file that is read; a million iterations take a quarter of that."""


def measurement_of(study: Study, layout: Layout, record: TerminalRecord) -> Measurement | None:
    """The measurement of an ended run: the one on disk where it still holds, else from its log.

    Where the log is gone, damaged or has become shorter, the one on disk is the source, with a flag that says so; None
    where there is none. Whatever verdict better fits what is read now stands in its record.
    """
    directory, settings = study.directory(layout.slug), MeasurementSettings.of(layout, study.sweep.statistic)
    kept, why_kept = last_measurement(study, layout, record)
    log = found_log(directory / record.log) if record.log else None
    if log is None or why_kept:
        return kept
    status = log.stat()
    if kept and kept.made_from(record, settings, status.st_size, status.st_mtime_ns):
        return kept
    try:
        reading = read_log(log, format_of(layout.workload.log_format))
    except UnreadableLog as error:
        reason = f"{log.name} {error.strerror}"
        return _of_before(kept, settings, reason) if kept else _of_nothing(layout, record, settings, reason)
    if kept and reading.content_bytes < kept.log_content_bytes:
        return _of_before(kept, settings, _shorter(kept, reading.content_bytes))
    found = reread(record, directory, reading, layout.iterations.total)
    return measured_from(study, layout, found, reading)


def last_measurement(study: Study, layout: Layout, record: TerminalRecord) -> tuple[Measurement | None, str]:
    """What was measured of an ended run when its log was read last, and why the log no longer shows it.

    The reason, which is a flag of the measurement too, is empty where the log is there and no shorter than it was.
    """
    directory, settings = study.directory(layout.slug), MeasurementSettings.of(layout, study.sweep.statistic)
    kept = kept_measurement(directory, record)
    if kept is None:
        return None, ""
    named = directory / record.log
    reason = "" if found_log(named) else f"its log {record.log} is gone"
    if not reason and named.is_file() and (size := named.stat().st_size) < kept.log_content_bytes:
        reason = _shorter(kept, size)
    return (_of_before(kept, settings, reason) if reason else kept), reason


def _shorter(kept: Measurement, size: int) -> str:
    return f"its log has become shorter ({kept.log_content_bytes} bytes then, {size} now)"


def measured_from(study: Study, layout: Layout, record: TerminalRecord, reading: LogReading) -> Measurement:
    """The measurement of an ended run whose log has been read, kept on disk."""
    measurement = measure(layout, record, reading, MeasurementSettings.of(layout, study.sweep.statistic))
    write_atomic(study.directory(layout.slug) / "measurement.json", measurement.to_json())
    return measurement


def kept_measurement(directory: Path, record: TerminalRecord) -> Measurement | None:
    """The measurement on disk, where it is one of the run of this record and this version can read it."""
    try:
        kept = Measurement.from_json(read_regular(directory / "measurement.json", _MOST_BYTES))
    except (FileNotFoundError, DamagedFileError, ValueError):
        return None  # there is none yet, or one of another version: it is made from the log again
    return kept if (kept.record.key, kept.log_name) == (record.key, record.log) else None


def _of_before(kept: Measurement, settings: MeasurementSettings, reason: str) -> Measurement:
    """A measurement that cannot be made again, with a flag that says why."""
    others = "" if kept.settings == settings else ", by other settings"
    return replace(kept, flags=(*kept.flags, f"{reason}: figures as measured before{others}"))


def _of_nothing(layout: Layout, record: TerminalRecord, settings: MeasurementSettings, reason: str) -> Measurement:
    """What is known of a run whose log cannot be read, with a flag that says why."""
    found = measure(layout, record, LogReading(), settings)
    return replace(found, flags=(*found.flags, reason))
