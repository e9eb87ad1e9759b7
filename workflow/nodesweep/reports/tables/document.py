"""Tidy table -> the text of a document of tables, in the form of a hand-kept benchmarking document."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from nodesweep.common.errors import ConfigError
from nodesweep.common.markdown import inert, pipe_table
from nodesweep.common.numbers import four_figures
from nodesweep.config.expressions import UNKNOWN, compile_condition
from nodesweep.config.headings import MARKS
from nodesweep.config.model_fields import MODEL_FIELDS
from nodesweep.config.parameters import ParameterField, parameter_field, parameter_fields
from nodesweep.config.sweep import Sweep
from nodesweep.config.tables import Annotation, Statistic, Table
from nodesweep.config.tidy_row import TidyRow, count_of, number_of
from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.flops import CONVENTIONS
from nodesweep.results.rows import size_label
from nodesweep.results.table import records, restated
from nodesweep.schedulers import SCHEDULERS

from .cells import (
    COLUMN_OF_HEADING,
    STANDARD,
    Rows,
    ShownColumn,
    columns_with,
    figure_column,
    formatted,
    parameter_column,
)

TEMPLATES = Path(__file__).parent / "templates"


def _scheduler_memory() -> str:
    """What the schedulers' figures of memory are the highest use of, with the schedulers of each."""
    words = {"rank": "a rank", "node": "a node", "job": "the whole job"}
    titles = {scope: [row.title for row in SCHEDULERS.values() if row.memory_of == scope] for scope in words}
    named = [f"{word} ({', '.join(titles[scope])})" for scope, word in words.items() if titles[scope]]
    return " or ".join(filter(None, (", ".join(named[:-1]), named[-1])))


MEMORY_MEANING = {
    "log-max-allocated": "peak memory of a rank, the highest of all ranks (max allocated, from the log)",
    "log-max-reserved": "peak memory of a rank, the highest of all ranks (max reserved, from the log)",
    "log-node-used": "memory in use on a node, the highest report (from the log)",
    "scheduler": f"peak memory by the scheduler's accounts: of {_scheduler_memory()}",
    "none": "not measured",
}

_HYPERPARAMETERS = tuple(
    row for row in MODEL_FIELDS.values() if row.in_tables != "never" and row.kind in ("count", "number")
)
"""The sizes of the model that stand at the head of a document, as options of Megatron-LM."""
_TERMS = {column.term or heading for heading, column in COLUMN_OF_HEADING.items()}


@dataclass(frozen=True)
class TableView:
    """One table: its columns, which rows it shows in which order, and what stands for their iterations.

    `statistic`: None leaves the figures as they are. `order`: tidy columns and whether they fall. `reason`: the
    condition of `where` in words.
    """

    columns: tuple[ShownColumn, ...]
    heading: str = ""
    text: str = ""
    statistic: Statistic | None = None
    where: Callable[[TidyRow], bool] | None = None
    reason: str = ""
    order: tuple[tuple[str, bool], ...] = ()

    def select(self, frame: pandas.DataFrame) -> pandas.DataFrame:
        """The rows of a tidy table that it shows, in its order; unknown values come last."""
        figures = frame if self.statistic is None else restated(frame, self.statistic)
        if self.where is not None:
            figures = figures[[self.where(row) for row in records(figures)]]
        order = [(name, falling) for name, falling in self.order if name in figures.columns]
        if not order:
            return figures
        names, rising = [name for name, _ in order], [not falling for _, falling in order]
        return figures.sort_values(names, ascending=rising, kind="stable", na_position="last")

    def rows(self, frame: pandas.DataFrame) -> list[TidyRow]:
        """The rows that it shows, None for what is not known."""
        return records(self.select(frame))

    def shown(self, rows: Rows) -> "TableView":
        """The view with the columns that these rows need."""
        return replace(self, columns=tuple(column for column in self.columns if column.shown(rows)))

    def pipe_table(self, rows: Rows) -> str:
        """The table of these rows in markdown."""
        headings = [_own(column.heading) for column in self.columns]
        left = frozenset(_own(column.heading) for column in self.columns if column.left)
        return pipe_table(headings, map(self.cells, rows), left)

    def cells(self, row: TidyRow) -> list[str]:
        """The cells of a row, in markdown."""
        marks = [column.mark(row) for column in self.columns]
        cells = []
        for number, column in enumerate(self.columns):
            values = {**row, MARKS: "; ".join(marks[:number] + marks[number + 1 :])}
            cell = column.cell(*(values.get(source) for source in column.sources))
            cells.append(f"{cell} {marks[number]}".strip())
        return cells


def _own(heading: str) -> str:
    """A heading in markdown."""
    return heading if heading in COLUMN_OF_HEADING else inert(heading)


@dataclass(frozen=True)
class TablesDocument:
    """A document of tables without its rows.

    `notations`: terms and meanings as markdown; their maker makes inert what comes from elsewhere. `section_column`:
    the tidy column whose values part the rows into sections, headed `section_heading`=value.
    """

    title: str
    hyperparameters: tuple[tuple[str, str], ...]
    notations: tuple[tuple[str, str], ...]
    tables: tuple[TableView, ...]
    section_column: str = "sequence_length_tokens"
    section_heading: str = "Sequence Length"


def render(document: TablesDocument, frame: pandas.DataFrame) -> str:
    """The text of a document about the rows of a tidy table (`results.build`)."""
    return template("tables.md.j2").render(
        title=document.title,
        hyperparameters=document.hyperparameters,
        notations=document.notations,
        sections=[
            {"heading": heading, "tables": [_in_markdown(part) for part in parts]}
            for heading, parts in sections(document, frame).items()
        ],
        empty=empty(document, frame) if len(frame) else [],
    )


def template(name: str) -> Template:
    """A template of tables."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    environment.filters["inert"] = inert
    return environment.get_template(name)


@dataclass(frozen=True)
class SectionTable:
    """A table of one section: its view with the columns that all its parts need, and the rows it has there."""

    view: TableView
    rows: Rows


def sections(document: TablesDocument, frame: pandas.DataFrame) -> dict[str, list[SectionTable]]:
    """The tables by the heading of their section, in the order of the sections' values."""
    found: dict[Any, list[SectionTable]] = {}
    for view in document.tables:
        selected = view.select(frame)
        shown = view.shown(records(selected))
        for value, rows in selected.groupby(document.section_column, dropna=False):
            found.setdefault(None if pandas.isna(value) else value, []).append(SectionTable(shown, records(rows)))
    return {
        f"{document.section_heading}={'unknown' if value is None else value}": found[value]
        for value in sorted(found, key=_known_first)
    }


def _in_markdown(part: SectionTable) -> dict[str, str]:
    return {"heading": part.view.heading, "text": part.view.text, "table": part.view.pipe_table(part.rows)}


def _known_first(value: Any) -> tuple[bool, Any]:
    """A sort key by which unknown values come last."""
    return value is None, value if value is not None else 0


def empty(document: TablesDocument, frame: pandas.DataFrame) -> list[str]:
    """A sentence for each table without a row."""
    return [
        f"No row in {_name(document.tables, number)}: no layout has {view.reason}."
        for number, view in enumerate(document.tables)
        if view.select(frame).empty
    ]


def _name(tables: tuple[TableView, ...], number: int) -> str:
    return tables[number].heading or f"table {number + 1}"


def document_of(sweep: Sweep, frame: pandas.DataFrame) -> TablesDocument:
    """The document of a sweep: its tables, and notations that hold for what these show of a tidy table."""
    of_sweep = {name: parameter_field(name, "word") for name in sweep.parameters}
    known = of_sweep | parameter_fields(records(frame))
    tables = tuple(_view(table, sweep.statistic, f"tables[{n}]", known) for n, table in enumerate(sweep.tables))
    return TablesDocument(
        title=sweep.title or sweep.sweep,
        hyperparameters=tuple(
            (row.symbol, str(value)) for row in _HYPERPARAMETERS if (value := sweep.model.sizes[row.name]) is not None
        ),
        notations=_notations(sweep, tables, frame),
        tables=tables,
    )


def document_of_logs(title: str, statistic: Statistic, frame: pandas.DataFrame) -> TablesDocument:
    """The document of logs that belong to no sweep: the standard columns, and what all rows have in common."""
    view = TableView(tuple(STANDARD.values()))
    rows = view.rows(frame)
    words = {
        "size": "embedding counted once, and an output layer of its own where it has one",
        "memory": "peak memory of a rank, the highest of all ranks, or of a node, as the log has it (memory_source)",
        "iterations": f"{statistic} of the logged iterations after warm-up (by the log's format, or more where times "
        "show it)",
        "flops": _counted(map(Dimensions.in_row, rows), "of the log, padded to a multiple of 128 x MP"),
    }
    ranks = sorted({count for row in rows if (count := count_of(row, "ranks_per_node")) is not None})
    shown = {column.term or column.heading: column.meaning for column in view.shown(rows).columns if column.meaning}
    sizes = {row.symbol: {each[row.column] for each in rows} for row in _HYPERPARAMETERS}
    return TablesDocument(
        title=title,
        hyperparameters=tuple(
            (name, str(size)) for name, found in sizes.items() if len(found) == 1 for size in found if size is not None
        ),
        notations=(
            ("Node", f"{' or '.join(map(str, ranks)) or 'an unknown number of'} rank{'' if ranks == [1] else 's'}"),
            *((term, meaning.format(**words)) for term, meaning in shown.items()),
        ),
        tables=(view,),
    )


def _counted(cases: Iterable[Dimensions], vocabulary: str) -> str:
    """What the FLOPs of these runs count, in the words of a notation."""
    found: dict[str, None] = {}
    for case in cases:
        convention = case.maybe("flops_convention") or "narayanan"  # of what has too few sizes, and so no rate
        padded = f"vocabulary {vocabulary}, " if convention == "narayanan" else ""
        unknown = f"empty: no formula is known for {inert(case.other_parts)}" if case.other_parts else ""
        found[unknown or f"{padded}{CONVENTIONS[convention]}"] = None
    return "; ".join(found)


def _view(table: Table, statistic: Statistic, place: str, parameters: Mapping[str, ParameterField]) -> TableView:
    columns = []
    for number, chosen in enumerate(table.columns):
        shown = chosen.value or chosen.heading
        if shown in COLUMN_OF_HEADING:
            column = COLUMN_OF_HEADING[shown]
        else:
            row = parameters.get(shown)
            column = figure_column(shown, shown) if row is None else parameter_column(row)
        column = replace(column, heading=chosen.heading, shown=lambda rows: True)
        if chosen.format:
            column = formatted(column, chosen.format)
        if chosen.annotations is not None:
            column = replace(column, mark=_mark(chosen.annotations, f"{place}.columns[{number}]"))
        columns.append(column)
    return TableView(
        columns=tuple(columns) or columns_with(parameters.values(), STANDARD.values()),
        heading=table.heading,
        text=table.text,
        statistic=table.statistic or statistic,
        where=_condition(table.where, f"{place}.where") if table.where else None,
        reason=table.where or "",
        order=tuple((name.removeprefix("-"), name.startswith("-")) for name in table.order),
    )


def _mark(annotations: tuple[Annotation, ...], place: str) -> Callable[[TidyRow], str]:
    conditions = [
        (_condition(one.if_, f"{place}.annotations[{number}].if"), one.text) for number, one in enumerate(annotations)
    ]
    return lambda row: next((inert(text) for holds, text in conditions if holds(row)), "")


def _condition(source: str, place: str) -> Callable[[TidyRow], bool]:
    """A condition over a row; comparisons with what is not known do not hold."""
    evaluate = compile_condition(source, None)

    def holds(row: TidyRow) -> bool:
        try:
            return evaluate({name: UNKNOWN if value is None else value for name, value in row.items()})
        except ConfigError as error:
            raise ConfigError(f"{place}: {error}") from None

    return holds


def _notations(sweep: Sweep, tables: tuple[TableView, ...], frame: pandas.DataFrame) -> tuple[tuple[str, str], ...]:
    """What a node is here, and what the headings mean; a heading of two meanings says in which table it has which."""
    machine = sweep.machine
    ranks = "1 rank" if machine.ranks_per_node == 1 else f"{machine.ranks_per_node} ranks"
    node = f"{machine.description} ({ranks})" if machine.description else f"a node of {machine.name} ({ranks})"
    meanings: dict[str, dict[str, list[int]]] = {}
    for number, view in enumerate(tables):
        rows = view.rows(frame)
        words = _words(sweep, view, rows)
        for column in view.shown(rows).columns if rows or not len(frame) else ():
            if column.meaning:
                term = column.term or column.heading
                meanings.setdefault(term, {}).setdefault(column.meaning.format(**words), []).append(number)
    notations = [("Node", inert(node))]
    for term, found in meanings.items():
        for meaning, numbers in found.items():
            names = " and ".join(dict.fromkeys(_name(tables, number) for number in numbers))
            of_some = "" if len(found) == 1 else f" ({inert(names)})"
            notations.append((f"{term if term in _TERMS else inert(term)}{of_some}", meaning))
    return tuple(notations)


def _words(sweep: Sweep, view: TableView, rows: Rows) -> dict[str, Any]:
    """The words that stand in braces in the meanings of columns."""
    several = {count_of(row, "warmup_iterations") for row in rows if row["iterations_requested"] != 1}
    warmups = sorted({count for count in several if count is not None} or {sweep.iterations.warmup})
    first = " or ".join(map(str, warmups))
    after = f"(the first {first}, or more where the times show it)" if any(warmups) else "(where the times show any)"
    iterations = sum(count_of(row, "iterations_saved") or 0 for row in rows)
    hours = sum(number_of(row, "node_hours_saved") or 0.0 for row in rows)
    return {
        "saved": f"all together {iterations:,} iterations, {four_figures(hours)} node-hours",
        "size": inert(size_label(sweep.model) or "unknown"),
        "memory": MEMORY_MEANING[sweep.workload.memory_source],
        "iterations": f"{view.statistic} of the logged iterations after warm-up {after}",
        "flops": _counted([Dimensions(**sweep.model.sizes)], str(sweep.model.vocab_size)),
    }
