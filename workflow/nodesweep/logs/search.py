"""The lines of a file that hold some text of a table: found at the speed of memory, on two cores, in constant memory.

The file is cut into blocks at the ends of lines; each comes with its neighbourhood, because a line may be torn in two.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Semaphore, Thread
from types import ModuleType
from typing import NamedTuple

import hyperscan

BLOCK_BYTES = 1 << 21
LINE_BYTES = 1 << 16
NEAR_BYTES = 1 << 14
WORKERS = 2
AHEAD = 4
MANY_BYTES = 1 << 26
# A text that no log holds. With a short one among many, Hyperscan looks at every byte instead of skipping some, and of
# two hundred texts it is done in half the time.
SHORT = b"\x01\x02\x03"
_LABEL = re.compile(rb"[ \t]{0,12}(\d{1,7}): ?")


class Hit(NamedTuple):
    """A line from `begin` to `end` of its block's data, the block's line `index`, that holds texts, known by number."""

    begin: int
    end: int
    index: int
    texts: frozenset[int]


@dataclass(frozen=True)
class Block:
    """Whole lines of a file, from `begin` to `end` of `data`; around them lies what comes before and after."""

    data: bytearray
    size: int
    begin: int
    end: int
    newlines: int
    hits: tuple[Hit, ...]

    def lines(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield begin and end of the lines between two places."""
        while begin < end:
            stop = end_of(self.data, begin, end)
            yield begin, stop
            begin = stop

    def last_line(self) -> bytes:
        """The last line, or the first part of a long one; with its newline if it has one."""
        return bytes(self.data[begin_of(self.data, max(self.end - 1, self.begin), self.begin) : self.end])

    def label(self, at: int) -> str | None:
        """The label that srun put before the line around a place."""
        found = _LABEL.match(self.data, self.data.rfind(b"\n", max(0, at - LINE_BYTES), at) + 1)
        return found[1].decode() if found else None

    def beside(self, begin: int, end: int, label: str) -> tuple[bytes, bytes]:
        """What stands next before and after a line that srun gave this label, without it; empty if far away."""
        starts = re.compile(rb"(?<=\n)[ \t]{0,12}" + label.encode() + rb": ?")
        before = b""
        for found in starts.finditer(self.data, max(0, begin - NEAR_BYTES), begin):
            before = bytes(self.data[found.end() : end_of(self.data, found.end(), begin, carriage=False)])
        follows = starts.search(self.data, end, min(self.size, end + NEAR_BYTES))
        if follows is None:
            return _last_part(before), b""
        return _last_part(before), bytes(self.data[follows.end() : end_of(self.data, follows.end(), self.size)])


def _last_part(line: bytes) -> bytes:
    """A line behind its last carriage return."""
    return line.rstrip(b"\r\n").rpartition(b"\r")[2]


class Search:
    """A search for plain texts in files."""

    def __init__(self, texts: Sequence[str]):
        wanted = [*(text.encode() for text in texts), SHORT]
        self._database = hyperscan.Database()
        self._database.compile(
            expressions=[b"".join(rb"\x%02x" % byte for byte in text) for text in wanted],
            ids=range(len(wanted)),
            elements=len(wanted),
            flags=[0] * len(wanted),
        )
        self._count = len(texts)

    def blocks(self, descriptor: int, size: int) -> Iterator[Block]:
        """Yield `size` bytes of an open file block by block; a block's data holds until the next block is asked for."""
        count = -(-size // BLOCK_BYTES)
        if size < MANY_BYTES:
            slot = _Slot(self._database, self._count, None)
            yield from (slot.block(descriptor, number, size) for number in range(count))
            return
        import numpy  # counts newlines faster than it takes to import only where there are many

        slots = [[_Slot(self._database, self._count, numpy) for _ in range(AHEAD)] for _ in range(WORKERS)]
        workers = [_Worker(own, descriptor, size, range(first, count, WORKERS)) for first, own in enumerate(slots)]
        try:
            for number in range(count):
                yield workers[number % WORKERS].next_block()
        finally:
            for worker in workers:
                worker.stop()


class _Slot:
    """Memory for one block at a time, and what a search in it needs."""

    def __init__(self, database: hyperscan.Database, count: int, numpy: ModuleType | None):
        self._database = database
        self._count = count
        self._scratch = hyperscan.Scratch(database)
        self._data = bytearray(LINE_BYTES + BLOCK_BYTES + LINE_BYTES)
        self._view = memoryview(self._data)
        self._numpy = numpy

    def block(self, descriptor: int, number: int, size: int) -> Block:
        """Read and search block `number` of a file."""
        offset = max(0, number * BLOCK_BYTES - LINE_BYTES)
        length = os.preadv(descriptor, [self._view[: min(len(self._data), size - offset)]], offset)
        begin = self._cut(number * BLOCK_BYTES - offset, length) if number else 0
        last = (number + 1) * BLOCK_BYTES >= size
        end = length if last else self._cut((number + 1) * BLOCK_BYTES - offset, length)
        places: list[tuple[int, int]] = []

        def on_match(text: int, start: int, stop: int, flags: int, context: object) -> None:
            places.append((stop, text))

        if end > begin:
            self._database.scan(self._view[begin:end], match_event_handler=on_match, scratch=self._scratch)
        return self._counted(begin, end, length, self._lines(places, begin, end))

    def _cut(self, at: int, length: int) -> int:
        """The end of the line that a block's border falls into: the same seen from both sides."""
        return end_of(self._data, at - 1, min(length, at + LINE_BYTES))

    def _lines(self, places: list[tuple[int, int]], begin: int, end: int) -> list[tuple[int, int, set[int]]]:
        lines: list[tuple[int, int, set[int]]] = []
        stop = 0
        for behind, text in places:
            if text == self._count:
                continue  # SHORT
            place = begin + behind - 1
            if place >= stop:
                stop = end_of(self._data, place, end)
                lines.append((begin_of(self._data, place, begin), stop, set()))
            lines[-1][2].add(text)
        return lines

    def _counted(self, begin: int, end: int, size: int, lines: list[tuple[int, int, set[int]]]) -> Block:
        if self._numpy is None:
            count = lambda low, high: self._data.count(b"\n", low, high)  # noqa: E731
        else:
            numpy = self._numpy
            marks = numpy.frombuffer(self._data, numpy.uint8, end) == 10
            count = lambda low, high: int(numpy.count_nonzero(marks[low:high]))  # noqa: E731
        hits, index, counted = [], 0, begin
        for low, high, texts in lines:
            index += count(counted, low)
            counted = low
            hits.append(Hit(low, high, index, frozenset(texts)))
        return Block(self._data, size, begin, end, index + count(counted, end), tuple(hits))


class _Worker:
    """A thread that reads and searches every so manieth block of a file, some blocks ahead of who takes them."""

    def __init__(self, slots: list[_Slot], descriptor: int, size: int, numbers: range):
        self._done: SimpleQueue[Block | BaseException] = SimpleQueue()
        self._free = Semaphore(len(slots) - 1)  # one is with the reader
        self._stopped = False
        self._taken = False
        self._thread = Thread(target=self._work, args=(slots, descriptor, size, numbers), daemon=True)
        self._thread.start()

    def next_block(self) -> Block:
        """The next of its blocks; the one taken before may be overwritten now."""
        if self._taken:
            self._free.release()
        self._taken = True
        block = self._done.get()
        if isinstance(block, BaseException):
            raise block
        return block

    def stop(self) -> None:
        """End, whatever is left."""
        self._stopped = True
        self._free.release()
        self._thread.join()

    def _work(self, slots: list[_Slot], descriptor: int, size: int, numbers: range) -> None:
        for turn, number in enumerate(numbers):
            self._free.acquire()
            if self._stopped:
                return
            try:
                self._done.put(slots[turn % len(slots)].block(descriptor, number, size))
            except BaseException as error:  # the reader raises it
                self._done.put(error)
                return


def begin_of(data: bytearray, at: int, low: int) -> int:
    """Where the line around a place begins; of a longer line at most LINE_BYTES before the place."""
    low = max(low, at - LINE_BYTES)
    return max(data.rfind(b"\n", low, at), data.rfind(b"\r", low, at), low - 1) + 1


def end_of(data: bytearray, at: int, high: int, carriage: bool = True) -> int:
    """Behind the newline that ends the line around a place, at most LINE_BYTES after it; or behind a carriage return.

    Carriage returns end the lines of progress bars.
    """
    high = min(high, at + LINE_BYTES)
    end = data.find(b"\n", at, high) + 1 or high
    returned = data.find(b"\r", at, end) + 1 if carriage else 0
    return returned if 0 < returned < end - 1 else end
