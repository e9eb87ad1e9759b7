"""Figures that cannot be right or cannot be compared, with values a reader can check by hand."""

from dataclasses import replace

import pytest
from paths import EXAMPLES, name_of_example
from written_logs import STARTED, layouts_of, measurement_of, record_line, sweep_of

from nodesweep.config.accelerators import ACCELERATORS, SOURCES
from nodesweep.config.machine import Machine, PeakTflops, peak_of
from nodesweep.logs.finest import IterationAmounts
from nodesweep.logs.reader import read_log
from nodesweep.logs.reading import Iteration, LogReading
from nodesweep.logs.trainers import FORMATS
from nodesweep.logs.warmup import timed, warm_up_records
from nodesweep.results.checks import above_peak, rates_differ, spread_too_large, stamps_differ
from nodesweep.results.measure import half_interquartile_range

A64FX = Machine(
    scheduler="pjm",
    peak_tflops=(
        PeakTflops(precision="fp32", frequency_ghz=2.0, tflops_per_node=6.144),
        PeakTflops(precision="fp32", frequency_ghz=2.2, tflops_per_node=6.7584),
        PeakTflops(precision="fp16", frequency_ghz=2.0, tflops_per_node=12.288),
    ),
)


@pytest.mark.parametrize(
    ("precision", "frequency_ghz", "tflops"),
    [("fp32", 2.0, 6.144), ("fp32", None, 6.7584), ("fp16", 2.0, 12.288), ("fp16", 2.2, None), ("bf16", 2.0, None)],
)
def test_which_peak(precision, frequency_ghz, tflops):
    """The peak of a precision and clock; of all clocks the highest where none was asked for; None where none is."""
    peak = peak_of(A64FX, precision, frequency_ghz)
    assert (peak and peak.tflops_per_node) == tflops


def test_rates_above_the_peak():
    """A node of 6.144 TFLOPs may do 6.1, while 7.68 are 125 %; with recomputation three quarters are the model's."""
    peak = peak_of(A64FX, "fp32", 2.0)
    said = "of a node's peak of 6.144 TFLOPs in fp32 at 2 GHz"
    assert above_peak(peak, 6.1, 4.6) == []
    assert above_peak(peak, 7.68, 5.76) == [f"HFU 125 % {said}"]
    assert above_peak(peak, 12.288, 9.216) == [f"HFU 200 % and MFU 150 % {said}"]
    assert above_peak(None, 1e9, 1e9) == []


def records(*stamps: float | None, seconds: float = 12.0, interval: int = 1, form: str = "megatron-core") -> LogReading:
    """Records that all print the same seconds, at these times of day."""
    rows = (
        Iteration(number * interval, number, 100, seconds, clock=None if clock is None else float(clock))
        for number, clock in enumerate(stamps, 1)
    )
    return LogReading(FORMATS[form], tuple(rows))


@pytest.mark.parametrize(
    ("reading", "flags"),
    [
        (records(0, 12, 24, 36), []),
        (records(0, 13, 26, 39), []),  # 8 % more
        (records(0, 24.3, 48.6, 72.9), ["sec/it 12 by the log, 24.3 by its time stamps"]),
        (records(0, 6, 12, 18), ["sec/it 12 by the log, 6 by its time stamps"]),
        (records(0, 12, 99, 111, 123, 456, 468), []),  # an evaluation and a checkpoint between records
        (records(0, 0, 0, 0, 48, 48, 48, 48, 96), []),  # lines came out of a buffer in bunches
        (records(0, 24, 48), []),  # two differences prove nothing
        (records(None, 24, 48, None, 96, 120, 144), ["sec/it 12 by the log, 24 by its time stamps"]),
        (records(0, 1, 2, 3, seconds=0.4), []),  # within what stamps of whole seconds can tell
        (records(0, 1, 2, 3.5, seconds=0.4), ["sec/it 0.4 by the log, 1 by its time stamps"]),
        (records(0, 10, 20, 30, seconds=0.4, interval=10), ["sec/it 0.4 by the log, 1 by its time stamps"]),
        (records(0, 120, 240, 360, interval=10), []),
        (records(0, 50, 0, 50, 0, 50, seconds=50), []),  # clocks that went back
        (records(0, 24, 48, 72, form="torchtitan"), []),  # its seconds are made from its stamps
    ],
)
def test_stamps_against_printed_seconds(reading, flags):
    """A record that says 12 s an iteration is 12 s, or its log interval times that, after the one before."""
    assert stamps_differ(reading, 1) == flags


def test_stamps_of_the_warm_up_do_not_count():
    """Differences count from the first record used on."""
    reading = records(0, 30, 60, 90, 102, 114, 126)
    assert stamps_differ(reading, 5) == []
    assert stamps_differ(replace(reading, iterations=reading.iterations[:4]), 1) != []


@pytest.mark.parametrize(
    ("seconds", "flags"),
    [
        ([1.0, 2.0, 3.0, 4.0, 5.0], ["sec/it scatters by 33.3 % (half interquartile range)"]),
        ([1.0, 1.1, 1.2, 1.3, 1.4], []),  # 0.1 of 1.2
        ([1.0, 3.0, 5.0], []),  # too few to say
        ([1.0, 1.0, 1.0, 1.0, 1.0, 3.0, 4.0], []),  # evaluations: most records agree
        ([], []),
    ],
)
def test_times_that_scatter(seconds, flags):
    """The quartiles of 1 to 5 s are 2 and 4, which are 1 s, a third of the median, from their middle."""
    assert spread_too_large(seconds, half_interquartile_range(seconds)) == flags


@pytest.mark.parametrize(
    ("figures", "flags"),
    [
        ({"samples_per_second": 450.0, "tokens_per_second": 4500.0, "tokens_per_second_per_rank": 45.0}, []),
        ({"samples_per_second": 470.0}, []),
        ({"samples_per_second": 900.0}, ["log says 900 samples/s, GBS / sec/it is 450"]),
        ({"tokens_per_second": 2250.0}, ["log says 2250 tokens/s, GBS x sequence length / sec/it is 4500"]),
        ({"tokens_per_second_per_rank": 90.0}, ["log says 90 tokens/s per rank, the batch / sec/it / ranks is 45"]),
        ({"samples_per_second": None}, []),
    ],
)
def test_rates_against_the_batch(figures, flags):
    """900 samples of 10 tokens in 2 s on 100 ranks are 450 samples, 4500 tokens and 45 tokens a rank in a second."""
    assert rates_differ(None, (Iteration(1, 1, 3, 2.0, **figures),), IterationAmounts(900, 10, 100)) == flags
    assert rates_differ(None, (Iteration(1, 1, 3, 2.0, **figures),), IterationAmounts()) == []


@pytest.mark.parametrize(
    ("logged", "rounding", "flags"),
    [
        (450.25, 0.0, []),  # 1.9989 s
        (450.5, 0.0, ["log says 450.5 samples/s, GBS / sec/it is 450"]),  # 1.9978 s
        (450.5, 0.5, []),  # 450 to 451
        (452.0, 0.5, ["log says 452 samples/s, GBS / sec/it is 450"]),
    ],
)
def test_rates_of_the_same_time_differ_by_no_more_than_their_digits(logged, rounding, flags):
    """Megatron-LM divides 900 samples by the very time that it prints, 2 s, here rounded by up to 2 ms."""
    figures = {"seconds_rounding": 0.002, "samples_per_second": logged, "samples_per_second_rounding": rounding}
    row = Iteration(1, 1, 3, 2.0, **figures)
    assert rates_differ(FORMATS["megatron-lm"], (row,), IterationAmounts(900)) == flags
    assert rates_differ(FORMATS["torchtitan"], (row,), IterationAmounts(900)) == []


def test_what_a_log_prints_coarsely_is_no_contradiction():
    """0.004 samples a second may be 0.0044, and 3 tokens 3.4: three digits and none are printed."""
    figures = {"samples_per_second": 0.004, "samples_per_second_rounding": 0.0005}
    figures |= {"tokens_per_second": 3.0, "tokens_per_second_rounding": 0.5}
    row = Iteration(1, 1, 3, 1000.0, **figures)
    assert rates_differ(FORMATS["megatron-lm"], (row,), IterationAmounts(4, 850, 1)) == []


def test_flags_stand_in_the_measurement(tmp_path):
    """A run of a 30B model said to take 600 s on 192 nodes of 6.144 TFLOPs: 6.8 TFLOPs, with its recomputation."""
    peaks = [{"precision": "fp32", "frequency_ghz": 2.0, "tflops_per_node": 6.144}]
    machine = {"name": "m", "scheduler": "local", "frequencies_ghz": [2.0], "peak_tflops": peaks}
    point = {"nodes": 192, "tensor": 4, "pipeline": 48, "global_batch": 1536, "sequence_length": 2048}
    study = sweep_of([point | {"activation_checkpointing": True, "frequency_ghz": 2.0}], machine=machine)
    lines = [STARTED, *(record_line(number, 3, 600.0, " samples per second: 1.280 |") for number in (1, 2, 3))]
    assert measurement_of(study, layouts_of(study)[0], tmp_path, lines).flags == (
        "log says 1.28 samples/s, GBS / sec/it is 2.56",
        "HFU 111.2 % of a node's peak of 6.144 TFLOPs in fp32 at 2 GHz",
    )


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of_example)
def test_example_logs_are_plausible(path):
    """In no example do times, stamps and rates contradict each other; batches are those of the log itself."""
    reading = read_log(path)
    used = timed(reading)[warm_up_records(reading, 1) :]
    if not used:
        return
    samples, length = used[-1].global_batch_samples, dict(reading.arguments).get("seq_length", "")
    amounts = IterationAmounts(samples, int(length) if length.isdecimal() else None, reading.world_size)
    seconds = [row.seconds for row in used]
    flags = stamps_differ(reading, used[0].number)
    flags += spread_too_large(seconds, half_interquartile_range(seconds))
    flags += rates_differ(reading.format, used, amounts)
    assert not flags


def test_peaks_of_a_named_accelerator() -> None:
    """A node has the peaks of its GPUs, as many as ranks unless the machine says; typed peaks take their place."""
    node = Machine(scheduler="slurm", ranks_per_node=8, gpu="H100-SXM")
    assert [peak_of(node, name, None).tflops_per_node for name in ("bf16", "fp8")] == [7915.2, 15831.2]
    assert peak_of(node, "mxfp8", None) is None and node.source_of_peaks == "machine.gpu h100-sxm"
    cpu = Machine(scheduler="pjm", ranks_per_node=4, gpu="a64fx", gpus_per_node=1)
    assert [peak_of(cpu, "fp32", clock).tflops_per_node for clock in (2.0, 2.2, None)] == [6.144, 6.7584, 6.7584]
    typed = PeakTflops(precision="bf16", tflops_per_node=1000)
    measured = Machine(scheduler="slurm", ranks_per_node=8, gpu="h100-sxm", peak_tflops=(typed,))
    assert (measured.peaks, measured.source_of_peaks) == ((typed,), "machine.peak_tflops")


@pytest.mark.parametrize(
    ("gpu", "count", "precision", "tflops"),
    [
        ("b200", 8, "nvfp4", 72_000),
        ("b300", 8, "nvfp4", 108_000),
        ("b300", 8, "bf16", 18_000),
        ("gb200", 72, "nvfp4", 720_000),
        ("gb300", 72, "nvfp4", 1_080_000),
        ("gb300", 72, "fp8", 360_000),
        ("mi250-gcd", 2, "bf16", 362.1),
        ("mi250x-gcd", 2, "bf16", 383),
    ],
)
def test_peaks_of_boards_and_racks(gpu, count, precision, tflops) -> None:
    """All GPUs of a board, a rack or a card together have the dense peak that the maker gives of the whole."""
    whole = Machine(scheduler="slurm", gpu=gpu, gpus_per_node=count)
    assert peak_of(whole, precision, None).tflops_per_node == tflops


@pytest.mark.parametrize("name", ACCELERATORS)
def test_sources_of_accelerators(name) -> None:
    """Each accelerator names a source of its peaks whose address is known."""
    assert any(source in ACCELERATORS[name].source for source in SOURCES)
