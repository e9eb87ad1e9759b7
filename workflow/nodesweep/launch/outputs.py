"""The files that a running job writes its output to."""

from collections.abc import Sequence
from pathlib import Path

_AT_EACH_END = 2


def few_of(outputs: Sequence[Path]) -> list[Path]:
    """The first and the last of a job's files, where it has one a rank: trainers log on the first rank or the last."""
    if len(outputs) <= 2 * _AT_EACH_END:
        return list(outputs)
    return [*outputs[:_AT_EACH_END], *outputs[-_AT_EACH_END:]]


def written_bytes(outputs: Sequence[Path]) -> int | None:
    """How much a job has written by now; None where it has no file yet."""
    sizes = [path.stat().st_size for path in outputs if path.is_file()]
    return sum(sizes) if sizes else None
