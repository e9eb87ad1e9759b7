"""`nodesweep why`: every column of results.csv traced, over sweeps that lie in a folder as their jobs left them."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from paths import LOGS
from sweeps import drained, runner_of, study_in, write
from written_logs import OUT_OF_MEMORY, STARTED, SUCCESS, layouts_of, record_line, sweep_of

from nodesweep.cli.main import main
from nodesweep.common.text import plain
from nodesweep.config.columns import TIDY
from nodesweep.config.origins import origins
from nodesweep.config.training import Training
from nodesweep.launch import journal
from nodesweep.launch.decisions import NotRun
from nodesweep.launch.journal_events import Ended, Intent, Submitted
from nodesweep.launch.records import not_run_record, terminal_record
from nodesweep.logs.custom_format import format_of
from nodesweep.logs.lines import lines_at
from nodesweep.logs.reader import read_log
from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.flops import tflops_per_node
from nodesweep.reports.trace import formulas
from nodesweep.reports.trace import ingested as tracing
from nodesweep.reports.trace.columns import COLUMNS
from nodesweep.results.measurement import Measurement
from nodesweep.results.metrics import EXPLAINED
from nodesweep.results.outcome import RULES, decide
from nodesweep.results.table import from_csv
from nodesweep.schedulers.base import End, Job, Usage
from nodesweep.sweep.expand import conditions, expand
from nodesweep.sweep.study import Study

KEY = "study-a1"
SWEEP = """\
sweep: study
model: {name: gpt, layers: 48, hidden_size: 7168, attention_heads: 56, vocab_size: 50257}
machine:
  name: ours
  scheduler: slurm
  ranks_per_node: 2
  queues: [{name: long, elapse_limit_seconds: 86400}]
  peak_tflops: [{precision: fp32, tflops_per_node: 6.144}]
workload:
  command: [train]
  log_format: megatron-deepspeed
iterations: {total: 6, warmup: 1}
layouts:
  - nodes: [24, 48, 96, 192]
    pipeline: 48
    global_batch: 1536
    sequence_length: 2048
    activation_checkpointing: true
    note: April
when:
  - {if: nodes == 48, iterations: {warmup: 2}, note: new network}
variants: [{name: plain}]
tables:
  - columns: [Nodes, {heading: Time, value: Sec/it}, {heading: Speed, value: tokens_per_second}]
"""
MEMORY = (
    "[Rank {}] (after 1 iterations) memory (MB) | allocated: 1 | max allocated: {} | reserved: 1 | max reserved: 2.5"
)
SECONDS = (9400.0, 8810.0, 8720.0, 8700.0, 8680.0, 8690.0)
DONE = [
    STARTED,
    MEMORY.format(0, 16622.5),
    MEMORY.format(1, 16737.25),
    *(record_line(number, 6, value, f" lm loss: {10 - number} |") for number, value in enumerate(SECONDS, 1)),
]
USAGE = Usage(nodes="n[1-48]", memory_bytes=3 * 2**30, memory_of="rank", energy_joules=7.2e6)


@pytest.fixture
def study(tmp_path, monkeypatch) -> Study:
    """The sweep above, of which nothing has run; the working directory is its own."""
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text(SWEEP)
    study = Study.load([Path("study.yaml")])
    for slug in study.layouts:
        study.directory(slug).mkdir(parents=True)
    return study


def slug_of(study: Study, nodes: int) -> str:
    """The layout of so many nodes."""
    return next(slug for slug, layout in study.layouts.items() if layout.nodes == nodes)


def submit(study: Study, slug: str) -> None:
    """Leave what a launcher leaves that has submitted a layout."""
    asked = {"scheduler": "slurm", "elapse_limit_seconds": 86400}
    journal.append(study.journal(slug), Intent(key=KEY, attempt=1, script_sha256="", **asked))
    journal.append(study.journal(slug), Submitted(key=KEY, job_id="77"))


def leave(study: Study, slug: str, lines: list[str] | None, end: End = SUCCESS, final: bool = True) -> None:
    """Leave what a job leaves that wrote these lines and ended so; None for a job without a log."""
    submit(study, slug)
    layout, log = study.layouts[slug], study.directory(slug) / f"{KEY}.log"
    if lines is not None:
        log.write_text("".join(f"{line}\n" for line in lines))
    verdict = decide(end, read_log(log, format_of(layout.workload.log_format)), layout.iterations.total)
    state = journal.state(study.journal(slug))
    record = terminal_record(slug, Job(KEY, "77", log.parent), state, end, verdict)
    journal.append(study.journal(slug), Ended(record=record))
    if final:
        study.record(slug).write_text(record.to_json())


@pytest.fixture
def told(capsys):
    """What the command prints; it must end well."""

    def told(*words: str, config: str = "study.yaml") -> str:
        assert main(["why", *words, "--configfile", config]) == 0
        return capsys.readouterr().out

    return told


def measured() -> None:
    assert main(["measure", "--configfile", "study.yaml"]) == 0


def test_every_column_is_traced():
    """Each column of results.csv has its way to trace it."""
    assert set(COLUMNS) == set(tracing.COLUMNS) == set(TIDY) - set(EXPLAINED)
    assert list(EXPLAINED) == [name for name in TIDY if name in EXPLAINED]


def test_a_finished_run(study, told, golden):
    """Every column of a run by `when`, with records left out, losses, memory and the scheduler's accounts."""
    slug = slug_of(study, 48)
    leave(study, slug, DONE, End(0, usage=USAGE))
    measured()
    golden("why.finished.txt", told(slug))


def test_a_layout_that_never_ran(study, told, golden):
    """What it is follows from the config; what will happen is said instead of figures."""
    golden("why.pending.txt", told("n24"))


def test_what_the_next_launch_leaves_out(study, told):
    """What the plan prunes is said with its reason, before a launch records it and after; what was asked for runs."""
    Path("study.yaml").write_text(SWEEP.replace("scheduler: slurm", "scheduler: slurm\n  memory_mib_per_node: 1024"))
    slug = slug_of(study, 24)
    assert main(["plan", "--configfile", "study.yaml"]) == 0
    row = next(line for line in Path("results/study/plan.md").read_text().splitlines() if f"| {slug} " in line)
    reason = row.rpartition("| pruned: ")[2].rstrip(" |")
    assert reason.startswith("needs ") and " of 0.5 GiB" in reason
    assert f"  pending: never run; the next launch does not run it: pruned: {reason}\n" in told(slug, "state")
    study.record(slug).write_text(not_run_record(slug, NotRun("pruned", reason)).to_json())
    asks = f"unless `nodesweep rerun {slug}` asks for it"
    assert f"  pruned: {reason}; the next launch does not run it, {asks}\n" in told(slug, "state")
    assert main(["rerun", slug, "--configfile", "study.yaml"]) == 0
    assert "never run; the next launch submits its job.sh to slurm" in told(slug, "state")
    assert main(["plan", "--configfile", "study.yaml"]) == 0
    assert "\nruns,24," in Path("results/study/plan.csv").read_text()


SAID = [
    "train",
    "{{ '--sequence-parallel' if tensor > 1 and sequence_parallel != false }}",
    "--recompute-granularity={{ recomputation or 'selective' }}",
    "${PRECISION}",
]
"""Words of a command, of which the second is of a layout with tensor parallelism alone."""


def test_settings_by_the_command(study, told):
    """What the command says is traced to its word, its file and line: of the command, of `setup`, of a variable."""
    config = yaml.safe_load(SWEEP)
    setup = ["true", """echo '{"zero_optimization": {"stage": 1}}' > ds.json"""]
    config["workload"] |= {"command": SAID, "setup": setup, "environment": {"PRECISION": "--bf16"}}
    config["layouts"][0] |= {"tensor": 2, "pipeline": 24}
    config["when"] = [{"if": "nodes == 192", "workload": {"command": ["train", "--fp16"]}}]
    config["variants"] = [{"name": "plain"}, {"name": "half", "env": {"PRECISION": "--fp16"}}]
    lines = write(Path("study.yaml"), config).read_text().splitlines()

    def place(text: str, key: str) -> str:
        return f"study.yaml:{next(number for number, line in enumerate(lines, 1) if text in line)}: {key}"

    text = told("n24-dp1-mp2-pp24-mbs1-gbs1536-s2048-ac-plain", "SP", "sharding", "recomputation", "precision", "VPP")
    assert "(SP) = True\n    --sequence-parallel: " + place("--sequence-parallel", "workload.command[1]") in text
    stage = "zero_optimization.stage 1 in workload.setup: "
    assert f"(Sharding) = zero1\n    {stage}{place('zero_optimization', 'workload.setup[1]')}\n" in text
    assert f"    --recompute-granularity=selective: {place('--recompute', 'workload.command[2]')}\n" in text
    assert f"= bf16\n    --bf16: {place('PRECISION: --bf16', 'workload.environment.PRECISION')}\n" in text
    assert "(VPP) = 1\n    workload.training.chunks_per_stage left out, its default" in text
    half = place("PRECISION: --fp16", "variants[1].env.PRECISION")
    assert f"= fp16\n    --fp16: {half}\n" in told("n24-dp1-mp2-pp24-mbs1-gbs1536-s2048-ac-half", "precision")
    changed = place("- --fp16", "when[0].workload.command[1], since nodes == 192")
    assert f"= fp16\n    --fp16: {changed}\n" in told("n192-dp8-mp2-pp24-mbs1-gbs1536-s2048-ac-plain", "precision")


def test_no_recomputation_without_checkpointing(study, told):
    """Where nothing is recomputed, that follows from activation_checkpointing, whatever the default of its kind."""
    Path("study.yaml").write_text(SWEEP.replace("    activation_checkpointing: true\n", ""))
    assert "= none\n    layouts[0].activation_checkpointing left out" in told("n24", "recomputation")


def test_out_of_memory(study, told):
    """The deciding line of the log is shown, with the rule; there is no time to trace, and that is said."""
    slug = slug_of(study, 24)
    leave(study, slug, [STARTED, OUT_OF_MEMORY], End(1))
    measured()
    text = told(slug, "outcome", "Sec/it", "where")
    assert "outcome = oom\n    job.json: outcome\n    rule: the log shows that memory ran out or a loss was NaN" in text
    assert f"    line 2: {OUT_OF_MEMORY}\n" in text
    assert f"iteration_seconds (Sec/it) = -\n    {KEY}.log: no line of an iteration with its time\n" in text
    assert "where = in iteration 1" in text


def test_memory_by_the_scheduler(study, told):
    """Accounts are named by scheduler and field; 3 GiB are 3072 MiB."""
    Path("study.yaml").write_text(SWEEP.replace("log_format:", "memory_source: scheduler\n  log_format:"))
    slug = slug_of(study, 96)
    leave(study, slug, DONE, End(0, usage=USAGE))
    measured()
    said = "job.json: usage.memory_bytes, from sacct's MaxRSS, the highest of all steps, / 2^20: scheduler, of a rank"
    assert f"memory_mib (Mem) = 3072.0\n    {said}\n" in told(slug, "Mem")


@pytest.mark.parametrize(("started", "status"), [(False, "queued"), (True, "running")])
def test_a_layout_under_way(study, told, started, status):
    """Queued and running layouts have no figures yet, and say so."""
    slug = slug_of(study, 24)
    submit(study, slug)
    if started:
        (study.directory(slug) / f"{KEY}.started").write_text("77\n")
    text = told(slug, "state", "TFLOPs", "job_id")
    assert f"{status}: attempt 1, job 77; it has no figures before it has ended" in text
    assert f"tflops_per_node (TFLOPs) = -\n    no figures: the layout is {status}" in text


def test_a_run_that_is_run_again(study, told):
    """A crash has no job.json: its record is in the journal, and the next launch runs it again."""
    slug = slug_of(study, 24)
    leave(study, slug, [STARTED, "ValueError: no"], End(1), final=False)
    measured()
    text = told(slug, "outcome")
    assert "the next launch runs it again" in text
    assert "outcome = crash\n    journal.jsonl:3: record: outcome\n" in text


def test_logs_that_are_gone_or_changed(study, told):
    """A log that changed after it was measured, a line that is no longer in it, a log that is gone or never was."""
    slug = slug_of(study, 96)
    leave(study, slug, DONE)
    measured()
    log = study.directory(slug) / f"{KEY}.log"
    before = log.stat().st_size
    log.write_text("nothing\n")
    text = told(slug, "first_loss")
    assert f"has changed since it was measured ({before} bytes then, 8 now)" in text
    assert "    line 4: (no longer in the log)" in text
    log.unlink()
    assert f"{KEY}.log is gone" in told(slug)
    lost = slug_of(study, 192)
    leave(study, lost, None, End(None, "lost"))
    assert f"no figures: the job left no log, {KEY}.log" in told(lost, "iterations")


def test_what_was_not_measured(study, told):
    """Without a measurement, with one of another version, or with an older table, the way out is said."""
    slug = slug_of(study, 96)
    leave(study, slug, DONE)
    text = told(slug, "iteration_seconds")
    assert "results.csv does not exist yet" in text and "not measured yet: run `nodesweep measure`" in text
    measured()
    table = Path("results/study/results.csv")
    assert "8700.0" in table.read_text()
    table.write_text(table.read_text().replace("8700.0", "8701.0"))
    text = told(slug, "iteration_seconds")
    assert "(Sec/it) = 8701.0\n" in text and "now it is 8700.0; run `nodesweep measure`" in text
    Path("study.yaml").write_text(SWEEP + "statistic: mean\n")
    assert "by other settings; run `nodesweep measure`" in told(slug)
    path = study.directory(slug) / "measurement.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"more": 1}))
    assert "measurement.json is of another version" in told(slug, "iteration_seconds")


def test_hostile_log_text(study, told):
    """Escapes, marks of direction and endless lines in a log come out as one short printable line."""
    slug = slug_of(study, 24)
    evil = "\x1b[31mRuntimeError: CUDA out of memory.\x1b]0;title\x07 \u202eevil\u2028 | <b>" + "x" * 10_000
    leave(study, slug, [STARTED, evil], End(1))
    measured()
    text = told(slug)
    assert all(line.isprintable() and len(line) <= 1500 for line in text.splitlines())
    assert "    line 2: RuntimeError: CUDA out of memory. evil | <b>xxx" in text
    assert max(len(line) for line in text.splitlines() if line.startswith("    line 2:")) <= len("    line 2: ") + 300


def test_names_of_slugs_and_columns(study, told, capsys):
    """The beginning of a slug will do; columns go by name or heading, in any case; near names are offered."""
    slug = slug_of(study, 48)
    assert told("n48-dp", "state").startswith(f"{slug}\n")
    text = told(slug, "time", "SPEED", "Nodes")
    assert (
        "\niteration_seconds (Sec/it), tokens_per_second (Tokens/s) = -\n" in text and "\nnodes (Nodes) = 48\n" in text
    )
    for words, said in (
        (["n"], "'n' begins 4 slugs: n24-"),
        (["n48-dp7"], f"there is no layout, imported or ingested row of study 'n48-dp7'; near it: {slug}"),
        ([slug, "Sec/its"], "'Sec/its' is no column of results.csv and no heading of the tables; near it: Sec/it"),
        ([slug, "zzzz"], "known: slug, nodes"),
    ):
        assert main(["why", *words, "--configfile", "study.yaml"]) == 1
        assert said.replace(slug, slug[:3]) in capsys.readouterr().err.replace(slug, slug[:3])


def test_imported_rows(study, told, golden):
    """A row of a hand-kept table: line and raw cell of each figure, corrections and findings, what says nothing."""
    Path("kept.md").write_text(
        "- num-layers: 48\n- hidden-size: 7168\n- num-attention-heads: 56\n- Sequence length: 2048\n\n"
        "| Nodes | DP | MP | PP | GBS | Sec/it | TFLOPs | Notes |\n|--|--|--|--|--|--|--|--|\n"
        "| 192 | 1 | 4 | 48 | 1536 | 3534.9 | 1.16 | 6/27 |\n"
        "| 384 | 2 | 4 | 48 | 1536 | 1841.6 | 1.115 | 6/27 |\n"
        "| 768 | 8 | 4 | 48 | 1536 | 982.8 | 1.045 | *new* | \n"
    )
    assert main(["import", "kept.md", "--configfile", "study.yaml"]) == 0
    told("imported-kept-8", "nodes")
    measured()
    golden("why.imported.txt", told("imported-kept-10"))


def test_an_import_without_a_sweep(study, capsys):
    """Where no sweep is named, rows of every import under results/ are found."""
    Path("kept.md").write_text("| Nodes | Sec/it |\n|--|--|\n| 8 | 1.5 |\n")
    assert main(["import", "kept.md"]) == 0
    capsys.readouterr()
    assert main(["why", "imported-kept-3", "Sec/it"]) == 0
    assert "iteration_seconds (Sec/it) = 1.5\n    kept.md:3: cell of 'Sec/it': '1.5'\n" in capsys.readouterr().out


def test_ingested_rows(study, told, golden):
    """A row of an old job: the lines of its arguments and figures, what follows from what, what nothing tells."""
    Path("old").mkdir()
    shutil.copyfile(LOGS / "nanotron" / "old_2024_tee_peak_reset.log", "old/n2-mp2.log")
    words = ("--pattern", "n{nodes}-mp{tensor}.", "--set", "layers=24", "--configfile", "study.yaml")
    assert main(["ingest", "old", *words]) == 0
    told("ingested-old-n2", "nodes")
    measured()
    golden("why.ingested.txt", told("ingested-old-n2"))
    Path("old/n2-mp2.log").write_text("another\n")
    assert "old/n2-mp2.log has changed since it was ingested" in told("ingested-old-n2", "Sec/it")
    Path("old/n2-mp2.log").unlink()
    assert "old/n2-mp2.log: No such file or directory" in told("ingested-old-n2", "Sec/it")


def test_an_old_job_in_two_files(study, capsys):
    """A line of a job's second file is named and shown as one of that file; no sweep need be named."""
    Path("old").mkdir()
    Path("old/job.out").write_text(f"{STARTED}\n{record_line(1, 6, 9.0)}\n{record_line(2, 6, 8.0)}\n")
    Path("old/job.err").write_text("hello\nusing world size: 8, tensor-model-parallel size: 2\n")
    assert main(["ingest", "old"]) == 0
    capsys.readouterr()
    assert main(["why", "ingested-old-job", "MP", "Sec/it"]) == 0
    said = capsys.readouterr().out
    assert "tensor (MP) = 2\n    old/job.err:2: " in said and "\n    old/job.err line 2: using world size: 8," in said
    assert "iteration_seconds (Sec/it) = 8.0\n    median of 8.0 s\n    old/job.out:3-3: " in said


def test_a_real_sweep(tmp_path, monkeypatch, told):
    """After a sweep on this machine, each named line is where it is said to be, and values are those of results.csv."""
    monkeypatch.chdir(tmp_path)
    study = study_in(Path())
    runner = runner_of(study)
    runner.add(list(study.layouts))
    drained(runner, 2)
    assert main(["measure", "--configfile", "sweep.yaml"]) == 0
    table = from_csv(Path("results/toy/results.csv").read_text())
    for slug in study.layouts:
        text = told(slug, config="sweep.yaml")
        log = next(study.directory(slug).glob("*.log")).read_text().splitlines()
        shown = re.findall(r"^    line (\d+): (.*)", text, re.M)
        assert shown and all(plain(log[int(number) - 1]) == said for number, said in shown)
        seconds = table.set_index("slug").loc[slug, "iteration_seconds"]
        assert f"iteration_seconds (Sec/it) = {seconds}\n    median of 0.5 0.5 s\n" in text
        config = Path("sweep.yaml").read_text().splitlines()
        for line, key in re.findall(r"^    sweep\.yaml:(\d+): [\w.\[\]]*?(\w+)$", text, re.M):
            assert f"{key}:" in config[int(line) - 1]


@given(
    st.integers(1, 64),
    st.integers(1, 64),
    st.sampled_from([1, 2, 4]),
    st.booleans(),
    st.floats(0.01, 1e5),
    st.booleans(),
    st.sampled_from(["full", "selective"]),
)
def test_formulas_give_their_results(nodes, heads, tensor, recompute, seconds, counted, recomputation):
    """What is filled in into a formula gives the value that is said, worked out by Python."""
    model = {"layers": 12, "hidden_size": heads * 64, "attention_heads": heads, "vocab_size": 50257}
    point = {"nodes": nodes * tensor, "tensor": tensor, "global_batch": 64 * nodes, "sequence_length": 512}
    found = (
        expand(sweep_of([point | {"activation_checkpointing": recompute}], model=model))
        if heads % tensor == 0
        else None
    )
    if found is None:
        return
    (layout,) = found.layouts
    shape = Dimensions.of(layout).changed(training=Training(recomputation=recomputation))
    _, filled_in, *_ = formulas.rate(shape, seconds, counted)
    work = shape.hardware_flops if counted else shape.model_flops
    assert worked_out(filled_in) == pytest.approx(tflops_per_node(work, seconds, layout.nodes), rel=1e-12)
    for said in (formulas.tokens_per_second(shape, seconds), formulas.aggregate(shape, 0.75)):
        assert worked_out(said[1].rpartition(" = ")[0]) == pytest.approx(float(said[1].rpartition(" = ")[2]), rel=1e-12)
    width = layout.model.hidden_size
    count = 12 * (12 * width**2 + 13 * width) + 50257 * width + 2 * width
    assert worked_out(formulas.parameters(layout.model)[1].rpartition(" = ")[0]) == count


def worked_out(formula: str) -> float:
    """The value of a formula as it is printed."""
    text = formula.removeprefix("= ").replace(" x ", " * ").replace("^", "**")
    assert re.fullmatch(r"[\d.e+\-*/() ]+", text)
    return eval(text)


def test_where_keys_were_set(tmp_path, monkeypatch):
    """Later files over earlier ones, the command line over all, parts from their own files, defaults nowhere."""
    monkeypatch.chdir(tmp_path)
    first = {
        "sweep": "s",
        "model": "tiny",
        "layouts": [{"nodes": 1, "note": "a"}],
        "iterations": {"total": 3, "warmup": 1},
    }
    write(Path("first.yaml"), first)
    write(Path("second.yaml"), {"iterations": {"total": 9}, "layouts": [{"nodes": 2}]})
    Path("models").mkdir()
    write(Path("models/tiny.yaml"), {"layers": 1, "hidden_size": 2})
    where = origins([Path("first.yaml"), Path("second.yaml")], {"statistic": "mean"}).where
    assert where(("iterations", "total")) == "second.yaml:2: iterations.total"
    assert where(("iterations", "warmup")) == "first.yaml:8: iterations.warmup"
    assert where(("layouts", 0, "nodes")) == "second.yaml:4: layouts[0].nodes"
    assert where(("layouts", 0, "note")) is None
    assert where(("model", "hidden_size")) == "models/tiny.yaml:2: hidden_size"
    assert where(("model", "size")) is None
    assert where(("statistic",)) == "--config: statistic"
    replaced = origins([Path("first.yaml")], {"model": {"layers": 4}}).where
    assert (replaced(("model", "layers")), replaced(("model", "hidden_size"))) == ("--config: model.layers", None)


@given(st.binary(max_size=300), st.sets(st.integers(1, 30), max_size=5))
def test_lines_of_a_log(tmp_path_factory, data, numbers):
    """Whatever is in a file, its lines are those between newlines; others and empty ones are left out."""
    path = tmp_path_factory.getbasetemp() / "any.log"
    path.write_bytes(data)
    lines = [plain(line.decode(errors="replace")) for line in data.split(b"\n")]
    expected = {number: lines[number - 1] for number in numbers if number <= len(lines) and lines[number - 1]}
    assert lines_at(path, numbers) == expected


def test_lines_across_blocks(tmp_path):
    """Lines far behind the first block are found; an endless one is read from its head."""
    path = tmp_path / "long.log"
    path.write_bytes(b"y" * 3_000_000 + b"\n" + b"short\n" * 500_000 + b"last")
    found = lines_at(path, [1, 2, 400_000, 500_002, 500_003])
    assert (found[2], found[400_000], found[500_002], len(found[1])) == ("short", "short", "last", 300)
    assert 500_003 not in found


def test_rules_of_outcomes_are_told_apart(study):
    """Each rule has words of its own, and a job's record holds those of the one that decided."""
    assert len({said for said, _ in RULES}) == len(RULES)
    slug = slug_of(study, 24)
    leave(study, slug, [STARTED], End(124, "time_limit", "TIMEOUT"))
    assert json.loads(study.record(slug).read_text())["rule"] == "the scheduler gives its reason"


def test_what_was_left_out_is_kept(study):
    """Of six records the config leaves out two, the format one, the times one: two are, and the reason is there."""
    slug = slug_of(study, 48)
    leave(study, slug, DONE)
    measured()
    measurement = Measurement.from_json((study.directory(slug) / "measurement.json").read_text())
    found = measurement.left_out
    assert (found.records, found.configured, found.by_format, found.by_times) == (2, 2, 1, 0)
    assert measurement.read_as == "megatron-deepspeed" and "first iteration" in found.format_reason


def test_conditions_are_named_by_number():
    """Entries under `when` that hold for a layout, in order."""
    when = [{"if": "nodes == 192", "note": "a"}, {"if": "tensor == 2", "note": "b"}, {"if": "ranks > 4", "note": "c"}]
    sweep = sweep_of([{"nodes": [96, 192], "pipeline": 48, "global_batch": 1536, "sequence_length": 2048}], when=when)
    assert [conditions(sweep, layout) for layout in layouts_of(sweep)] == [(2,), (0, 2)]
