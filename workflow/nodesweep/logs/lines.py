"""Find single lines of a log by their numbers."""

from collections.abc import Iterable
from pathlib import Path

from nodesweep.common.text import plain

from .packed import log_content

_BLOCK = 2**20
_HEAD = 4096


def lines_at(path: Path, numbers: Iterable[int]) -> dict[int, str]:
    """The lines of these numbers, from 1, plain and at most 300 characters; none for empty lines and past the end.

    Reads a log, be it compressed, in constant memory, up to the last line asked for. Raises OSError.
    """
    wanted = set(numbers)
    last, heads, number = max(wanted, default=0), dict[int, bytes](), 1
    with log_content(path) as file:
        while number <= last and (block := file.read(_BLOCK)):
            at = 0
            while True:
                end = block.find(b"\n", at)
                if number in wanted:
                    head = heads.get(number, b"")
                    heads[number] = head + block[at : end if end >= 0 else None][: _HEAD - len(head)]
                if end < 0:
                    break
                number, at = number + 1, end + 1
    texts = {number: plain(head.decode(errors="replace")) for number, head in heads.items()}
    return {number: text for number, text in texts.items() if text}
