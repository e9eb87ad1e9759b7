"""What a launcher shows: its events, one line each, above one progress bar; errors in full, and no rule texts.

Not on a terminal it shows plain lines. Snakemake's own log file, which it names at the end, holds all there is.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from nodesweep.common.text import plain
from nodesweep.launch.progress import LaunchProgress
from nodesweep.launch.snakemake import CHATTER

from .bar import LaunchBar, on_terminal

LOOK_SECONDS = 0.25
SHARE, LEAST_STEP = 10, 10
"""Not on a terminal: a line of progress at every tenth of the runs, where that is ten of them or more,"""
LINE_SECONDS = 60.0
"""and after a minute in which something has changed."""
LONGEST = 400
"""Characters of a line that says what a failed rule reads and writes."""


class LogHandler(LogHandlerBase):
    """Decides what of Snakemake's records and of the launcher's events is shown, and shows it."""

    def __post_init__(self) -> None:
        settings = self.common_settings
        stream = sys.stdout if settings.stdout else sys.stderr
        self._stream = stream
        self._quiet = {str(getattr(word, "value", word)) for word in settings.quiet or ()}
        self._bar: LaunchBar | None = None
        self._progress: Callable[[], LaunchProgress] | None = None
        self._last: LaunchProgress | None = None
        self._said_at, self._said_done = time.monotonic(), 0
        self._output_lock = threading.Lock()
        self._ended = threading.Event()
        if "all" in self._quiet or settings.dryrun:
            return
        if on_terminal(stream):
            self._bar = LaunchBar(stream, settings.nocolor)
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def writes_to_stream(self) -> bool:
        """Whether the lines go to standard error: they do."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """The full log is Snakemake's own."""
        return False

    @property
    def has_filter(self) -> bool:
        """Whether the plugin filters records by itself: it does."""
        return True

    @property
    def has_formatter(self) -> bool:
        """Texts of Snakemake's events are Snakemake's."""
        return False

    @property
    def needs_rulegraph(self) -> bool:
        """Whether the plugin needs the rule graph: it does not."""
        return False

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record, if a user should see it."""
        try:
            text = self._text(record)
            if text:
                self._show(text, record.levelno)
        except BrokenPipeError:
            raise
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Take the bar away, and say how far the sweep has come."""
        self._ended.set()
        with self._output_lock:
            if self._bar is not None:
                self._bar.stop()
        super().close()

    def _text(self, record: logging.LogRecord) -> str:
        """What is shown of a record; empty for what is not."""
        if (kind := getattr(record, "nodesweep", None)) is not None:
            if kind == "progress":
                self._progress = getattr(record, "progress", None)
            return record.getMessage() if kind == "event" and "all" not in self._quiet else ""
        event = getattr(record, "event", None)
        if record.levelno >= logging.WARNING:
            return self._of_error(record, event)
        if "all" in self._quiet and not self.common_settings.dryrun:
            return ""
        if event == LogEvent.SHELLCMD:
            return self.format(record) if self.common_settings.printshellcmds else ""
        if event == LogEvent.RUN_INFO:
            return self.format(record) if self.common_settings.dryrun else ""
        if event == LogEvent.DEBUG_DAG:
            return self.format(record) if self.common_settings.debug_dag else ""
        if event is not None:
            return ""
        text = self.format(record)
        return "" if text.startswith(CHATTER) and not self.common_settings.verbose else text

    def _of_error(self, record: logging.LogRecord, event: Any) -> str:
        """An error in full; how a layout ended the runner has told already."""
        if event != LogEvent.JOB_ERROR:
            return self.format(record)
        if getattr(record, "rule_name", "") == "run":
            return ""
        lines = self.format(record).splitlines()  # the records of a thousand layouts are one line of input
        return "\n".join(line if len(line) <= LONGEST else f"{line[:LONGEST]} ..." for line in lines)

    def _show(self, text: str, level: int) -> None:
        with self._output_lock:
            if self._bar is not None:
                self._bar.print(text, level)
            else:
                self._stream.write(f"{text}\n")
                self._stream.flush()

    def _watch(self) -> None:
        """Look how far the launcher is, and show that, until all has ended."""
        while not self._ended.wait(LOOK_SECONDS):
            source = self._progress
            progress = source() if source is not None else None
            with self._output_lock:
                if self._ended.is_set():
                    return
                if self._bar is not None:
                    self._bar.show(progress)
            if self._bar is None and progress is not None and self._is_due(progress):
                self._show(plain(progress.line), logging.INFO)
            self._last = progress

    def _is_due(self, progress: LaunchProgress) -> bool:
        """Whether it is time for a line of progress."""
        step = max(progress.total // SHARE, LEAST_STEP)
        now = time.monotonic()
        if self._last is None:
            self._said_at, self._said_done = now, progress.done
            return False
        changed = progress != self._last
        if progress.done - self._said_done < step and not (changed and now - self._said_at >= LINE_SECONDS):
            return False
        self._said_at, self._said_done = now, progress.done
        return progress.done < progress.total
