"""Reading logs: what a careful reader would write down, and nothing that hostile bytes could do."""

import dataclasses
import json
import signal
import sys
import time
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paths import LOGS, examples_of

from nodesweep.logs import collector
from nodesweep.logs.memory import NodeMemory, RankMemory, highest
from nodesweep.logs.reader import read_log
from nodesweep.logs.reading import Iteration, LogReading
from nodesweep.logs.rules import SIGNATURES, rules
from nodesweep.logs.search import parallel, search
from nodesweep.logs.summary import summary
from nodesweep.logs.trainers import FORMATS

MEGATRON_DEEPSPEED = FORMATS["megatron-deepspeed"]
SIGNATURE_LINES = examples_of("signatures.tsv")
OOM = "[rank1]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.16 GiB."


def record(number: int, milliseconds: float = 1000.0, extra: str = "") -> str:
    """One iteration line of 10."""
    return f" iteration {number:8d}/      10 | elapsed time per iteration (ms): {milliseconds:.1f} |{extra}"


@pytest.fixture
def read(tmp_path):
    """Scan a log with the given content."""

    def read(content: str | bytes, form=MEGATRON_DEEPSPEED):
        path = tmp_path / "run.log"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_log(path, form)

    return read


@pytest.mark.parametrize("name", ["megatron-deepspeed", "megatron-deepspeed-forks"])
def test_reading_of_an_example_log(name, golden):
    """Everything the example logs say is read, as the golden file lists it."""
    reading = read_log(LOGS / f"{name}.log", MEGATRON_DEEPSPEED)
    rows = [
        summary(reading),
        *(row._asdict() for row in reading.iterations),
        *map(dataclasses.asdict, reading.rank_memory),
    ]
    golden(f"{name}.reading.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))


def test_iterations_of_the_example():
    """The finished example has four iterations of 1500, 1001, 1000 and 999 ms and losses from 9.01 to 8.125."""
    reading = read_log(LOGS / "megatron-deepspeed.log", MEGATRON_DEEPSPEED)
    assert [(row.number, row.seconds, row.loss) for row in reading.iterations] == [
        (1, 1.5, 9.01),
        (2, 1.001, 8.5),
        (3, 1.0, 8.25),
        (4, 0.999, 8.125),
    ]
    assert reading.iterations[1] == Iteration(
        number=2,
        line=23,
        total=4,
        seconds=1.001,
        loss=8.5,
        tflops=0.07,
        samples_per_second=15.984,
        tokens_per_second_per_rank=2045.954,
        global_batch_samples=16,
        seconds_rounding=0.00005,
        samples_per_second_rounding=0.0005,
        tokens_per_second_per_rank_rounding=0.0005,
        global_batch_samples_rounding=0.5,
    )
    assert (reading.training_started_line, reading.training_finished_line) == (18, 27)
    assert (reading.lines, reading.world_size) == (27, 2)


def test_memory_is_the_peak_over_ranks_and_lines():
    """Reports glued on one line both count; a later, lower peak does not; each figure has its own highest rank."""
    reading = read_log(LOGS / "megatron-deepspeed.log", MEGATRON_DEEPSPEED)
    assert reading.rank_memory == (RankMemory(0, 310.5, 405.0, 20), RankMemory(1, 290.25, 420.0, 20))
    assert highest(reading.rank_memory, "peak_allocated_mib").rank == 0
    assert highest(reading.rank_memory, "peak_reserved_mib").rank == 1


def test_node_memory_is_the_highest_use():
    """Of two nodes' reports the higher one is kept, with its line."""
    assert read_log(LOGS / "megatron-deepspeed-forks.log", MEGATRON_DEEPSPEED).node_memory == NodeMemory(16622.7, 3)


def test_arguments_with_blanks_and_without_dots():
    """A value with blanks is kept whole, and a name too long for dots is still a name."""
    arguments = dict(read_log(LOGS / "megatron-deepspeed.log", MEGATRON_DEEPSPEED).arguments)
    assert arguments["data_path"] == "['a path with blanks', 'b']"
    assert arguments["init_method_of_the_very_first_embedding_of_tokens"] == "normal"


def test_an_unfinished_dump_of_arguments_hides_nothing(read):
    """A dump cut off before its end does not keep the failure after it from being seen."""
    reading = read(f"------------------------ arguments ------------------------\n  bf16 ... True\n{OOM}\n")
    assert reading.arguments == (("bf16", "True"),)
    assert [found.signature.kind for found in reading.signatures] == ["device_oom"]


@pytest.mark.parametrize(("kind", "line"), SIGNATURE_LINES)
def test_signature_examples(read, kind, line):
    """Every example line is known by its own row, alone and behind prefixes; harmless lines by none."""
    for prefix in ("", "0: ", "[default3]:"):
        found = read(f"{prefix if kind else ''}{line}\n").signatures
        assert [item.signature.kind for item in found] == ([kind] if kind else [])


def test_every_signature_has_an_example():
    """No row without a line that shows it, and no two rows of one name."""
    kinds = [row.kind for row in SIGNATURES]
    assert set(kinds) == {kind for kind, _ in SIGNATURE_LINES} - {""}
    assert len(kinds) == len(set(kinds))


def test_a_last_line_without_newline(read):
    """A whole record counts although its newline is missing; a number that may go on does not."""
    assert [row.number for row in read(f"{record(1)}\n{record(2)}").iterations] == [1, 2]
    figures = "allocated: 1.0 | max allocated: 2.5 | reserved: 3.0 | max reserved: 4.2"
    report = f"[Rank 0] (after 1 iterations) memory (MB) | {figures}"
    assert read(report).rank_memory == ()
    assert read(report + "\n").rank_memory == (RankMemory(0, 2.5, 4.2, 1),)


@pytest.mark.parametrize("cut", range(len(record(2))))
def test_a_torn_record_never_gives_a_wrong_number(read, cut):
    """A line cut anywhere by a dying writer gives no wrong time."""
    rows = read(f"{record(1)}\n{record(2)[:cut]}\n").iterations
    assert [(row.number, row.seconds) for row in rows if row.seconds] == [(1, 1.0)]


def test_a_repeated_iteration_keeps_its_last_value(read):
    """After a restart from iteration 2 the numbers go back once and the later times stand."""
    reading = read("\n".join(record(n, t) for n, t in ((1, 10), (2, 20), (3, 30), (2, 21), (3, 31))) + "\n")
    assert [row.seconds for row in reading.iterations] == [0.010, 0.021, 0.031]
    assert reading.restarts == 1


def test_a_line_printed_twice_is_one_record(read):
    """The same record by two loggers is no restart."""
    reading = read(f"{record(1)}\n{record(1)}\n")
    assert (len(reading.iterations), reading.restarts, reading.iterations[0].line) == (1, 0, 1)


def test_records_glued_on_one_line(read):
    """Two records without a newline between them keep each its own time."""
    assert [row.seconds for row in read(record(1, 10) + record(2, 20) + "\n").iterations] == [0.010, 0.020]


def test_nan_losses(read):
    """A loss printed as NAN or INF is no number and counts as a nan iteration."""
    reading = read(f"{record(1, 5, ' lm loss: NAN |')}\n{record(2, 5, ' lm loss: INF |')}\n")
    assert [(row.loss, row.nan) for row in reading.iterations] == [(None, 1), (None, 1)]


def test_what_a_run_survived_is_no_signature(read):
    """A signature two further iterations followed is dropped; with one it stays, for ranks print out of order."""
    assert len(read(f"{record(1)}\n{OOM}\n{record(2)}\n").signatures) == 1
    assert read(f"{record(1)}\n{OOM}\n{record(2)}\n{record(3)}\n").signatures == ()


def test_colours_are_peeled(read):
    """Escape sequences inside a line hide nothing and do not reach the kept text."""
    reading = read(f"\x1b[31m{record(1)}\x1b[0m\n\x1b[1m{OOM}\x1b[0m\x07\n")
    assert len(reading.iterations) == 1
    assert reading.signatures[0].text == OOM


def test_no_log_reads_as_an_empty_one(tmp_path):
    """A job that never started has no log, and nothing was read from it."""
    assert read_log(tmp_path / "absent.log", MEGATRON_DEEPSPEED) == LogReading(MEGATRON_DEEPSPEED)


def test_hostile_log_in_bounded_time(read):
    """A line of 50 MB, NUL bytes and lines made to slow patterns down take seconds; the record after them is read."""
    glued = record(1).encode() * 1_000
    slow = b"E" * 30_000 + b"Error: " * 5_000 + b"exitcode " * 1_000 + b" iteration " * 2_000
    started = time.monotonic()
    long = b"Error" + b"x" * 50_000_000
    reading = read(b"\n".join([long, b"\0", *[slow] * 25, *[glued] * 25, record(2).encode(), b""]))
    assert time.monotonic() - started < 20
    assert reading.iterations[-1].line == 53
    assert reading.lines == 53


def test_kept_signatures_are_bounded(read):
    """A log that repeats one failure a thousand times keeps a handful, each at most 300 characters."""
    reading = read((OOM + "x" * 1000 + "\n") * 1000)
    assert len(reading.signatures) == collector.FAILURES_PER_KIND
    assert all(len(found.text) <= 300 for found in reading.signatures)


def test_long_logs_are_read_in_blocks(read, monkeypatch):
    """Lines that straddle the blocks of reading are whole, and their numbers right."""
    monkeypatch.setattr(search, "BLOCK_BYTES", 7)
    reading = read(f"first\n\n{record(1)}\n{OOM}\n")
    assert ([row.line for row in reading.iterations], [found.line for found in reading.signatures]) == ([3], [4])


TEXTS = ["a", "\0", "aa"]


@given(content=st.text("a\0\n", max_size=40).map(str.encode), block_bytes=st.integers(1, 50))
def test_lines_that_hold_a_text(tmp_path_factory, content, block_bytes):
    """The lines found are those a plain split gives, whatever the size of blocks."""
    path = tmp_path_factory.mktemp("search") / "file"
    path.write_bytes(content)
    expected = [
        (index, line, {number for number, text in enumerate(TEXTS) if text.encode() in line})
        for index, line in enumerate(content.split(b"\n"))
    ]
    found, lines = [], 0
    with mock.patch.object(search, "BLOCK_BYTES", block_bytes), path.open("rb") as stream:
        for block in search.LiteralSearch(TEXTS).blocks(stream.fileno(), len(content)):
            found += [
                (lines + hit.newlines_before, hit.line.removesuffix("\n").encode(), set(hit.texts))
                for hit in block.hits
            ]
            lines += block.newlines
    assert found == [row for row in expected if row[2]]
    assert lines == content.count(b"\n")


@pytest.fixture
def long_log(tmp_path):
    """A log of four blocks and a half, with records, torn lines, long lines, bytes that are no text, and failures."""
    noise = "".join(f"{rank}: worker {rank} says \N{BULLET} nothing\n" for rank in range(5000)).encode() + b"\xff\n"
    path, number = tmp_path / "job.out", 0
    with path.open("wb") as stream:
        while stream.tell() < 4.5 * search.BLOCK_BYTES:
            number += 1
            line = f"0: {record(number, extra=' lm loss: 2.5E+00 |')}\n"
            torn = line.replace(" loss", "\n1: in between\n0:  loss")
            stream.write((line if number % 3 else torn).encode() + noise)
            stream.write(b"x" * (search.LINE_BYTES * (number % 5)) + b"\n")
        stream.write(f"{OOM}\nthe end".encode())
    return path


def test_two_processes_read_as_one_does(long_log, monkeypatch):
    """Two processes that search a huge log find in it what one finds."""
    alone = read_log(long_log)
    monkeypatch.setattr(parallel, "HUGE_BYTES", 1)
    assert read_log(long_log) == alone
    assert {row.loss for row in alone.iterations[50:]} == {2.5}
    assert [found.text for found in alone.signatures] == [OOM]


@pytest.mark.parametrize("answers", [0, 1, 2])
def test_a_killed_process_is_replaced(long_log, monkeypatch, answers):
    """Where processes die at once, amid a block or after a few, the reader itself searches the rest."""
    alone = read_log(long_log)
    monkeypatch.setattr(parallel, "HUGE_BYTES", 1)
    dies = f"""
import os, signal, sys
class Dying:
    left = {answers}
    def write(self, text):
        if text.strip() and not self.left:
            os.write(1, text[: len(text) // 2].encode())
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= bool(text.strip())
        os.write(1, text.encode())
    def flush(self): pass
sys.stdout = Dying()
"""
    monkeypatch.setattr(parallel, "PROGRAM", dies + parallel.PROGRAM)
    assert read_log(long_log) == alone


def test_no_process_can_be_started(long_log, monkeypatch):
    """Where no process can be started the reader searches by itself; one that has been started already is ended."""
    alone, started = read_log(long_log), parallel.SearchProcesses._started
    monkeypatch.setattr(parallel, "HUGE_BYTES", 1)
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    assert read_log(long_log) == alone
    monkeypatch.undo()
    processes = []

    def second_fails(self, first):
        if first:
            raise BlockingIOError
        processes.append(started(self, first))
        return processes[-1]

    monkeypatch.setattr(parallel, "HUGE_BYTES", 1)
    monkeypatch.setattr(parallel.SearchProcesses, "_started", second_fails)
    assert read_log(long_log) == alone
    assert [process.returncode for process in processes] == [-signal.SIGKILL]


def test_processes_take_no_modules_from_the_working_folder(long_log, tmp_path, monkeypatch):
    """A file json.py in the folder where the command runs is no module of ours."""
    (tmp_path / "json.py").write_text("raise SystemExit(1)\n")
    monkeypatch.chdir(tmp_path)
    texts = rules(None).search.texts
    with parallel.open_log(long_log, texts) as log:
        processes = parallel.SearchProcesses(log.descriptor, log.status.st_size, texts)
        blocks = [block.span.number for block in processes.blocks()]
        processes.stop()
    assert blocks == [0, 1, 2, 3, 4]


def test_a_log_is_searched_for_all_markers():
    """Each marker of each rule is a text of the search that leads to the rule, and there are no other texts."""
    known = rules(None)
    markers = {(row, marker) for row, (_, texts) in enumerate(known.rows) for marker in texts}
    assert {(row, known.search.texts[n]) for n, rows in enumerate(known.by_text) for row in rows} == markers
    assert len(known.search.texts) == len(set(known.search.texts)) > 200


def test_texts_that_only_make_the_search_fast_are_no_hits():
    """A line that holds what Hyperscan is given beside the markers is not found."""
    found = search.LiteralSearch(["marker"]).block_of(b"\x00\x01\x02\x03\n\x00\x01\x02\x06\nmarker\n")
    assert [(hit.line, hit.newlines_before) for hit in found.hits] == [("marker\n", 2)]


PIECES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"\n",
            b" | ",
            b"\x1b[31m",
            b"\0",
            b"nan",
            b"1e999",
            b"9" * 400,
            b"[Rank ",
            b"Error: ",
            b"exitcode : -",
            b"------------------------ arguments ------------------------",
            b"Effective Tera Flops per GPU: 1 and ",
            b" iteration 1/1 | elapsed time per iteration (ms): 1.0 | lm loss: ",
            b" iteration        2/       9 | elapsed time per iteration (s): 1E+300 | number of nan iterations: 9 |",
            b"(after 1 iterations) memory (MB) | allocated: 1 | max allocated: inf | reserved: 1 | max reserved: nan",
            b"(after 1 iterations) CPU memory (MB) | used: nan |",
            *(line.encode() for _, line in SIGNATURE_LINES),
        ]
    ),
)


@settings(max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(PIECES, max_size=30))
def test_no_bytes_break_the_reader(read, pieces):
    """Any bytes give a reading: rising numbers, finite positive times, plain evidence."""
    content = b"".join(pieces)
    reading = read(content)
    numbers = [row.number for row in reading.iterations]
    assert numbers == sorted(set(numbers))
    assert all(row.seconds is None or 0 < row.seconds < float("inf") for row in reading.iterations)
    assert all(found.text.isprintable() for found in reading.signatures)
    assert reading.lines == content.count(b"\n") + bool(content and not content.endswith(b"\n"))


def bar(number: int, loss: float, step: int, seconds: float) -> str:
    """A progress bar of NeMo, before or after its figures were updated."""
    counts = f"| {number}/20 [00:{number:02d}<00:{20 - number:02d}, v_num=x"
    figures = f"reduced_train_loss={loss:.3f}, global_step={step:.3f}, train_step_timing in s={seconds:.3f}]"
    return f"\rEpoch 0: : {number * 5:3d}%|{'█' * (number // 2):10}{counts}, {figures}"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chance=st.randoms(use_true_random=False))
def test_lines_that_srun_tears_anywhere(read, chance):
    """Iterations between bars and progress bars, torn at any place and mixed with another rank's, are all read."""
    bars = [bar(n, 9 - step / 10, step, 2.5 + step / 100) for n in range(1, 21) for step in (max(n - 2, 0), n - 1)]
    for text, form in (
        ("".join(f"{record(n, 1000 + n, ' number of nan iterations:   0 |')}\n" for n in range(1, 11)), "megatron"),
        ("".join(bars), "nemo-progress-bar"),
    ):
        torn, at = [], 0
        while at < len(text):
            end = at + chance.randrange(300, 1500)
            torn += [f"0: {line}\n" for line in text[at:end].removesuffix("\n").split("\n")]
            torn += ["12: another rank says this\n"] * chance.randrange(2)
            at = end
        reading = read("".join(torn), None)
        assert reading.format.iteration.name == form
        expected = [1.0 + n / 1000 for n in range(1, 11)] if form == "megatron" else [2.5 + n / 100 for n in range(20)]
        assert [row.seconds for row in reading.iterations] == pytest.approx(expected)
        assert reading.restarts == 0
