"""Read a trainer's log once, in constant memory, and never fail on what it holds."""

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path

from ..text import plain, without_escapes
from .causes import Signature
from .formats import Figure, Format, Line
from .lines import LINE_BYTES, complete_lines, lines_with
from .memory import MemoryPeaks, NodeMemory, RankMemory
from .signatures import SIGNATURES
from .successes import SUCCESSES, Success

READER_VERSION = 3
SIGNATURE_HEAD = 1500
SIGNATURE_TAIL = 500
ARGUMENT_LINES = 2000
FOUND_PER_KIND = 4


@dataclass(frozen=True)
class Iteration:
    """One record of a log: the mean over the iterations since the record before it, ending with `number`.

    `loss` is None where the log has none or no finite one; `tflops` is per rank, as the log counts them.
    """

    number: int
    total: int
    seconds: float
    line: int
    loss: float | None = None
    tflops: float | None = None
    samples_per_second: float | None = None
    skipped: int = 0
    nan: int = 0


@dataclass(frozen=True)
class Found:
    """A failure signature seen in a log; `text` is its line, plain and at most 300 characters."""

    signature: Signature
    line: int
    text: str


@dataclass(frozen=True)
class Seen:
    """A sign of success, `count` times in a log, the last time on `line`; `text` is that line, as in `Found`."""

    success: Success
    line: int
    text: str
    count: int


@dataclass(frozen=True)
class LogReading:
    """All that one pass over a log gives; lines count from 1.

    `iterations` rise in number; of a repeated one the last is kept, and `restarts` counts how often numbers went back.
    `signatures` and `successes` are those that fewer than two further records followed, in order of lines: what a run
    survived is no cause of its end. Of a kind of signature the first ones are kept and the last.
    `last_text`: the last line. `size_bytes`, `modified_ns`: of the file when it was opened.
    """

    format: str
    iterations: tuple[Iteration, ...] = ()
    restarts: int = 0
    training_started_line: int | None = None
    training_finished_line: int | None = None
    rank_memory: tuple[RankMemory, ...] = ()
    node_memory: NodeMemory | None = None
    signatures: tuple[Found, ...] = ()
    successes: tuple[Seen, ...] = ()
    world_size: int | None = None
    arguments: tuple[tuple[str, str], ...] = ()
    last_text: str = ""
    lines: int = 0
    size_bytes: int = 0
    modified_ns: int = 0


def scan(path: Path, form: Format) -> LogReading:
    """Read the log at `path`; a log nobody has written yet reads as an empty one. Raises OSError.

    An unterminated last line is still being written and is left out.
    """
    reader = _Reader(form)
    try:
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            for block in complete_lines(stream):
                reader.read(block)
    except FileNotFoundError:
        return reader.reading()
    return replace(reader.reading(), size_bytes=status.st_size, modified_ns=status.st_mtime_ns)


class _Reader:
    """The state of one pass: what the lines so far have given."""

    def __init__(self, form: Format):
        self._form = form
        self._iterations: dict[int, Iteration] = {}
        self._latest: Iteration | None = None
        self._restarts = 0
        self._memory = MemoryPeaks()
        self._found: list[Found] = []
        self._seen: dict[str, Seen] = {}
        self._marked: dict[str, int] = {}
        self._world_size: int | None = None
        self._arguments: dict[str, str] = {}
        self._argument_lines_left = 0
        self._last = b""
        self._lines = 0
        self._actions: list[tuple[Line, Callable[[re.Match[str], int], None]]] = [
            (form.iteration, self._take_iteration),
            *((line, partial(self._take_trailing, figure)) for line, figure in form.trailing),
            (form.node_memory, self._take_node_memory),
            (form.rank_memory, self._take_rank_memory),
            (form.started, partial(self._take_mark, "started")),
            (form.finished, partial(self._take_mark, "finished")),
            (form.world_size, self._take_world_size),
            (form.arguments_start, self._open_arguments),
            (form.arguments_end, self._close_arguments),
        ]
        self._active = self._actions
        self._signatures: list[Signature] = []
        self._successes: list[Success] = []

    def read(self, block: bytes) -> None:
        """Take whole lines; only those that hold some marker are decoded and looked at."""
        self._active = [(row, action) for row, action in self._actions if row.marker.encode() in block]
        self._signatures = [row for row in SIGNATURES if any(marker.encode() in block for marker in row.markers)]
        self._successes = [row for row in SUCCESSES if any(marker.encode() in block for marker in row.markers)]
        if self._argument_lines_left or self._form.arguments_start.marker.encode() in block:
            lines = enumerate(block.split(b"\n"))
        else:
            markers = {row.marker.encode() for row, _ in self._active}
            markers |= {marker.encode() for row in (*self._signatures, *self._successes) for marker in row.markers}
            lines = lines_with(markers, block)
        for index, raw in lines:
            self._read_line(_decoded(raw), self._lines + index + 1)
        self._lines += block.count(b"\n") + 1
        self._last = block[block.rfind(b"\n") + 1 :]

    def reading(self) -> LogReading:
        """What all lines have given."""
        return LogReading(
            format=self._form.name,
            iterations=tuple(self._iterations[number] for number in sorted(self._iterations)),
            restarts=self._restarts,
            training_started_line=self._marked.get("started"),
            training_finished_line=self._marked.get("finished"),
            rank_memory=tuple(self._memory.ranks[rank] for rank in sorted(self._memory.ranks)),
            node_memory=self._memory.node,
            signatures=tuple(self._found),
            successes=tuple(sorted(self._seen.values(), key=lambda seen: seen.line)),
            world_size=self._world_size,
            arguments=tuple(sorted(self._arguments.items())),
            last_text=plain(_decoded(self._last)),
            lines=self._lines,
        )

    def _read_line(self, text: str, line: int) -> None:
        known = False
        for row, action in self._active:
            if row.marker in text:
                for match in row.pattern.finditer(text):
                    known = True
                    action(match, line)
        known = known or (self._argument_lines_left > 0 and self._take_argument(text))
        if not known:
            self._take_signature(text, line)
        self._take_success(text, line)

    def _take_iteration(self, match: re.Match[str], line: int) -> None:
        glued = self._form.iteration.pattern.search(match.string, match.end())
        figures = _figures(self._form.figures, match.string[match.start() : glued.start() if glued else None])
        seconds = figures.get("seconds", 0.0)
        if 0 < seconds < math.inf:
            loss = figures.get("loss")
            self._keep(
                Iteration(
                    number=int(match[1]),
                    total=int(match[2]),
                    seconds=seconds,
                    line=line,
                    loss=_finite(loss),
                    tflops=_finite(figures.get("tflops")),
                    samples_per_second=_finite(figures.get("samples_per_second")),
                    skipped=int(figures.get("skipped", 0)),
                    nan=max(int(figures.get("nan", 0)), int(loss is not None and not math.isfinite(loss))),
                )
            )

    def _keep(self, record: Iteration) -> None:
        before = self._latest
        if before is not None:
            if replace(record, line=before.line) == before:
                return  # printed twice
            self._restarts += record.number <= before.number
            self._found = [found for found in self._found if found.line > before.line]
            self._seen = {kind: seen for kind, seen in self._seen.items() if seen.line > before.line}
        self._iterations[record.number] = self._latest = record

    def _take_trailing(self, figure: Figure, match: re.Match[str], line: int) -> None:
        latest = self._latest
        if latest is not None:
            value = _finite(_number(figure, match[1]))
            self._latest = self._iterations[latest.number] = replace(latest, **{figure.name: value})

    def _take_rank_memory(self, match: re.Match[str], line: int) -> None:
        allocated, reserved = (_finite(float(match[group])) for group in ("allocated", "reserved"))
        if allocated is not None and reserved is not None:
            self._memory.add_rank(int(match["rank"] or 0), allocated, reserved, line)

    def _take_node_memory(self, match: re.Match[str], line: int) -> None:
        used = _finite(float(match[1]))
        if used is not None:
            self._memory.add_node(used, line)

    def _take_mark(self, name: str, match: re.Match[str], line: int) -> None:
        self._marked[name] = line

    def _take_world_size(self, match: re.Match[str], line: int) -> None:
        self._world_size = int(match[1])

    def _open_arguments(self, match: re.Match[str], line: int) -> None:
        self._argument_lines_left = ARGUMENT_LINES

    def _close_arguments(self, match: re.Match[str], line: int) -> None:
        self._argument_lines_left = 0

    def _take_argument(self, text: str) -> bool:
        self._argument_lines_left -= 1
        match = self._form.argument.search(text)
        if match:
            self._arguments[match[1]] = plain(match[2])
        return match is not None

    def _take_signature(self, text: str, line: int) -> None:
        if len(text) > SIGNATURE_HEAD + SIGNATURE_TAIL:
            text = f"{text[:SIGNATURE_HEAD]} … {text[-SIGNATURE_TAIL:]}"
        row = next((row for row in self._signatures if _matches(row, text)), None)
        if row is None:
            return
        of_its_kind = [found for found in self._found if found.signature.kind == row.kind]
        if len(of_its_kind) == FOUND_PER_KIND:
            self._found.remove(of_its_kind[-1])
        self._found.append(Found(row, line, plain(text)))

    def _take_success(self, text: str, line: int) -> None:
        row = next((row for row in self._successes if _matches(row, text)), None)
        if row is not None:
            before = self._seen.get(row.kind)
            self._seen[row.kind] = Seen(row, line, plain(text), before.count + 1 if before else 1)


def _matches(row: Signature | Success, text: str) -> bool:
    return any(marker in text for marker in row.markers) and row.pattern.search(text) is not None


def _decoded(raw: bytes) -> str:
    return without_escapes(raw[:LINE_BYTES].decode(errors="replace"))


def _figures(rows: tuple[Figure, ...], text: str) -> dict[str, float]:
    """The figures a record's line holds, by name, in their units."""
    matches = ((row, row.pattern.search(text)) for row in rows)
    return {row.name: _number(row, match[1]) for row, match in matches if match}


def _number(figure: Figure, text: str) -> float:
    """A printed number in the figure's unit, exact to the last digit: 1001.0 ms are 1.001 s."""
    return float(Decimal(text) / figure.printed_per_unit)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
