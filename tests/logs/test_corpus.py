"""Every example log is read as a careful human reads it, and so are real excerpts where there are any."""

import pytest
from corpus import FOLDERS, logs, rows

from nodesweep.logs.reader import read_log
from nodesweep.results.outcome import decide_from_log

LOGS = [log for folder in FOLDERS for log in logs(folder)]


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_reading_of_a_log(log):
    """Each figure of the human's reading that the program reads is equal, and so is the outcome."""
    assert [row for row in rows(log) if not row.equal] == []


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_a_log_reads_the_same_by_its_format(log):
    """A workload that names the format a log was recognised as gets the same iterations and outcome."""
    reading = read_log(log)
    named = read_log(log, reading.format)
    assert named.iterations == reading.iterations
    assert decide_from_log(named).cause == decide_from_log(reading).cause
