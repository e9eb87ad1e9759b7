"""A sweep's status as lines of a terminal: each layout on one line, whatever the width."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from nodesweep.common.durations import clock, in_words
from nodesweep.common.outcomes import OUTCOMES
from nodesweep.common.text import plain
from nodesweep.launch.status import StatusRow
from nodesweep.launch.sweep_status import SweepStatus

LABEL_CELLS, LEAST_REMARK_CELLS, MOST_REMARK_CELLS = 40, 12, 100
GAP = 2
STYLES: dict[str, str] = {
    **{name: outcome.colour for name, outcome in OUTCOMES.items()},
    "running": "cyan",
    "ending": "cyan",
    "held": "yellow",
    "submitting": "yellow",
    "pending": "dim",
    "queued": "dim",
}
OTHER_WORDS = "red"


def _state(row: StatusRow) -> str:
    return row.status.word.replace("_", " ")


def _time(row: StatusRow) -> str:
    return clock(row.status.seconds)


def _iteration(row: StatusRow) -> str:
    progress = row.progress
    return "-" if progress is None or row.status.group == "queued" else f"{progress.done}/{progress.total}"


def _seconds(value: float | None) -> str:
    """A time of four figures: `0.4983`, `12.34`, `4321`.

    >>> [_seconds(value) for value in (None, 0.49829, 12.3449, 4321.5)]
    ['-', '0.498', '12.3', '4322']
    """
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 1000 else f"{value:#.3g}".rstrip(".")


def _measured(row: StatusRow) -> str:
    return _seconds(row.progress.iteration_seconds if row.progress else None)


def _foreseen(row: StatusRow) -> str:
    return ("~" if row.guess else "") + _seconds(row.foreseen_seconds)


def _memory(row: StatusRow) -> str:
    mib = row.progress.memory_mib if row.progress else None
    if mib is None:
        return "-"
    return f"{mib / 1024:.1f} GiB" if mib >= 10240 else f"{mib:.0f} MiB"


@dataclass(frozen=True)
class StatusColumn:
    """A column of the table: `goes` is its place among those that go where there is no room, 0 for one that stays."""

    heading: str
    cell: Callable[[StatusRow], str]
    most: int
    goes: int = 0
    left: bool = False


COLUMNS = (
    StatusColumn("Layout", lambda row: plain(row.label, 120), LABEL_CELLS, left=True),
    StatusColumn("State", _state, 13, left=True),
    StatusColumn("Job", lambda row: plain(row.status.job_id, 40) or "-", 16, goes=1, left=True),
    StatusColumn("Time", _time, 9),
    StatusColumn("Iteration", _iteration, 13),
    StatusColumn("s/it", _measured, 8),
    StatusColumn("foreseen", _foreseen, 9, goes=3),
    StatusColumn("Memory", _memory, 9, goes=2),
)
REMARK = StatusColumn("Remark", lambda row: row.remark, MOST_REMARK_CELLS, left=True)


def table(rows: Sequence[StatusRow], width: int) -> list[Text]:
    """A heading and a line a row, none wider than `width` cells.

    Columns go in a fixed order where there is no room: job, memory, what was foreseen; the layout's name is cut last.
    """
    if not rows:
        return []
    cells = [[column.cell(row) for column in COLUMNS] for row in rows]
    widths = [
        min(max(cell_len(column.heading), *(cell_len(line[index]) for line in cells)), column.most)
        for index, column in enumerate(COLUMNS)
    ]
    remark = max((cell_len(row.remark) for row in rows), default=0)
    kept = _fitting(widths, width, LEAST_REMARK_CELLS if remark else 0)
    spare = width - sum(widths[index] + GAP for index in kept) + GAP
    if spare < 0:
        widths[0] = max(widths[0] + spare, 1)
    room = min(spare - GAP, remark, MOST_REMARK_CELLS) if remark and spare - GAP >= LEAST_REMARK_CELLS else 0
    columns = [(COLUMNS[index], widths[index], index) for index in kept]
    lines = [Text(no_wrap=True)]
    for column, cells_wide, _ in columns:
        _add(lines[0], column.heading, cells_wide, column.left, "bold")
    if room:
        _add(lines[0], REMARK.heading, room, True, "bold")
    for row, row_cells in zip(rows, cells, strict=True):
        text = Text(no_wrap=True)
        for column, cells_wide, index in columns:
            _add(text, row_cells[index], cells_wide, column.left, _style(row) if column.heading == "State" else "")
        if room:
            _add(text, row.remark, room, True, "yellow" if row.troubled else "")
        lines.append(text)
    for line in lines:
        line.rstrip()
        line.truncate(width)
    return lines


def _fitting(widths: list[int], width: int, remark: int) -> list[int]:
    """Which columns there is room for beside the least of a remark."""
    kept = list(range(len(COLUMNS)))
    for goes in (1, 2, 3):
        needed = sum(widths[index] + GAP for index in kept) - GAP + (remark + GAP if remark else 0)
        if needed <= width:
            break
        kept = [index for index in kept if COLUMNS[index].goes != goes]
    return kept


def _add(line: Text, text: str, cells: int, left: bool, style: str) -> None:
    if line.plain:
        line.append(" " * GAP)
    wide = cell_len(text)
    if wide > cells:
        text = set_cell_size(text, cells - 1) + "…"
    elif left:
        text += " " * (cells - wide)
    else:
        text = " " * (cells - wide) + text
    line.append(text, style)


def _style(row: StatusRow) -> str:
    return "bold red" if row.troubled else STYLES.get(row.status.word, OTHER_WORDS)


def head(sweep: SweepStatus, when: str, width: int, problem: str = "") -> list[Text]:
    """What the sweep adds up to, in a few lines no wider than `width` cells; `problem`: why nothing is foreseen."""
    counts = ", ".join(f"{count} {word.replace('_', ' ')}" for word, count in sweep.counts.items())
    left = sweep.total - sweep.done
    if not left:
        ahead = "nothing left to run"
    elif sweep.left_seconds is not None:
        less = ", less where iterations are enough" if sweep.may_end_early else ""
        ahead = f"about {in_words(sweep.left_seconds)} left, by estimate{less}"
    else:
        ahead = f"{left} left, no estimate: {'no run tells yet' if sweep.running else 'nothing runs'}"
    hours = [f"{_hours(sweep.spent_node_hours)} spent"]
    if left:
        ahead_hours = sweep.left_node_hours
        hours.append("unknown to come" if ahead_hours is None else f"about {_hours(ahead_hours)} to come")
    if sweep.budget_node_hours is not None:
        hours.append(f"of {_hours(sweep.budget_node_hours)} budgeted")
    at_once = f"; at most {sweep.at_once} at once" if sweep.at_once is not None else ""
    of = f"runs of {sweep.layouts} layouts" if 0 < sweep.layouts < sweep.total else "layouts"
    lines = [
        Text(f"{when}  {plain(sweep.name, 60)}: {sweep.total} {of}", "bold"),
        Text(counts),
        Text.assemble(*_bar(sweep, min(max(width - 60, 10), 30)), f" {sweep.done}/{sweep.total} done, {ahead}"),
        Text(f"node-hours: {', '.join(hours)}{at_once}"),
    ]
    if sweep.troubled:
        verb = "needs" if sweep.troubled == 1 else "need"
        lines.append(Text(f"{sweep.troubled} {verb} a look: see the remarks", "bold red"))
    if problem:
        lines.append(Text(f"nothing foreseen: {plain(problem, 1000)}", "bold red"))
    if sweep.others:
        machine = '--config \'{"machine": "..."}\''
        lines.append(
            Text(f"{sweep.others} more ran here by another config, or for another machine: {machine}", "yellow")
        )
    for line in lines:
        line.no_wrap = True
        line.truncate(width, overflow="ellipsis")
    return lines


def _bar(sweep: SweepStatus, cells: int) -> list[tuple[str, str]]:
    full = round(cells * sweep.done / sweep.total) if sweep.total else 0
    return [("[", ""), ("#" * full, "green"), ("." * (cells - full), "dim"), ("]", "")]


def _hours(hours: float) -> str:
    """Node-hours: `12.3`, `0.05`, `123456`.

    >>> [_hours(hours) for hours in (0.0, 0.00012, 0.0512, 12.34, 123456.7)]
    ['0', '<0.01', '0.05', '12.3', '123457']
    """
    if hours == 0:
        return "0"
    if hours < 0.01:
        return "<0.01"
    return f"{hours:.2f}" if hours < 1 else f"{hours:.1f}" if hours < 1000 else f"{hours:.0f}"


def left_out(words: Sequence[str], width: int) -> Text:
    """A line for the layouts that are not shown; `words`: where they stand."""
    counts = Counter(word.replace("_", " ") for word in words)
    said = ", ".join(f"{count} {word}" for word, count in counts.most_common())
    line = Text(f"... and {len(words)} more: {said} (--all shows all)", "dim", no_wrap=True)
    line.truncate(width, overflow="ellipsis")
    return line
