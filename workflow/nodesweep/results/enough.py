"""Runs that are ended since their iterations are enough: when a log that grows shows that, and how they ended."""

import re
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from nodesweep.config.sweep import EnoughIterations
from nodesweep.logs.reading import LogReading
from nodesweep.logs.warmup import timed, warm_up_records

from .outcome import Verdict

if TYPE_CHECKING:  # schedulers take long to load
    from nodesweep.schedulers.base import End

_BY_THE_SCHEDULER = ("cancelled", "preempted", "node_failure", "time_limit")
"""Causes by which a job ends from outside, whatever its training does."""
RULE = "the launcher ended the job, since its iterations were enough"
ENDED_AFTER = "the job was ended from outside, and its iterations were enough"
_SAVED = re.compile(r"(\d+) of \d+ iterations saved")


def uncertainty(reading: LogReading, iterations: int) -> str:
    """Why the log of a run of so many iterations is not read with certainty; empty where it is."""
    records, interval = reading.iterations, reading.log_interval
    if reading.format is None or not records:
        return "it has no iterations of a known format"
    if not reading.shows_start:
        return "it does not show the start of the run"
    if reading.restarts:
        return "numbers of iterations go back, as after a restart or of two trainers"
    near = reading.near_misses.get(reading.format.iteration.name)
    if near is not None:
        return f"line {near.line} is almost an iteration"
    if reading.signatures:
        return f"line {reading.signatures[0].line} tells of a failure"
    for row in records:
        if not (row.seconds or 0) > 0 and row is not records[0]:  # that has none by time stamps alone
            return f"line {row.line} has no time"
        if row.is_nan or row.cut:
            return f"the loss in line {row.line} is {'cut' if row.cut else 'not a number'}"
        if row.total not in (None, iterations):
            return f"line {row.line} is of {row.total} iterations, and {iterations} were asked for"
    if any(after.number - before.number != interval for before, after in pairwise(records[1:])):
        return "iterations are missing"
    return ""


def done_enough(reading: LogReading, iterations: int, warmup: int, asked: EnoughIterations) -> bool:
    """Whether a log that still grows shows enough of so many iterations; False for one not read with certainty."""
    interval = reading.log_interval
    if not interval or reading.iterations_done >= iterations or uncertainty(reading, iterations):
        return False
    used = timed(reading)[warm_up_records(reading, warmup) :]
    if len(used) < asked.least:
        return False
    from .enough_rule import is_enough  # numpy takes a quarter of a second to import

    seconds = [row.seconds for row in used if row.seconds is not None]
    left = (iterations - reading.iterations_done) // interval
    rounding = max(row.seconds_rounding for row in used)
    return is_enough(seconds, len(used) + left, asked.percent, asked.confidence, asked.least, rounding)


def verdict_of_enough(verdict: Verdict, end: "End", reading: LogReading, iteration: int, requested: int) -> Verdict:
    """How a job ended whose first iterations were enough: well, where it was ended from outside after them.

    `verdict`: by its end and its log alone, which holds where the log shows another cause, or lacks those iterations.
    """
    done, latest = reading.iterations_done, reading.latest
    if end.cause not in _BY_THE_SCHEDULER or verdict.cause != end.cause or reading.restarts:
        return verdict
    if latest is None or latest.is_nan or done < iteration:
        lacking = f"iterations up to {iteration} were enough, and its log does not show them"
        return replace(verdict, note="; ".join(filter(None, (verdict.note, lacking))))
    if done >= requested:
        return verdict
    where = f"stopped at iteration {iteration}: enough"
    ended = f", ended at {done}" if done > iteration else ""
    note, rule = f"{where}{ended}, {requested - done} of {requested} iterations saved", RULE
    if end.cause != "cancelled" or end.usage.restarts:
        note, rule = f"{note}; scheduler says {end.state or end.cause}", ENDED_AFTER
    shown = f"line {latest.line}: iteration {done} of {requested}"
    return Verdict("ok", where, shown, note, rule, "ok")


def iterations_in(note: str) -> int:
    """How many iterations a run saved since those before were enough, by the note of its verdict.

    >>> iterations_in("stopped at iteration 14: enough, 36 of 50 iterations saved"), iterations_in("")
    (36, 0)
    """
    found = _SAVED.search(note)
    return int(found[1]) if found else 0
