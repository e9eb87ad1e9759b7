"""Which first records of a log are no measurements, by what is known of the format and by the records themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from nodesweep.logs.patterns.trainer import FIRST, SECOND_HOLDS_FIRST

from .reading import Iteration, LogReading

APART = 0.05
WARM_UP_DEVIATION = 0.1
WARM_UP_SPREADS = 5.0


def warm_up(reading: LogReading) -> tuple[int, str]:
    """How many leading records are warm-up, and why; at least one record is left.

    No record is where the log does not show the start of a run: in an excerpt, or the tail of a log.
    """
    form, records = reading.format, reading.iterations
    if form is None or not reading.shows_start or len(records) < 2:
        return 0, ""
    rule = SECOND_HOLDS_FIRST if second_holds_first(reading) else form.warm_up
    if rule.are_means and not _are_means(records[: rule.iterations]):
        rule = FIRST
    started = max(records[0].number - (reading.log_interval or 1), form.iteration.first_number - 1)
    within = sum(row.number <= started + rule.iterations for row in records)
    return min(max(within, rule.records), len(records) - 1), rule.reason


def _are_means(records: Sequence[Iteration]) -> bool:
    """Whether the times may be the means of all iterations so far: none of them took less than nothing."""
    sums = [number * (row.seconds or 0) for number, row in enumerate(records, 1)]
    return all(after >= before for before, after in pairwise(sums))


def second_holds_first(reading: LogReading) -> bool:
    """Whether the second record is the mean of all iterations so far: timers not reset after the first.

    So it is in what Megatron-LM prints since 2026. In other logs of its family the numbers show it: the mean without
    the first iteration agrees with the later records, the printed one does not.
    """
    form, records = reading.format, reading.iterations
    if form is None or not form.iteration.may_sum_first or not reading.shows_start:
        return False
    if form.warm_up is SECOND_HOLDS_FIRST:
        return True
    if len(records) < 3 or records[0].number != 1:
        return False
    first, second = records[0].seconds, records[1].seconds
    later = [row.seconds for row in records[2:] if row.seconds is not None]
    if first is None or second is None or not later:
        return False
    typical, number = median(later), records[1].number
    without_first = (number * second - first) / (number - 1)
    off = abs(second - typical)
    return off > APART * typical and abs(without_first - typical) < off / 4


@dataclass(frozen=True)
class WarmUpRecords:
    """How many leading records with a time each rule leaves out; `records` are left out: the most of them, never all.

    `configured`: records with a configured warm-up iteration in them. `by_format`: records that are no measurements by
    what is known of the log's format, for `format_reason`. `by_times`: records whose time is far off the later ones.
    """

    records: int
    configured: int
    by_format: int
    format_reason: str
    by_times: int


def timed(reading: LogReading) -> tuple[Iteration, ...]:
    """The records of a log that say how long they took."""
    return tuple(row for row in reading.iterations if row.seconds is not None)


def warm_up_by_rule(reading: LogReading, warmup: int | None) -> WarmUpRecords | None:
    """What each rule leaves out of a log; None where no record has a time.

    `warmup` in iterations, None where it is not configured; where it is 0 the format's rule does not apply. By times:
    leading records whose time is off the median of the later half by more than 10 % and by more than 5 times its median
    absolute deviation, at most half of the records.
    """
    records = timed(reading)
    if not records:
        return None
    interval = records[1].number - records[0].number if len(records) > 1 else 1
    before_all = reading.format.iteration.first_number - 1 if reading.format else 0
    first = max(records[0].number - interval, before_all)
    starts = [first, *(row.number for row in records[:-1])]
    configured = sum(start < first + (warmup or 0) for start in starts)
    dropped, reason = warm_up(reading) if warmup != 0 else (0, "")
    by_format = sum(row.seconds is not None for row in reading.iterations[:dropped])
    by_times = _off_the_later(records)
    most = max(configured, by_format, by_times)
    return WarmUpRecords(min(most, len(records) - 1), configured, by_format, reason, by_times)


def warm_up_records(reading: LogReading, warmup: int | None) -> int:
    """How many leading records with a time to leave out; one at least stays."""
    found = warm_up_by_rule(reading, warmup)
    return found.records if found else 0


def _off_the_later(records: tuple[Iteration, ...]) -> int:
    """How many leading records take a time that is far off the later ones."""
    times = [row.seconds for row in records if row.seconds is not None]
    later = times[len(times) // 2 :]
    typical = median(later)
    deviation = median(abs(seconds - typical) for seconds in later)
    allowed = max(WARM_UP_DEVIATION * typical, WARM_UP_SPREADS * deviation)
    leading = times[: len(times) // 2]
    steady = (index for index, seconds in enumerate(leading) if abs(seconds - typical) <= allowed)
    return next(steady, len(leading))
