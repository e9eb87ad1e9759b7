"""Open logs to be read; a huge one is searched by processes of its own, since Python runs one thread at a time."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from nodesweep.common.files import open_file
from nodesweep.logs.packed import Packing, packing_of

from .search import BlockBuffer, LineHit, LogBlock, block_spans

HUGE_BYTES = 1 << 27
PROCESSES = 2
ROOT = Path(__file__).parents[3]
PROGRAM = "import sys; from nodesweep.logs.search.worker import main; main(*map(int, sys.argv[1:]))"


class SearchProcesses:
    """The processes that search a file, as their parent sees them: each searches every n-th block of n processes.

    Raises OSError where no more processes can be started.
    """

    def __init__(self, descriptor: int, size: int, texts: Sequence[str]):
        self._descriptor, self._size = descriptor, size
        self._processes: list[subprocess.Popen[bytes]] = []
        try:
            for first in range(PROCESSES):
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
            [sys.executable, "-P", "-c", PROGRAM, *map(str, (self._descriptor, self._size, first, PROCESSES))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # where one dies its parent goes on without it
            env=os.environ | {"PYTHONPATH": path},
            pass_fds=[self._descriptor],
        )

    def blocks(self) -> Iterator[LogBlock]:
        """Yield the blocks of the file with the lines that hold some of the texts; fewer if a process dies."""
        buffer = BlockBuffer(self._descriptor)
        for span in block_spans(self._size):
            answers = self._processes[span.number % PROCESSES].stdout
            assert answers is not None
            answer = answers.readline()
            if not answer.endswith(b"\n"):
                return
            begin, end, newlines, hits = json.loads(answer)
            found = [
                LineHit(low, high, newlines_before, frozenset(texts), line, label)
                for low, high, newlines_before, texts, line, label in hits
            ]
            yield LogBlock(span, begin, end, newlines, found, buffer)

    def stop(self) -> None:
        """End the processes, whatever they do."""
        for process in self._processes:
            assert process.stdout is not None
            process.kill()
            process.stdout.close()
            process.wait()


class OpenLog(NamedTuple):
    """A file open to be read and the processes that search it; no more is read than it held when it was opened.

    `packing`: how it is compressed, None for a plain one.
    """

    path: Path
    descriptor: int
    status: os.stat_result
    processes: SearchProcesses | None
    packing: Packing | None = None


@contextmanager
def open_log(path: Path, texts: Sequence[str]) -> Iterator[OpenLog]:
    """Open a log, to be searched for these texts. Raises OSError."""
    descriptor = open_file(path)
    processes = None
    try:
        status, packing = os.fstat(descriptor), packing_of(descriptor)
        if status.st_size >= HUGE_BYTES and packing is None:
            with suppress(OSError):  # then the reader searches by itself
                processes = SearchProcesses(descriptor, status.st_size, texts)
        yield OpenLog(path, descriptor, status, processes, packing)
    finally:
        if processes:
            processes.stop()
        os.close(descriptor)
