"""Where the values of a row of results.csv come from, in words: `nodesweep why`."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path

from nodesweep.common.errors import NodesweepError
from nodesweep.common.files import read_regular
from nodesweep.common.numbers import UNKNOWN
from nodesweep.common.text import plain
from nodesweep.config.columns import TIDY
from nodesweep.config.headings import HEADINGS, MARKS
from nodesweep.config.loader import Key
from nodesweep.config.model_fields import MODEL_FIELDS
from nodesweep.config.origins import Origins
from nodesweep.config.sweep import Sweep
from nodesweep.config.tidy_row import TidyRow
from nodesweep.launch.history import decisions_of
from nodesweep.results.metrics import EXPLAINED
from nodesweep.results.results_file import MOST_BYTES
from nodesweep.sweep.study import Study

from .columns import OVER_RUNS, SAVED
from .explained import explained_traces
from .facts import MEASURE, LayoutFacts, Trace, TraceableRow, cells_of
from .imported import imported_rows
from .ingested import ingested_rows
from .layout_row import TraceableLayout
from .repeated_row import TraceableRepeats

MOST_CHARACTERS = 1500
_READERS: dict[str, Callable[[Path], Mapping[str, TraceableRow]]] = {
    "imported": imported_rows,
    "ingested": ingested_rows,
}
"""Readers of rows that come from elsewhere, by the name of the folder of their files."""
_SELDOM = {*(row.column for row in MODEL_FIELDS.values() if row.optional), *OVER_RUNS, *SAVED}
"""Columns that are passed over where they are empty and not asked for: sizes most models lack, and what only repeated
runs have, or those that may end early."""


def why(study: Study, origins: Origins, foreign: Iterable[Path], slug: str, names: Iterable[str]) -> str:
    """Trace the named columns of a row, or all; a slug may be cut short while it stays unique.

    `foreign`: files of what was imported or ingested. Raises NodesweepError for names that nothing has.
    """
    columns = _columns(study.sweep, names)
    rows = _rows(study, origins.where, foreign)
    slug = _meant(study, rows, slug)
    if slug not in study.layouts:
        columns = tuple(name for name in columns if name in TIDY and not (name in EXPLAINED and _is_run(study, slug)))
    row, plain_columns = rows[slug], [name for name in columns if name not in EXPLAINED]
    traces, values = row.traces(plain_columns), row.values()
    lines, doubts = row.lines({line for trace in traces.values() for line in trace.lines})
    table_values, table_doubts = dict[str, str](), list[str]()
    if not _is_run(study, slug):
        table_values, table_doubts = _table_values(row.folder / "results.csv", slug)
    if len(plain_columns) < len(columns):
        explained, explained_values = explained_traces(study, row.folder, slug, _facts_of(row))
        traces, values = {**traces, **explained}, {**values, **explained_values}
    text = [slug, *(f"  {line}" for line in (*row.head, *doubts, *table_doubts))]
    alike: dict[tuple[Trace, str, str], list[str]] = {}
    for name in columns:
        trace, value = traces[name], values.get(name, "")
        if not names and name in _SELDOM and not (value or table_values.get(name)):
            continue
        alike.setdefault((trace, value, table_values.get(name, value)), []).append(name)
    for (trace, value, in_table), equal in alike.items():
        text += ["", *_in_words(equal, trace, value, in_table, lines)]
    return "\n".join(map(_printable, text))


def traced(
    study: Study, origins: Origins, foreign: Iterable[Path], names: tuple[str, ...]
) -> Callable[[str, TidyRow], list[str]]:
    """A function that says, of a slug and its row of results.csv, where the values of these columns come from.

    No log is read for it. It says nothing of a row that neither the sweep nor `foreign` has.
    """
    rows = _rows(study, cache(origins.where), foreign)

    def lines_of(slug: str, values: TidyRow) -> list[str]:
        known = [name for name in names if values[name] is not None]
        if not known or slug not in rows:
            return []
        return [
            _printable(line)
            for name, trace in rows[slug].traces(known).items()
            for line in _in_words([name], Trace(trace.sentences), repr(values[name]), repr(values[name]), {})
        ]

    return lines_of


def _rows(study: Study, where: Callable[[Key], str | None], foreign: Iterable[Path]) -> dict[str, TraceableRow]:
    """All rows that can be traced, by slug: the layouts of the sweep, then what files of other rows hold."""
    decisions = cache(lambda: decisions_of(study))
    runs = {slug: TraceableLayout(study, slug, where, decisions) for slug in study.runs}
    rows: dict[str, TraceableRow] = {**runs}
    if study.sweep.repeats.at_most > 1:
        for slug in study.layouts:
            rows[slug], rows[f"{slug}-r1"] = (
                TraceableRepeats([runs[one.slug] for one in study.runs_of(slug)]),
                runs[slug],
            )
    for path in foreign:
        rows |= _READERS[path.parent.name](path)
    return rows


def _facts_of(row: TraceableRow) -> LayoutFacts | None:
    """What is known of a layout, by its first run; None for a row from elsewhere."""
    first = row.runs[0] if isinstance(row, TraceableRepeats) else row
    return first.facts if isinstance(first, TraceableLayout) else None


def _is_run(study: Study, slug: str) -> bool:
    """Whether a slug names one of several runs of a layout, which has no row of its own in results.csv."""
    return slug not in study.layouts and slug.rpartition("-r")[0] in study.layouts


def _printable(line: str) -> str:
    """A line that is safe to show, its indentation kept."""
    depth = len(line) - len(line.lstrip(" "))
    return " " * depth + plain(line, MOST_CHARACTERS)


def _in_words(names: list[str], trace: Trace, value: str, in_table: str, lines: Mapping[int, str]) -> list[str]:
    """Columns with one value: that of the table, where it comes from, and the lines of the log that decide it."""
    headings = {column.columns[0]: column.heading for column in HEADINGS.values() if len(column.columns) == 1}
    labels = [f"{name} ({headings[name]})" if name in headings else name for name in names]
    found = [f"{', '.join(labels)} = {in_table or UNKNOWN}", *(f"    {sentence}" for sentence in trace.sentences)]
    if in_table != value:
        found.append(f"    results.csv is older: now it is {value or UNKNOWN}; {MEASURE}")
    return found + [f"    {lines.get(line, f'line {line}: (no longer in the log)')}" for line in trace.lines]


def _columns(sweep: Sweep, names: Iterable[str]) -> tuple[str, ...]:
    """The columns of results.csv that names or headings of tables mean; all where none is given."""
    known: dict[str, tuple[str, ...]] = {name: (name,) for name in (*TIDY, *sweep.parameters)}
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
    return tuple(found) or (*TIDY, *sweep.parameters)


def _meant(study: Study, rows: Mapping[str, TraceableRow], slug: str) -> str:
    """The one row that is meant by its slug or how that begins; or a run of it, with `-r2` behind."""
    what = f"layout, imported or ingested row of {study.sweep.sweep}"
    of_rows = tuple(name for name in rows if name == slug or not _is_run(study, name))
    start, _, number = slug.rpartition("-r")
    if start and number.isdecimal() and not any(name.startswith(slug) for name in of_rows):
        run = f"{_named(start, of_rows, what)}-r{number}"
        if run in rows:
            return run
    return _named(slug, of_rows, what)


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


def _table_values(path: Path, slug: str) -> tuple[dict[str, str], list[str]]:
    """The row in results.csv, and what to know if it has none."""
    try:
        values = cells_of(read_regular(path, MOST_BYTES).decode(errors="replace"), slug)
    except FileNotFoundError:
        return {}, [f"{path} does not exist yet: values are as it will have them; {MEASURE}"]
    return values, [] if values else [f"{path} has no such row yet; {MEASURE}"]
