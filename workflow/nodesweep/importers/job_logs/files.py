"""Logs of old jobs, found below folders; what goes to standard error beside what goes to standard output."""

import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nodesweep.common.errors import NodesweepError
from nodesweep.common.text import plain
from nodesweep.logs.packed import SUFFIXES, plain_name
from nodesweep.logs.patterns.trainer import Format
from nodesweep.logs.reader import read_log
from nodesweep.logs.reading import LogReading

MOST_LOGS = 20_000
MOST_ENTRIES = 500_000
SHOWN = 900

_LOG_NAME = re.compile(
    r"(?:.{0,255}\.(?:log|out|err|txt|stdout|stderr|ou|er|[oe]\d{1,12}(?:[.-]\d{1,6}){0,2})"
    r"|(?:std(?:out|err)|nohup|slurm-\d)[\w.-]{0,200})" + f"(?:{'|'.join(map(re.escape, SUFFIXES))})?",
    re.IGNORECASE | re.DOTALL,
)
# What a scheduler calls standard error, and standard output in the same place of a name.
_ERROR_WORD = re.compile(r"(?<![A-Za-z])(?:stderr|err|ER)(?![A-Za-z])")
_OUTPUT_WORDS = {"stderr": ("stdout",), "err": ("out", "log", "txt"), "ER": ("OU",)}
_ERROR_NUMBER = re.compile(r"\.e(?=\d{1,12}(?:[.-]\d{1,6}){0,2}$)")


@dataclass(frozen=True)
class LogFile:
    """A log to read: `shown` is the path as the user wrote it, `relative` the part below the folder that was named."""

    path: Path
    shown: str
    relative: str


@dataclass(frozen=True)
class OldJob:
    """The log of one job, and what it wrote to standard error where that is another file."""

    output: LogFile
    error: LogFile | None = None

    def readings(self, forms: Iterable[Format | None]) -> list[LogReading] | str:
        """Readings of the job's files, by the first format that finds iterations; or why they cannot be read."""
        paths = [log.path for log in (self.output, self.error) if log]
        readings: list[LogReading] = []
        try:
            for form in dict.fromkeys(forms):
                readings = [read_log(path, form) for path in paths]
                if any(reading.iterations for reading in readings):
                    break
        except OSError as error:
            return error.strerror or "cannot be read"
        return readings


@dataclass(frozen=True)
class LeftAlone:
    """A file, or several, that nothing was read from."""

    file: str
    why: str


@dataclass(frozen=True)
class FoundLogs:
    """The logs of jobs in the order of their paths, and the files that are no log."""

    jobs: tuple[OldJob, ...]
    left_alone: tuple[LeftAlone, ...]


def find_logs(paths: Iterable[Path]) -> FoundLogs:
    """All logs below folders and among files; raises NodesweepError for a path that is not there or holds too much."""
    seen: dict[tuple[int, int], str] = {}
    logs: list[LogFile] = []
    left: list[LeftAlone] = []
    for path in paths:
        if not path.exists():
            raise NodesweepError(f"{path}: no such file or folder")
        for found in _below(path, left) if path.is_dir() else [_file(path, path.name)]:
            why = _unfit(found, seen)
            if why:
                left.append(LeftAlone(found.shown, why))
            else:
                logs.append(found)
            if len(logs) > MOST_LOGS:
                raise NodesweepError(f"{path}: over {MOST_LOGS} logs; ingest its folders one by one, each with --name")
    return FoundLogs(tuple(_paired(logs)), tuple(left))


def _file(path: Path, relative: str) -> LogFile:
    return LogFile(path, plain(str(path), SHOWN), plain(relative, SHOWN))


def _below(folder: Path, left: list[LeftAlone]) -> Iterator[LogFile]:
    """Files named like logs, sorted; links to folders are not followed, so that no loop is walked."""
    others: Counter[str] = Counter()
    entries = 0

    def unreadable(error: OSError) -> None:
        left.append(LeftAlone(plain(str(error.filename), SHOWN), error.strerror or "cannot be read"))

    for place, folders, names in os.walk(folder, onerror=unreadable):
        folders.sort()
        entries += len(folders) + len(names)
        if entries > MOST_ENTRIES:
            raise NodesweepError(f"{folder}: over {MOST_ENTRIES} files; give the folders that hold logs")
        for name in folders:
            if (link := Path(place, name)).is_symlink():
                left.append(LeftAlone(plain(str(link), SHOWN), "a link to a folder; give it by its own path"))
        for name in sorted(names):
            if _LOG_NAME.fullmatch(name):
                path = Path(place, name)
                yield _file(path, str(path.relative_to(folder)))
            else:
                others[plain(Path(name).suffix, 20) or "no suffix"] += 1
    if others:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(others.items(), key=_most_first)[:8])
        number = sum(others.values())
        left.append(LeftAlone(plain(str(folder), SHOWN), f"{number} other files, not named like logs ({kinds})"))


def _most_first(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _unfit(log: LogFile, seen: dict[tuple[int, int], str]) -> str | None:
    """Why a file cannot be a log of its own; None where it can."""
    try:
        status = log.path.stat()
    except OSError as error:
        return error.strerror
    if not stat.S_ISREG(status.st_mode):
        return "no regular file"
    if not status.st_size:
        return "empty"
    first = seen.setdefault(_identity(status), log.shown)
    if first is not log.shown:
        return f"the same file as {first}"
    unpacked = plain_name(log.path)
    is_double = unpacked != log.path and unpacked.is_file() and _identity(unpacked.stat()) in seen
    return f"{unpacked.name} is read, which lies beside it" if is_double else None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _paired(logs: list[LogFile]) -> Iterator[OldJob]:
    """Each log with the standard error of the same job."""
    by_path: dict[Path, LogFile] = {}
    for log in logs:
        by_path[log.path if plain_name(log.path) in by_path else plain_name(log.path)] = log
    errors: dict[Path, LogFile] = {}
    for path, log in by_path.items():
        output = next((path for path in _outputs(path) if path in by_path and path not in errors), None)
        if output is not None:
            errors[output] = log
    beside = {error.path for error in errors.values()}
    return (OldJob(log, errors.get(path)) for path, log in by_path.items() if log.path not in beside)


def _outputs(path: Path) -> Iterator[Path]:
    """Where standard output may be if this is standard error."""
    if _ERROR_NUMBER.search(path.name):
        yield path.with_name(_ERROR_NUMBER.sub(".o", path.name))
    for match in _ERROR_WORD.finditer(path.name):
        for word in _OUTPUT_WORDS[match[0]]:
            yield path.with_name(path.name[: match.start()] + word + path.name[match.end() :])
