"""What is kept of a run that has ended: its log is read once, for its outcome and its measurement."""

import json
from dataclasses import dataclass, replace
from typing import Any

from . import journal
from .files import write_atomic
from .logs.custom import format_of
from .logs.reading import LogReading
from .logs.scan import scan
from .measured import measured_from
from .outcome import decide
from .records import terminal_record
from .schedulers.base import End, Job
from .study import Study


@dataclass(frozen=True)
class Ended:
    """A run that has ended: its terminal record, and what its log says; None where there is no log to measure."""

    slug: str
    record: dict[str, Any]
    reading: LogReading | None


def record_end(study: Study, slug: str, job: Job, end: End) -> Ended:
    """Decide the outcome of a job whose output has been collected, and write it into the journal."""
    path = study.journal(slug)
    state = journal.state(path)
    log = job.directory / f"{job.key}.log"
    layout = study.layouts.get(slug)
    meant = layout or study.sweep
    reading = scan(log, format_of(meant.workload.log_format))
    if state.hung and end.cause == "cancelled":
        end = replace(end, cause="hang", state=f"cancelled as hanging ({end.state})")
    record = terminal_record(slug, job, state, end, decide(end, reading, meant.iterations.total))
    journal.append(path, "ended", record=record)
    return Ended(slug, record, reading if layout and log.is_file() else None)


def keep_measurement(study: Study, ended: Ended) -> None:
    """Write measurement.json, for which `nodesweep measure` would read the log again."""
    if ended.reading is not None:
        measured_from(study, study.layouts[ended.slug], ended.record, ended.reading)


def keep_record(study: Study, slug: str, record: dict[str, Any]) -> None:
    """Write job.json, which says that the layout needs no more runs."""
    write_atomic(study.record(slug), json.dumps(record, indent=1, ensure_ascii=False) + "\n")
