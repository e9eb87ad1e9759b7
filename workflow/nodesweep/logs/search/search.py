"""The lines of a file that hold some text of a table: found at the speed of memory, in constant memory.

The file is cut into blocks at the ends of lines; each comes with its neighbourhood, because a line may be torn in two.
"""

import mmap
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import stringzilla

BLOCK_BYTES = 1 << 22
LINE_BYTES = 1 << 16
NEAR_BYTES = 1 << 14
_LABEL = re.compile(rb"[ \t]{0,12}(\d{1,7}): ?")


class Place(NamedTuple):
    """Where the data of a block lies in its file, the block `number`: `length` bytes from `offset` on."""

    number: int
    offset: int
    length: int


class Hit(NamedTuple):
    """A line that holds texts, known by number: it stands from `begin` to `end` of its block's data, at line `index`.

    `label`: the one that srun put before it.
    """

    begin: int
    end: int
    index: int
    texts: frozenset[int]
    line: str
    label: str | None


class Block:
    """Whole lines of a file, from `begin` to `end` of `data`; around them lies what comes before and after."""

    def __init__(self, place: Place, begin: int, end: int, newlines: int, hits: Sequence[Hit], window: "Window | Held"):
        self.place, self.begin, self.end = place, begin, end
        self.newlines, self.hits = newlines, hits
        self._window = window

    @cached_property
    def data(self) -> mmap.mmap | bytes:
        """The data at its place; it holds until the next block is asked for."""
        return self._window.load(self.place)

    def lines(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield begin and end of the lines between two places."""
        while begin < end:
            stop = end_of(self.data, begin, end)
            yield begin, stop
            begin = stop

    def beside(self, begin: int, end: int, label: str) -> tuple[bytes, bytes]:
        """What stands next before and after a line that srun gave this label, without it; empty if far away."""
        starts = re.compile(rb"(?<=\n)[ \t]{0,12}" + label.encode() + rb": ?")
        before = b""
        for found in starts.finditer(self.data, max(0, begin - NEAR_BYTES), begin):
            before = bytes(self.data[found.end() : end_of(self.data, found.end(), begin, carriage=False)])
        follows = starts.search(self.data, end, min(self.place.length, end + NEAR_BYTES))
        if follows is None:
            return _last_part(before), b""
        return _last_part(before), bytes(self.data[follows.end() : end_of(self.data, follows.end(), self.place.length)])


def _last_part(line: bytes) -> bytes:
    """A line behind its last carriage return."""
    return line.rstrip(b"\r\n").rpartition(b"\r")[2]


class Window:
    """Memory that holds the data of one block of a file at a time.

    It begins with a page: where it begins amid one the kernel may take five times as long to copy data there.
    """

    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        self.data = mmap.mmap(-1, LINE_BYTES + BLOCK_BYTES + LINE_BYTES)
        self.view = memoryview(self.data)
        self._place: Place | None = None

    def load(self, place: Place) -> mmap.mmap:
        """Read what lies at a place, if that is not here yet."""
        if place == self._place:
            return self.data
        self._place = place
        length = os.preadv(self._descriptor, [self.view[: place.length]], place.offset)
        self.view[length : place.length] = bytes(place.length - length)  # the file was cut off meanwhile
        return self.data


class Held:
    """Data that is in memory already, in the place of a window."""

    def __init__(self, data: bytes):
        self.data = self.view = data

    def load(self, place: Place) -> bytes:
        """The data, which lies at the only place there is."""
        return self.data


def places(size: int) -> Iterator[Place]:
    """The places of the blocks of a file of so many bytes."""
    for number, begin in enumerate(range(0, size, BLOCK_BYTES)):
        offset = max(0, begin - LINE_BYTES)
        yield Place(number, offset, min(begin + BLOCK_BYTES + LINE_BYTES, size) - offset)


def database(texts: Sequence[str]) -> Any:
    """Texts, compiled to be searched for all at once."""
    import hyperscan  # is large, and a process that lets another search needs none

    compiled = hyperscan.Database()
    compiled.compile(
        expressions=[b"".join(rb"\x%02x" % byte for byte in text.encode()) for text in texts],
        ids=range(len(texts)),
        elements=len(texts),
        flags=[0] * len(texts),
    )
    return compiled


class Search:
    """A search for plain texts in files."""

    def __init__(self, texts: Sequence[str]):
        self.texts = texts

    def blocks(self, descriptor: int, size: int, found: Iterable[Block] = ()) -> Iterator[Block]:
        """Yield `size` bytes of an open file block by block. `found`: the first ones, where a helper searches."""
        done = 0
        for block in found:
            yield block
            done += 1
        if rest := list(places(size))[done:]:
            finder = Finder(self._database, Window(descriptor))
            yield from (finder.block(place, size) for place in rest)

    def block_of(self, data: bytes) -> Block:
        """Search whole lines that have been read already, of at most BLOCK_BYTES."""
        return Finder(self._database, Held(data)).block(Place(0, 0, len(data)), len(data))

    @cached_property
    def _database(self) -> Any:
        return database(self.texts)


class Finder:
    """Searches one block at a time."""

    def __init__(self, compiled: Any, window: Window | Held):
        import hyperscan

        self._database = compiled
        self._scratch = hyperscan.Scratch(compiled)
        self._window = window

    def block(self, place: Place, size: int) -> Block:
        """Read and search a block of a file of so many bytes."""
        data, view = self._window.load(place), self._window.view
        border = place.number * BLOCK_BYTES - place.offset
        begin = _cut(data, border, place.length) if place.number else 0
        last = place.offset + border + BLOCK_BYTES >= size
        end = place.length if last else _cut(data, border + BLOCK_BYTES, place.length)
        matches: list[tuple[int, int]] = []

        def on_match(text: int, start: int, stop: int, flags: int, context: object) -> None:
            matches.append((begin + stop - 1, text))

        if end > begin:
            self._database.scan(view[begin:end], match_event_handler=on_match, scratch=self._scratch)
        hits, index, counted = [], 0, begin
        for low, high, texts in _lines(data, matches, begin, end):
            index += stringzilla.count(view[counted:low], "\n")
            counted = low
            line = data[low:high].decode(errors="replace")
            hits.append(Hit(low, high, index, frozenset(texts), line, _label(data, low)))
        newlines = index + stringzilla.count(view[counted:end], "\n")
        return Block(place, begin, end, newlines, hits, self._window)


def _lines(
    data: mmap.mmap | bytes, matches: list[tuple[int, int]], begin: int, end: int
) -> list[tuple[int, int, set[int]]]:
    """Begin and end of the lines that hold texts, and which."""
    lines: list[tuple[int, int, set[int]]] = []
    stop = 0
    for at, text in matches:
        if at >= stop:
            stop = end_of(data, at, end)
            lines.append((begin_of(data, at, begin), stop, set()))
        lines[-1][2].add(text)
    return lines


def _label(data: mmap.mmap | bytes, at: int) -> str | None:
    """The label that srun put before the line around a place."""
    found = _LABEL.match(data, data.rfind(b"\n", max(0, at - LINE_BYTES), at) + 1)
    return found[1].decode() if found else None


def _cut(data: mmap.mmap, at: int, length: int) -> int:
    """The end of the line that a block's border falls into: the same seen from both sides."""
    return end_of(data, at - 1, min(length, at + LINE_BYTES))


def last_line(descriptor: int, size: int) -> bytes:
    """The last line of a file of so many bytes, or the last part of a long one; with its newline if it has one."""
    data = os.pread(descriptor, 2 * LINE_BYTES, max(0, size - 2 * LINE_BYTES))
    return data[begin_of(data, len(data) - 1, 0) :]


def begin_of(data: mmap.mmap | bytes, at: int, low: int) -> int:
    """Where the line around a place begins; of a longer line at most LINE_BYTES before the place."""
    low = max(low, at - LINE_BYTES)
    return max(data.rfind(b"\n", low, at), data.rfind(b"\r", low, at), low - 1) + 1


def end_of(data: mmap.mmap | bytes, at: int, high: int, carriage: bool = True) -> int:
    """Behind the newline that ends the line around a place, at most LINE_BYTES after it; or behind a carriage return.

    Carriage returns end the lines of progress bars.
    """
    high = min(high, at + LINE_BYTES)
    end = data.find(b"\n", at, high) + 1 or high
    returned = data.find(b"\r", at, end) + 1 if carriage else 0
    return returned if 0 < returned < end - 1 else end
