"""The plan of a sweep as plan.csv and plan.md."""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nodesweep.common.markdown import inert, pipe_table
from nodesweep.common.numbers import UNKNOWN, anything, four_figures, gib
from nodesweep.common.text import spreadsheet_cell
from nodesweep.common.units import GIB
from nodesweep.config.layout_fields import GIVEN
from nodesweep.config.parameters import ParameterField, parameter_field, parameter_fields
from nodesweep.launch.plan import Planned
from nodesweep.results.predicted_scaling import rows_of_layouts
from nodesweep.results.scaling_kinds import Scaling, ScalingSeries
from nodesweep.sweep.expand import Rejected
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.study import Study

from .plan_remarks import layouts_in_words
from .prediction import FORECAST_HEADINGS, forecast_cells, heading_of, known_fields, memory_source, said
from .scaling import planned_scaling

LEFT = frozenset({"Layout", "Outcome", "Law", "For example", "Reason and way out", "Verdict", "Why"})
_OF_THE_JOB = {"iterations": "Iterations", "queue": "Queue", "elapse_limit_seconds": "Limit [s]"}
_COLUMNS = {**{row.name: heading_of(row) for row in GIVEN}, **_OF_THE_JOB}
"""Headings by the names of a point's fields, which are columns of plan.csv."""
_FORECAST = ("memory_gib", "memory_limit_gib", "memory_verdict", "memory_source")
_TIMES = ("iteration_seconds", "iteration_seconds_low", "iteration_seconds_high", "time_source", "node_hours", "order")
_ADDED = ("memory_least_gib", "elapse_limit_source")
"""Columns that came later, behind all others."""
_MEANINGS = {
    "uncertain": "- uncertain: Mem is a guess; what is needed may be as little as At least, or more",
    "will not fit": "- will not fit: 95 % of At least, or of Mem where that is no guess, are over the limit",
}
"""Verdicts on memory that need a word."""
_STATES_ALONE = (
    "- where no formula gives Mem, At least is weights, gradients and optimizer states alone, which must fit"
)
HEADINGS = (*FORECAST_HEADINGS, "Node-hours", "Order")


def plan_csv(study: Study, layouts: Sequence[Planned]) -> str:
    """A line per point: `runs`, `ended`, `pruned`, `skipped` or `rejected`, fields, slug, law, reason, predictions."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    points: list[Layout | Rejected] = [*(one.layout for one in layouts), *study.expansion.rejected]
    columns = [*_columns(points), *_parameters(study)]
    added = [*_ADDED, *(["jobs"] if study.sweep.repeats.at_most > 1 else [])]
    writer.writerow(["verdict", *columns, "note", "slug", "law", "reason", *_FORECAST, *_TIMES, *added])
    for one in layouts:
        layout, why = one.layout, one.not_run
        values = [
            why.outcome if why else "ended" if one.ended else "runs",
            *_values(layout, columns),
            layout.note,
            layout.slug,
            "",
            why.reason if why else one.ended,
        ]
        jobs = [one.jobs[1] if one.runs else 0][: len(added) - len(_ADDED)]
        writer.writerow(map(_cell, [*values, *_foreseen(one), *jobs]))
    for point in study.expansion.rejected:
        blank = [""] * len((*_FORECAST, *_TIMES, *added))
        values = [*_values(point, columns), point.fields["note"], "", point.law, point.reason]
        writer.writerow(map(_cell, ["rejected", *values, *blank]))
    return text.getvalue()


def plan_markdown(study: Study, layouts: Sequence[Planned], remarks: Sequence[str] = ()) -> str:
    """The plan as a document: counts, node-hours, `remarks`, the layouts that run, those that do not and why."""
    runs, rejected = [one for one in layouts if one.runs], study.expansion.rejected
    ended = [one for one in layouts if one.ended]
    not_run = [one for one in layouts if one.not_run is not None]
    points = [*(_said(one.layout) for one in layouts), *(_said(point) for point in rejected)]
    of_jobs = [name for name in _OF_THE_JOB if any(fields.get(name) is not None for fields in points)]
    shown = [*(row.name for row in known_fields(points, _parameters(study).values())), *of_jobs]
    headings = [_COLUMNS.get(name, name) for name in shown]
    repeated = study.sweep.repeats.at_most > 1
    in_jobs = f" in {jobs_in_words(layouts)}" if repeated and runs else ""
    counts = [
        f"{len(runs)} to run{in_jobs}",
        f"{len(ended)} ended",
        f"{len(not_run)} not to run",
        f"{len(rejected)} rejected",
    ]
    counts = [count for count in counts if not count.startswith("0 ") or count in (counts[0], counts[-1])]
    parts = [
        f"# Plan: {inert(study.sweep.title or study.sweep.sweep)}",
        f"{len(points)} points: {', '.join(counts)}. {_hours(runs, not_run)}",
        *filter(None, [planned_scaling(series_of_plan([*runs, *ended]))]),
        *("\n".join(f"- {inert(remark)}" for remark in some) for some in [remarks] if some),
        _sources(layouts),
        f"## To run ({len(runs)})",
        pipe_table(
            [*headings, *HEADINGS, *["Jobs"][:repeated], "Layout"], [_row(one, shown, repeated) for one in runs], LEFT
        ),
    ]
    if ended:
        rows = [[*_row(one, shown), one.ended] for one in ended]
        parts += [f"## Ended ({len(ended)})", pipe_table([*headings, *HEADINGS, "Layout", "Outcome"], rows, LEFT)]
    if not_run:
        rows = [[*_row(one, shown), _reason(one)] for one in not_run]
        parts += [f"## Not to run ({len(not_run)})", pipe_table([*headings, *HEADINGS, "Layout", "Why"], rows, LEFT)]
    if rejected:
        rows = [[*_cells(point, shown), point.law, inert(point.reason)] for point in rejected]
        parts += [f"## Rejected ({len(rejected)})", _by_law(rejected)]
        parts += [pipe_table([*headings, "Law", "Reason and way out"], rows, LEFT)]
    return "\n\n".join(parts) + "\n"


def series_of_plan(layouts: Sequence[Planned]) -> tuple[ScalingSeries, ...]:
    """The series that layouts make once they have run: strong, weak, throughput."""
    return Scaling.planned(rows_of_layouts([one.layout for one in layouts])).series


def _parameters(study: Study) -> dict[str, ParameterField]:
    """The parameters of a sweep, of the kind of those of its layouts."""
    known = parameter_fields(layout.parameters for layout in study.layouts.values())
    return {name: known.get(name) or parameter_field(name, "word") for name in study.sweep.parameters}


def _hours(runs: Sequence[Planned], not_run: Sequence[Planned]) -> str:
    """Node-hours asked for, and saved."""
    known = [[one.node_hours for one in some if one.node_hours is not None] for some in (runs, not_run)]
    if not known[0] and not known[1]:
        return "Node-hours: unknown before the first runs; `peak_tflops` or `iterations.expected_seconds` give a guess."
    saved = f", {four_figures(sum(known[1]))} saved by what is not run" if known[1] else ""
    missing = len(runs) - len(known[0])
    return f"Node-hours: {four_figures(sum(known[0]))} asked for{saved}{f'; unknown of {missing}' if missing else ''}."


def _by_law(rejected: Sequence[Rejected]) -> str:
    """How many points each law rejects, the most first, and the reason that it gives most often."""
    found: dict[str, Counter[str]] = {}
    for point in rejected:
        found.setdefault(point.law, Counter())[point.reason] += 1
    ordered = sorted(found.items(), key=lambda item: -item[1].total())
    rows = [[law, str(reasons.total()), inert(reasons.most_common(1)[0][0])] for law, reasons in ordered]
    return pipe_table(["Law", "Points", "For example"], rows, LEFT)


def _sources(layouts: Sequence[Planned]) -> str:
    """What the predictions rest on, what a rank may use, and what gives time limits."""
    forecasts = [one.forecast for one in layouts]
    counted: dict[str, Counter[str]] = {
        "Memory": Counter(memory_source(one.memory) for one in forecasts),
        "Limit of a rank's memory:": Counter(
            "unknown" if one.memory.limit_bytes is None else f"{gib(one.memory.limit_bytes)} GiB" for one in forecasts
        ),
        "Time": Counter(f"by {one.time.source}" if one.time else "not yet" for one in forecasts),
        "Time limit set by": Counter(one.layout.elapse_limit_source or "nothing" for one in layouts),
    }
    lines = [
        f"- {name} {inert(source)} ({layouts_in_words(count)})"
        for name, sources in counted.items()
        for source, count in sources.items()
    ]
    verdicts = {one.memory.verdict for one in forecasts}
    told = [_STATES_ALONE] if any(one.memory.peak is None and one.memory.least_bytes for one in forecasts) else []
    told += [meaning for verdict, meaning in _MEANINGS.items() if verdict in verdicts]
    return "\n".join(["What is foreseen, memory of the rank that needs most:", "", *lines, *told])


def _cell(value: Any) -> Any:
    return spreadsheet_cell(value) if isinstance(value, str) else value


def _foreseen(one: Planned) -> list[Any]:
    memory, time = one.forecast.memory, one.forecast.time
    limit = "" if memory.limit_bytes is None else f"{memory.limit_bytes / GIB:.3f}"
    seconds = [f"{value:.6g}" for value in (time.seconds, time.low_seconds, time.high_seconds)] if time else [""] * 3
    hours = "" if one.node_hours is None else f"{one.node_hours:.6g}"
    needed = "" if memory.bytes is None else f"{memory.bytes / GIB:.3f}"
    of_memory = [needed, limit, memory.verdict, memory.source]
    least = f"{memory.least_bytes / GIB:.3f}" if memory.least_bytes else ""
    of_time = [*seconds, time.source if time else "", hours, one.order or ""]
    return [*of_memory, *of_time, least, one.layout.elapse_limit_source]


def _row(one: Planned, names: list[str], repeated: bool = False) -> list[str]:
    cells = [*_cells(one.layout, names), *forecast_cells(one.forecast), four_figures(one.node_hours)]
    return [*cells, str(one.order or UNKNOWN), *[_counted(one.jobs)][:repeated], one.layout.slug]


def jobs_in_words(layouts: Sequence[Planned]) -> str:
    """So many jobs of all layouts that are to run, at least and at most where that differs.

    >>> jobs_in_words([])
    '0 jobs'
    """
    jobs = _counted((sum(one.jobs[0] for one in layouts if one.runs), sum(one.jobs[1] for one in layouts if one.runs)))
    return f"{jobs} job{'' if jobs == '1' else 's'}"


def _counted(jobs: tuple[int, int]) -> str:
    least, most = jobs
    return f"{most}" if least == most else f"{least} to {most}"


def _reason(one: Planned) -> str:
    """Why a layout is not to run."""
    return inert(f"{one.not_run.outcome}: {one.not_run.reason}") if one.not_run else ""


def _fields(point: Layout | Rejected) -> Mapping[str, Any]:
    if isinstance(point, Rejected):
        return point.fields
    queue = point.queue.name if point.queue else None
    job = {"iterations": point.iterations.total, "queue": queue, "elapse_limit_seconds": point.elapse_limit_seconds}
    return {**point.values(), **job}


def _said(point: Layout | Rejected) -> dict[str, Any]:
    return said(_fields(point), point.unsaid)


def _columns(points: Sequence[Layout | Rejected]) -> list[str]:
    """The columns of a point's fields: those that every plan has, and those of which a point has a value of its own."""
    known = {row.name for row in known_fields([_said(point) for point in points])}
    rare = {row.name for row in GIVEN if row.of_workload or row.absent_means_default}
    return [name for name in _COLUMNS if name in known or name not in rare]


def _values(point: Layout | Rejected, columns: Sequence[str]) -> list[Any]:
    fields = _fields(point)
    return ["" if (value := fields.get(name)) is None else value for name in columns]


def _cells(point: Layout | Rejected, names: list[str]) -> list[str]:
    fields = _fields(point)
    return [anything(fields.get(name)) for name in names]
