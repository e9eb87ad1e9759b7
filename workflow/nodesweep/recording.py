"""What is kept of a run that has ended: its log is read once, for its outcome and its measurement."""

from dataclasses import replace
from typing import Any

from . import journal
from .logs.custom import format_of
from .logs.scan import scan
from .measured import measured_from
from .outcome import decide
from .records import terminal_record
from .schedulers.base import End, Job
from .study import Study


def record_end(study: Study, slug: str, job: Job, end: End) -> dict[str, Any]:
    """Decide the outcome of a job whose output has been collected; returns its terminal record, in the journal too."""
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
    if layout and log.is_file():
        measured_from(study, layout, record, reading)  # which `nodesweep measure` would read the log again for
    return record
