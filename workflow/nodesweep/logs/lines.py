"""The lines of a file that may be huge, binary, torn or still growing."""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

BLOCK_BYTES = 1 << 20
LINE_BYTES = 1 << 16


def complete_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield blocks of whole lines without their last newline; a line longer than a block loses its middle."""
    tail = b""
    while block := stream.read(BLOCK_BYTES):
        head, newline, rest = block.rpartition(b"\n")
        if newline:
            yield tail + head
            tail = rest[:LINE_BYTES]
        else:
            tail = (tail + rest)[:LINE_BYTES]


def lines_with(markers: Iterable[bytes], block: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a block that hold some marker, each with its index, in order."""
    spans = set()
    for marker in markers:
        after, at = 0, block.find(marker)
        while at >= 0:
            newline = block.rfind(b"\n", after, at)
            begin = after if newline < 0 else newline + 1
            newline = block.find(b"\n", at)
            end = len(block) if newline < 0 else newline
            spans.add((begin, end))
            after = end + 1
            at = block.find(marker, after)
    index, counted = 0, 0
    for begin, end in sorted(spans):
        index += block.count(b"\n", counted, begin)
        counted = begin
        yield index, block[begin : min(end, begin + LINE_BYTES)]
