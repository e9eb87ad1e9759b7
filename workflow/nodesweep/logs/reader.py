"""Read a trainer's log once, in constant memory, and never fail on what it holds."""

import os
import re
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from nodesweep.common.files import open_file
from nodesweep.common.text import plain, without_escapes
from nodesweep.logs.packed import unpacked
from nodesweep.logs.patterns.lines import IterationPattern, MemoryReport
from nodesweep.logs.patterns.prefixes import LABEL, peel
from nodesweep.logs.patterns.trainer import Format
from nodesweep.logs.search.parallel import OpenLog, open_log
from nodesweep.logs.search.search import LINE_BYTES, LineHit, LogBlock, last_line, last_part

from .collector import Collector
from .extract import quantities_in
from .reading import LogReading
from .rules import Rule, rules

NEWLINE = ord("\n")
CLOSING_LINE = b"nodesweep: the launch ended with exit code "
"""How the last line begins that a job script writes into its log; a log without it may be torn."""
_OPENING_LINE = re.compile(r"nodesweep: \S+ starts on \S+ at \S+Z")
"""The first line that a job script writes into its log."""
_BLANK = b" \t\r\n\0"


def read_log(path: Path, form: Format | None = None) -> LogReading:
    """Read the log at `path` by a format, or by the one it is recognised as; a missing log reads as an empty one.

    Raises OSError.
    """
    with ExitStack() as stack:
        try:
            log = stack.enter_context(open_log(path, rules(form).search.texts))
        except FileNotFoundError:
            return Reader(form).reading(b"")
        return read_open_log(log, form)


def read_open_log(log: OpenLog, form: Format | None = None) -> LogReading:
    """Read a log that was opened for the texts of the rules for the format. Raises OSError."""
    reader, size, unpacked_bytes = Reader(form), log.status.st_size, None
    search = reader.rules.search
    if log.packing is None:
        for block in search.blocks(log.descriptor, size, log.processes.blocks() if log.processes else ()):
            reader.read(block)
        end = last_part(log.descriptor, size)
    else:
        end = b""
        with unpacked(str(log.path), log.descriptor, log.packing) as stream:
            for block in search.blocks_of_stream(stream):
                reader.read(block)
                end = bytes(block.data[-2 * LINE_BYTES :])
            unpacked_bytes = stream.count
    reading = reader.reading(end)
    return replace(reading, size_bytes=size, modified_ns=log.status.st_mtime_ns, unpacked_bytes=unpacked_bytes)


def is_closed(path: Path) -> bool:
    """Whether a log, which may still grow, ends with what a job script writes after its launch. Raises OSError."""
    descriptor = open_file(path)
    try:
        return CLOSING_LINE in last_part(descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


class Reader:
    """One pass over a log: lines that hold a marker are decoded, mended where torn, and given to the collector."""

    def __init__(self, form: Format | None):
        self.rules = rules(form)
        self._collector = Collector(form)
        self._mended = ""
        self._lines = 0

    def read(self, block: LogBlock) -> None:
        """Take a block of lines."""
        at, next_line = block.begin, self._lines + 1
        for hit in block.hits:
            if self._collector.dump.open:
                self._read_dump(block, at, hit.begin, next_line)
            line = self._lines + hit.newlines_before + 1
            self._read_line(block, hit, line)
            at, next_line = hit.end, line + hit.line.endswith("\n")
        if self._collector.dump.open:
            self._read_dump(block, at, block.end, next_line)
        self._lines += block.newlines

    def reading(self, end: bytes) -> LogReading:
        """What all lines have given; `end`: the end of the log with its last line."""
        lines = self._lines + (bool(end) and not end.endswith(b"\n"))
        own = end.rfind(CLOSING_LINE)
        told = end[:own] if own >= len(end) - len(last_line(end)) else end
        told = told.rstrip(_BLANK)
        text, line = plain(_decoded(last_line(told))), self._lines - end.count(b"\n", len(told)) + 1
        if not text or _OPENING_LINE.fullmatch(text):
            text, line = "", lines
        reading = replace(self._collector.reading(text, lines), last_text_line=line)
        return replace(reading, is_closed=True) if own >= 0 else reading

    def _read_dump(self, block: LogBlock, begin: int, end: int, line: int) -> None:
        """Read the lines between two places as arguments, as long as they are some."""
        for low, high in block.lines(begin, end):
            if not self._collector.dump.open:
                return
            self._collector.dump.take(peel(_decoded(block.data[low:high]).rstrip("\r\n")), line)
            line += block.data[high - 1] == NEWLINE

    def _read_line(self, block: LogBlock, hit: LineHit, line: int) -> None:
        begin, end, label = hit.begin, hit.end, hit.label
        text = without_escapes(hit.line)
        rows = self.rules.rows_for(hit.texts, text)
        if label is not None and _lacks_end(rows, text) and self._read_mended(block, begin, end, text, label, line):
            return
        taken = any([self._collector.take(row, text, line) for row in rows])
        if self._collector.dump.open and not taken:
            taken = self._collector.dump.take(peel(text.rstrip("\r\n")), line)
        if label is not None and not taken:
            taken = self._read_mended(block, begin, end, text, label, line)
        self._collector.take_end(rows, text, line, taken)

    def _read_mended(self, block: LogBlock, begin: int, end: int, text: str, label: str, line: int) -> bool:
        """Read a line that srun tore in two together with its other half, which has the same label."""
        body = LABEL.sub("", text, count=1)
        if len(body) > 1 and self._mended.endswith(body):
            return True  # the second half of what has just been read
        before, after = (_decoded(half) for half in block.neighbours(begin, end, label))
        for first, second in ((text.rstrip("\r\n"), after), (before.rstrip("\r\n"), body)):
            whole = first + second
            rows = self.rules.rows_in(whole) if first and second else []
            if any([self._collector.take(row, whole, line) for row in rows if _spans(row, whole, len(first))]):
                self._mended = whole
                return True
        return False


def _lacks_end(rows: list[Rule], text: str) -> bool:
    """Whether the line of a record lacks what all such lines end with."""
    tails = [row.tail for row in rows if isinstance(row, IterationPattern) and row.tail]
    return bool(tails) and not text.rstrip().endswith(tuple(tails))


def _spans(row: Rule, whole: str, seam: int) -> bool:
    """Whether a rule finds something in two halves put together that lies across the seam."""
    match row:
        case IterationPattern():
            head = row.head.pattern.search(whole)
            if head is None or head.start() >= seam:
                return False
            alone, together = (quantities_in(row.quantities, whole[head.start() : end])[0] for end in (seam, None))
            return head.end() > seam or len(together) > len(alone)
        case MemoryReport():
            return any(found.start() < seam < found.end() for found in row.line.pattern.finditer(whole))
    return False


def _decoded(raw: bytes | bytearray) -> str:
    return without_escapes(raw.decode(errors="replace"))
