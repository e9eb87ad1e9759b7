"""Every point of a sweep, what runs and what does not and why, as CSV and markdown."""

import csv
import io
from typing import Any

from .expand import Rejected
from .layout import Layout
from .markdown import inert, pipe_table
from .study import Study

LEFT = frozenset({"Layout", "Law", "Reason and way out"})
_COLUMNS = {
    "nodes": "Nodes",
    "frequency_ghz": "Freq [GHz]",
    "data": "DP",
    "tensor": "MP",
    "pipeline": "PP",
    "micro_batch": "MBS",
    "global_batch": "GBS",
    "sequence_length": "Sequence",
    "activation_checkpointing": "AC",
    "variant": "Variant",
    "iterations": "Iterations",
    "queue": "Queue",
    "elapse_limit_seconds": "Limit [s]",
}


def plan_csv(study: Study) -> str:
    """One line per point: its fields, `runs` or `rejected`, slug, law and reason."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["verdict", *_COLUMNS, "note", "slug", "law", "reason"])
    for layout in study.expansion.layouts:
        writer.writerow(["runs", *_values(layout), layout.note, layout.slug, "", ""])
    for point in study.expansion.rejected:
        writer.writerow(["rejected", *_values(point), point.fields["note"], "", point.law, point.reason])
    return text.getvalue()


def plan_markdown(study: Study) -> str:
    """The same for people: counts, the layouts that run, the points that do not and why."""
    runs, rejected = study.expansion.layouts, study.expansion.rejected
    shown = [name for name in _COLUMNS if any(_field(point, name) not in (None, "") for point in (*runs, *rejected))]
    headings = [_COLUMNS[name] for name in shown]
    parts = [
        f"# Plan: {inert(study.sweep.title or study.sweep.sweep)}",
        f"{len(runs) + len(rejected)} points: {len(runs)} to run, {len(rejected)} rejected.",
        f"## To run ({len(runs)})",
        pipe_table([*headings, "Layout"], [[*_cells(layout, shown), layout.slug] for layout in runs], LEFT),
    ]
    if rejected:
        rows = [[*_cells(point, shown), point.law, inert(point.reason)] for point in rejected]
        parts += [f"## Rejected ({len(rejected)})", pipe_table([*headings, "Law", "Reason and way out"], rows, LEFT)]
    return "\n\n".join(parts) + "\n"


def _field(point: Layout | Rejected, name: str) -> Any:
    if isinstance(point, Rejected):
        return point.fields.get(name)
    job = {
        "iterations": point.iterations.total,
        "queue": point.queue.name if point.queue else None,
        "elapse_limit_seconds": point.elapse_limit_seconds,
    }
    return {**point.fields(), **job}[name]


def _values(point: Layout | Rejected) -> list[Any]:
    return ["" if (value := _field(point, name)) is None else value for name in _COLUMNS]


def _cells(point: Layout | Rejected, names: list[str]) -> list[str]:
    return [_cell(_field(point, name)) for name in names]


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "Yes" if value else "No"
    return "-" if value in (None, "") else inert(str(value))
