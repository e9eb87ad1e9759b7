"""The progress bar of a launcher: one line at the bottom of a terminal, with events above it."""

import logging
import os
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nodesweep.common.text import plain, without_escapes
from nodesweep.launch.progress import LaunchProgress

BAR_CELLS = 24
STYLES = {logging.ERROR: "red", logging.CRITICAL: "red", logging.WARNING: "yellow"}


def on_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class _BarLine:
    """The bar and its words, on one line of any width; the words come first where there is no room for both."""

    def __init__(self, progress: LaunchProgress):
        self._progress = progress

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        progress = self._progress
        words = Text(f"{progress.done}/{progress.total}  {plain(progress.words)}", no_wrap=True, overflow="ellipsis")
        room = options.max_width - words.cell_len - 2
        grid = Table.grid(padding=(0, 1))
        if room >= 8:
            cells = min(room, BAR_CELLS)
            bar = ProgressBar(total=max(progress.total, 1), completed=progress.done, width=cells)
            grid.add_row(bar, words)
        else:
            grid.add_row(words)
        yield grid


class LaunchBar:
    """Shows progress while there is any, and prints above it."""

    def __init__(self, stream: TextIO, no_color: bool):
        self._console = Console(
            file=stream, force_terminal=True, no_color=no_color or None, markup=False, emoji=False, highlight=False
        )
        self._live: Live | None = None

    def show(self, progress: LaunchProgress | None) -> None:
        """Draw the bar anew; take it away where nothing is left."""
        if progress is None or progress.done >= progress.total:
            self.stop()
        elif self._live is None:
            self._live = Live(
                _BarLine(progress), console=self._console, transient=True, auto_refresh=False, redirect_stderr=False
            )
            self._live.start(refresh=True)
        else:
            self._live.update(_BarLine(progress), refresh=True)

    def print(self, text: str, level: int) -> None:
        """Print lines above the bar, whole, whatever the width."""
        safe = "\n".join(_line(line) for line in text.split("\n"))
        self._console.print(Text(safe, style=STYLES.get(level, "")), soft_wrap=True)

    def stop(self) -> None:
        """Take the bar away."""
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()


def _line(text: str) -> str:
    """A line as it is, indented as it is, without what moves a terminal's cursor."""
    text = without_escapes(text)
    return "".join(character if character.isprintable() else " " for character in text)
