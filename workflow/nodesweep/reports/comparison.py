"""A comparison of two sweeps -> markdown with its summary first, or CSV with units in the column names."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from nodesweep.common.markdown import inert, pipe_table
from nodesweep.common.numbers import UNKNOWN, rounded, word
from nodesweep.config.layout_fields import COLUMNS
from nodesweep.config.tidy_row import TidyRow as Row
from nodesweep.reports.tables.cells import cell_of_field, varies
from nodesweep.results.comparable import LAYOUT_COLUMNS
from nodesweep.results.comparison.comparison import ComparedLayout, Comparison
from nodesweep.results.comparison.noise import Interval

MOST_HINTS = 5
_DOUBLED = 100.0
_HEADINGS = {column: (row.symbol, cell_of_field(row)) for column, row in COLUMNS.items()}
_ALWAYS = ("nodes", "data", "tensor", "pipeline", "micro_batch_samples", "global_batch_samples")
_MEASURED = ("slug", "outcome", "iteration_seconds", "tokens_per_second", "memory_mib")
_WORDS = ("difference_percent", "own_percent", "own_low_percent", "own_high_percent", "verdict", "regression")
CSV_COLUMNS = (*LAYOUT_COLUMNS, *(f"{name}_{side}" for name in _MEASURED for side in ("before", "after")), *_WORDS)
"""Of the CSV; `own` is the difference beside that of all layouts together, `difference_percent` that of the seconds."""


def signed(percent: float | None) -> str:
    """A difference: `+9.8 %`.

    >>> signed(9.84), signed(-0.04), signed(None)
    ('+9.8 %', '-0.0 %', '-')
    """
    return UNKNOWN if percent is None else f"{percent:+.1f} %"


def ranged(interval: Interval | None) -> str:
    """A difference with its interval: `+9.8 % (+6.1 to +13.6)`."""
    if interval is None:
        return UNKNOWN
    value, low, high = interval.percents
    return f"{value:+.1f} % ({low:+.1f} to {high:+.1f})"


def markdown(found: Comparison, hints: Sequence[str] = ()) -> str:
    """The whole comparison; `hints`: commands that show what else differs of the layouts that got worse."""
    parts = [f"# {inert(found.after)} against {inert(found.before)}", " ".join(_summary(found))]
    if found.layouts:
        parts += ["## Layouts", _table(found.layouts), _legend(found)]
    for heading, rows in (("Vanished", found.matched.vanished), ("Appeared", found.matched.appeared)):
        if rows:
            parts += [f"## {heading}", _plain_table(rows)]
    if found.matched.unclear:
        lines = (
            f"- {inert(', '.join(row['slug'] or '?' for row in old))} before, "
            f"{inert(', '.join(row['slug'] or '?' for row in new))} after"
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
    """Sentences: the verdict, layouts that stand out, all together, what could not be seen."""
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
                f"{inert(first.after['slug'] or '?')} {ranged(first.own)}{more}."
            )
    if compared and not any(one.verdict in ("slower", "faster") for one in layouts):
        sentences.append("None differs beyond noise.")
    for verdict, text in (("worse outcome", "ended worse"), ("better outcome", "ended better"), ("cannot say", "")):
        number = sum(one.verdict == verdict for one in layouts)
        if number:
            sentences.append(f"{number} {text or 'cannot be compared'}.")
    for number, text in (
        (len(matched.vanished), "vanished"),
        (len(matched.appeared), "appeared"),
        (len(matched.unclear), "cannot be told apart from others"),
    ):
        if number:
            sentences.append(f"{number} {text}.")
    return [*sentences, *_together(found)]


def _together(found: Comparison) -> Iterable[str]:
    judged = found.differences
    if judged is None:
        return
    if judged.shift is None:
        yield "With fewer than four layouts, a drift of the machine cannot be told from the difference of a layout."
    else:
        said = "beyond what a machine drifts" if judged.shift.sure else "no more than noise and a machine's drift"
        yield f"All together: {ranged(judged.shift)}, {said}."
    widths = sorted(own.high - own.value for own in judged.own)
    least = Interval(widths[len(widths) // 2], 0, 0).percents[0]
    shown = f"less than about {least:.1f} %" if least < _DOUBLED else "not even twice its time"
    yield f"Of a single layout, {shown} would {'not ' if least < _DOUBLED else ''}show."


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _table(layouts: Sequence[ComparedLayout]) -> str:
    shown = _shown([one.after for one in layouts])
    memory = any(one.before["memory_mib"] != one.after["memory_mib"] for one in layouts)
    headings = [_HEADINGS[name][0] for name in shown] + [
        "Before [s/it]",
        "After [s/it]",
        "Difference",
        "Own difference",
    ]
    headings += (["Memory"] if memory else []) + ["Verdict"]
    rows = []
    for one in layouts:
        seconds = [rounded(row["iteration_seconds"], 1, 3) for row in (one.before, one.after)]
        rows.append([*_fields(one.after, shown), *seconds, signed(one.difference), ranged(one.own)])
        rows[-1] += ([signed(_memory(one))] if memory else []) + [_verdict(one)]
    return pipe_table(headings, rows, frozenset({"Verdict"}))


def _verdict(one: ComparedLayout) -> str:
    reason = f": {inert(one.reason)}" if one.reason else ""
    return f"**{one.verdict}**{reason}" if one.regression else f"{one.verdict}{reason}"


def _memory(one: ComparedLayout) -> float | None:
    old, new = one.before["memory_mib"], one.after["memory_mib"]
    return 100 * (new / old - 1) if old and new and old > 0 else None


def _legend(found: Comparison) -> str:
    beside = ", beside what all others differ by" if found.differences and found.differences.shift else ""
    return (
        f"Differences of the seconds per iteration; own difference: of the layout alone{beside}, with an interval. "
        "All intervals hold together with 95 %. **Bold**: a regression."
    )


def _plain_table(rows: Sequence[Row]) -> str:
    shown = _shown(rows)
    headings = ["Layout", *(_HEADINGS[name][0] for name in shown), "Outcome", "s/it"]
    cells = (
        [word(row["slug"]), *_fields(row, shown), _ended(row), rounded(row["iteration_seconds"], 1, 3)] for row in rows
    )
    return pipe_table(headings, cells, frozenset({"Layout", "Outcome"}))


def _ended(row: Row) -> str:
    return word(row["outcome"] or row["state"])


def _shown(rows: Sequence[Row]) -> list[str]:
    return [name for name in _HEADINGS if name in _ALWAYS or varies(name)([dict(row) for row in rows])]


def _fields(row: Row, shown: Sequence[str]) -> list[str]:
    return [_HEADINGS[name][1](row[name]) for name in shown]


def to_csv(found: Comparison) -> str:
    """One line per layout of either sweep; empty cells for what is not known."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for one in found.layouts:
        own = dict(zip(_WORDS[1:4], one.own.percents, strict=True)) if one.own else {}
        words = {"difference_percent": one.difference, "verdict": one.verdict, "regression": one.regression}
        writer.writerow(_sides(one.before, one.after) | words | own)
    for row in found.matched.vanished:
        writer.writerow(_sides(row, None) | {"verdict": "vanished", "regression": True})
    for row in found.matched.appeared:
        writer.writerow(_sides(None, row) | {"verdict": "appeared", "regression": False})
    for old, new in found.matched.unclear:
        for before, after in [*((row, None) for row in old), *((None, row) for row in new)]:
            writer.writerow(_sides(before, after) | {"verdict": "alike", "regression": False})
    return stream.getvalue()


def _sides(before: Row | None, after: Row | None) -> dict[str, Any]:
    fields = {name: (after or before or {})[name] for name in LAYOUT_COLUMNS}
    sides = (("before", before), ("after", after))
    return fields | {f"{name}_{side}": row[name] for side, row in sides if row for name in _MEASURED}
