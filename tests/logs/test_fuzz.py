"""A million hostile lines: no bytes break the reader, and twice as many take twice as long."""

import random
import time
from pathlib import Path

import pytest
from paths import LOGS

from nodesweep.logs.reader import read_log
from nodesweep.logs.summary import summary
from nodesweep.reports.log_explanation import as_json, explanation
from nodesweep.results.outcome import decide_from_log

LINES = 1_000_000
EXAMPLES = [line for path in sorted(LOGS.glob("*/*.log")) for line in path.read_bytes().split(b"\n")]
EXAMPLES += [line.partition(b"\t")[2] for path in LOGS.rglob("*.tsv") for line in path.read_bytes().split(b"\n")]


def mutated(line: bytes, chance: random.Random) -> bytes:
    """A line of an example with something done to it."""
    at = chance.randrange(len(line) + 1)
    other = chance.choice(EXAMPLES)
    return chance.choice(
        (
            line[:at],
            line[at:],
            line[:at] + chance.randbytes(3) + line[at:],
            line[:at] + bytes([chance.randrange(256)]) + line[at + 1 :],
            line[:at] + other[chance.randrange(len(other) + 1) :],
            line + other,
            line[:at] + b"\r" + line[at:],
            line[:at] + b"\n0: " + line[at:],
            line[:at] + b"9" * chance.randrange(400) + line[at:],
            line[:at] + "é漢"[chance.randrange(2)].encode()[:-1] + line[at:],
            b"0: [default0]:" + line,
        )
    )


def hostile(lines: int, seed: int) -> bytes:
    """Lines of random bytes, most of them, and of mutated examples."""
    chance = random.Random(seed)
    noise = [chance.randbytes(chance.randrange(80)).replace(b"\n", b"") for _ in range(2_000)]
    rows = chance.choices(noise, k=lines)
    for place in range(0, lines, 20):
        rows[place] = mutated(chance.choice(EXAMPLES), chance)
    return b"\n".join(rows)


def check(path: Path) -> None:
    """Whatever the bytes, a reading makes sense and can be told."""
    reading = read_log(path)
    numbers = [row.number for row in reading.iterations]
    assert numbers == sorted(set(numbers))
    assert all(row.seconds is None or 0 < row.seconds < float("inf") for row in reading.iterations)
    assert all(found.text.isprintable() and len(found.text) <= 300 for found in reading.signatures)
    assert reading.lines == path.read_bytes().count(b"\n") + 1
    assert decide_from_log(reading).evidence.isprintable()
    assert summary(reading)["n_iteration_records"] == len(numbers)
    assert explanation("log", reading, []) and as_json(reading)


@pytest.fixture(scope="module")
def million(tmp_path_factory):
    """A file of a million hostile lines."""
    path = tmp_path_factory.mktemp("fuzz") / "million.log"
    path.write_bytes(hostile(LINES, seed=7))
    return path


def test_a_million_hostile_lines(million):
    """Random bytes and mutated lines of every format are read without a fall."""
    check(million)


def test_time_grows_with_the_lines(million, tmp_path):
    """Of the same lines four times as many take no more than eight times as long, in processor time."""
    content = million.read_bytes()[:8_000_000]
    seconds = []
    for times in (1, 4):
        path = tmp_path / f"{times}.log"
        path.write_bytes(b"\n".join([content] * times))
        started = time.process_time()
        read_log(path)
        seconds.append(time.process_time() - started)
    assert seconds[1] < 8 * seconds[0]


@pytest.mark.parametrize("unit", [b"x", b"\xff", b"\0", b" ", b"iteration ", b"Error: ", b"0: ", b"| lm loss: ", b"\r"])
def test_a_line_of_fifty_megabytes(tmp_path, unit):
    """A line without an end neither stops the reader nor hides the iteration after it."""
    path = tmp_path / "long.log"
    record = (
        b" iteration        1/       2 | elapsed time per iteration (ms): 1000.0 | number of nan iterations:   0 |\n"
    )
    path.write_bytes(unit * (50_000_000 // len(unit)) + b"\n" + record)
    started = time.process_time()
    assert [row.seconds for row in read_log(path).iterations] == [1.0]
    assert time.process_time() - started < 30


def test_truncated_utf8(tmp_path):
    """A file cut in the middle of a character is read up to there."""
    path = tmp_path / "cut.log"
    record = " iteration        1/       2 | elapsed time per iteration (ms): 1000.0 |\n"
    path.write_bytes((record + "損失").encode()[:-1])
    assert len(read_log(path).iterations) == 1
