"""Logs looked at while they grow: what is new is read, once, and nothing that happens to the file is fatal."""

from pathlib import Path

import pytest

from nodesweep.logs import tail as growing
from nodesweep.logs.tail import GrowingLog
from nodesweep.logs.trainers import FORMATS

LINE = " iteration {number:8d}/     500 | elapsed time per iteration (ms): {ms:.1f} | lm loss: 9.0 |\n"


def lines(first: int, last: int) -> str:
    """Iterations of half a second."""
    return "".join(LINE.format(number=number, ms=500) for number in range(first, last + 1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log is."""
    return tmp_path / "job.log"


@pytest.fixture
def log(path: Path) -> GrowingLog:
    """A log that is looked at."""
    return GrowingLog(path, FORMATS["megatron-deepspeed"])


def test_each_look_goes_on_where_the_last_ended(path: Path, log: GrowingLog) -> None:
    """No log, an empty one, three iterations, half a line, its other half: as many iterations as have whole lines."""
    done = [log.look().iterations_done]
    whole = lines(1, 4).encode()
    cut = len(lines(1, 3)) + 40
    for data in (b"", whole[: len(lines(1, 3))], whole[:cut], whole):
        path.write_bytes(data)
        done.append(log.look().iterations_done)
    assert done == [0, 0, 3, 3, 4]
    assert [row.number for row in log.look().iterations] == [1, 2, 3, 4]


def test_torn_letters_and_carriage_returns(path: Path, log: GrowingLog) -> None:
    """A look between the bytes of a letter, and lines drawn over one another, cost nothing."""
    for data in (b"\xe3\x83", b"\x8e ready\r\n", b" 50% done\r", b"\r", lines(1, 1).encode(), b"\xff\xfe\n"):
        with path.open("ab") as file:
            file.write(data)
        log.look()
    assert log.look().iterations_done == 1


def test_a_log_that_is_replaced_or_cut_is_read_anew(path: Path, log: GrowingLog) -> None:
    """Another file of the name, one that was cut, and one written over in place: each is read from its start."""
    path.write_text(lines(1, 30))
    assert log.look().iterations_done == 30
    path.unlink()
    assert (log.look().iterations_done, log.changed) == (0, None)
    path.write_text(lines(1, 40))
    assert log.look().iterations_done == 40
    path.write_text(lines(1, 2))
    assert log.look().iterations_done == 2
    path.write_text("another run\n" + lines(1, 50))
    assert log.look().iterations_done == 50


def test_a_large_log_is_read_at_its_ends(path: Path, log: GrowingLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look reads head and tail, which say how far the run is; the next reads what has come since."""
    monkeypatch.setattr(growing, "HEAD_BYTES", 500)
    monkeypatch.setattr(growing, "TAIL_BYTES", 1000)
    path.write_text(lines(1, 200))
    reading = log.look()
    assert reading.iterations_done == 200 and 5 < len(reading.iterations) < 20
    with path.open("a") as file:
        file.write(lines(201, 210))
    assert log.look().iterations_done == 210


def test_iterations_that_do_not_say_their_number_are_counted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large log whose lines have no numbers every part is read, some at each look."""
    example = "[Rank 0] step took {'loss': 1.5, 'grad_norm': 0.5, 'learning_rate': 1e-05, 'epoch': 0.5}\n"
    monkeypatch.setattr(growing, "HEAD_BYTES", 500)
    monkeypatch.setattr(growing, "TAIL_BYTES", 500)
    monkeypatch.setattr(growing, "LOOK_BYTES", 5 * len(example))
    path.write_text("".join(example.replace("1.5", f"1.{number:03}") for number in range(12)))
    log = GrowingLog(path, FORMATS["transformers"])
    assert [log.look().iterations_done for _ in range(4)][-1] == 12
