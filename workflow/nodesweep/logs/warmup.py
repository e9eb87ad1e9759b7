"""Which first records of a log are no measurements, by what is known of its format and by the records themselves."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from .formats import BUFFERED, CONTAMINATED, FIRST, FORMATS
from .megatron import MEGATRON
from .reading import Iteration, LogReading

APART = 0.05


def warm_up(reading: LogReading) -> tuple[int, str]:
    """How many leading records are warm-up, and why; at least one record is left.

    None where the log does not show the start of a run: an excerpt, or the tail of a log.
    """
    form, records = reading.format, reading.iterations
    if form is None or not reading.shows_start or len(records) < 2:
        return 0, ""
    rule = FORMATS[CONTAMINATED].warm_up if second_holds_first(reading) else form.warm_up
    if rule is BUFFERED and not _are_means(records[: rule.iterations]):
        rule = FIRST
    started = max(records[0].number - (reading.log_interval or 1), form.record.first_number - 1)
    within = sum(row.number <= started + rule.iterations for row in records)
    return min(max(within, rule.records), len(records) - 1), rule.reason


def _are_means(records: Sequence[Iteration]) -> bool:
    """Whether the times may be the means of all iterations so far: none of them took less than nothing."""
    sums = [number * (row.seconds or 0) for number, row in enumerate(records, 1)]
    return all(after >= before for before, after in pairwise(sums))


def second_holds_first(reading: LogReading) -> bool:
    """Whether the second record is the mean of all iterations so far: timers not reset after the first.

    So in what Megatron prints since 2026; in other logs of its family told by numbers: the mean without the first
    iteration is what the later records say, the printed one is not.
    """
    form, records = reading.format, reading.iterations
    if form is None or form.record is not MEGATRON or not reading.shows_start:
        return False
    if form.warm_up is FORMATS[CONTAMINATED].warm_up:
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
