"""Find the lines of a file that hold one of many texts, at the speed of memory and in constant memory.

The file is cut into blocks at the ends of lines; each comes with its neighbourhood, because a line may be torn in two.
"""

import mmap
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import stringzilla

from nodesweep.logs.packed import ByteStream

if TYPE_CHECKING:
    import hyperscan

BLOCK_BYTES = 1 << 22
LINE_BYTES = 1 << 16
NEAR_BYTES = 1 << 14
_SHORT_TEXTS = (b"\x00\x01\x02\x03", b"\x00\x01\x02\x04", b"\x00\x01\x02\x05", b"\x00\x01\x02\x06")
"""Searched for beside the others, and ignored where found: with three or more texts of four bytes Hyperscan looks at
every byte of a file rather than at every other, which takes half the time (version 0.9.1, 60 to 290 texts).
"""
_LABEL = re.compile(rb"[ \t]{0,12}(\d{1,7}): ?")


class BlockSpan(NamedTuple):
    """Where the data of block `number` lies in its file: `length` bytes from `offset` on."""

    number: int
    offset: int
    length: int


class LineHit(NamedTuple):
    """A line that holds some of the texts searched for: it stands from `begin` to `end` of its block's data.

    `newlines_before`: in the block. `texts`: the numbers of the texts that it holds. `label`: the one that srun put
    before it.
    """

    begin: int
    end: int
    newlines_before: int
    texts: frozenset[int]
    line: str
    label: str | None


class LogBlock:
    """Whole lines of a file, from `begin` to `end` of `data`; around them lies what comes before and after."""

    def __init__(
        self,
        span: BlockSpan,
        begin: int,
        end: int,
        newlines: int,
        hits: Sequence[LineHit],
        buffer: "BlockBuffer | BytesBuffer",
    ):
        self.span, self.begin, self.end = span, begin, end
        self.newlines, self.hits = newlines, hits
        self._buffer = buffer

    @cached_property
    def data(self) -> mmap.mmap | bytes:
        """The data at the block's place; it holds until the next block is asked for."""
        return self._buffer.load(self.span)

    def lines(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield begin and end of the lines between two places."""
        while begin < end:
            stop = end_of(self.data, begin, end)
            yield begin, stop
            begin = stop

    def neighbours(self, begin: int, end: int, label: str) -> tuple[bytes, bytes]:
        """The nearest lines with the same label of srun before and after a line, without it; empty if far away."""
        starts = re.compile(rb"(?<=\n)[ \t]{0,12}" + label.encode() + rb": ?")
        before = b""
        for found in starts.finditer(self.data, max(0, begin - NEAR_BYTES), begin):
            before = bytes(self.data[found.end() : end_of(self.data, found.end(), begin, carriage=False)])
        follows = starts.search(self.data, end, min(self.span.length, end + NEAR_BYTES))
        if follows is None:
            return _last_part(before), b""
        return _last_part(before), bytes(self.data[follows.end() : end_of(self.data, follows.end(), self.span.length)])


def _last_part(line: bytes) -> bytes:
    """A line behind its last carriage return."""
    return line.rstrip(b"\r\n").rpartition(b"\r")[2]


class BlockBuffer:
    """Memory that holds the data of one block of a file at a time.

    It begins with a page: where it begins amid one the kernel may take five times as long to copy data there.
    """

    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        self.data = mmap.mmap(-1, LINE_BYTES + BLOCK_BYTES + LINE_BYTES)
        self.view = memoryview(self.data)
        self._loaded: BlockSpan | None = None

    def load(self, span: BlockSpan) -> mmap.mmap:
        """Read the data of a block, unless the buffer holds it already."""
        if span == self._loaded:
            return self.data
        self._loaded = span
        length = os.preadv(self._descriptor, [self.view[: span.length]], span.offset)
        self.view[length : span.length] = bytes(span.length - length)  # the file was cut off meanwhile
        return self.data


class BytesBuffer:
    """Data that is in memory already, as a buffer of one block."""

    def __init__(self, data: bytes):
        self.data = self.view = data

    def load(self, span: BlockSpan) -> bytes:
        """The data, whatever the block: there is only one."""
        return self.data


def block_spans(size: int) -> Iterator[BlockSpan]:
    """The blocks of a file of so many bytes."""
    for number, begin in enumerate(range(0, size, BLOCK_BYTES)):
        offset = max(0, begin - LINE_BYTES)
        yield BlockSpan(number, offset, min(begin + BLOCK_BYTES + LINE_BYTES, size) - offset)


def compiled_texts(texts: Sequence[str]) -> "hyperscan.Database":
    """Compile texts, to be searched for all at once; a text's number in matches is its place among them."""
    import hyperscan  # is large, and a process that lets another search needs none

    encoded = [*(text.encode() for text in texts), *_SHORT_TEXTS]
    database = hyperscan.Database()
    database.compile(
        expressions=[b"".join(rb"\x%02x" % byte for byte in text) for text in encoded],
        ids=range(len(encoded)),
        elements=len(encoded),
        flags=[0] * len(encoded),
    )
    return database


class LiteralSearch:
    """A search for plain texts in files."""

    def __init__(self, texts: Sequence[str]):
        self.texts = texts

    def blocks(self, descriptor: int, size: int, searched: Iterable[LogBlock] = ()) -> Iterator[LogBlock]:
        """Yield `size` bytes of an open file block by block; `searched`: the first ones, found by other processes."""
        done = 0
        for block in searched:
            yield block
            done += 1
        if rest := list(block_spans(size))[done:]:
            searcher = self._searcher(BlockBuffer(descriptor))
            yield from (searcher.block(span, size) for span in rest)

    def blocks_of_stream(self, stream: ByteStream) -> Iterator[LogBlock]:
        """Yield what a stream gives block by block, the same blocks as those of a file that holds it."""
        data, number, ended = b"", 0, False
        while True:
            begin = number * BLOCK_BYTES
            offset = max(0, begin - LINE_BYTES)
            wanted = begin + BLOCK_BYTES + LINE_BYTES - offset - len(data)
            data += (read := b"" if ended else stream.read(wanted))
            ended = len(read) < wanted
            if ended and offset + len(data) <= begin:
                return
            yield self._searcher(BytesBuffer(data)).block(BlockSpan(number, offset, len(data)), offset + len(data))
            number += 1
            data = data[number * BLOCK_BYTES - LINE_BYTES - offset :]

    def block_of(self, data: bytes) -> LogBlock:
        """Search whole lines that have been read already, of at most BLOCK_BYTES."""
        return self._searcher(BytesBuffer(data)).block(BlockSpan(0, 0, len(data)), len(data))

    def _searcher(self, buffer: "BlockBuffer | BytesBuffer") -> "BlockSearcher":
        return BlockSearcher(self._database, len(self.texts), buffer)

    @cached_property
    def _database(self) -> "hyperscan.Database":
        return compiled_texts(self.texts)


class BlockSearcher:
    """Searches one block at a time for the first `count` texts of a database."""

    def __init__(self, database: "hyperscan.Database", count: int, buffer: BlockBuffer | BytesBuffer):
        import hyperscan

        self._database, self._count = database, count
        self._scratch = hyperscan.Scratch(database)
        self._buffer = buffer

    def block(self, span: BlockSpan, size: int) -> LogBlock:
        """Read and search a block of a file of so many bytes."""
        data, view = self._buffer.load(span), self._buffer.view
        border = span.number * BLOCK_BYTES - span.offset
        begin = _cut(data, border, span.length) if span.number else 0
        last = span.offset + border + BLOCK_BYTES >= size
        end = span.length if last else _cut(data, border + BLOCK_BYTES, span.length)
        matches: list[tuple[int, int]] = []

        def on_match(text: int, start: int, stop: int, flags: int, context: object) -> None:
            if text < self._count:
                matches.append((begin + stop - 1, text))

        if end > begin:
            part = view[begin:end]
            self._database.scan(part, match_event_handler=on_match, scratch=self._scratch)  # type: ignore[type-var]
        hits, newlines, counted = [], 0, begin
        for low, high, texts in _lines(data, matches, begin, end):
            newlines += stringzilla.count(view[counted:low], "\n")
            counted = low
            line = data[low:high].decode(errors="replace")
            hits.append(LineHit(low, high, newlines, frozenset(texts), line, _label(data, low)))
        newlines += stringzilla.count(view[counted:end], "\n")
        return LogBlock(span, begin, end, newlines, hits, self._buffer)


def _lines(
    data: mmap.mmap | bytes, matches: list[tuple[int, int]], begin: int, end: int
) -> list[tuple[int, int, set[int]]]:
    """Begin and end of each line that holds texts, and the numbers of those texts."""
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


def _cut(data: mmap.mmap | bytes, at: int, length: int) -> int:
    """The end of the line that a block's border falls into; both blocks find the same one."""
    return end_of(data, at - 1, min(length, at + LINE_BYTES))


def last_part(descriptor: int, size: int) -> bytes:
    """The end of a file of so many bytes, with its last line or the last part of a long one."""
    return os.pread(descriptor, 2 * LINE_BYTES, max(0, size - 2 * LINE_BYTES))


def last_line(data: bytes) -> bytes:
    """The last line in the end of a file, with its newline if it has one."""
    return data[begin_of(data, len(data) - 1, 0) :]


def begin_of(data: mmap.mmap | bytes, at: int, low: int) -> int:
    """Where the line around a place begins, at most LINE_BYTES before the place."""
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
