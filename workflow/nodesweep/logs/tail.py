"""Logs that are still being written, read again and again: each time what is new, in bounded time."""

import os
from pathlib import Path

from nodesweep.common.files import open_file
from nodesweep.logs.patterns.trainer import Format
from nodesweep.logs.search.search import LINE_BYTES

from .reader import Reader
from .reading import LogReading

HEAD_BYTES = 1 << 18
TAIL_BYTES = 1 << 20
LOOK_BYTES = 1 << 25
PART_BYTES = 1 << 20
MARK_BYTES = 256


class GrowingLog:
    """A log as it grows; `changed` is when it did so last, in seconds of its file server's clock, None without a log.
    `is_read`: whether a look has come to its end.

    The first look at a large one reads its head and its tail. Where that is not enough because iterations do not say
    their numbers, or where it is to be read as a `whole`, it is read from its start, a bounded part at each look. One
    that was replaced, or cut, is read anew.
    """

    def __init__(self, path: Path, form: Format | None, whole: bool = False):
        self.path = path
        self.changed: float | None = None
        self._form, self._whole = form, whole
        self._forget()

    def _forget(self) -> None:
        self._reader = Reader(self._form)
        self._reading = LogReading()
        self._offset = 0
        self._looked = False
        self._mark = b""
        self.is_read = False
        self._file: tuple[int, int] | None = None

    def look(self) -> LogReading:
        """What the log holds by now, except for a last line that has no end yet; empty while there is no log.

        Raises OSError, but not where the log is missing.
        """
        try:
            descriptor = open_file(self.path)
        except FileNotFoundError:
            self._forget()
            self.changed = None
            return self._reading
        try:
            status = os.fstat(descriptor)
            self.changed = status.st_mtime
            file = (status.st_dev, status.st_ino)
            start = os.pread(descriptor, len(self._mark), 0)
            if file != self._file or status.st_size < self._offset or start != self._mark:
                self._forget()
            self._file = file
            if status.st_size > self._offset:
                self._read(descriptor, status.st_size)
                self._mark = os.pread(descriptor, min(MARK_BYTES, self._offset), 0)
                self._reading = self._reader.reading(b"")
        finally:
            os.close(descriptor)
        return self._reading

    def _read(self, descriptor: int, size: int) -> None:
        first, self._looked = not self._looked, True
        if first and not self._whole and size > HEAD_BYTES + TAIL_BYTES:
            self._feed(descriptor, HEAD_BYTES)
            head = self._reader.reading(b"")
            self._skip_to(descriptor, size - TAIL_BYTES)
            self._feed(descriptor, size)
            if _goes_on(head, self._reader.reading(b"")):
                self._reader, self._offset = Reader(self._form), 0
        end = min(size, self._offset + LOOK_BYTES)
        self._feed(descriptor, end)
        self.is_read = end == size

    def _skip_to(self, descriptor: int, place: int) -> None:
        """Go on with the first line that begins behind a place."""
        found = os.pread(descriptor, LINE_BYTES, place - 1).find(b"\n")
        self._offset = place if found < 0 else place + found

    def _feed(self, descriptor: int, end: int) -> None:
        """Read whole lines up to a place."""
        while self._offset < end:
            data = os.pread(descriptor, min(PART_BYTES, end - self._offset), self._offset)
            # A carriage return ends a line of a progress bar; as the last byte it may be half of an end.
            length = max(data.rfind(b"\n"), data.rfind(b"\r", 0, len(data) - 1)) + 1
            if not length and len(data) > LINE_BYTES:
                length = len(data)
            if not length:
                return
            self._reader.read(self._reader.rules.search.block_of(data[:length]))
            self._offset += length


def _goes_on(before: LogReading, after: LogReading) -> bool:
    """Whether iterations behind a gap go on as if there were none: then they are counted, and say no numbers."""
    new = after.iterations[len(before.iterations) :]
    if after.format is None or not new:
        return False
    last = before.iterations[-1].number if before.iterations else after.format.iteration.first_number - 1
    return new[0].number <= last + 1
