"""What is known of memory and time where the schedule of the pipeline is another than 1F1B, and what is not."""

import re
from pathlib import Path
from typing import Any

import pytest
from fugaku_runs import june
from sweeps import study_in, toy, write

from nodesweep.cli.main import main
from nodesweep.common.units import MIB
from nodesweep.config.columns import TIDY
from nodesweep.config.layout_fields import LAYOUT_FIELDS
from nodesweep.config.tidy_row import TidyRow
from nodesweep.config.training import MemoryConstants, Training
from nodesweep.config.workload import Workload
from nodesweep.launch.decisions import Decisions, Ran
from nodesweep.performance.calibration.fit import calibrate
from nodesweep.performance.calibration.observations import workload_of_row
from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.forecast import forecast
from nodesweep.performance.memory import no_formula, stage_memory
from nodesweep.performance.predict import WhatIf
from nodesweep.performance.timing import passes, time_parts
from nodesweep.reports.prediction import prediction_text
from nodesweep.sweep.command_checks import contradictions
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.study import Study

TENSORS = MemoryConstants(process_mib=0, allocator_factor=1, allocator_factor_without_recomputation=1)
# Eight micro batches of a sample in four stages of two layers: h 8, s 16, V 128.
CASE = Dimensions(
    nodes=4,
    ranks_per_node=1,
    data=1,
    tensor=1,
    pipeline=4,
    micro_batch=1,
    global_batch=8,
    sequence_length=16,
    activation_checkpointing=True,
    layers=8,
    hidden_size=8,
    attention_heads=2,
    vocab_size=128,
    ffn_hidden_size=32,
)
ZERO_BUBBLE, OTHER = Training(pipeline_schedule="zero-bubble"), Training(pipeline_schedule="other")
OF_ZERO_BUBBLE = "of the zero-bubble schedule is not known"
BESIDE = {"model": "llama-tiny", "workload": "minitrain", "iterations": {"total": 2, "warmup": 1}}
MACHINE = {"scheduler": "local", "memory_mib_per_node": 100, "elapse_limit_seconds": 60}


def sweep_of(*schedules: str, **changes: Any) -> dict[str, Any]:
    """A sweep of minitrain in two stages by these schedules."""
    block = {"nodes": 2, "pipeline": 2, "global_batch": 8, "sequence_length": 64}
    layouts = [{**block, "parameters": {"pipeline_schedule": list(schedules)}}]
    return toy(**{**BESIDE, "machine": MACHINE, "layouts": layouts, **changes})


def layout_of(folder: Path, schedule: str, **changes: Any) -> Layout:
    """A layout of minitrain in two stages by a schedule."""
    config = write(folder / "sweep.yaml", sweep_of(schedule, **changes))
    (layout,) = Study.load([config], results=folder / "results").layouts.values()
    return layout


def test_gpipe_keeps_the_loss_of_all_micro_batches() -> None:
    """The last stage keeps, of 7 that wait, 4 bytes of each logit and two hidden states more than with 1F1B."""
    one, all_of_them = (
        stage_memory(CASE.changed(training=Training(pipeline_schedule=name)), 3, TENSORS) for name in ("1f1b", "gpipe")
    )
    assert all_of_them.logits - one.logits == 7 * (4 * 16 * 128 + 2 * 4 * 16 * 8)
    first = stage_memory(CASE.changed(training=Training(pipeline_schedule="gpipe")), 0, TENSORS)
    assert first.logits == 0


def test_a_schedule_means_nothing_without_a_pipeline() -> None:
    """One stage works through one micro batch after the other, whatever the schedule is called."""
    alone = CASE.changed(nodes=1, pipeline=1)
    for training in (Training(pipeline_schedule="gpipe"), ZERO_BUBBLE, OTHER):
        case = alone.changed(training=training)
        assert no_formula(case) == ""
        assert stage_memory(case, 0, TENSORS) == stage_memory(alone, 0, TENSORS)
        assert passes(case) == 8


@pytest.mark.parametrize(
    ("training", "schedule"),
    [
        (ZERO_BUBBLE, "the zero-bubble schedule"),
        (ZERO_BUBBLE.model_copy(update={"chunks_per_stage": 2}), "the zero-bubble schedule"),
        (OTHER, "a schedule that is none of those known"),
        (Training(pipeline_schedule="interleaved"), "the interleaved schedule with an unknown number of chunks"),
        (Training(), ""),
        (Training(pipeline_schedule="gpipe"), ""),
        (Training(pipeline_schedule="interleaved", chunks_per_stage=2), ""),
    ],
)
def test_what_is_not_known_of_schedules(training: Training, schedule: str) -> None:
    """Neither memory nor bubble of a schedule without a formula is claimed, nor a bubble added to a guess."""
    case = CASE.changed(training=training)
    assert no_formula(case) == (f"memory of {schedule} is not known" if schedule else "")
    parts = time_parts(case, 1.0, 0.0)
    bubble = 3 / training.chunks
    assert (parts.compute_seconds, parts.bubble_seconds) == (8.0, 0.0 if schedule else bubble)
    assert passes(case) == (8.0 if schedule else 8 + bubble)


def test_runs_by_such_a_schedule_tell_no_time() -> None:
    """They are left out of a fit, what others tell is unchanged, and their own time is refused with the reason."""
    runs = june()
    odd = [type(one)("odd", one.case.changed(training=ZERO_BUBBLE), 9.0, None) for one in runs[:2]]
    found, without = calibrate("june", [*runs, *odd]), calibrate("june", runs)
    assert found.time == without.time
    assert found.refusal(odd[0].case) == f"the bubble {OF_ZERO_BUBBLE}"
    assert found.estimate(odd[0].case) is None
    assert calibrate("june", odd).time.refusal == f"no run tells the time of another: the bubble {OF_ZERO_BUBBLE}"


def test_a_schedule_of_minitrain_is_foreseen_as_far_as_it_is_known(tmp_path: Path) -> None:
    """The schedule is read off the command; the state of a rank, 16 bytes of half the parameters, is a bound still."""
    peaks = {name: forecast(layout_of(tmp_path, name)).memory for name in ("1f1b", "gpipe", "zero-bubble")}
    assert peaks["1f1b"].bytes < peaks["gpipe"].bytes
    late = peaks["zero-bubble"]
    layout = layout_of(tmp_path, "zero-bubble")
    assert (late.bytes, late.source, late.verdict) == (None, f"memory {OF_ZERO_BUBBLE}", "")
    assert late.least_bytes == 16 * Dimensions.of(layout).parts.parameters / 2
    small = {**MACHINE, "memory_mib_per_node": late.least_bytes / MIB - 0.1}
    assert forecast(layout_of(tmp_path, "zero-bubble", machine=small)).memory.verdict == "will not fit"


def test_a_guess_of_time_does_not_tell_the_bubble(tmp_path: Path) -> None:
    """Seconds by a share of the peak are said to hold no bubble, and nothing is said of its parts."""
    machine = {**MACHINE, "peak_tflops": [{"precision": "fp32", "tflops_per_node": 1}]}
    layout = layout_of(tmp_path, "zero-bubble", machine=machine)
    found = forecast(layout)
    assert found.time is not None
    assert found.time.source == f"a guess: 30 % of a node's peak of 1 TFLOPs; the bubble {OF_ZERO_BUBBLE}"
    text = prediction_text(WhatIf(layout, found))
    assert f"  its parts are unknown: the bubble {OF_ZERO_BUBBLE}\n" in text
    assert "compute" not in text


def test_chunks_of_a_schedule_without_formula(tmp_path: Path) -> None:
    """Virtual stages leave a zero-bubble schedule what it is, and make 1F1B the interleaved one."""
    block = {"nodes": 2, "pipeline": 2, "virtual_pipeline": 2, "global_batch": 8, "sequence_length": 64}
    late = layout_of(tmp_path, "-", layouts=[{**block, "parameters": {"pipeline_schedule": "zero-bubble"}}])
    assert (late.training.pipeline_schedule, late.training.chunks_per_stage) == ("zero-bubble", 2)
    usual = layout_of(tmp_path, "-", layouts=[block])
    assert (usual.training.pipeline_schedule, usual.training.chunks_per_stage) == ("interleaved", 2)
    assert contradictions(late) == contradictions(usual) == []


def test_a_contradicted_schedule_is_told(tmp_path: Path) -> None:
    """What `training` says of the schedule and the command says otherwise is told with both."""
    workload = {"name": "own", "command": ["train", "--pipeline-schedule=zero-bubble"]}
    typed = workload | {"training": {"pipeline_schedule": "1f1b"}}
    block = {"nodes": 2, "pipeline": 2, "global_batch": 8, "sequence_length": 64}
    (one,) = contradictions(layout_of(tmp_path, "-", workload=typed, layouts=[block]))
    assert one.sentence("sweep.yaml:9: x").startswith(
        "workload.training.pipeline_schedule (sweep.yaml:9) is 1f1b, but the command says zero-bubble: "
        "--pipeline-schedule=zero-bubble; predictions go by the former"
    )
    plain = workload | {"command": ["train", "--pipeline-schedule=gpipe", "{{ virtual_pipeline }}"]}
    (one,) = contradictions(layout_of(tmp_path, "-", workload=plain, layouts=[{**block, "virtual_pipeline": 2}]))
    assert one.sentence(None) == (
        "pipeline_schedule is interleaved, but the command says gpipe: --pipeline-schedule=gpipe; "
        "predictions go by the former: change the block or the command"
    )


def test_a_row_from_elsewhere_has_the_schedule_of_its_parameter(tmp_path: Path) -> None:
    """A parameter that a row of another sweep knows fills the words of the command like a layout's."""
    study = Study.load([write(tmp_path / "sweep.yaml", sweep_of("gpipe", "zero-bubble"))])
    fields = {row.column: layout_of(tmp_path, "gpipe").fields()[name] for name, row in LAYOUT_FIELDS.items()}
    row: TidyRow = {**dict.fromkeys(TIDY), **fields, "pipeline_schedule": "zero-bubble"}
    assert workload_of_row(row, study.sweep).training.pipeline_schedule == "zero-bubble"
    assert workload_of_row({**row, "pipeline_schedule": None}, study.sweep).training.pipeline_schedule == "1f1b"


def test_a_search_leaves_no_such_layout_out(tmp_path: Path) -> None:
    """The fastest measured leaves out what is predicted slower, and not what no formula predicts."""
    workload = {**toy()["workload"], "command": ["train", "--pipeline-schedule={{ 'x' if pipeline == 2 else '1f1b' }}"]}
    shapes = ((1, 128), (1, 8192), (2, 8192))  # stages and tokens of a sample: longer ones take more for each
    blocks = [
        {"nodes": 2, "pipeline": pipeline, "global_batch": 16, "sequence_length": length} for pipeline, length in shapes
    ]
    study = study_in(tmp_path, workload=workload, layouts=blocks, search={"best": "fastest"})
    fast, slower, unknown = study.layouts
    decisions = Decisions(study.sweep, study.layouts, {})
    decisions.ended(fast, Ran("ok", 1.0, 0.0))
    assert study.layouts[unknown].training.pipeline_schedule == "other"
    assert decisions.not_run(unknown) is None
    assert decisions.not_run(slower) is not None


def test_the_trace_of_an_unknown_bubble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`why` names the schedule, the word of the command that says it, and its place."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    write(tmp_path / "sweep.yaml", sweep_of("zero-bubble"))
    study = Study.load([tmp_path / "sweep.yaml"])
    assert main(["measure", "--configfile", "sweep.yaml"]) == 0
    capsys.readouterr()
    assert main(["why", "--configfile", "sweep.yaml", next(iter(study.layouts)), "predicted_memory_mib"]) == 0
    said = capsys.readouterr().out
    assert f"    memory {OF_ZERO_BUBBLE}\n    pipeline_schedule zero-bubble: --pipeline-schedule=zero-bubble: " in said
    assert re.search(r"config/workloads/minitrain.yaml:\d+: command\[\d+\]", said)


def test_a_schedule_nobody_knows_is_another(tmp_path: Path) -> None:
    """A word for a schedule that nodesweep does not know makes memory unknown, and is no error."""
    workload = {"name": "own", "command": ["train", "--parallelism.pipeline_parallel_schedule=Spiral"]}
    block = {"nodes": 2, "pipeline": 2, "global_batch": 8, "sequence_length": 64}
    layout = layout_of(tmp_path, "-", workload=workload, layouts=[block])
    assert isinstance(layout.workload, Workload)
    assert forecast(layout).memory.source == "memory of a schedule that is none of those known is not known"
