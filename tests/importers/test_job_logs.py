"""`nodesweep ingest`: logs of old jobs, found below folders, become measurements with the layouts they tell of."""

import json
import os
import random
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import EXAMPLES, LOGS
from sweeps import toy, write
from written_logs import BIG_MODEL, layouts_of, record_line, run_of, sweep_of

from nodesweep.cli.main import main
from nodesweep.common.errors import NodesweepError
from nodesweep.config.columns import TIDY
from nodesweep.importers.job_logs import (
    Ingested,
    IngestOptions,
    PathTemplate,
    files,
    find_logs,
    ingest,
    values_of_settings,
)
from nodesweep.importers.job_logs.constraints import broken_laws, completed
from nodesweep.importers.layout_values import READ_FIELDS
from nodesweep.logs.trainers import TRAINERS
from nodesweep.results.measurement import IterationStatistics
from nodesweep.results.table import from_csv

OLD = {
    "13b/pp4/train.log": "megatron-deepspeed/microsoft_2024_pipeline_steps_doubles",
    "8x/slurm-77.out": "megatron-lm/v2_2021_glued_memory_validation_saving",
    "8x/slurm-78.out": "megatron-lm/core_2026_srun_label_torn_arguments",
    "8x/slurm-79.out": "megatron-lm/core_2025_layout_refused",
    "8x/slurm-80.out": "megatron-lm/core_2025_resumed_already_finished",
    "8x/slurm-81.out": "megatron-lm/core_2025_oom_first_forward",
    "fugaku/job.sh.4711.out": "megatron-deepspeed/fugaku_2023_cpu_memory",
    "nano/n2-mp2.txt": "nanotron/old_2024_tee_peak_reset",
    "neox.o123": "gpt-neox/neox_2022_interval_10_checkpoint_in_record_2",
    "titan/run.log": "torchtitan/nccl_error_2026_cannot_allocate",
}
"""Places of examples below a folder of old logs."""


def example(name: str) -> Path:
    """The log of an example."""
    return LOGS / f"{name}.log"


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A working folder with examples below `old`, all of one time."""
    for place, name in OLD.items():
        path = tmp_path / "old" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(example(name), path)
        os.utime(path, ns=(10**18, 10**18))
    (tmp_path / "old" / "model.pt").write_bytes(b"\0" * 100)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(capsys, *words: object) -> tuple[int, str]:
    """Exit code and output of `nodesweep ingest`."""
    code = main(["ingest", *map(str, words)])
    output = capsys.readouterr()
    return code, output.out + output.err


def ingested(*paths: Path, templates: tuple[str, ...] = (), **fields: object) -> Ingested:
    """What is ingested of paths."""
    logs = find_logs(paths)
    options = IngestOptions(fields, tuple(map(PathTemplate.of, templates)))
    return ingest("name", logs, ((job, job.readings([None])) for job in logs.jobs), options)


def lines_in(folder: Path, **logs: list[str]) -> Path:
    """A folder with logs of these lines; `_` in names stands for a dot."""
    folder.mkdir(exist_ok=True)
    for name, lines in logs.items():
        (folder / name.replace("_", ".")).write_text("".join(f"{line}\n" for line in lines))
    return folder


def test_folder_of_old_logs(old, capsys, golden):
    """Layouts, outcomes and figures of ten examples, as text, tables and rows; a second run gives the same bytes."""
    words = ("old", "--set", "vocab_size=50257", "--pattern", "n{nodes}-mp{tensor}.")
    code, report = command(capsys, *words)
    assert code == 0
    folder = old / "results" / "old"
    golden("ingest.report.txt", report)
    golden("ingest.tables.md", (folder / "tables.md").read_text())
    golden("ingest.results.csv", (folder / "results.csv").read_text())
    before = {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    assert len(before) == 4  # with the digest of results.csv
    assert command(capsys, *words, "--check") == (1, report)
    assert before == {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}


def test_rows_have_places_in_the_tidy_table(old):
    """Each row has columns of results.csv alone, and says where it is from."""
    for row in ingested(old / "old").figures():
        assert set(row) <= set(TIDY)
        assert row["source"] == "ingest" and Path(row["source_file"]).is_file()
        assert f"ingested, {row['source_file']}" in row["outcome_note"]


def test_line_of_a_row(old):
    """The line of a row is that of the first record in its statistics."""
    (log,) = ingested(old / "old" / "13b").logs
    row = log.figures()
    line = Path(row["source_file"]).read_text().splitlines()[row["source_line"] - 1]
    assert "iteration        2/" in line and row["records_dropped"] == 1


def test_same_figures_as_a_run_of_the_sweep(tmp_path):
    """A log whose layout is told by flags gives the figures that it gives as a run of that layout."""
    sweep = sweep_of([{"nodes": 192, "tensor": 4, "pipeline": 48, "global_batch": 1536, "sequence_length": 2048}])
    (layout,) = layouts_of(sweep)
    run = run_of(sweep, layout, tmp_path, [record_line(number, 3, 3720.0) for number in (1, 2, 3)])
    given = {name: BIG_MODEL[name] for name in ("layers", "hidden_size", "attention_heads", "vocab_size")}
    fields = {name: value for name, value in layout.fields().items() if name in READ_FIELDS and value is not None}
    (log,) = ingested(tmp_path, **fields, **given).logs
    compared = [name for name in IterationStatistics.__dataclass_fields__ if "second" in name or "flops" in name]
    assert len(compared) == 11
    for name in compared:
        assert getattr(log.measurement.statistics, name) == getattr(run.measurement.statistics, name), name
    assert log.figures()["model_size"] == "30B"
    assert log.figures()["aggregate_petaflops"] == pytest.approx(
        log.measurement.statistics.tflops_per_node * 192 / 1024
    )


def test_unknown_stays_unknown(tmp_path):
    """Without any word on the layout there is a time, and no rate."""
    (log,) = ingested(lines_in(tmp_path / "logs", a_log=[record_line(number, 2, 1.5) for number in (1, 2)])).logs
    assert set(log.layout.values()) == {None}
    assert log.layout_text == "n?-dp?-mp?-pp?-mbs?-gbs?-s?-ac?"
    row = log.figures()
    assert row["iteration_seconds"] == 1.5
    assert [row[name] for name in ("tokens_per_second", "tflops_per_node", "model_tflops_per_node")] == [None] * 3
    assert "aggregate_petaflops" not in row


@pytest.mark.parametrize(
    ("output", "error"),
    [
        ("job.sh.4711.out", "job.sh.4711.err"),
        ("slurm-12.out", "slurm-12.err"),
        ("job.o12", "job.e12"),
        ("job.o12-3", "job.e12-3"),
        ("stdout.1.0", "stderr.1.0"),
        ("12.pbs.OU", "12.pbs.ER"),
        ("train.log", "train.err"),
        ("run_out.txt", "run_err.txt"),
    ],
)
@pytest.mark.parametrize("swapped", [False, True], ids=["output", "swapped"])
def test_two_files_of_one_job(tmp_path, output, error, swapped):
    """Training in one file, the launcher's words in the other: one job, killed by signal 9, with the line's file."""
    lines = example("megatron-deepspeed/fugaku_2023_signal_9").read_text().splitlines(keepends=True)
    launcher = [line for line in lines if line.startswith("[WARN]")]
    training = [line for line in lines if line not in launcher]
    names = (error, output) if swapped else (output, error)
    for name, part in zip(names, (training, launcher), strict=True):
        (tmp_path / name).write_text("".join(part))
    (log,) = ingested(tmp_path).logs
    (whole,) = ingested(example("megatron-deepspeed/fugaku_2023_signal_9")).logs
    record = log.measurement.record
    assert [Path(source.file).name for source in log.sources] == list(names)
    assert record.evidence.startswith(f"{names[1]} line 1: [WARN] PLE 0610")
    assert (record.outcome, record.where) == ("crash", "after iteration 3")
    assert log.measurement.statistics == whole.measurement.statistics


def test_finished_in_output_and_noise_in_error(tmp_path):
    """All iterations are there: noise at the end of standard error is a note with its file and line."""
    lines_in(
        tmp_path,
        a_out=[record_line(number, 2, 1.5) for number in (1, 2)],
        a_err=["noise", "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB"],
    )
    record = ingested(tmp_path).logs[0].measurement.record
    assert (record.outcome, record.evidence) == ("ok", "line 2: iteration 2 of 2")
    assert record.note.startswith("after the end: a.err line 2: RuntimeError: CUDA out of memory.")


def test_standard_error_without_output_is_read_alone(tmp_path):
    """A lone file of errors is the log of its job."""
    (log,) = ingested(
        lines_in(tmp_path / "logs", a_err=["slurmstepd: error: *** JOB 1 ON n CANCELLED AT x DUE TO TIME LIMIT ***"])
    ).logs
    assert log.measurement.record.outcome == "timeout"


def test_what_is_no_log_is_named(tmp_path):
    """Binary, empty, linked twice, a pipe, a link to nothing, a loop of folders, a long name, a hostile name."""
    folder = tmp_path / "logs"
    folder.mkdir()
    shutil.copyfile(example("megatron-lm/core_2025_time_limit"), folder / "a.log")
    (folder / "b.log").symlink_to("a.log")
    (folder / "binary.out").write_bytes(random.Random(1).randbytes(100_000))
    (folder / "empty.log").touch()
    (folder / "gone.log").symlink_to("nowhere")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe.log")
    (folder / ("x" * 251 + ".log")).write_text("nothing\n")
    (Path(os.fsdecode(os.fsencode(folder) + b"/\xff\x1b[31m\n.log"))).write_text("nothing\n")
    (folder / "notes.md").write_text("iteration 1/ 2")
    found = ingested(folder)
    assert [log.measurement.record.outcome for log in found.logs] == ["timeout"]
    why = {Path(left.file).name: left.why for left in found.left_alone}
    nothing = "neither iterations nor failures in it"
    assert why == {
        "b.log": f"the same file as {folder}/a.log",
        "binary.out": nothing,
        "empty.log": "empty",
        "gone.log": "No such file or directory",
        "loop": "a link to a folder; give it by its own path",
        "pipe.log": "no regular file",
        "x" * 251 + ".log": nothing,
        " .log": nothing,
        "logs": "1 other files, not named like logs (1 .md)",
    }
    assert "\x1b" not in found.report() and Ingested.from_json(found.to_json()) == found


def test_a_file_given_by_name_is_read_whatever_its_name(tmp_path):
    """A file on the command line needs no name of a log."""
    shutil.copyfile(example("megatron-lm/core_2025_time_limit"), tmp_path / "output")
    assert ingested(tmp_path / "output").logs[0].measurement.record.outcome == "timeout"


def test_unreadable_file(tmp_path, monkeypatch):
    """A log that cannot be opened is left alone with the system's word; the others are read."""

    def refused(path, form=None):
        if path.name == "b.log":
            raise PermissionError(13, "Permission denied", str(path))
        return files_read_log(path, form)

    files_read_log = files.read_log
    monkeypatch.setattr(files, "read_log", refused)
    shutil.copyfile(example("megatron-lm/core_2025_time_limit"), tmp_path / "a.log")
    shutil.copyfile(example("megatron-lm/core_2025_time_limit"), tmp_path / "b.log")
    found = ingested(tmp_path)
    assert len(found.logs) == 1
    assert [(Path(left.file).name, left.why) for left in found.left_alone] == [("b.log", "Permission denied")]


def test_ten_thousand_files(tmp_path, monkeypatch):
    """Ten thousand logs in one folder are read in seconds; more than the bound is refused with a way out."""
    for number in range(10_000):
        (tmp_path / f"{number}.log").write_text(record_line(1, 1, 1.0) + "\n")
    begin = time.monotonic()
    logs = find_logs([tmp_path])
    assert len(logs.jobs) == 10_000 and time.monotonic() - begin < 10
    monkeypatch.setattr(files, "MOST_LOGS", 9_999)
    with pytest.raises(NodesweepError, match="over 9999 logs; ingest its folders one by one"):
        find_logs([tmp_path])
    monkeypatch.setattr(files, "MOST_ENTRIES", 9_999)
    with pytest.raises(NodesweepError, match="over 9999 files"):
        find_logs([tmp_path])


MEGATRON = {
    "num_layers": "layers",
    "hidden_size": "hidden_size",
    "num_attention_heads": "attention_heads",
    "seq_length": "sequence_length",
    "micro_batch_size": "micro_batch",
    "global_batch_size": "global_batch",
    "tensor_model_parallel_size": "tensor",
    "pipeline_model_parallel_size": "pipeline",
    "data_parallel_size": "data",
    "world_size": "ranks",
    "padded_vocab_size": "vocab_size",
    "checkpoint_activations": "activation_checkpointing",
}
NEOX = {
    "num_layers": "layers",
    "hidden_size": "hidden_size",
    "num_attention_heads": "attention_heads",
    "seq_length": "sequence_length",
    "train_micro_batch_size_per_gpu": "micro_batch",
    "train_batch_size": "global_batch",
    "model_parallel_size": "tensor",
    "pipe_parallel_size": "pipeline",
    "global_num_gpus": "ranks",
    "padded_vocab_size": "vocab_size",
    "checkpoint_activations": "activation_checkpointing",
}


@st.composite
def layouts(draw):
    """A layout that obeys all laws."""
    count = st.integers(1, 64)
    per_node, nodes, tensor, pipeline = (2 ** draw(st.integers(0, 4)) for _ in range(4))
    data = -(-nodes * per_node // (tensor * pipeline))
    ranks = data * tensor * pipeline
    per_node = per_node if ranks % per_node == 0 else 1
    heads, micro_batch = tensor * draw(count), draw(count)
    return {
        "nodes": ranks // per_node,
        "ranks_per_node": per_node,
        "ranks": ranks,
        "data": data,
        "tensor": tensor,
        "pipeline": pipeline,
        "micro_batch": micro_batch,
        "global_batch": data * micro_batch * draw(count),
        "sequence_length": 128 * draw(count),
        "activation_checkpointing": draw(st.booleans()),
        "layers": pipeline * draw(count),
        "hidden_size": 64 * heads,
        "attention_heads": heads,
        "vocab_size": 128 * draw(st.integers(1, 2000)),
    }


@settings(max_examples=60, deadline=None)
@given(layout=layouts(), neox=st.booleans(), label=st.booleans())
def test_layout_of_any_arguments(tmp_path_factory, layout, neox, label):
    """The log of any layout that dumps its arguments is ingested to exactly that layout, without a finding."""
    form, end = (NEOX, 24 * "." + "updated") if neox else (MEGATRON, "")
    dump = [f"  {name} {'.' * (32 - len(name))} {layout[field]}{end}" for name, field in form.items()]
    lines = ["-" * 20 + " arguments " + "-" * 20, *dump, "-" * 16 + " end of arguments " + "-" * 16]
    lines += [record_line(number, 3, 2.0) for number in (1, 2, 3)]
    folder = lines_in(tmp_path_factory.mktemp("logs"), a_log=[f"3: {line}" if label else line for line in lines])
    (log,) = ingested(folder, ranks_per_node=layout["ranks_per_node"]).logs
    assert {name: value for name, value in log.layout.items() if value is not None} == layout
    assert log.findings == () and log.remarks == ()
    assert log.measurement.statistics.tokens_per_second == layout["global_batch"] * layout["sequence_length"] / 2.0


LAYOUTS_BY_LINE = {
    "using world size: 16, data-parallel-size: 2, tensor-model-parallel size: 4, pipeline-model-parallel size: 2 ": {
        "ranks": 16,
        "data": 2,
        "tensor": 4,
        "pipeline": 2,
        "nodes": 16,
        "ranks_per_node": 1,
    },
    "[titan] Building device mesh with parallelism: pp=2, dp_replicate=2, dp_shard=4, cp=1, tp=2, ep=1": {
        "ranks": 32,
        "data": 8,
        "tensor": 2,
        "pipeline": 2,
        "context": 1,
        "expert": 1,
        "nodes": 32,
        "ranks_per_node": 1,
    },
    "Trainer is initialized with local batch size 5, global batch size 40, gradient accumulation steps 1, "
    "sequence length 4096, total steps 10 (warmup 600)": {"global_batch": 40, "sequence_length": 4096},
    "Applied full activation checkpointing to the model": {"activation_checkpointing": True},
    "Applied selective activation checkpointing to the model": {},
    " > padded vocab (size: 50257) with 943 dummy tokens (new size: 51200)": {"vocab_size": 50257},
    "[2026-01-02 03:04:05,678] [INFO] [launch.py:163:main] nnodes=2, num_local_procs=8, node_rank=0": {
        "nodes": 2,
        "ranks_per_node": 8,
        "ranks": 16,
    },
    "+ torchrun --nnodes 4 --nproc-per-node=8 train.py": {"nodes": 4, "ranks_per_node": 8, "ranks": 32},
    "  nproc_per_node   : 8": {"ranks_per_node": 8},
    "  Instantaneous batch size per device = 1,024": {"micro_batch": 1024},
    "  Total train batch size (w. parallel, distributed & accumulation) = 64": {"global_batch": 64},
    "  Gradient Accumulation steps = 4": {},
    "O^O/ \\_/ \\    Batch size per device = 2 | Total steps = 5,000": {},
    "DLL 2025-01-15 01:59:59.000001 - PARAMETER world_size : 64 ": {"ranks": 64, "nodes": 64, "ranks_per_node": 1},
    "05/11 07:10:44 [INFO|DP=0|TP=0|n1]: mbs: 2 | grad_accum: 4 | cp: 1 | sequence_length: 8192 | z: 1": {
        "micro_batch": 2,
        "context": 1,
        "sequence_length": 8192,
    },
    "x: Parallelism: dp=2 pp=4 tp=1": {
        "data": 2,
        "pipeline": 4,
        "tensor": 1,
        "ranks": 8,
        "nodes": 8,
        "ranks_per_node": 1,
    },
}


@pytest.mark.parametrize("line", LAYOUTS_BY_LINE)
def test_lines_that_tell_of_the_layout(tmp_path, line):
    """Each line that trainers print of their layout is understood."""
    (log,) = ingested(lines_in(tmp_path / "logs", a_log=[line, record_line(1, 1, 1.0)])).logs
    assert {name: value for name, value in log.layout.items() if value is not None} == LAYOUTS_BY_LINE[line]


def test_all_kinds_of_such_lines_are_tested():
    """Every row that reads settings has a line above, or one in an example log of its trainer."""
    examples = (line for path in EXAMPLES for line in path.read_text(errors="replace").splitlines(keepends=True))
    lines = [*LAYOUTS_BY_LINE, *examples]
    rows = [row for trainer in TRAINERS.values() for row in trainer.settings]
    assert [row.line.markers for row in rows if not any(list(row.pairs(line)) for line in lines)] == []


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"ranks": 1152, "data": 8, "tensor": 4, "pipeline": 48},
            "1152 ranks, but DP 8 x MP 4 x PP 48 = 1536; nearest DP: 6",
        ),
        (
            {"ranks": 8, "data": 8, "tensor": 1, "pipeline": 1, "context": 2},
            "8 ranks, but DP 8 x MP 1 x PP 1 x CP 2 = 16; nearest DP: 4",
        ),
        ({"ranks": 16, "nodes": 3, "ranks_per_node": 4}, "16 ranks, but 3 nodes x 4 ranks = 12; nearest nodes: 4"),
        ({"ranks": 6, "ranks_per_node": 4}, "6 ranks do not fill nodes of 4; nearest ranks: 4 or 8"),
        (
            {"global_batch": 100, "data": 8, "micro_batch": 2},
            "GBS 100 does not split over DP 8 x MBS 2; nearest GBS: 96 or 112",
        ),
        (
            {"hidden_size": 100, "attention_heads": 8},
            "hidden size 100 does not split over 8 heads; nearest hidden size: 96 or 104",
        ),
        ({"attention_heads": 6, "tensor": 4}, "6 attention heads do not split over MP 4; nearest MP: 3 or 6"),
        (
            {"ranks": 6, "tensor": 4, "pipeline": 1},
            "6 ranks do not hold whole replicas of MP 4 x PP 1 = 4; nearest ranks: 4 or 8",
        ),
        ({"layers": 94, "pipeline": 8}, "94 layers do not split over PP 8; nearest PP: 2 or 47"),
    ],
)
def test_laws(values, sentence):
    """Each law that does not hold is one sentence with its numbers and the nearest value that obeys it."""
    assert broken_laws(values) == [sentence]


@pytest.mark.parametrize(
    ("layers", "settings", "sentences"),
    [
        (126, {"account_for_embedding_in_pipeline_split": "True", "account_for_loss_in_pipeline_split": "True"}, 0),
        (126, {"decoder_first_pipeline_num_layers": "7", "decoder_last_pipeline_num_layers": "7"}, 0),
        (61, {"pipeline_model_parallel_layout": "Et*4|(t*4|)*14,t,L"}, 0),
        (60, {"pipeline_model_parallel_layout": "Et*4|(t*4|)*14,t,L"}, 1),
        (61, {"pipeline_model_parallel_layout": "<a layout of an object>"}, 0),
        (126, {"decoder_first_pipeline_num_layers": "8"}, 1),
        (70, {"deepspeed": "True"}, 0),
        (70, {"deepspeed": "False", "pipeline_model_parallel_layout": "None"}, 1),
    ],
)
def test_layers_that_do_not_divide(layers, settings, sentences):
    """Layers over 16 stages as arguments split them: 126 and two more are 8 each, 112 between ends of 7 are 8 each.

    A layout has its 61 layers and no other number; one that cannot be read is no fault. DeepSpeed splits any number.
    """
    found = broken_laws({"layers": layers, "pipeline": 16}, settings.items())
    assert len(found) == sentences and all(f"{layers} layers" in sentence or "layout" in sentence for sentence in found)


def test_what_follows():
    """DP follows from ranks, nodes from ranks of a node, GBS from accumulation; what does not divide stays unknown."""
    assert completed({"ranks": 64, "tensor": 4, "pipeline": 4, "context": 2})[0]["data"] == 2
    assert completed({"ranks": 64, "ranks_per_node": 8})[0]["nodes"] == 8
    assert completed({"micro_batch": 2, "data": 4, "accumulation": 8})[0]["global_batch"] == 64
    assert "data" not in completed({"ranks": 64, "tensor": 3, "pipeline": 1})[0]
    assert "nodes" not in completed({"ranks": 2, "ranks_per_node": 4})[0]
    assert completed({"local_batch": 4, "pipeline": 1})[0]["micro_batch"] == 4
    assert "micro_batch" not in completed({"local_batch": 4, "pipeline": 2})[0]


def test_flags_over_the_log_over_the_path(tmp_path):
    """A flag stands over the log, the log over its path, and both differences are findings."""
    folder = lines_in(
        tmp_path / "n4", a_log=["using world size: 8, tensor-model-parallel size: 2", record_line(1, 1, 1.0)]
    )
    (log,) = ingested(folder.parent, templates=("n{nodes}/*.log", "mp{tensor}"), tensor=4).logs
    assert (log.layout["tensor"], log.layout["nodes"], log.layout["ranks_per_node"]) == (4, 4, 2)
    assert log.findings == ("tensor is 2 by the log, 4 by --set: --set counts",)
    assert log.unfit == ("mp{tensor}",)
    (log,) = ingested(folder.parent, templates=("n{tensor}",)).logs
    assert log.layout["tensor"] == 2
    assert log.findings == ("tensor is 2 by the log, 4 by its path: the log counts",)


@pytest.mark.parametrize(
    ("template", "path", "fields"),
    [
        ("n{nodes}-mp{tensor}", "runs/n16-mp4-x.log", {"nodes": 16, "tensor": 4}),
        ("n{nodes}", "open4/train.log", None),
        (
            "gbs{global_batch}*ac{activation_checkpointing}.",
            "gbs64_s2_acyes.log",
            {
                "global_batch": 64,
                "activation_checkpointing": True,
            },
        ),
        ("{frequency_ghz}ghz/", "2.2ghz/a.log", {"frequency_ghz": 2.2}),
        ("{nodes}/{tensor}.log", "8/x/2.log", None),
        ("a.c{nodes}", "abc8.log", None),
    ],
)
def test_templates_of_paths(template, path, fields):
    """Fields stand between literal text; `*` is any text within one name."""
    assert PathTemplate.of(template).fields(path) == fields


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "tensor=0"], "--set: tensor '0' is not a whole number from 1 to 1000000000"),
        (["--set", "tensor=x"], "--set: tensor 'x' is not a whole number"),
        (["--set", "frequency_ghz=nan"], "--set: frequency_ghz 'nan' is not a number from 0 to 100"),
        (["--set", "activation_checkpointing=maybe"], "is not yes or no"),
        (["--set", "gpus=4"], "--set 'gpus=4': write NAME=VALUE with one of nodes, ranks_per_node"),
        (["--set", "tensor"], "--set 'tensor': write NAME=VALUE"),
        (["--pattern", "n{gpus}"], "--pattern 'n{gpus}': unknown field 'gpus'; fields: nodes"),
        (["--pattern", "n4"], "--pattern 'n4': each field once, one at least"),
        (["--pattern", "{nodes}{nodes}"], "each field once"),
        (["--pattern", "a{nodes}" + "(" * 300], "each field once"),
        (["--name", "../x"], "'../x' cannot name a folder of results; give --name"),
        (["nowhere"], "nowhere: no such file or folder"),
    ],
)
def test_wrong_words(old, capsys, words, message):
    """What cannot be is refused in one message, and nothing is written."""
    code, output = command(capsys, "old", *words)
    assert code == 1 and output.startswith("nodesweep: ") and message in output
    assert not (old / "results").exists()


def test_values_that_paths_cannot_have():
    """A count of ten digits in a path is refused with the path."""
    with pytest.raises(NodesweepError, match="n9999999999: nodes '9999999999' is not a whole number"):
        PathTemplate.of("n{nodes}").fields("n9999999999")
    assert values_of_settings(["tensor=2", "tensor= 4 "]) == {"tensor": 4}


def test_no_log_at_all(old, capsys):
    """A folder without a training log is refused, with what was found instead."""
    (old / "none").mkdir()
    (old / "none" / "a.log").write_text("hello\n")
    code, output = command(capsys, "none")
    assert code == 1
    assert output == ("nodesweep: no log of a training found (none/a.log: neither iterations nor failures in it)\n")
    assert not (old / "results").exists()


def test_among_the_rows_of_a_sweep(old, capsys):
    """Ingested rows follow a sweep's own and its imported ones, and its tables say whence they are."""
    config = write(old / "sweep.yaml", toy())
    (old / "hand.md").write_text("| Nodes | DP | MP | PP | Sec/it |\n|--|--|--|--|--|\n| 4 | 4 | 1 | 1 | 2.0 |\n")
    for words in (["plan"], ["import", "hand.md"], ["ingest", "old", "--name", "before"], ["measure"], ["tables"]):
        assert main([*words, "--configfile", str(config)]) == 0
    table = from_csv((old / "results" / "toy" / "results.csv").read_text())
    assert list(table["source"]) == ["run"] * 2 + ["import"] + ["ingest"] * 9
    assert "ingested, old/13b/pp4/train.log" in (old / "results" / "toy" / "tables.md").read_text()
    assert [path.name for path in (old / "results" / "toy" / "ingested").iterdir()] == ["before.json"]
    assert not (old / "results" / "before").exists()
    capsys.readouterr()
    code, output = command(capsys, "old", "--name", "toy")
    assert code == 1 and "results/toy holds the results of a sweep; name the sweep with --configfile" in output


def test_folder_of_an_import(old, capsys):
    """An import and an ingest of one name do not overwrite each other's tables."""
    (old / "old.md").write_text("| Nodes | DP | MP | PP | Sec/it |\n|--|--|--|--|--|\n| 4 | 4 | 1 | 1 | 2.0 |\n")
    assert main(["import", "old.md"]) == 0
    tables = (old / "results" / "old" / "tables.md").read_bytes()
    code, output = command(capsys, "old")
    assert code == 1 and "results/old holds what was imported" in output
    assert (old / "results" / "old" / "tables.md").read_bytes() == tables


def test_custom_format_of_a_sweep(old, capsys):
    """Logs in a format that the sweep's workload describes are read by it, others as ever."""
    form = {
        "name": "mine",
        "iteration": {"contains": "step ", "pattern": r"step (?P<number>\d+) of"},
        "figures": {"seconds": {"pattern": r"took (\d+\.\d+) s", "unit": "s"}},
    }
    config = write(old / "sweep.yaml", toy(workload={"command": ["x"], "log_format": form}))
    lines_in(old / "old", mine_log=[f"step {number} of 3 took 2.5 s" for number in (1, 2, 3)])
    code, output = command(capsys, "old", "--configfile", config)
    assert code == 0, output
    assert "old/mine.log: mine, n?-dp?-mp?-pp?-mbs?-gbs?-s?-ac?, lost, 3 records, 2.5 s/it" in output
    assert "old/13b/pp4/train.log: megatron-deepspeed, " in output


def test_text_of_another_version(old):
    """A file that this version did not write is refused with the way out."""
    text = ingested(old / "old").to_json()
    assert Ingested.from_json(text).to_json() == text
    for other in (text.replace('"schema_version": 2', '"schema_version": 1'), json.dumps({"name": 1}), ""):
        with pytest.raises(NodesweepError, match="ingest again"):
            Ingested.from_json(other)


SETTINGS_OF_A_MODEL = {"layers": 4, "hidden_size": 64, "attention_heads": 4, "vocab_size": 1024, "sequence_length": 128}


def test_peak_of_a_crashed_job_is_not_taken_for_all_it_needed(tmp_path, monkeypatch):
    """Two jobs that finished calibrate memory; a third, as large as one of them, crashed with a tenth of its peak."""
    monkeypatch.chdir(tmp_path)
    config = write(tmp_path / "sweep.yaml", toy())
    crash = "Traceback (most recent call last):\nValueError: wrong shape"
    for name, micro_batch, peak, last in (("a", 1, 500.0, ""), ("b", 2, 900.0, ""), ("c", 2, 90.0, crash)):
        memory = f"[Rank 0] (after 1 iterations) memory (MB) | allocated: 1.0 | max allocated: {peak} "
        memory += "| reserved: 1.0 | max reserved: 1.0"
        dump = [f"  micro_batch_size {'.' * 16} {micro_batch}", f"  world_size {'.' * 22} 1"]
        lines = ["-" * 20 + " arguments " + "-" * 20, *dump, "-" * 16 + " end of arguments " + "-" * 16]
        records = [record_line(1, 2, 1.0), memory, last or record_line(2, 2, 1.0)]
        lines_in(tmp_path / "old", **{f"{name}_log": lines + records})
    values = {**SETTINGS_OF_A_MODEL, "tensor": 1, "pipeline": 1, "global_batch": 4, "activation_checkpointing": "no"}
    words = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    for arguments in (["plan"], ["ingest", "old", *words], ["measure"]):
        assert main([*arguments, "--configfile", str(config)]) == 0
    table = from_csv((tmp_path / "results" / "toy" / "results.csv").read_text())
    rows = table[table["source"] == "ingest"]
    assert list(rows["outcome"]) == ["ok", "ok", "crash"]
    assert list(rows["memory_mib"]) == [500.0, 900.0, 90.0]
    calibration = (tmp_path / "results" / "toy" / "calibration" / "old.yaml").read_text()
    assert "# Memory: 2 runs, " in calibration
