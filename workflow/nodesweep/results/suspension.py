"""A run that its scheduler suspended: which of its records holds the pause, where the times show it."""

from collections.abc import Sequence
from statistics import median

from nodesweep.logs.reading import Iteration

LEAST_SECONDS = 1.5
TOLERANCE = 0.1
"""A pause is as long as its scheduler says give or take so many seconds, or this share of it: schedulers count whole
seconds from when they asked for it.
"""
FEWEST_OTHERS = 3


def paused_record(records: Sequence[Iteration], interval: int, suspended_seconds: float | None) -> Iteration | None:
    """The one of these timed records that is longer than the others by the pause; None where that is not clear.

    `interval`: iterations of a record, whose time is their mean.
    """
    if not suspended_seconds or len(records) <= FEWEST_OTHERS:
        return None
    extra, allowed = _extra(records, interval), _allowed(suspended_seconds)
    found = max(records, key=lambda row: extra[row.number])
    others = (seconds for number, seconds in extra.items() if number != found.number)
    is_clear = abs(extra[found.number] - suspended_seconds) <= allowed < extra[found.number]
    return found if is_clear and max(others) <= allowed else None


def suspended_flag(
    records: Sequence[Iteration], interval: int, suspended_seconds: float | None, statistic: str
) -> list[str]:
    """What a reader must know of a run that was suspended, by the timed records after its warm-up; none for others."""
    if not suspended_seconds:
        return []
    head = f"was suspended for {suspended_seconds:g} s"
    found = paused_record(records, interval, suspended_seconds)
    if found is not None:
        usual = median(row.seconds or 0.0 for row in records if row is not found)
        seconds = f"{found.seconds:.4g} s where others take {usual:.4g}"
        return [f"{head}: the record of iteration {found.number} holds it ({seconds}) and is left out"]
    if not records:
        return [head]
    if len(records) > 1 and max(_extra(records, interval).values()) <= _allowed(suspended_seconds) < suspended_seconds:
        return [f"{head}: no iteration after warm-up took so much longer"]
    return [f"{head}: which iterations hold it is not clear, and the {statistic} of sec/it may be too high by it"]


def _extra(records: Sequence[Iteration], interval: int) -> dict[int, float]:
    """By how many seconds each record is longer than the usual one, all its iterations together; by its number."""
    usual = median(row.seconds or 0.0 for row in records)
    return {row.number: ((row.seconds or 0.0) - usual) * interval for row in records}


def _allowed(suspended_seconds: float) -> float:
    return max(LEAST_SECONDS, TOLERANCE * suspended_seconds)
