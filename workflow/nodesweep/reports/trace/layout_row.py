"""A layout of a sweep as a row that can be traced: what its config, journal, record, measurement and log say."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nodesweep.config.loader import Key
from nodesweep.launch import journal
from nodesweep.launch.decisions import Decisions
from nodesweep.launch.journal import State
from nodesweep.launch.journal_events import Ended, Reread
from nodesweep.launch.records import HELD, WAY_OUT, needs_run, read_phase
from nodesweep.logs.lines import lines_at
from nodesweep.logs.packed import found_log
from nodesweep.results.measurement import Measurement, MeasurementSettings
from nodesweep.results.measurement_file import last_measurement
from nodesweep.results.rows import LayoutRun
from nodesweep.results.table import build, to_csv
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.sweep.expand import conditions
from nodesweep.sweep.study import Study

from .columns import COLUMNS, axis
from .facts import MEASURE, LayoutFacts, Trace, cells_of


@dataclass(frozen=True)
class TraceableLayout:
    """A run of a layout; `where`: place of a key of its config, None where it was left out.

    `decisions`: what is known of the sweep, by which a launch decides; asked for only where that matters.
    """

    study: Study
    slug: str
    where: Callable[[Key], str | None]
    decisions: Callable[[], Decisions]

    @property
    def folder(self) -> Path:
        """The folder of the sweep's results."""
        return self.study.folder

    @property
    def head(self) -> list[str]:
        """The folder of the layout, and how it stands."""
        return [f"{self.study.directory(self.slug)}/", f"{self.facts.status}: {self.facts.outlook}"]

    def traces(self, columns: Iterable[str]) -> dict[str, Trace]:
        """Where the values of these columns come from."""
        return {name: COLUMNS.get(name, axis(name))(self.facts) for name in columns}

    def values(self) -> dict[str, str]:
        """The cells of the row by column, by what is known now."""
        return cells_of(to_csv(build([self.run])), self.slug)

    @property
    def run(self) -> LayoutRun:
        """The run with what is known of it now."""
        facts = self.facts
        return LayoutRun(facts.layout, facts.status, facts.record, facts.measurement)

    def lines(self, numbers: set[int]) -> tuple[dict[int, str], list[str]]:
        """Lines of the log as it is now, and what to know if it is not the one that was measured."""
        return _log_lines(self.study, self.facts, numbers)

    @cached_property
    def facts(self) -> LayoutFacts:
        """What is known of the run."""
        return _facts_of(self)


def _facts_of(row: TraceableLayout) -> LayoutFacts:
    """What is known of a layout."""
    study, slug, layout = row.study, row.slug, row.study.runs[row.slug]
    status, state, record = read_phase(study, slug)
    events = journal.read(study.journal(slug)) if not state.problem else []
    last_end = max((line for line, event in enumerate(events, 1) if isinstance(event, Ended | Reread)), default=0)
    journal_place = f"journal.jsonl:{len(events)}: {events[-1].kind}" if events else "it has no journal"
    final = study.record(slug).is_file()
    measurement, missing = _measurement(study, slug, status, record)
    return LayoutFacts(
        layout=layout,
        sweep=study.sweep,
        block=study.blocks[layout.row],
        conditions=conditions(study.sweep, layout),
        where=row.where,
        status=status,
        foreseen=lambda: _outlook(row, status, state, record),
        journal_place=journal_place,
        record=record,
        record_place="job.json" if final else f"journal.jsonl:{last_end}: record",
        measurement=measurement,
        missing=missing,
    )


def _outlook(row: TraceableLayout, status: str, state: State, record: TerminalRecord | None) -> str:
    """What has become of a layout, and what the next launch does with it."""
    job = f"job {state.job_id}" if state.job_id else "a job without an id yet"
    if status == "ended" and record:
        again = _next_launch(row, state, "runs it again") if needs_run(row.study, record) else "needs no more runs"
        return f"{record.verdict}, attempt {state.attempt}; {again}"
    if state.problem:
        return state.problem
    if record and not record.was_run:
        if row.decisions().not_run(row.slug, state) is None:
            return f"{record.evidence}; the next launch runs it"
        return f"{record.evidence}; the next launch does not run it, unless `nodesweep rerun {row.slug}` asks for it"
    if status == HELD:
        return f"attempt {state.attempt}: {state.silent}; {WAY_OUT % row.slug}"
    if state.is_open:
        return f"attempt {state.attempt}, {job}; it has no figures before it has ended"
    layout = row.study.runs[row.slug]
    queue = f", queue {layout.queue.name}" if layout.queue else ""
    limit = f", at most {layout.elapse_limit_seconds} s" if layout.elapse_limit_seconds else ""
    before = f"attempt {state.attempt} is over" if state.attempt else "never run"
    submits = f"submits its job.sh to {row.study.sweep.machine.scheduler}{queue}{limit}"
    return f"{before}; {_next_launch(row, state, submits)}"


def _next_launch(row: TraceableLayout, state: State, runs: str) -> str:
    """That the next launch runs a layout, in words of `runs`, or why it does not."""
    left_out = row.decisions().not_run(row.slug, state)
    return f"the next launch {runs if left_out is None else f'does not run it: {left_out.outcome}: {left_out.reason}'}"


def _measurement(study: Study, slug: str, status: str, record: TerminalRecord | None) -> tuple[Measurement | None, str]:
    """What measurement.json holds of the last run, or why there are no figures."""
    if status != "ended" or record is None:
        return None, f"no figures: the layout is {status}"
    measured, _ = last_measurement(study, study.runs[slug], record)
    if measured is not None:
        return measured, ""
    if not record.log or found_log(study.directory(slug) / record.log) is None:
        return None, f"no figures: the job left no log, {record.log}"
    if (study.directory(slug) / "measurement.json").exists():
        return None, f"measurement.json is of another version, or of another run: {MEASURE}"
    return None, f"not measured yet: {MEASURE}"


def _log_lines(study: Study, facts: LayoutFacts, numbers: set[int]) -> tuple[dict[int, str], list[str]]:
    """The deciding lines as they stand in the log now, and what to know if it is not the one that was measured."""
    if facts.record is None or facts.status != "ended":
        return {}, []
    measurement, named = facts.measurement, study.directory(facts.layout.slug) / facts.record.log
    log = found_log(named) or named
    try:
        status, lines = log.stat(), lines_at(log, numbers)
    except FileNotFoundError:
        return {}, [f"{log} is gone: its lines cannot be shown"]
    except OSError as error:
        return {}, [f"{log} {error.strerror}: its lines cannot be shown"]
    lines = {line: f"line {line}: {text}" for line, text in lines.items()}
    if measurement is None:
        return lines, [facts.missing]
    settings = MeasurementSettings.of(facts.layout, study.sweep.statistic)
    size, modified = status.st_size, status.st_mtime_ns
    if (size, modified) != (measurement.log_size_bytes, measurement.log_modified_ns):
        if log != named and measurement.log_unpacked_bytes is None:
            return lines, [f"{named} has been compressed since it was measured: read from {log.name}; {MEASURE}"]
        was = f"{measurement.log_size_bytes} bytes then, {size} now"
        return lines, [f"{log} has changed since it was measured ({was}): its lines may be others; {MEASURE}"]
    if not measurement.made_from(facts.record, settings, size, modified):
        return lines, [f"measurement.json was made of an earlier run, or by other settings; {MEASURE}"]
    return lines, []
