"""Logs that somebody has compressed: found beside their old names, and unpacked while they are read, never on disk."""

import bz2
import errno
import gzip
import io
import lzma
import os
import re
import subprocess
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from nodesweep.common.files import open_file
from nodesweep.common.text import plain

MOST_BYTES = 1 << 34
FREE_BYTES = 1 << 26
MOST_RATIO = 2000
"""What a file may unpack to: MOST_BYTES, and beyond FREE_BYTES MOST_RATIO times its own size; logs reach 300."""
MEMORY_BYTES = 1 << 27
"""What an .xz may need to be unpacked, and the default of zstd; the highest preset of xz needs half of it."""
_PART_BYTES = 1 << 16
_MAGIC_BYTES = 10


class UnreadableLog(OSError):
    """A compressed log that cannot be unpacked; `strerror` says why, `filename` which."""

    def __init__(self, path: str, reason: str):
        super().__init__(errno.EBADMSG, reason, path)


class ByteStream(Protocol):
    """What bytes are read from, fewer than asked for only at its end."""

    def read(self, most: int, /) -> bytes:
        """The next bytes, at most so many."""


class _XzFile(io.RawIOBase):
    """The content of an .xz file in bounded memory, which `lzma.LZMAFile` does not promise."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._unpacker = _xz_unpacker()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while True:
            data = b""
            if self._unpacker.eof:
                data = (self._unpacker.unused_data or self._file.read(_PART_BYTES)).lstrip(b"\0")
                if not data:
                    return 0
                self._unpacker = _xz_unpacker()  # one more stream, as in a file of several put together
            elif self._unpacker.needs_input:
                data = self._file.read(_PART_BYTES)
                if not data:
                    raise EOFError("it ends amid its content")
            if found := self._unpacker.decompress(data, len(buffer)):
                buffer[: len(found)] = found
                return len(found)


def _xz_unpacker() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=MEMORY_BYTES)


@contextmanager
def _unpacked_by_zstd(file: BinaryIO) -> Iterator[ByteStream]:
    """By the command, since Python itself cannot before 3.14."""
    try:
        process = subprocess.Popen(
            ["zstd", "-dcq"], stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
    except OSError as error:
        raise EOFError(f"the command zstd, which unpacks it, cannot be run here ({error.strerror})") from None
    try:
        yield _ZstdStream(process)
    finally:
        process.kill()
        process.communicate()


class _ZstdStream:
    def __init__(self, process: "subprocess.Popen[bytes]"):
        self._process = process

    def read(self, most: int, /) -> bytes:
        """The next bytes; raises EOFError at the end where zstd did not end well."""
        assert self._process.stdout is not None and self._process.stderr is not None
        found = self._process.stdout.read(most)
        if len(found) < most and self._process.wait():
            complaint = self._process.stderr.read(_PART_BYTES).decode(errors="replace").split("\n")[0]
            raise EOFError(complaint or f"zstd ended with exit code {self._process.returncode}")
        return found


@dataclass(frozen=True)
class Packing:
    """A way to compress: what it adds to a name, how its files begin, and what unpacks them."""

    suffix: str
    magic: re.Pattern[bytes]
    unpacked: Callable[[BinaryIO], AbstractContextManager[ByteStream]]


PACKINGS = (
    Packing(".gz", re.compile(rb"\x1f\x8b\x08"), lambda file: gzip.GzipFile(fileobj=file)),
    Packing(".zst", re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"), _unpacked_by_zstd),
    Packing(".xz", re.compile(rb"\xfd7zXZ\0"), lambda file: io.BufferedReader(_XzFile(file))),
    Packing(".bz2", re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"), bz2.BZ2File),
)
SUFFIXES = tuple(packing.suffix for packing in PACKINGS)
"""What names of compressed logs end with."""


def found_log(path: Path) -> Path | None:
    """The log of this name, or, where that is gone, what a compressor has made of it; None without either."""
    beside = (path.with_name(path.name + suffix) for suffix in SUFFIXES)
    return next((one for one in (path, *beside) if one.is_file()), None)


def plain_name(path: Path) -> Path:
    """The name that a log had before somebody compressed it."""
    return path.with_suffix("") if path.suffix in SUFFIXES else path


def packing_of(descriptor: int) -> Packing | None:
    """How an open file is compressed, by its first bytes whatever its name; None for a plain one."""
    head = os.pread(descriptor, _MAGIC_BYTES, 0)
    return next((packing for packing in PACKINGS if packing.magic.match(head)), None)


class UnpackedLog(io.RawIOBase):
    """What is in a compressed log, read from its start; raises UnreadableLog where it is damaged, or a bomb.

    `count`: how many bytes were read so far.
    """

    def __init__(self, path: str, stream: ByteStream, size: int):
        self.count = 0
        self._path, self._stream = path, stream
        self._most = min(MOST_BYTES, max(FREE_BYTES, MOST_RATIO * size))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer with the next bytes, less of it only at the end."""
        try:
            found = self._stream.read(len(buffer))
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            message = f"cannot be unpacked behind its first {self.count} bytes: {plain(str(error), 200)}"
            raise UnreadableLog(self._path, message) from None
        self.count += len(found)
        if self.count > self._most:
            raise UnreadableLog(
                self._path, f"unpacks to more than {self._most} bytes; unpack it yourself to have it read"
            )
        buffer[: len(found)] = found
        return len(found)


@contextmanager
def unpacked(path: str, descriptor: int, packing: Packing) -> Iterator[UnpackedLog]:
    """The content of an open compressed file, which stays open."""
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        size = os.fstat(descriptor).st_size
        with ExitStack() as stack:
            try:
                stream = stack.enter_context(packing.unpacked(file))
            except EOFError as error:
                raise UnreadableLog(path, f"cannot be unpacked: {error}") from None
            yield UnpackedLog(path, stream, size)


@contextmanager
def log_content(path: Path) -> Iterator[io.BufferedReader]:
    """What is in a log, be it compressed or not. Raises OSError."""
    with os.fdopen(open_file(path), "rb") as file:
        packing = packing_of(file.fileno())
        if packing is None:
            yield file
        else:
            with unpacked(str(path), file.fileno(), packing) as stream:
                yield io.BufferedReader(stream)
