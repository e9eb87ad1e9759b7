"""Tests of when the iterations of a run are enough."""

import sys
from pathlib import Path

import numpy as np
import pytest
from paths import REPOSITORY

from nodesweep.config.sweep import EnoughIterations
from nodesweep.logs.reader import read_log
from nodesweep.logs.reading import LogReading
from nodesweep.results.enough import done_enough, uncertainty, verdict_of_enough
from nodesweep.results.enough_rule import is_enough, looks
from nodesweep.results.outcome import decide
from nodesweep.schedulers.base import End, Usage

sys.path.insert(0, str(REPOSITORY / "tests" / "bench"))
from enough_iterations import FAMILIES, played


def test_looks_are_few():
    """The next look is after 15 % more records, rounded up, and there is none at the end."""
    assert looks(8, 16) == (8, 10, 12, 14)
    assert looks(8, 8) == ()


@pytest.mark.parametrize(
    ("seconds", "enough"),
    [
        ([2.0] * 10, True),
        ([2.0] * 7, False),  # fewer than the least
        ([2.0, 2.01] * 5, False),  # 0.25 % about the median, but 40 more may drift away from it
        ([2.0, 2.01] * 15, True),
        ([2.0, 2.2] * 15, False),  # 5 % about it
        ([2.0 + 0.01 * place for place in range(30)], False),  # half a percent an iteration: 20 more move it by 5 %
        ([2.0] * 4 + [9.0] + [2.0] * 25, True),  # a checkpoint
    ],
)
def test_enough_is_what_holds_the_median(seconds, enough):
    """Records of fifty are enough where they are alike, and not where they scatter, drift, or are too few."""
    assert is_enough(seconds, 50, percent=1, confidence=0.95, least=8) == enough


@pytest.mark.parametrize("family", FAMILIES)
def test_asked_precision_is_held_in_93_of_100_runs_that_stop(family):
    """In each family of series, nobody having tuned on any, medians of stopped runs are within 1 % in 93 of 100."""
    found = np.array([*played(FAMILIES[family], 120, 50, 1.0, seed=7)])
    early = found[found[:, 0] < 1]
    assert (early[:, 1] <= 0.01).mean() >= 0.93
    assert (found[:, 1] <= 0.01).mean() >= 0.93


def test_rounding_of_a_log_counts():
    """Records that all say 12.3 s may be 0.05 s off, and drift by 0.1 s unseen; 12 s for all tell nothing of 1 %."""
    assert not is_enough([12.3] * 10, 50, percent=1, confidence=0.95, least=8, rounding=0.05)  # 40 more: 0.22 s
    assert is_enough([12.3] * 20, 50, percent=1, confidence=0.95, least=8, rounding=0.05)
    assert not is_enough([12.0] * 49, 50, percent=1, confidence=0.95, least=8, rounding=0.5)


def test_many_records_are_decided_on_at_once():
    """A run of 20,000 iterations has 10**8 pairs of records, which nobody compares."""
    values = np.random.default_rng(3).normal(1, 0.01, 15000)
    assert is_enough(values, 20000, percent=1, confidence=0.95, least=8)
    assert not is_enough(values + np.linspace(0, 0.2, 15000), 20000, percent=1, confidence=0.95, least=8)


START = "[before the start of training step] datetime: 2026-01-01 00:00:00 \n"


def record(number: int, milliseconds: float = 500.0, total: int = 50, loss: str = "9.000000E+00") -> str:
    """An iteration line of Megatron-DeepSpeed."""
    return (
        f" iteration {number:8d}/{total:8d} | consumed samples: {16 * number:12d} | elapsed time per iteration (ms): "
        f"{milliseconds:.1f} | learning rate: 1.000E-04 | global batch size:    16 | lm loss: {loss} |\n"
    )


def reading_of(folder: Path, text: str) -> LogReading:
    """A log of this text as it is read."""
    path = folder / "job.log"
    path.write_text(text)
    return read_log(path, None)


SURE = "".join(map(record, range(1, 21)))
OUT_OF_MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB\n"
LACKING = "iterations up to 14 were enough, and its log does not show them"


@pytest.mark.parametrize(
    ("text", "doubt"),
    [
        (START + SURE, ""),
        (START, "it has no iterations of a known format"),
        ("".join(map(record, range(11, 31))), "it does not show the start of the run"),  # what a rotated log has
        (START + SURE + SURE, "numbers of iterations go back"),  # a trainer that began again
        (START + SURE + "".join(record(number, 501) for number in range(15, 25)), "numbers of iterations go back"),
        (START + "".join(record(number) + record(number, 600) for number in range(1, 21)), "numbers of iterations go"),
        (START + SURE + record(22), "iterations are missing"),
        (START + SURE + record(21, total=60), "line 22 is of 60 iterations, and 50 were asked for"),
        (START + SURE + record(21, loss="NaN"), "the loss in line 22 is not a number"),
        (START + SURE + record(21)[:90] + "\n" + record(22), "iterations are missing"),
        (START + SURE + record(21)[:160] + "\n" + record(22), "the loss in line 22 is cut"),
        (START + SURE + OUT_OF_MEMORY, "line 22 tells of a"),
        (START + SURE + record(21, 0.0), "line 22 has no time"),
    ],
    ids=lambda value: "log" if value.startswith("[") else value or "sure",
)
def test_nothing_is_ended_by_a_log_that_is_not_read_with_certainty(tmp_path, text, doubt):
    """Each way in which a log of twenty equal iterations may mislead is named, and ends no run."""
    reading = reading_of(tmp_path, text)
    assert doubt in uncertainty(reading, 50)
    assert bool(uncertainty(reading, 50)) == bool(doubt)
    assert done_enough(reading, 50, 1, EnoughIterations(percent=1)) == (not doubt)


def titan(number: int, second: int) -> str:
    """A line of torchtitan, whose times are by time stamps."""
    stamp = f"2026-01-01 00:{second // 60:02d}:{second % 60:02d},000"
    return f"[rank0]:[titan] {stamp} - root - INFO - step: {number:2d}  loss:  9.0  tps: 1,024  mfu: 9.0%\n"


def test_time_stamps_are_read_with_certainty_but_for_clocks_that_go_back(tmp_path):
    """The first record has no time by its stamp alone; a later one has none where the clock has gone back."""
    text = "".join(titan(number, 2 * number) for number in range(1, 31))
    assert done_enough(reading_of(tmp_path, text), 50, 1, EnoughIterations(percent=1))
    assert uncertainty(reading_of(tmp_path, text + titan(31, 50)), 50) == "line 31 has no time"


def test_percents_below_the_digits_of_a_log_are_never_reached(tmp_path):
    """500.0 ms are within 0.05 ms, which is 0.01 %."""
    reading = reading_of(tmp_path, START + SURE)
    assert done_enough(reading, 50, 1, EnoughIterations(percent=0.1))
    assert not done_enough(reading, 50, 1, EnoughIterations(percent=0.005))


@pytest.mark.parametrize(
    ("end", "text", "outcome", "note"),
    [
        (End(143, "cancelled", "CANCELLED"), SURE, "ok", "enough, ended at 20, 30 of 50 iterations saved"),
        (
            End(143, "cancelled", "CANCELLED", usage=Usage(restarts=1)),
            SURE,
            "ok",
            "enough, ended at 20, 30 of 50 iterations saved; scheduler says CANCELLED",
        ),
        (End(None, "preempted", "PREEMPTED"), SURE, "ok", "iterations saved; scheduler says PREEMPTED"),
        (End(None, "node_failure", "NODE_FAIL"), SURE, "ok", "iterations saved; scheduler says NODE_FAIL"),
        (End(None, "time_limit", "TIMEOUT"), SURE, "ok", "iterations saved; scheduler says TIMEOUT"),
        (End(None, "preempted", "PREEMPTED"), "", "preempted", LACKING),  # its log is gone
        (End(143, "cancelled", "CANCELLED"), record(1), "cancelled", LACKING),  # or was cut
        (End(1), SURE + "ValueError: bad\n", "crash", ""),
        (End(143, "cancelled", "CANCELLED"), SURE + OUT_OF_MEMORY, "oom", "scheduler says CANCELLED"),
        (End(0), "".join(map(record, range(1, 51))), "ok", ""),
    ],
    ids=lambda value: f"log of {value.count(chr(10))} lines" if isinstance(value, str) and chr(10) in value else None,
)
def test_end_after_enough_iterations_is_ok_where_it_came_from_outside(tmp_path, end, text, outcome, note):
    """A job that is cancelled, preempted or loses its node has done what was enough; what its log shows else holds."""
    reading = reading_of(tmp_path, text and START + text)
    verdict = verdict_of_enough(decide(end, reading, 50), end, reading, 14, 50)
    assert verdict.outcome == outcome
    assert note in verdict.note and bool(note) == bool(verdict.note)
    assert verdict.note.startswith("stopped at iteration 14: enough") == (outcome == "ok" and bool(note))
