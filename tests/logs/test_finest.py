"""The seconds of iterations from the finest figure of a line, and the rounding of each."""

import pytest

from nodesweep.logs.finest import IterationAmounts, SecondsSource, rates_apart, sources, with_finest_seconds
from nodesweep.logs.patterns.quantities import DECIMAL_SUFFIXES, SECONDS, quantity
from nodesweep.logs.reader import read_log
from nodesweep.logs.reading import LogReading

PICOTRON = (
    "[rank 0] Step: {step}     | Loss: 9.0000 | Global batch size:   1.02K | Tokens/s:  {rate} | Tokens/s/GPU: 256.00 "
    "| Tokens:   1.02K | MFU:  0.43% | Memory usage:   1.75GB\n"
)
NEOX = (
    " samples/sec: {rate} | iteration {number:8d}/       9 | elapsed time per iteration (ms): {ms} | learning rate: "
    "1.000E-04 | approx flops per GPU: 47.1TFLOPS | lm_loss: 2.4E+00 | loss scale: 1.0 | number of skipped "
    "iterations:   0 | number of nan iterations:   0 |\n"
)
MEGATRON = (
    " iteration {number:8d}/       9 | elapsed time per iteration (ms): {ms} | global batch size: {batch:5d} | "
    "lm loss: 2.4E+00 | samples per second: {rate} | tokens per gpu per second (tgs): {tgs} | TFLOPs: 40.12 |\n"
)
TITAN = "[rank0]:[titan] 2026-05-20 09:06:{stamp} - root - INFO - step: {step}  loss:  6.3  tps: {tps}  mfu: 39.5%\n"


@pytest.fixture
def read(tmp_path):
    """Read a text as a log."""

    def read_text(text: str) -> LogReading:
        path = tmp_path / "run.log"
        path.write_text(text)
        return read_log(path)

    return read_text


def last(reading: LogReading) -> tuple[float | None, float, str]:
    """The seconds of the last record, their rounding to six digits, and what they are by."""
    row = reading.iterations[-1]
    return row.seconds, float(f"{row.seconds_rounding:.6g}"), row.seconds_from


@pytest.mark.parametrize(
    ("line", "options", "value", "rounding"),
    [
        ("took 1001.0 ms", {"units": SECONDS}, 1.001, 0.00005),
        ("took 1001 ms", {"units": SECONDS}, 1.001, 0.0005),
        ("took 2 m", {"units": SECONDS}, 120.0, 30.0),
        ("took 6,785 ", {"value": r"[\d,]+"}, 6785.0, 0.5),
        ("took 1.02K ", {"units": DECIMAL_SUFFIXES}, 1020.0, 5.0),
        ("took 4.4K ", {"units": DECIMAL_SUFFIXES, "figures": 3}, 4400.0, 5.0),
        ("took 4K ", {"units": DECIMAL_SUFFIXES, "figures": 3}, 4000.0, 5.0),
        ("took 24.40 ", {"figures": 3}, 24.4, 0.05),
        ("took 0.0394 ", {"figures": 3}, 0.0394, 0.00005),
        ("took 1.5e-03 ", {}, 0.0015, 0.00005),
    ],
)
def test_half_a_unit_of_the_last_digit(line, options, value, rounding):
    """Rounding is in the figure's unit, by the digits printed or by the significant ones that its trainer keeps."""
    found = quantity("seconds", "took", "LABEL VALUE", **options).read_rounded(f"{line}\n")
    assert found == pytest.approx((value, rounding))


def test_a_batch_known_beside_a_rounded_one(read):
    """1.02K tokens at 1.00K/s are 1.02 s to 1 %; 1024 of them, 1.024 s to half a percent."""
    reading = read("".join(PICOTRON.format(step=step, rate="1.00K") for step in (1, 2, 3)))
    assert last(reading) == (1.02, pytest.approx(1025 / 995 - 1.02, abs=1e-6), "tokens_per_second")
    finest = with_finest_seconds(reading, IterationAmounts(8, 128, 4))
    assert last(finest) == (1.024, pytest.approx(1024 / 995 - 1.024, abs=1e-6), "tokens_per_second")


def test_the_finer_of_two_rates_counts(read):
    """256.00 tokens/s of each of four ranks tell more than 1.02K of all: 1024 / 4 / 256 is 1 s to 0.002 %."""
    reading = read("".join(PICOTRON.format(step=step, rate="1.02K") for step in (1, 2, 3)))
    amounts = IterationAmounts(8, 128, 4)
    finest = with_finest_seconds(reading, amounts)
    assert last(finest) == (1.0, pytest.approx(256 / 255.995 - 1, rel=1e-4), "tokens_per_second_per_rank")
    (source,) = sources(finest.iterations, amounts)
    assert source.words == "256 tokens of a rank over its tokens/s (3 records), rounded by up to 2e-05 s"


def test_samples_of_arguments_or_layout(read):
    """512 samples at 731.575 a second took 0.69986 s; 699.9 ms is all that the time itself tells."""
    reading = read("".join(NEOX.format(rate="731.575", number=number, ms=699.9) for number in (1, 2, 3)))
    assert last(with_finest_seconds(reading, IterationAmounts())) == (0.6999, 0.00005, "time")
    finest = last(with_finest_seconds(reading, IterationAmounts(512)))
    assert finest == (512 / 731.575, pytest.approx(0.69986 * 0.0005 / 731.575, rel=1e-3), "samples_per_second")
    assert f"{finest[0]:.5f}" == "0.69986"


def test_a_batch_that_is_not_the_runs_changes_nothing(read):
    """Were the batch 500 samples, an iteration would have taken 0.683 s, which the time of no line allows."""
    reading = read("".join(NEOX.format(rate="731.575", number=number, ms=699.9) for number in (1, 2, 3)))
    assert with_finest_seconds(reading, IterationAmounts(500)) == reading
    (apart,) = rates_apart(reading.iterations, IterationAmounts(500))
    assert (apart.figure, apart.logged) == ("samples_per_second", 731.575)
    assert apart.counted == pytest.approx(500 / 0.6999)


def test_a_batch_that_grows(read):
    """The batch of each line counts: 16 samples at 16 a second are 1 s, and 32 at 32 too."""
    lines = [(1, 16, "16.0000"), (2, 16, "16.0000"), (3, 32, "32.0000"), (4, 32, "32.0000")]
    text = "".join(
        MEGATRON.format(number=number, ms="1000", batch=batch, rate=rate, tgs="1.0") for number, batch, rate in lines
    )
    finest = with_finest_seconds(read(text), IterationAmounts(32))
    assert [row.seconds_from for row in finest.iterations] == ["samples_per_second"] * 4
    assert [row.seconds for row in finest.iterations] == [1.0] * 4
    of_all, of_last = (sources(found, IterationAmounts(32)) for found in (finest.iterations, finest.iterations[-2:]))
    assert ([one.amount for one in of_all], [one.amount for one in of_last]) == ([None], [32.0]), "no batch is of all"


def test_ranks_and_sequence_length_must_be_known(read):
    """2047.9990 tokens/s on each of 2 ranks, of 16 samples of 256 tokens: 1.0000005 s, where the ranks are known."""
    line = {"ms": "1000.0", "batch": 16, "rate": "16.0", "tgs": "2047.9990"}
    reading = read("".join(MEGATRON.format(number=number, **line) for number in (1, 2, 3)))
    for amounts in (IterationAmounts(), IterationAmounts(16, 256), IterationAmounts(16, None, 2)):
        assert last(with_finest_seconds(reading, amounts)) == (1.0, 0.00005, "time")
    seconds, rounding, figure = last(with_finest_seconds(reading, IterationAmounts(16, 256, 2)))
    assert (f"{seconds:.7f}", f"{rounding:.1e}", figure) == ("1.0000005", "2.4e-08", "tokens_per_second_per_rank")


def test_time_between_stamps_and_the_rate_beside_it(read):
    """From line to line 2 s to 1 ms; 8000 tokens/s are 2 s to 0.13 ms; a checkpoint between lines stays in the time."""
    steps = [(1, "20,000", "2,000"), (2, "22,000", "8,000"), (3, "24,000", "8,000"), (4, "29,000", "8,000")]
    reading = read("".join(TITAN.format(step=step, stamp=stamp, tps=tps) for step, stamp, tps in steps))
    finest = with_finest_seconds(reading, IterationAmounts(64, 2000, 8))
    assert [row.seconds for row in finest.iterations] == [None, 2.0, 2.0, 5.0]
    figures = [(source.figure, source.records) for source in sources(finest.iterations[1:], IterationAmounts())]
    assert figures == [("tokens_per_second_per_rank", 2), ("clock", 1)]
    assert [f"{row.seconds_rounding:.6f}" for row in finest.iterations[1:]] == ["0.000125", "0.000125", "0.001000"]


def test_a_mean_over_ten_iterations(read):
    """Ten iterations between stamps of a millisecond are each known to a tenth of one."""
    steps = [(1, "00,000", "2,000"), (10, "09,000", "8,000"), (20, "29,000", "8,000")]
    reading = read("".join(TITAN.format(step=step, stamp=stamp, tps=tps) for step, stamp, tps in steps))
    assert last(reading) == (2.0, 0.0001, "clock")


def test_bars_show_whole_seconds_and_hundredths(read):
    """Early in a run 9 s over 3 iterations, to 1 s over 3; later the rate, to half its last digit."""
    bar = " {percent}%|#   | {number}/100 [{elapsed}<01:00, {rate}]\r"
    states = ((1, "00:03"), (4, "00:12"))
    early = [bar.format(percent=step, number=step, elapsed=elapsed, rate="3.00s/it") for step, elapsed in states]
    row = read("".join([*early, "\n"])).iterations[-1]
    assert (row.seconds, row.seconds_rounding, row.seconds_from) == (3.0, pytest.approx(1 / 3), "bar")
    late = [bar.format(percent=number, number=number, elapsed="01:00", rate="4.00it/s") for number in (40, 41)]
    row = read("".join([*late, "\n"])).iterations[-1]
    assert (row.seconds, row.seconds_rounding, row.seconds_from) == (0.25, pytest.approx(1 / 3.995 - 0.25), "time")


def test_source_of_a_single_record():
    """A source says its figure, its records and its rounding."""
    words = SecondsSource("clock", 1, 0.001).words
    assert words == "the time stamps of its line and of the one before (1 record), rounded by up to 0.001 s"
