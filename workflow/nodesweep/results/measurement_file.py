"""The file measurement.json of a run: read where it still holds, else made from the log and written."""

from nodesweep.common.errors import DamagedFileError
from nodesweep.common.files import read_regular, write_atomic
from nodesweep.logs.custom_format import format_of
from nodesweep.logs.reader import read_log
from nodesweep.logs.reading import LogReading
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.study import Study

from .measure import measure
from .measurement import Measurement, MeasurementSettings
from .terminal_record import TerminalRecord

MOST_BYTES = 256 * 2**20
"""Of a file of one layout that is read; a million iterations take a quarter of that."""


def measurement_of(study: Study, layout: Layout, record: TerminalRecord) -> Measurement | None:
    """The measurement of an ended run: the one on disk where it still holds, else from its log; None without a log."""
    log, path = study.directory(layout.slug) / record.log, study.directory(layout.slug) / "measurement.json"
    if not record.log or not log.is_file():
        return None
    settings, status = MeasurementSettings.of(layout, study.sweep.statistic), log.stat()
    try:
        kept = Measurement.from_json(read_regular(path, MOST_BYTES))
        if kept.made_from(record, settings, status.st_size, status.st_mtime_ns):
            return kept
    except (FileNotFoundError, DamagedFileError, ValueError):
        pass  # there is none yet, or one of another version: it is made from the log again
    return measured_from(study, layout, record, read_log(log, format_of(layout.workload.log_format)))


def measured_from(study: Study, layout: Layout, record: TerminalRecord, reading: LogReading) -> Measurement:
    """The measurement of an ended run whose log has been read, kept on disk."""
    measurement = measure(layout, record, reading, MeasurementSettings.of(layout, study.sweep.statistic))
    write_atomic(study.directory(layout.slug) / "measurement.json", measurement.to_json())
    return measurement
