"""The room that looks at a sweep while it runs: status, once or again and again."""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nodesweep.launch.status import Detail, Row, Standing, by_importance, labels_of, summed
from nodesweep.launch.status_reader import Looks
from nodesweep.sweep.study import Study

from .common import study_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

FILE_CELLS = 160
MOST_ROWS = 40
"""Layouts shown where the height of a terminal does not say how many."""


def status(options: argparse.Namespace) -> None:
    """Print where all layouts stand, once; with `watch` again and again on a terminal, until Ctrl-C."""
    from rich.console import Console

    console = Console(markup=False, emoji=False, highlight=False, soft_wrap=False, force_jupyter=False)
    terminal = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    if not terminal:  # a file takes lines of any length
        wide = None if os.environ.get("COLUMNS", "").isdecimal() else FILE_CELLS
        console = Console(force_terminal=False, color_system=None, width=wide, markup=False, highlight=False)
    page = Page(study_of(options), options.all)
    if options.watch is None or not terminal:
        _print(console, page.lines(console.width, None))
        return
    _watch(console, page, options.watch)


def _watch(console: "Console", page: "Page", seconds: float) -> None:
    """Draw the page anew every so many seconds, and at once where the terminal changes its size, until Ctrl-C."""
    from rich.live import Live

    lines: list[Text] = []
    with _interrupts() as interrupted:
        with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
            while not interrupted.is_set():
                size = console.size
                lines = page.lines(size.width, size.height)
                live.update(_together(lines), refresh=True)
                due = time.monotonic() + seconds
                while time.monotonic() < due and console.size == size and not interrupted.wait(min(0.2, seconds)):
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


class Page:
    """The status of one sweep, look by look; `everything`: no layout is left out."""

    def __init__(self, study: Study, everything: bool, clock: Callable[[], float] = time.time):
        self._study = study
        self._everything = everything
        self._clock = clock
        self._looks = Looks(study)
        self._labels = labels_of(study.layouts)

    def lines(self, width: int, height: int | None) -> "list[Text]":
        """The status now, in lines of at most `width` cells, and at most `height` of them where that is given."""
        from nodesweep.reports.status import head, left_out, table

        now = self._clock()
        standings = self._looks.standings(now)
        expected = self._looks.expected()
        running = [one for one in standings if one.group == "running"]
        details = {one.slug: found for one in running if (found := self._looks.detail(one, now)) is not None}
        sweep = self._study.sweep
        looks = self._looks
        known = {"budget_node_hours": sweep.budget_node_hours, "at_once": looks.at_once, "others": looks.others}
        total = summed(sweep.sweep, standings, details, expected, **known)
        lines = head(total, time.strftime("%H:%M:%S", time.localtime(now)), width)
        room = MOST_ROWS if height is None else max(height - len(lines) - 1, 2)  # below a heading
        shown, others = self._chosen(standings, details, len(standings) if self._everything and not height else room)
        rows = [self._row(one, details.get(one.slug) or self._looks.detail(one, now)) for one in shown]
        lines += table(rows, width)
        return [*lines, left_out([one.word for one in others], width)] if others else lines

    def _chosen(
        self, standings: list[Standing], details: dict[str, Detail], room: int
    ) -> tuple[list[Standing], list[Standing]]:
        """Those there is room for, in the order of the config where that is all of them, and the others."""
        if len(standings) <= room:
            return standings, []

        def importance(one: Standing) -> int:
            detail = details.get(one.slug)
            return by_importance(one, one.troubled or (detail is not None and detail.silent_seconds is not None))

        ordered = sorted(standings, key=importance)
        return ordered[: room - 1], ordered[room - 1 :]

    def _row(self, standing: Standing, detail: Detail | None) -> Row:
        found = self._looks.forecast(standing.slug).time
        seconds, guess = (None, False) if found is None else (found.seconds, found.guess)
        return Row(self._labels[standing.slug], standing, detail, seconds, guess)
