"""Compressed logs are read as the plain ones they were made of, in bounded memory; damaged ones are told."""

import bz2
import gzip
import lzma
import resource
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from needs import need_command
from written_logs import record_line

from nodesweep.logs import packed
from nodesweep.logs.lines import lines_at
from nodesweep.logs.packed import UnreadableLog, found_log, log_content, plain_name
from nodesweep.logs.reader import read_log
from nodesweep.logs.search.search import BLOCK_BYTES, LINE_BYTES


def _by_zstd(data: bytes) -> bytes:
    """Compressed by the command; without it the test that asks is skipped, or fails where nothing may be lacking."""
    need_command("zstd", "tests/logs/install.sh")
    return subprocess.run(["zstd", "-1c"], input=data, stdout=subprocess.PIPE, check=True).stdout


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": lambda data: gzip.compress(data, 1),
    ".bz2": lambda data: bz2.compress(data, 1),
    ".xz": lambda data: lzma.compress(data, preset=0),
    ".zst": _by_zstd,
}
ALL = list(PACKERS)
CLOSING = "nodesweep: the launch ended with exit code 0\n"


def packed_log(folder: Path, suffix: str, data: bytes) -> Path:
    """A compressed log beside no plain one."""
    path = folder / f"run.log{suffix}"
    path.write_bytes(PACKERS[suffix](data))
    return path


def long_log(size: int) -> bytes:
    """A log of so many bytes, an iteration every 100 kB, of which one stands across the border of two blocks."""
    noise, lines, length, number = "noise " * 20 + "\n", [], 0, 0
    while length < size:
        number += 1
        lines += [noise] * 830 + [record_line(number, 999, 1.0) + "\n"]
        length = sum(map(len, lines)) if number == 1 else length + 830 * len(noise) + len(lines[-1])
    return "".join([*lines, "the last words\n", CLOSING]).encode()


@pytest.mark.parametrize("suffix", ALL)
def test_a_compressed_log_reads_as_the_plain_one(tmp_path: Path, suffix: str) -> None:
    """Over borders of blocks too: the same iterations on the same lines, the same last words."""
    data = long_log(BLOCK_BYTES + 2 * LINE_BYTES)
    (tmp_path / "plain.log").write_bytes(data)
    plain, path = read_log(tmp_path / "plain.log"), packed_log(tmp_path, suffix, data)
    found = read_log(path)
    assert len(found.iterations) > 40 and found.is_closed and found.last_text == "the last words"
    assert (found.unpacked_bytes, found.size_bytes) == (len(data), path.stat().st_size)
    same = {"size_bytes": 0, "modified_ns": 0, "unpacked_bytes": None}
    assert replace(found, **same) == replace(plain, **same)
    number = found.iterations[-1].line
    assert lines_at(path, [1, number]) == lines_at(tmp_path / "plain.log", [1, number])


def test_blocks_of_any_length_are_those_of_a_file(tmp_path: Path) -> None:
    """A log that ends at, before or behind the border of a block is read to its end."""
    line = b" iteration        1/       9 | elapsed time per iteration (ms): 1000.0 |\n"
    for size in (
        0,
        1,
        LINE_BYTES,
        BLOCK_BYTES - 1,
        BLOCK_BYTES,
        BLOCK_BYTES + LINE_BYTES,
        BLOCK_BYTES + LINE_BYTES + 1,
    ):
        data = (b"x" * 99 + b"\n") * (size // 100) + b"y" * (size % 100 - 1) + b"\n" * (size % 100 > 0) + line
        (tmp_path / "a.log").write_bytes(data)
        found, plain = read_log(packed_log(tmp_path, ".gz", data)), read_log(tmp_path / "a.log")
        assert found.iterations == plain.iterations and found.lines == plain.lines, size


def test_a_compressed_log_stands_for_the_plain_one(tmp_path: Path) -> None:
    """It is found by the old name, unless that is there still; a pipe or a folder of that name is none."""
    log = tmp_path / "run.log"
    assert found_log(log) is None
    (tmp_path / "run.log.gz").mkdir()
    path = packed_log(tmp_path, ".xz", b"words\n")
    assert (found_log(log), plain_name(path)) == (path, log)
    log.write_text("words\n")
    assert found_log(log) == log


def test_the_beginning_of_a_file_tells_not_its_name(tmp_path: Path) -> None:
    """A plain log whose name says otherwise is read as it is, and a compressed one whose name says nothing."""
    (tmp_path / "a.gz").write_text(record_line(1, 1, 2.0) + "\n")
    (tmp_path / "slurm-1.out").write_bytes(gzip.compress(record_line(1, 1, 2.0).encode()))
    assert [len(read_log(tmp_path / name).iterations) for name in ("a.gz", "slurm-1.out")] == [1, 1]


def test_files_put_together_are_read_to_the_end(tmp_path: Path) -> None:
    """As `cat a.xz b.xz` makes them, and as log rotation does, with padding between streams of xz."""
    for suffix, padding in ((".gz", b""), (".bz2", b""), (".xz", b"\0\0\0\0")):
        path = tmp_path / f"run.log{suffix}"
        path.write_bytes(padding.join(PACKERS[suffix](f"line {number}\n".encode()) for number in (1, 2)))
        with log_content(path) as stream:
            assert stream.read() == b"line 1\nline 2\n"


@pytest.mark.parametrize("suffix", ALL)
def test_a_damaged_file_is_told(tmp_path: Path, suffix: str) -> None:
    """One that ends too early, and one with other bytes in its middle."""
    data = "".join(f"{number * 7919 % 10007} words of no pattern\n" for number in range(20_000)).encode()
    path = packed_log(tmp_path, suffix, data)
    whole = path.read_bytes()
    middle = len(whole) // 2
    for damaged in (whole[:middle], whole[:middle] + b"\xff" * 64 + whole[middle + 64 :]):
        path.write_bytes(damaged)
        with pytest.raises(UnreadableLog, match="cannot be unpacked behind its first "):
            read_log(path)


@pytest.mark.parametrize("suffix", ALL)
def test_a_bomb_is_told_in_little_memory(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that unpacks to far more than logs do ends the reading, which holds a few blocks at a time."""
    monkeypatch.setattr(packed, "FREE_BYTES", 1 << 24)
    monkeypatch.setattr(packed, "MOST_RATIO", 10)
    path = packed_log(tmp_path, suffix, bytes(1 << 26))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UnreadableLog, match="unpacks to more than 16777216 bytes"):
        read_log(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_without_the_command_zstd_its_logs_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the command that is missing."""
    path = tmp_path / "run.log.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnreadableLog, match="the command zstd, which unpacks it, cannot be run here"):
        read_log(path)
