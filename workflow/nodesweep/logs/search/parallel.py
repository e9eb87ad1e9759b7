"""Logs open to be read. A huge one is searched by processes of their own: in one Python runs one thread at a time."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from .search import Block, Hit, Window, places

HUGE_BYTES = 1 << 27
HELPERS = 2
ROOT = Path(__file__).parents[3]
PROGRAM = "import sys; from nodesweep.logs.search.worker import main; main(*map(int, sys.argv[1:]))"


class Helpers:
    """The processes that search a file, as their parent sees them: each has every so manieth block.

    Raises OSError where no more processes can be had.
    """

    def __init__(self, descriptor: int, size: int, texts: Sequence[str]):
        self._descriptor, self._size = descriptor, size
        self._processes: list[subprocess.Popen[bytes]] = []
        try:
            for first in range(HELPERS):
                self._processes.append(self._started(first))
        except OSError:
            self.stop()
            raise
        for process in self._processes:
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.write(json.dumps(texts).encode() + b"\n")
                process.stdin.close()

    def _started(self, first: int) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        return subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM, *map(str, (self._descriptor, self._size, first, HELPERS))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # where one dies its parent goes on without
            env=os.environ | {"PYTHONPATH": path},
            pass_fds=[self._descriptor],
        )

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks of the file with the lines that hold some of the texts; fewer if a process dies."""
        window = Window(self._descriptor)
        for place in places(self._size):
            answers = self._processes[place.number % HELPERS].stdout
            assert answers is not None
            answer = answers.readline()
            if not answer.endswith(b"\n"):
                return
            begin, end, newlines, hits = json.loads(answer)
            found = [Hit(*where, frozenset(texts), line, label) for *where, texts, line, label in hits]
            yield Block(place, begin, end, newlines, found, window)

    def stop(self) -> None:
        """End them, whatever they do."""
        for process in self._processes:
            assert process.stdout is not None
            process.kill()
            process.stdout.close()
            process.wait()


class OpenLog(NamedTuple):
    """A file open to be read, of which no more is read than it held then, and the processes that search it."""

    descriptor: int
    status: os.stat_result
    helpers: Helpers | None


@contextmanager
def open_log(path: Path, texts: Sequence[str]) -> Iterator[OpenLog]:
    """Open a log that is going to be searched for these texts. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    helpers = None
    try:
        status = os.fstat(descriptor)
        if status.st_size >= HUGE_BYTES:
            with suppress(OSError):  # then the reader searches by itself
                helpers = Helpers(descriptor, status.st_size, texts)
        yield OpenLog(descriptor, status, helpers)
    finally:
        if helpers:
            helpers.stop()
        os.close(descriptor)
