"""Where the values of a row of results.csv come from, in words: `nodesweep why`."""

import csv
import difflib
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

from nodesweep.common.errors import NodesweepError
from nodesweep.common.text import plain
from nodesweep.config.columns import TIDY
from nodesweep.config.headings import HEADINGS, MARKS
from nodesweep.config.loader import Key
from nodesweep.config.origins import Origins
from nodesweep.config.sweep import Sweep
from nodesweep.importers.job_logs import Ingested
from nodesweep.importers.job_logs.job import IngestedLog
from nodesweep.importers.markdown import Imported, ImportedRow, ImportedTable
from nodesweep.launch import journal
from nodesweep.launch.journal import State
from nodesweep.launch.journal_events import Ended
from nodesweep.launch.records import needs_run, read_phase
from nodesweep.logs.lines import lines_at
from nodesweep.performance.calibration.files import read_calibrations
from nodesweep.results.measurement import Measurement, MeasurementSettings
from nodesweep.results.metrics import EXPLAINED, Basis, bases, explain_row
from nodesweep.results.rows import LayoutRun
from nodesweep.results.table import build, from_csv, records, to_csv
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.sweep.expand import conditions
from nodesweep.sweep.study import Study

from . import imported as imported_rows
from . import ingested as old_jobs
from .columns import COLUMNS
from .traces import Facts, Trace

T = TypeVar("T")
MOST_CHARACTERS = 1500
MEASURE = "run `nodesweep measure`"


@dataclass(frozen=True)
class Row:
    """A row: the folder of its results.csv, what is said first, traces and values by column, and lines of its log."""

    folder: Path
    head: list[str]
    traces: dict[str, Trace]
    values: dict[str, str]
    lines: Mapping[int, str]


def why(study: Study, origins: Origins, foreign: Iterable[Path], slug: str, names: Iterable[str]) -> str:
    """Trace the named columns of a row, or all; a slug may be cut short while it stays unique.

    `foreign`: files of what was imported or ingested. Raises NodesweepError for names that nothing has.
    """
    columns = _columns(study.sweep, names)
    rows = {slug: row for path in foreign for slug, row in _FOREIGN[path.parent.name](path).items()}
    slug = _named(slug, (*study.layouts, *rows), f"layout, imported or ingested row of {study.sweep.sweep}")
    plain_columns = tuple(name for name in columns if name not in EXPLAINED)
    row = rows[slug](plain_columns) if slug in rows else _layout(study, origins, slug, plain_columns)
    table_values, doubt = _table_values(row.folder / "results.csv", slug)
    text = [slug, *(f"  {line}" for line in (*row.head, *doubt))]
    explained, explained_values = _explained(study, row.folder, slug) if len(plain_columns) < len(columns) else ({}, {})
    traces, values = {**row.traces, **explained}, {**row.values, **explained_values}
    alike: dict[tuple[Trace, str, str], list[str]] = {}
    for name in columns:
        trace, value = traces[name], values[name]
        alike.setdefault((trace, value, table_values.get(name, value)), []).append(name)
    for (trace, value, in_table), names in alike.items():
        text += ["", *_told(names, trace, value, in_table, row.lines)]
    return "\n".join(map(_printable, text))


def traced(
    study: Study, origins: Origins, foreign: Iterable[Path], names: tuple[str, ...]
) -> Callable[[str, Mapping[str, object]], list[str]]:
    """What tells, of a slug and its row of results.csv, where the values of these columns come from.

    No log is read for it. Nothing is told of a row that neither the sweep nor `foreign` has.
    """
    rows = {slug: row for path in foreign for slug, row in _FOREIGN[path.parent.name](path).items()}
    where = lru_cache(maxsize=None)(origins.where)

    def told(slug: str, values: Mapping[str, object]) -> list[str]:
        known = tuple(name for name in names if values[name] is not None)
        if not known:
            return []
        if slug in study.layouts:
            facts = _facts(study, where, slug)
            traces = {name: COLUMNS[name](facts) for name in known}
        else:
            traces = rows[slug](known).traces if slug in rows else {}
        lines = (
            _told([name], Trace(trace.said), repr(values[name]), repr(values[name]), {})
            for name, trace in traces.items()
        )
        return [_printable(line) for told in lines for line in told]

    return told


def _layout(study: Study, origins: Origins, slug: str, columns: tuple[str, ...]) -> Row:
    """A row of a layout of the sweep."""
    facts = _facts(study, origins.where, slug)
    traces = {name: COLUMNS[name](facts) for name in columns}
    run = LayoutRun(facts.layout, facts.status, facts.record, facts.measurement)
    lines, doubts = _log_lines(study, facts, traces.values())
    head = [f"{study.directory(slug)}/", f"{facts.status}: {facts.outlook}", *doubts]
    return Row(study.folder, head, traces, _values(to_csv(build([run])), slug), lines)


def _explained(study: Study, folder: Path, slug: str) -> tuple[dict[str, Trace], dict[str, str]]:
    """What explains a row, by the rows of results.csv and the calibrations as they are now."""
    try:
        table = from_csv((folder / "results.csv").read_text())
    except (FileNotFoundError, NodesweepError):
        return dict.fromkeys(EXPLAINED, Trace((f"not measured yet: {MEASURE}",))), dict.fromkeys(EXPLAINED, "")
    rows = records(table)
    number = next((number for number, row in enumerate(rows) if row["slug"] == slug), None)
    if number is None:
        return dict.fromkeys(EXPLAINED, Trace((f"not measured yet: {MEASURE}",))), dict.fromkeys(EXPLAINED, "")
    own = folder == study.folder
    basis = Basis(study.sweep, study.layouts, read_calibrations(study)) if own else Basis()
    found = explain_row(basis, rows[number], bases(rows)[number])
    values = {name: "" if figure.value is None else repr(figure.value) for name, figure in found.items()}
    return {name: Trace(figure.sentences) for name, figure in found.items()}, values


def _imported(path: Path) -> dict[str, Callable[[tuple[str, ...]], Row]]:
    """The rows of hand-kept tables."""
    document = _of_this_version(path, Imported.from_json)

    def traced(table: ImportedTable, row: ImportedRow, columns: tuple[str, ...]) -> Row:
        head = [f"{path}: imported from {document.file}, line {row.line}"]
        traces = {name: Trace(imported_rows.trace(document, table, row, name)) for name in columns}
        figures = {**row.figures.row(), "campaign": document.campaign(table)}
        values = _values(to_csv(build((), [figures])), row.figures.slug)
        return Row(path.parent.parent, head, traces, values, {})

    return {row.figures.slug: partial(traced, table, row) for table in document.tables for row in table.rows}


def _ingested(path: Path) -> dict[str, Callable[[tuple[str, ...]], Row]]:
    """The rows of old jobs."""

    def traced(job: IngestedLog, columns: tuple[str, ...]) -> Row:
        facts = old_jobs.JobFacts(job)
        traces = {name: old_jobs.COLUMNS[name](facts) for name in columns}
        lines, doubts = old_jobs.lines_of(job, {line for trace in traces.values() for line in trace.lines})
        head = [f"{path}: ingested from {' and '.join(source.file for source in job.sources)}", *doubts]
        values = _values(to_csv(build((), [{**job.figures(), "campaign": document.name}])), job.measurement.slug)
        return Row(path.parent.parent, head, traces, values, lines)

    document = _of_this_version(path, Ingested.from_json)
    return {job.measurement.slug: partial(traced, job) for job in document.logs}


_FOREIGN = {"imported": _imported, "ingested": _ingested}
"""Readers of rows that come from elsewhere, by the name of their folder."""


def _printable(line: str) -> str:
    """A line that is safe to show, its indentation kept."""
    depth = len(line) - len(line.lstrip(" "))
    return " " * depth + plain(line, MOST_CHARACTERS)


def _told(names: list[str], trace: Trace, value: str, in_table: str, lines: Mapping[int, str]) -> list[str]:
    """Columns: their value in the table, where it comes from, and the lines of the log that decide it."""
    headings = {column.columns[0]: column.heading for column in HEADINGS.values() if len(column.columns) == 1}
    labels = [f"{name} ({headings[name]})" if name in headings else name for name in names]
    said = [f"{', '.join(labels)} = {in_table or '-'}", *(f"    {sentence}" for sentence in trace.said)]
    if in_table != value:
        said.append(f"    results.csv is older: now it is {value or '-'}; {MEASURE}")
    return said + [f"    {lines.get(line, f'line {line}: (no longer in the log)')}" for line in trace.lines]


def _columns(sweep: Sweep, names: Iterable[str]) -> tuple[str, ...]:
    """The columns of results.csv that names or headings of tables mean; all where none is given."""
    known = {name: (name,) for name in TIDY}
    shown = {heading: column.columns for heading, column in HEADINGS.items()}
    chosen = {column.heading: column.value or column.heading for table in sweep.tables for column in table.columns}
    shown |= {heading: shown.get(value, (value,)) for heading, value in chosen.items()}
    known |= {heading: tuple(name for name in sources if name != MARKS) for heading, sources in shown.items()}
    folded = {name.casefold(): name for name in reversed(known)}
    found: dict[str, None] = {}
    for name in names:
        exact = name if name in known else folded.get(name.casefold())
        if exact is None:
            near = difflib.get_close_matches(name.casefold(), folded, n=3)
            hint = f"near it: {', '.join(folded[one] for one in near)}" if near else f"known: {', '.join(known)}"
            raise NodesweepError(f"{name!r:.80} is no column of results.csv and no heading of the tables; {hint}")
        found |= dict.fromkeys(known[exact])
    return tuple(found) or tuple(TIDY)


def _named(slug: str, known: tuple[str, ...], what: str) -> str:
    """The one slug that is meant; raises NodesweepError with those near it."""
    meant = [one for one in known if one == slug] or [one for one in known if one.startswith(slug)]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise NodesweepError(f"{slug!r:.120} begins {len(meant)} slugs: {', '.join(meant[:5])}; write more of it")
    heads = {one[: len(slug)]: one for one in reversed(known)}
    near = [heads[head] for head in difflib.get_close_matches(slug, heads, n=3)] or known[:5]
    raise NodesweepError(f"there is no {what} {slug!r:.120}; near it: {', '.join(near)} (all: plan.md, results.csv)")


def _of_this_version(path: Path, read: Callable[[str], T]) -> T:
    try:
        return read(path.read_text())
    except NodesweepError as error:
        raise NodesweepError(f"{path}: {error}") from None


def _facts(study: Study, where: Callable[[Key], str | None], slug: str) -> Facts:
    layout = study.layouts[slug]
    status, state, record = read_phase(study, slug)
    events = journal.read(study.journal(slug))
    last_end = max((line for line, event in enumerate(events, 1) if isinstance(event, Ended)), default=0)
    journal_place = f"journal.jsonl:{len(events)}: {events[-1].kind}" if events else "it has no journal"
    final = study.record(slug).is_file()
    measurement, missing = _measurement(study, slug, status, record)
    return Facts(
        layout=layout,
        sweep=study.sweep,
        block=study.blocks[slug],
        conditions=conditions(study.sweep, layout),
        where=where,
        status=status,
        outlook=_outlook(study, slug, status, state, record),
        journal_place=journal_place,
        record=record,
        record_place="job.json" if final else f"journal.jsonl:{last_end}: record",
        measurement=measurement,
        missing=missing,
    )


def _outlook(study: Study, slug: str, status: str, state: State, record: TerminalRecord | None) -> str:
    """What has become of a layout, and what the next launch does with it."""
    layout, job = study.layouts[slug], f"job {state.job_id}" if state.job_id else "a job without an id yet"
    if status == "ended" and record:
        again = "the next launch runs it again" if needs_run(study, record) else "needs no more runs"
        return f"{record.verdict}, attempt {state.attempt}; {again}"
    if record and not record.was_run:
        return f"{record.evidence}; the next launch decides anew, `nodesweep rerun {slug}` runs it all the same"
    if status in ("queued", "running"):
        return f"attempt {state.attempt}, {job}; it has no figures before it has ended"
    queue = f", queue {layout.queue.name}" if layout.queue else ""
    limit = f", at most {layout.elapse_limit_seconds} s" if layout.elapse_limit_seconds else ""
    before = f"attempt {state.attempt} is over" if state.attempt else "never run"
    return f"{before}; the next launch submits its job.sh to {study.sweep.machine.scheduler}{queue}{limit}"


def _measurement(study: Study, slug: str, status: str, record: TerminalRecord | None) -> tuple[Measurement | None, str]:
    """What measurement.json holds of the last run, or why there are no figures."""
    if status != "ended" or record is None:
        return None, f"no figures: the layout is {status}"
    if not (study.directory(slug) / record.log).is_file():
        return None, f"no figures: the job left no log, {record.log}"
    try:
        return Measurement.from_json((study.directory(slug) / "measurement.json").read_text()), ""
    except FileNotFoundError:
        return None, f"not measured yet: {MEASURE}"
    except (ValueError, KeyError, TypeError):
        return None, f"measurement.json is of another version: {MEASURE}"


def _log_lines(study: Study, facts: Facts, traces: Iterable[Trace]) -> tuple[dict[int, str], list[str]]:
    """The deciding lines as they stand in the log now, and what to know if it is not the one that was measured."""
    if facts.record is None or facts.status != "ended":
        return {}, []
    measurement, log = facts.measurement, study.directory(facts.layout.slug) / facts.record.log
    try:
        status, lines = log.stat(), lines_at(log, (line for trace in traces for line in trace.lines))
    except FileNotFoundError:
        return {}, [f"{log} is gone: its lines cannot be shown"]
    lines = {line: f"line {line}: {text}" for line, text in lines.items()}
    if measurement is None:
        return lines, [facts.missing]
    settings = MeasurementSettings.of(facts.layout, study.sweep.statistic)
    size, modified = status.st_size, status.st_mtime_ns
    if (size, modified) != (measurement.log_size_bytes, measurement.log_modified_ns):
        was = f"{measurement.log_size_bytes} bytes then, {size} now"
        return lines, [f"{log} has changed since it was measured ({was}): its lines may be others; {MEASURE}"]
    if not measurement.made_from(facts.record, settings, size, modified):
        return lines, [f"measurement.json was made of an earlier run, or by other settings; {MEASURE}"]
    return lines, []


def _values(text: str, slug: str) -> dict[str, str]:
    """The row of a slug as it stands in a CSV; empty where it has none."""
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return next((row for row in rows if row.get("slug") == slug), {})


def _table_values(path: Path, slug: str) -> tuple[dict[str, str], list[str]]:
    """The row in results.csv, and what to know if it has none."""
    try:
        values = _values(path.read_text(), slug)
    except FileNotFoundError:
        return {}, [f"{path} does not exist yet: values are as it will have them; {MEASURE}"]
    return values, [] if values else [f"{path} has no such row yet; {MEASURE}"]
