"""What a PJM job leaves in its folder: the output of its ranks, and its statistics."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from nodesweep.common.files import new_file, regular_head, sync_folder
from nodesweep.common.text import plain
from nodesweep.config.memory_sources import MemoryScope
from nodesweep.schedulers.base import Usage

MEMORY_OF: MemoryScope = "node"
STATISTICS_BYTES = 4 * 2**20
"""How much of a statistics file is read; of 12288 nodes, each named twice, the job's part has half a MiB."""

_RANK_FILE = re.compile(r"(std|stdout|stderr)\.(\d{1,6})\.(\d{1,9})")
_STREAMS = {"std": "stdout and stderr", "stdout": "stdout", "stderr": "stderr"}
_ITEM = re.compile(r"[ \t]{0,8}(\S(?:.{0,80}?\S)?)[ \t]{0,80}: ?(.{0,400})")
_DATE = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d")


@dataclass(frozen=True)
class JobStatistics:
    """What the statistics of a job say; times in seconds since the epoch, None where they are not given."""

    started: float | None = None
    ended: float | None = None
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, order=True)
class _RankFile:
    """Output of one rank; `launch` counts the mpiexec calls of a job."""

    launch: int
    rank: int
    stream: str
    path: Path

    @property
    def heading(self) -> str:
        return f"nodesweep: rank {self.rank}, {_STREAMS[self.stream]}"


def rank_files(directory: Path, key: str) -> list[Path]:
    """The files `mpiexec -std-proc <key>.ranks/%/1000r/std` has made, in the order they have in the log."""
    return [file.path for file in _rank_files(directory, key)]


def gather(directory: Path, key: str) -> None:
    """Write <key>.log: what the ranks wrote, then what the job script wrote, each part under a heading.

    A failure in a log counts only if it stands after the records of the run. These are printed by the last rank, or by
    the first: so the last rank comes first, then the others in order, and the script, which outlives all, comes last.
    """
    script, ranks = directory / f"{key}.out", _rank_files(directory, key)
    parts = [(file.heading, file.path) for file in ranks]
    if script.is_file():
        parts.append(("nodesweep: the job script" if ranks else "", script))
    if not parts:
        return
    gathered = directory / f"{key}.log"
    descriptor, temporary = new_file(gathered)
    try:
        with os.fdopen(descriptor, "wb") as log:
            for heading, path in parts:
                _append(log, heading, path)
            log.flush()
            os.fsync(descriptor)
        temporary.replace(gathered)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(directory)


def read_statistics(path: Path) -> JobStatistics | None:
    """The job's own part of a statistics file; None while there is no whole one."""
    try:
        text = regular_head(path, STATISTICS_BYTES).decode(errors="replace")
    except OSError:
        return None
    whole = text.endswith("\n") or len(text) >= STATISTICS_BYTES
    lines = text.splitlines()
    if not whole or not any("Job Statistical Information" in line for line in lines[:5]):
        return None
    items: dict[str, str] = {}
    for line in lines:
        if line.startswith("-----"):
            break  # from here on: its nodes, one by one
        match = _ITEM.match(line)
        if match:
            items.setdefault(match[1], match[2].strip())
    return JobStatistics(_time(items, "JOB START DATE"), _time(items, "JOB END DATE"), _usage(items))


def _usage(items: dict[str, str]) -> Usage:
    memory = re.search(r"\((\d{1,18})\)", items.get("MAX MEMORY SIZE (USE)", ""))
    restarts = items.get("RETRY NUM", "")
    capped = plain(items.get("POWER CAPPING DATE", "-"), 80)
    watt_hours = _measured(items, "ENERGY CONSUMPTION OF NODE")
    nodes = plain(items.get("NODE NUM (ALLOC)", ""), 80)
    return Usage(
        nodes="" if nodes == "-" else nodes,
        memory_bytes=int(memory[1]) if memory else None,
        memory_of=MEMORY_OF if memory else None,
        energy_joules=None if watt_hours is None else watt_hours * 3600,
        power_watts=_measured(items, "AVG POWER CONSUMPTION OF NODE"),
        power_capped="" if capped == "-" else capped,
        restarts=int(restarts) if re.fullmatch(r"\d{1,6}", restarts) else None,
    )


def _measured(items: dict[str, str], name: str) -> float | None:
    """A figure of all nodes together: as measured, else as estimated from their activity."""
    for way in ("MEASURED", "IDEAL"):
        match = re.match(r"\d{1,15}(?:\.\d{1,9})?", items.get(f"{name} ({way})", ""))
        if match and float(match[0]) > 0:
            return float(match[0])
    return None


def _time(items: dict[str, str], name: str) -> float | None:
    """A date in local time; marks may follow it."""
    match = _DATE.match(items.get(name, ""))
    try:
        return datetime.strptime(match[0], "%Y/%m/%d %H:%M:%S").timestamp() if match else None
    except (ValueError, OverflowError):
        return None


def _rank_files(directory: Path, key: str) -> list[_RankFile]:
    files = sorted(_found(directory / f"{key}.ranks"))
    last = max((file.rank for file in files), default=0)
    return [file for file in files if file.rank == last] + [file for file in files if file.rank != last]


def _found(folder: Path) -> Iterator[_RankFile]:
    """Rank files in the folders of 1000 ranks each; anything else there is not nodesweep's."""
    for path in folder.glob("*/std*"):
        match = _RANK_FILE.fullmatch(path.name)
        if match and path.parent.name.isdigit() and path.is_file():
            yield _RankFile(int(match[2]), int(match[3]), match[1], path)


def _append(log: BinaryIO, heading: str, path: Path) -> None:
    """Add a file under its heading, and end it with a line break."""
    if heading:
        log.write(f"{heading}\n".encode())
    with path.open("rb") as part:
        shutil.copyfileobj(part, log, 2**20)
        if part.tell() and part.seek(-1, os.SEEK_END) is not None and part.read(1) != b"\n":
            log.write(b"\n")
