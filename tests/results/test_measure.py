"""One run's series, statistics and flags, with values a reader can check by hand."""

import doctest
import json
from dataclasses import replace

import pytest
from written_logs import (
    OUT_OF_MEMORY,
    STARTED,
    SUCCESS,
    layouts_of,
    measurement_of,
    node_memory_line,
    record_line,
    sweep_of,
)

from nodesweep.logs.reading import READER_VERSION, Iteration, LogReading
from nodesweep.logs.trainers import FORMATS
from nodesweep.logs.warmup import warm_up_records
from nodesweep.results import measurement as measuring_module
from nodesweep.results.measurement import SCHEMA, MeasuredMemory, Measurement
from nodesweep.schedulers.base import End

POINT = {"nodes": 192, "tensor": 4, "pipeline": 48, "global_batch": 1536, "sequence_length": 2048}
AC_POINT = POINT | {"activation_checkpointing": True}


def sweep(statistic: str = "median", warmup: int = 0, total: int = 5, source: str = "log-node-used", **changes):
    workload = {"command": ["train"], "log_format": "megatron-deepspeed", "memory_source": source}
    return sweep_of(
        [AC_POINT],
        iterations={"total": total, "warmup": warmup},
        statistic=statistic,
        workload=workload,
        **changes,
    )


@pytest.fixture
def measured(tmp_path):
    """Measure the one layout of a sweep from the times of its iterations."""

    def measured(study, seconds, *lines: str, extra: str = "", end: End = SUCCESS) -> Measurement:
        rows = [record_line(number, 5, value, extra) for number, value in enumerate(seconds, 1)]
        return measurement_of(study, layouts_of(study)[0], tmp_path, [STARTED, *lines, *rows], end)

    return measured


def records(*seconds: float, interval: int = 1) -> LogReading:
    return LogReading(
        FORMATS["megatron-deepspeed"],
        tuple(Iteration(number * interval, number, 100, value) for number, value in enumerate(seconds, 1)),
    )


def test_doctests():
    """The example of the half interquartile range holds."""
    assert doctest.testmod(measuring_module).failed == 0


def test_statistics_by_hand(measured):
    """The median of 1, 2, 3, 4 and 10 s is 3, the mean 4, and the quartiles 2 and 4 are 1 from their middle."""
    statistics = measured(sweep(), [10, 1, 2, 3, 4]).statistics
    assert statistics.iteration_seconds_median == 2.5  # 10 is far off the rest: found to be warm-up
    statistics = measured(sweep(), [1.0, 1.02, 1.04, 1.06, 1.1]).statistics
    assert statistics.iteration_seconds == statistics.iteration_seconds_median == 1.04
    assert statistics.iteration_seconds_mean == pytest.approx(1.044)
    assert statistics.iteration_seconds_half_interquartile_range == pytest.approx(0.02)
    assert (statistics.records_used, statistics.first_iteration, statistics.last_iteration) == (5, 1, 5)


def test_the_statistic_asked_for_stands(measured):
    """With `mean`, the figure and the rates from it are those of the mean."""
    statistics = measured(sweep("mean"), [3720.0, 3720.0, 3750.0, 3690.0, 3720.0]).statistics
    assert statistics.iteration_seconds == statistics.iteration_seconds_mean == pytest.approx(3720.0)
    assert round(statistics.tflops_per_node, 2) == 1.10
    assert statistics.model_tflops_per_node == pytest.approx(statistics.tflops_per_node * 3 / 4)
    assert statistics.tokens_per_second == pytest.approx(1536 * 2048 / 3720.0)


@pytest.mark.parametrize(
    ("rows", "warmup", "dropped"),
    [
        (records(1, 1, 1, 1), 0, 0),
        (records(1, 1, 1, 1), 2, 2),
        (records(9, 1, 1, 1, 1), 0, 1),
        (records(9, 5, 1, 1, 1), 0, 2),
        (records(0.1, 1, 1, 1, 1), 0, 1),
        (records(9, 1, 1, 1, 1), 2, 2),
        (records(1.09, 1, 1, 1), 0, 0),
        (records(3, 3, 1, 5, 3, 4), 0, 0),
        (records(9, 9, 9, 9, 1, 1, 1, 1), 0, 4),
        (records(1, 1, 1, interval=10), 2, 1),
        (records(1, 1, 1, interval=10), 11, 2),
        (records(5), 3, 0),
        (records(5, 4), 3, 1),
    ],
)
def test_warm_up(rows, warmup, dropped):
    """The larger of the configured and the detected warm-up is dropped; one record always stays."""
    assert warm_up_records(rows, warmup) == dropped


def test_few_records_are_marked(measured):
    """A single iteration gives its figure with a mark and no spread; one left after warm-up says which it is."""
    once = measured(sweep(warmup=2), [2.0], end=End(1))
    assert (once.statistics.iteration_seconds, once.flags) == (2.0, ("1 iteration only",))
    assert once.statistics.iteration_seconds_half_interquartile_range is None
    assert measured(sweep(warmup=2), [3.0, 2.0], end=End(1)).flags == ("iteration 2 only",)


def test_no_record_no_statistics(measured):
    """A run that died while building has memory and a verdict, and no invented time."""
    measurement = measured(sweep(), [], node_memory_line(100.5), OUT_OF_MEMORY, end=End(1))
    assert measurement.statistics is None
    assert measurement.memory == MeasuredMemory(100.5, "log-node-used", None, 2)
    assert (measurement.record.outcome, measurement.record.where) == ("oom", "in iteration 1")


def test_memory_by_source(measured):
    """The highest rank by the figure asked for, with its line; nothing where nothing is asked for."""
    lines = [
        f"[Rank {rank}] (after 1 iterations) memory (MB) | allocated: 1 | max allocated: {allocated} | "
        f"reserved: 1 | max reserved: {reserved}"
        for rank, allocated, reserved in ((0, 10.0, 30.0), (1, 20.0, 20.0))
    ]
    memory = {source: measured(sweep(source=source), [1.0], *lines).memory for source in ("log-max-allocated", "none")}
    assert memory == {"log-max-allocated": MeasuredMemory(20.0, "log-max-allocated", 1, 3), "none": None}
    assert measured(sweep(source="log-max-reserved"), [1.0], *lines).memory.peak_mib == 30.0
    assert measured(sweep(source="log-node-used"), [1.0], *lines).memory is None


@pytest.mark.parametrize(
    ("logged", "flags"), [(1.10, ()), (1.12, ()), (1.09, ()), (1.20, ("log says 1.2 TFLOPs per rank, formula 1.1",))]
)
def test_the_logs_own_tflops(measured, logged, flags):
    """3720 s on 192 nodes are 1.10 TFLOPs; a log that says so within rounding and 2 % agrees, another is flagged."""
    measurement = measured(sweep(), [3720.0] * 3, extra=f" TFLOPs: {logged} |")
    assert measurement.statistics.log_tflops_per_node == logged
    assert measurement.flags == flags


def test_ranks_of_a_node_add_up(measured):
    """With 4 ranks a node, the log's figure per rank times 4 is compared with the node's."""
    machine = {"name": "m", "scheduler": "local", "ranks_per_node": 4}
    point = AC_POINT | {"nodes": 48}
    study = sweep(machine=machine).model_copy(update={"layouts": sweep_of([point]).layouts})
    measurement = measured(study, [3720.0] * 3, extra=" TFLOPs: 1.10 |")
    assert measurement.statistics.log_tflops_per_node == 4.4
    assert round(measurement.statistics.tflops_per_node, 1) == 4.4
    assert measurement.flags == ()


def test_a_log_of_another_layout_is_flagged(measured):
    """Arguments in the log that contradict the layout are said, those that agree or are unknown are not."""
    dump = [
        "using world size: 96, data-parallel-size: 1, tensor-model-parallel size: 4, pipeline-model-parallel size: 48",
        "------------------------ arguments ------------------------",
        "  global_batch_size ............................... 512",
        "  num_layers ...................................... 48",
        "  seq_length ...................................... None",
        "-------------------- end of arguments ---------------------",
    ]
    assert measured(sweep(), [1.0, 1.0], *dump).flags == (
        "log says global_batch_size 512, not 1536",
        "log says world_size 96, not 192",
    )


def test_series_and_provenance(measured):
    """The whole series is kept, warm-up included, with the line of each record, and the reader's version."""
    measurement = measured(sweep(warmup=1), [2.0, 1.0, 1.0], extra=" lm loss: 9.5 |")
    assert measurement.series.seconds == (2.0, 1.0, 1.0)
    assert measurement.series.line == (2, 3, 4)
    assert (measurement.first_loss, measurement.last_loss) == (9.5, 9.5)
    assert measurement.log_name == f"{measurement.slug}.log"
    assert measurement.reader_version == READER_VERSION
    assert measurement.log_size_bytes > 0


def test_json_round_trip(measured):
    """What is written is read back the same, nan losses and missing parts included."""
    for measurement in (measured(sweep(), [2.0, 1.0], extra=" lm loss: NAN |"), measured(sweep(), [], end=End(1))):
        text = measurement.to_json()
        assert Measurement.from_json(text) == measurement
        assert json.loads(text)["schema"] == SCHEMA


def test_when_to_measure_again(measured):
    """Made again when the log, the record or a setting changed; else not."""
    measurement = measured(sweep(), [1.0])
    size, modified = measurement.log_size_bytes, measurement.log_modified_ns
    settings = measurement.settings
    assert measurement.made_from(measurement.record, settings, size, modified)
    assert not measurement.made_from(measurement.record, settings, size + 1, modified)
    assert not measurement.made_from(measurement.record, replace(settings, statistic="mean"), size, modified)
    assert not measurement.made_from(replace(measurement.record, attempt=2), settings, size, modified)


def test_seconds_from_the_finest_figure(measured):
    """1536 samples at 0.410 a second tell 3746 s to 5 s, less than the time itself; at 0.409600000, 3750 s to 5 us."""
    statistics = measured(sweep(), [3750.0] * 3, extra=" samples per second: 0.410 |").statistics
    assert [source.words for source in statistics.sources] == [
        "the time of its line (3 records), rounded by up to 5e-05 s"
    ]
    assert (statistics.iteration_seconds, statistics.iteration_seconds_rounding) == (3750.0, 5e-05)
    statistics = measured(sweep(), [3750.0] * 3, extra=" samples per second: 0.409600000 |").statistics
    (source,) = statistics.sources
    assert source.words == "1,536 samples over the samples/s of its line (3 records), rounded by up to 4.6e-06 s"
    assert statistics.iteration_seconds == pytest.approx(3750.0, abs=1e-9)
    assert statistics.iteration_seconds_rounding == pytest.approx(3750 * 5e-10 / 0.4096, rel=1e-5)


def test_a_measurement_of_an_older_reader_is_made_again(measured):
    """A file of the sixth version of the reader is still read, without roundings, and does not stand for its log."""
    study = sweep()
    found = measured(study, [2.0] * 3)
    older = json.loads(found.to_json()) | {"reader_version": 6}
    for name in ("iteration_seconds_rounding", "sources"):
        del older["statistics"][name]
    kept = Measurement.from_json(json.dumps(older))
    assert (kept.statistics.iteration_seconds_rounding, kept.statistics.sources) == (None, ())
    size, modified = found.log_size_bytes, found.log_modified_ns
    assert found.made_from(found.record, found.settings, size, modified)
    assert not kept.made_from(found.record, found.settings, size, modified)
