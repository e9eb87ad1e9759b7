"""Say where each layout stands, how far its run is, when the sweep will be done."""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nodesweep.launch.status import LayoutStatus, LogProgress, StatusRow, labels_of, may_hang
from nodesweep.launch.status_reader import StatusReader
from nodesweep.launch.sweep_status import by_importance, sweep_status
from nodesweep.sweep.study import Study

from .arguments import add_sweep_options, seconds
from .common import study_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

FILE_CELLS = 160
MOST_ROWS = 40
"""Layouts shown where the height of a terminal does not say how many."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Once or again and again, and how many layouts."""
    add_sweep_options(parser)
    every = "look again every SECONDS (default: 5), until Ctrl-C"
    parser.add_argument("--watch", nargs="?", const=5.0, type=seconds, metavar="SECONDS", help=every)
    parser.add_argument("--all", action="store_true", help="every layout, however many (not with --watch)")


def run(options: argparse.Namespace) -> None:
    """Print where all layouts stand, once; with `watch` again and again on a terminal, until Ctrl-C."""
    from rich.console import Console

    console = Console(markup=False, emoji=False, highlight=False, soft_wrap=False, force_jupyter=False)
    terminal = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    if not terminal:  # a file takes lines of any length
        wide = None if os.environ.get("COLUMNS", "").isdecimal() else FILE_CELLS
        console = Console(force_terminal=False, color_system=None, width=wide, markup=False, highlight=False)
    page = StatusPage(study_of(options), options.all)
    if options.watch is None or not terminal:
        _print(console, page.lines(console.width, None))
        return
    _watch(console, page, options.watch)


def _watch(console: "Console", page: "StatusPage", every_seconds: float) -> None:
    """Draw the page anew every so many seconds, and at once where the terminal changes its size, until Ctrl-C."""
    from rich.live import Live

    lines: list[Text] = []
    with _interrupts() as interrupted:
        with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
            while not interrupted.is_set():
                size = console.size
                lines = page.lines(size.width, size.height)
                live.update(_together(lines), refresh=True)
                due = time.monotonic() + every_seconds
                while time.monotonic() < due and console.size == size and not interrupted.wait(min(0.2, every_seconds)):
                    pass
        _print(console, lines)


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """What the first Ctrl-C sets; the second interrupts. An exception could be lost in the callback of a library."""
    event = threading.Event()

    def interrupt(*_: object) -> None:
        event.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


def _together(lines: "list[Text]") -> "RenderableType":
    from rich.console import Group

    return Group(*lines)


def _print(console: "Console", lines: "list[Text]") -> None:
    for line in lines:
        console.print(line, no_wrap=True, overflow="crop", crop=False)


class StatusPage:
    """The status of one sweep, look by look; `everything`: no layout is left out."""

    def __init__(self, study: Study, everything: bool, clock: Callable[[], float] = time.time):
        self._study = study
        self._everything = everything
        self._clock = clock
        self._reader = StatusReader(study)
        self._labels = labels_of(study.runs)

    def lines(self, width: int, height: int | None) -> "list[Text]":
        """The status now, in lines of at most `width` cells, and at most `height` of them where that is given."""
        from nodesweep.reports.status import head, left_out, table

        now, reader = self._clock(), self._reader
        layouts = reader.layouts(now)
        expected = reader.expected()
        running = [one for one in layouts if one.group == "running"]
        progress = {one.slug: found for one in running if (found := reader.progress(one, now)) is not None}
        total = sweep_status(
            self._study.sweep.sweep,
            layouts,
            progress,
            expected,
            budget_node_hours=self._study.sweep.budget_node_hours,
            at_once=reader.at_once,
            others=reader.others,
        )
        lines = head(total, time.strftime("%H:%M:%S", time.localtime(now)), width, reader.problem)
        room = MOST_ROWS if height is None else max(height - len(lines) - 1, 2)  # below a heading
        shown, others = self._chosen(layouts, progress, len(layouts) if self._everything and not height else room)
        rows = [self._row(one, progress.get(one.slug) or reader.progress(one, now)) for one in shown]
        lines += table(rows, width)
        return [*lines, left_out([one.word for one in others], width)] if others else lines

    def _chosen(
        self, layouts: list[LayoutStatus], progress: dict[str, LogProgress], room: int
    ) -> tuple[list[LayoutStatus], list[LayoutStatus]]:
        """The layouts there is room for, in the order of the config where that is all of them, and the others."""
        if len(layouts) <= room:
            return layouts, []

        def importance(one: LayoutStatus) -> int:
            return by_importance(one, one.troubled or may_hang(progress.get(one.slug)))

        ordered = sorted(layouts, key=importance)
        return ordered[: room - 1], ordered[room - 1 :]

    def _row(self, status: LayoutStatus, progress: LogProgress | None) -> StatusRow:
        found = self._reader.forecast(status.slug).time
        seconds_foreseen, guess = (None, False) if found is None else (found.seconds, found.guess)
        return StatusRow(self._labels[status.slug], status, progress, seconds_foreseen, guess)
