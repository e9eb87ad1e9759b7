"""Markdown text -> its headings, pipe tables and other lines, each with its line number.

A reader of lines, because hand-kept tables are often not quite tables: parsers that follow the GitHub rules refuse one
whose line of dashes has another number of cells than its headings.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from nodesweep.common.errors import NodesweepError

MOST_CHARACTERS = 1_000_000
MOST_ROWS = 20_000
MOST_CELLS = 100
MOST_TABLES = 1000

_FENCE = re.compile(r"[ \t]{0,12}(`{3,50}|~{3,50})")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t　]+(\S.*)")
_BOLD_LINE = re.compile(r"\*\*([^*]{1,200})\*\*:?")
_UNDERLINE = re.compile(r" {0,3}(={2,200}|-{2,200})\s{0,20}")
_LIST_ITEM = re.compile(r" {0,3}(?:[-*+]|\d{1,3}[.)])[ \t]")
_INDENTED = re.compile(r"(?: {4}|\t)")
_QUOTE = re.compile(r"\A {0,3}(?:> ?){1,5}")
_DASHES = re.compile(r":?-{1,500}:?")
_PIPE = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class SectionHeading:
    """A heading of a section; `level` 7 is a line of bold text that stands for one."""

    level: int
    text: str
    line: int


HeadingPath = tuple[SectionHeading, ...]
"""The headings something stands under, outermost first."""


@dataclass(frozen=True)
class TextLine:
    """A line that belongs to no table; `path` are its headings."""

    line: int
    text: str
    path: HeadingPath


@dataclass(frozen=True)
class RawRow:
    """The cells of a table row as they stand in the file."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True)
class RawTable:
    """A pipe table; `line` is that of its headings."""

    line: int
    path: HeadingPath
    headings: tuple[str, ...]
    rows: tuple[RawRow, ...]


@dataclass(frozen=True)
class MarkdownText:
    """What a markdown file holds; `loose` are lines where rows with pipes start that have no line of dashes."""

    tables: tuple[RawTable, ...]
    texts: tuple[TextLine, ...]
    loose: tuple[int, ...]


def cells_of(line: str) -> tuple[str, ...]:
    r"""The cells of a table line; pipes at its ends and escaped pipes separate nothing.

    >>> cells_of(r"| 48 | a\|b |  |"), cells_of("48 | 1")
    (('48', 'a|b', ''), ('48', '1'))
    """
    cells = [cell.strip().replace("\\|", "|") for cell in _PIPE.split(line.strip())]
    if not cells[0]:
        cells = cells[1:]
    if cells and not cells[-1] and line.rstrip().endswith("|"):
        cells = cells[:-1]
    return tuple(cells)


def read_document(text: str) -> MarkdownText:
    """Read a markdown file; raises NodesweepError where it is larger than any hand-kept one."""
    if len(text) > MOST_CHARACTERS:
        raise NodesweepError(f"it has over {MOST_CHARACTERS} characters; give it in parts")
    return _MarkdownReader(list(_open_lines(text))).document()


def _open_lines(text: str) -> Iterator[tuple[int, str, bool]]:
    """Line number, text, and whether it is code; commented-out lines are left out."""
    fence, commented, in_list = "", False, False
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        line = _QUOTE.sub("", line, count=1)
        mark = _FENCE.match(line)
        if commented:
            commented = "-->" not in line
        elif fence:
            if mark and mark[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
            else:
                yield number, line, True
        elif mark:
            fence = mark[1]
        elif line.lstrip().startswith("<!--"):
            commented = "-->" not in line
        else:
            indented = bool(_INDENTED.match(line))
            if line.strip() and not indented:
                in_list = bool(_LIST_ITEM.match(line))
            yield number, line, indented and not in_list


class _MarkdownReader:
    """Reads the open lines of a markdown file once, from top to bottom."""

    def __init__(self, lines: list[tuple[int, str, bool]]):
        self._lines = lines
        self._path: HeadingPath = ()
        self._tables: list[RawTable] = []
        self._texts: list[TextLine] = []
        self._loose: list[int] = []

    def document(self) -> MarkdownText:
        index = 0
        while index < len(self._lines):
            index += self._take(index)
        return MarkdownText(tuple(self._tables), tuple(self._texts), tuple(self._loose))

    def _take(self, index: int) -> int:
        """Take what starts at a line; gives the number of lines it has."""
        number, line, code = self._lines[index]
        following = self._following(index)
        heading = None if code else self._heading(line, number, following)
        if heading:
            self._path = (*(one for one in self._path if one.level < heading.level), heading)
            return 1 + (heading.level <= 2 and not line.lstrip().startswith("#"))
        if not code and _PIPE.search(line):
            rows = self._rows(index)
            starts = [place - 1 for place in range(1, len(rows)) if _is_dashes(rows[place][1], 1 + (place > 1))]
            for start, end in pairwise([*starts, len(rows)]):
                self._add_table(rows[start:end])
            if len(rows) > 2 and not starts:
                self._loose.append(number)
                return len(rows)
            before = rows[: starts[0] if starts else 1]
            self._texts += [TextLine(at, text, self._path) for at, text in before]
            return len(rows) if starts else 1
        if line.strip():
            self._texts.append(TextLine(number, line, self._path))
        return 1

    def _following(self, index: int) -> str:
        if index + 1 == len(self._lines):
            return ""
        number, line, code = self._lines[index + 1]
        return line if not code and number == self._lines[index][0] + 1 else ""

    @staticmethod
    def _heading(line: str, number: int, following: str) -> SectionHeading | None:
        if match := _HEADING.fullmatch(line):
            return SectionHeading(len(match[1]), match[2].rstrip(" \t#"), number)
        if _UNDERLINE.fullmatch(following) and line.strip() and "|" not in line and not _LIST_ITEM.match(line):
            return SectionHeading(1 if "=" in following else 2, line.strip(), number)
        if match := _BOLD_LINE.fullmatch(line.strip()):
            return SectionHeading(7, match[1].strip(), number)
        return None

    def _rows(self, index: int) -> list[tuple[int, str]]:
        """Lines with pipes that follow each other."""
        rows = []
        for offset, (number, line, code) in enumerate(self._lines[index : index + MOST_ROWS + 3]):
            if code or not _PIPE.search(line) or number != self._lines[index][0] + offset:
                break
            rows.append((number, line))
        return rows

    def _add_table(self, lines: list[tuple[int, str]]) -> None:
        first = lines[0][0]
        if len(self._tables) == MOST_TABLES:
            raise NodesweepError(f"line {first}: over {MOST_TABLES} tables; give it in parts")
        headings, *rows = [RawRow(number, cells_of(line)) for number, line in (lines[0], *lines[2:])]
        if len(rows) > MOST_ROWS or max(len(row.cells) for row in (headings, *rows)) > MOST_CELLS:
            raise NodesweepError(
                f"line {first}: a table of over {MOST_ROWS} rows or {MOST_CELLS} columns; give it in parts"
            )
        self._tables.append(RawTable(first, self._path, headings.cells, tuple(rows)))


def _is_dashes(line: str, least: int) -> bool:
    """Whether a line is the one under the headings; `least`: dashes in a cell, as one alone may be an unknown value."""
    cells = cells_of(line)
    return bool(cells) and all(_DASHES.fullmatch(cell) and cell.count("-") >= least for cell in cells)
