"""A comparison of two sweeps -> markdown with its summary first, or CSV with units in the column names."""

import csv
import io
from collections.abc import Iterable, Sequence

from nodesweep.common.markdown import inert, pipe_table
from nodesweep.common.numbers import UNKNOWN, rounded, signed_percent, word
from nodesweep.common.text import spreadsheet_cell
from nodesweep.config.layout_field import LayoutField
from nodesweep.config.layout_fields import COLUMNS
from nodesweep.config.parameters import parameter_fields
from nodesweep.config.tidy_row import TidyRow, TidyValue, number_of, text_of
from nodesweep.results.comparable import LAYOUT_COLUMNS
from nodesweep.results.comparison.comparison import ComparedLayout, Comparison, DifferenceVerdict
from nodesweep.results.comparison.noise import Interval

from .tables.cells import cell_of_field, varies

MOST_HINTS = 5
_DOUBLED = 100.0
_SHOWN = tuple(row for row in COLUMNS.values() if row.in_tables == "always" or not row.follows)
"""Fields of a layout that a table may show: all but those that follow from others and stand in no table."""
_MEASURED = ("slug", "outcome", "iteration_seconds", "tokens_per_second", "memory_mib")
_DIFFERENCES = (
    "difference_percent",
    "own_percent",
    "own_low_percent",
    "own_high_percent",
    "verdict",
    "regression",
)
_IN_WORDS: dict[DifferenceVerdict, str] = {
    "worse outcome": "ended worse",
    "better outcome": "ended better",
    "cannot say": "cannot be compared",
    "not run": "not run, before or after, since memory, budget or search left it out",
}
"""What the summary counts, beside slower and faster layouts."""
CSV_COLUMNS = (
    *LAYOUT_COLUMNS,
    *(f"{name}_{side}" for name in _MEASURED for side in ("before", "after")),
    *_DIFFERENCES,
)
"""Columns of the CSV, before those of parameters; `difference_percent` is of the seconds, `own` what it is beside that
of all layouts together."""


def ranged(interval: Interval | None) -> str:
    """A difference with its interval: `+9.8 % (+6.1 to +13.6)`."""
    if interval is None:
        return UNKNOWN
    value, low, high = interval.percents
    return f"{signed_percent(value)} ({low:+.1f} to {high:+.1f})"


def markdown(found: Comparison, hints: Sequence[str] = ()) -> str:
    """A comparison as a document; `hints`: commands that show what else differs in the layouts that got worse."""
    parts = [f"# {inert(found.after)} against {inert(found.before)}", " ".join(_summary(found))]
    if found.layouts:
        parts += ["## Layouts", _table(found.layouts), _legend(found)]
    for heading, rows in (("Vanished", found.matched.vanished), ("Appeared", found.matched.appeared)):
        if rows:
            parts += [f"## {heading}", _plain_table(rows, _shown(_rows(found)))]
    if found.matched.unclear:
        lines = (
            f"- {inert(', '.join(map(_slug, old)))} before, {inert(', '.join(map(_slug, new)))} after"
            for old, new in found.matched.unclear
        )
        parts += [
            "## Alike",
            "Rows that all fields have in common; not compared, since none is the other's.",
            "\n".join(lines),
        ]
    if hints:
        parts += ["## What else differs", "\n".join(f"    {hint}" for hint in hints)]
    return "\n\n".join(parts) + "\n"


def _summary(found: Comparison) -> list[str]:
    """Sentences on the verdict, layouts that stand out, all layouts together, and the least visible difference."""
    layouts, matched = found.layouts, found.matched
    compared = sum(one.own is not None for one in layouts)
    sentences = [
        f"{'Regression' if found.regression else 'No regression'} (tolerance {found.tolerance:g} %).",
        f"{_counted(compared, 'layout was', 'layouts were')} measured both times.",
    ]
    for verdict in ("slower", "faster"):
        named = [one for one in layouts if one.verdict == verdict]
        if named:
            first = named[0]
            more = f", and {len(named) - 1} more" if len(named) > 1 else ""
            beside = " beside the others" if found.differences and found.differences.shift else ""
            sentences.append(
                f"{_counted(len(named), 'is', 'are')} {verdict} beyond noise{beside}: "
                f"{inert(_slug(first.after))} {ranged(first.own)}{more}."
            )
    if compared and not any(one.verdict in ("slower", "faster") for one in layouts):
        sentences.append("None differs beyond noise.")
    for verdict, text in _IN_WORDS.items():
        number = sum(one.verdict == verdict for one in layouts)
        if number:
            sentences.append(f"{number} {text}.")
    for number, text in (
        (len(matched.vanished), "vanished"),
        (len(matched.appeared), "appeared"),
        (len(matched.unclear), "cannot be told apart from others"),
    ):
        if number:
            sentences.append(f"{number} {text}.")
    return [*sentences, *_together(found)]


def _together(found: Comparison) -> Iterable[str]:
    differences = found.differences
    if differences is None:
        return
    if differences.shift is None:
        yield "With fewer than four layouts, a drift of the machine cannot be told from the difference of a layout."
    else:
        verdict = (
            "beyond what a machine drifts" if differences.shift.sure else "no more than noise and a machine's drift"
        )
        yield f"All together: {ranged(differences.shift)}, {verdict}."
    widths = sorted(own.high - own.value for own in differences.own)
    least = Interval(widths[len(widths) // 2], 0, 0).percents[0]
    shown = f"less than about {least:.1f} %" if least < _DOUBLED else "not even twice its time"
    yield f"Of a single layout, {shown} would {'not ' if least < _DOUBLED else ''}show."


def _slug(row: TidyRow) -> str:
    return text_of(row, "slug") or "?"


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _table(layouts: Sequence[ComparedLayout]) -> str:
    shown = _shown([one.after for one in layouts])
    memory = any(one.before["memory_mib"] != one.after["memory_mib"] for one in layouts)
    headings = [*(row.symbol for row in shown), "Before [s/it]", "After [s/it]", "Difference", "Own difference"]
    headings += (["Memory"] if memory else []) + ["Verdict"]
    rows = []
    for one in layouts:
        seconds = [_seconds(one.before), _seconds(one.after)]
        rows.append([*_fields(one.after, shown), *seconds, signed_percent(one.difference), ranged(one.own)])
        rows[-1] += ([signed_percent(_memory(one))] if memory else []) + [_verdict(one)]
    return pipe_table(headings, rows, frozenset({"Verdict"}))


def _verdict(one: ComparedLayout) -> str:
    reason = f": {inert(one.reason)}" if one.reason else ""
    return f"**{one.verdict}**{reason}" if one.regression else f"{one.verdict}{reason}"


def _memory(one: ComparedLayout) -> float | None:
    old, new = number_of(one.before, "memory_mib"), number_of(one.after, "memory_mib")
    return 100 * (new / old - 1) if old and new and old > 0 else None


def _legend(found: Comparison) -> str:
    beside = ", beside what all others differ by" if found.differences and found.differences.shift else ""
    return (
        f"Differences of the seconds per iteration; own difference: of the layout alone{beside}, with an interval. "
        "All intervals hold together with 95 %. **Bold**: a regression."
    )


def _rows(found: Comparison) -> list[TidyRow]:
    """All rows of both sweeps."""
    matched = found.matched
    paired = [row for pair in matched.pairs for row in pair]
    unclear = [row for sides in matched.unclear for side in sides for row in side]
    return [*paired, *unclear, *matched.vanished, *matched.appeared]


def _plain_table(rows: Sequence[TidyRow], shown: Sequence[LayoutField]) -> str:
    headings = ["Layout", *(row.symbol for row in shown), "Outcome", "s/it"]
    cells = ([word(text_of(row, "slug")), *_fields(row, shown), _ended(row), _seconds(row)] for row in rows)
    return pipe_table(headings, cells, frozenset({"Layout", "Outcome"}))


def _ended(row: TidyRow) -> str:
    return word(text_of(row, "outcome") or text_of(row, "state"))


def _seconds(row: TidyRow) -> str:
    return rounded(number_of(row, "iteration_seconds"), 1, 3)


def _shown(rows: Sequence[TidyRow]) -> list[LayoutField]:
    """What every slug and every table has of a layout, and what these rows differ in."""
    always = [row for row in _SHOWN if row.in_every_slug and row.in_tables == "always"]
    fields = (*_SHOWN, *parameter_fields(rows).values())
    return [row for row in fields if row in always or varies(row.column)(rows)]


def _fields(row: TidyRow, shown: Sequence[LayoutField]) -> list[str]:
    return [cell_of_field(field)(row.get(field.column)) for field in shown]


def to_csv(found: Comparison) -> str:
    """One line per layout of either sweep; empty cells for what is not known."""
    stream = io.StringIO()
    parameters = tuple(parameter_fields(_rows(found)))
    writer = csv.DictWriter(stream, (*CSV_COLUMNS, *parameters), lineterminator="\n")
    writer.writeheader()
    for one in found.layouts:
        own = dict(zip(_DIFFERENCES[1:4], one.own.percents, strict=True)) if one.own else {}
        differences = {"difference_percent": one.difference, "verdict": one.verdict, "regression": one.regression}
        writer.writerow(_sides(one.before, one.after, parameters) | differences | own)
    for row in found.matched.vanished:
        writer.writerow(_sides(row, None, parameters) | {"verdict": "vanished", "regression": True})
    for row in found.matched.appeared:
        writer.writerow(_sides(None, row, parameters) | {"verdict": "appeared", "regression": False})
    for old, new in found.matched.unclear:
        for before, after in [*((row, None) for row in old), *((None, row) for row in new)]:
            writer.writerow(_sides(before, after, parameters) | {"verdict": "alike", "regression": False})
    return stream.getvalue()


def _sides(before: TidyRow | None, after: TidyRow | None, parameters: tuple[str, ...]) -> dict[str, TidyValue]:
    row = after or before or {}
    fields = {name: row.get(name) for name in (*LAYOUT_COLUMNS, *parameters)}
    sides = (("before", before), ("after", after))
    values = fields | {f"{name}_{side}": row[name] for side, row in sides if row for name in _MEASURED}
    return {name: spreadsheet_cell(value) if isinstance(value, str) else value for name, value in values.items()}
