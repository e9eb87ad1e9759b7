"""The file measurement.json of a run: read where it still holds, else made from the log and written."""

from dataclasses import replace
from pathlib import Path

from nodesweep.common.files import write_atomic
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


def measurement_of(study: Study, layout: Layout, record: TerminalRecord) -> Measurement | None:
    """The measurement of an ended run: the one on disk where it still holds, else from its log.

    Where the log is gone, damaged or has become shorter, the one on disk is the source, with a flag that says so; None
    where there is none. Whatever verdict better fits what is read now stands in its record.
    """
    directory = study.directory(layout.slug)
    kept, log = kept_measurement(directory, record), found_log(directory / record.log) if record.log else None
    settings = MeasurementSettings.of(layout, study.sweep.statistic)
    if log is None:
        return kept and _of_before(kept, settings, f"its log {record.log} is gone")
    status = log.stat()
    if kept and kept.made_from(record, settings, status.st_size, status.st_mtime_ns):
        return kept
    try:
        reading = read_log(log, format_of(layout.workload.log_format))
    except UnreadableLog as error:
        reason = f"{log.name} {error.strerror}"
        return _of_before(kept, settings, reason) if kept else _of_nothing(layout, record, settings, reason)
    if kept and reading.content_bytes < kept.log_content_bytes:
        sizes = f"{kept.log_content_bytes} bytes then, {reading.content_bytes} now"
        return _of_before(kept, settings, f"its log has become shorter ({sizes})")
    found = reread(record, directory, reading, layout.iterations.total)
    return measured_from(study, layout, found, reading)


def measured_from(study: Study, layout: Layout, record: TerminalRecord, reading: LogReading) -> Measurement:
    """The measurement of an ended run whose log has been read, kept on disk."""
    measurement = measure(layout, record, reading, MeasurementSettings.of(layout, study.sweep.statistic))
    write_atomic(study.directory(layout.slug) / "measurement.json", measurement.to_json())
    return measurement


def kept_measurement(directory: Path, record: TerminalRecord) -> Measurement | None:
    """The measurement on disk, where it is one of the run of this record and this version can read it."""
    try:
        kept = Measurement.from_json((directory / "measurement.json").read_text())
    except (FileNotFoundError, ValueError, KeyError, TypeError):
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
