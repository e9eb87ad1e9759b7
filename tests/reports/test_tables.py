"""tables.md: the study's form, its formats, and text that stays text."""

import doctest
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_logs import (
    OUT_OF_MEMORY,
    STARTED,
    document,
    layouts_of,
    node_memory_line,
    record_line,
    run_of,
    sweep_of,
)

from nodesweep.common.errors import ConfigError
from nodesweep.common.markdown import inert
from nodesweep.common.numbers import rounded
from nodesweep.logs.reader import read_log
from nodesweep.logs.trainers import FORMATS
from nodesweep.reports.tables import cells as cell_formats
from nodesweep.reports.tables.cells import ShownColumn
from nodesweep.reports.tables.document import TablesDocument, TableView, document_of, render
from nodesweep.results.measure import measure
from nodesweep.results.measurement import MeasurementSettings
from nodesweep.results.rows import LayoutRun
from nodesweep.results.table import build, from_csv, to_csv
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.schedulers.base import End, Usage

BASE = {"pipeline": 48, "global_batch": 1536, "sequence_length": 2048, "frequency_ghz": 2.0}
STUDY = {
    (48, 1, True): ("4/22", 29138.6, 17212.8),
    (192, 4, True): ("4/23", 16622.7, 3720.0),
    (384, 8, True): ("4/23", 14356.7, 2338.8),
    (384, 8, False): ("4/23", 29087.7, None),
    (3072, 4, True): ("4/23", 16632.9, 313.6),
}
"""Nodes, MP and AC of the study's first table -> its note, MiB and seconds per iteration."""

STUDY_CELLS = """
48   | 2.0GHz | 30B | 1  | 1 | 48 | 1 | 1536 | Yes | 29138.6 MiB (OOM after iteration 1) | 17212.8 | 0.95 | 0.04 | 4/22
192  | 2.0GHz | 30B | 1  | 4 | 48 | 1 | 1536 | Yes | 16622.7 MiB                         | 3720.0  | 1.10 | 0.2  | 4/23
384  | 2.0GHz | 30B | 1  | 8 | 48 | 1 | 1536 | Yes | 14356.7 MiB                         | 2338.8  | 0.88 | 0.3  | 4/23
384  | 2.0GHz | 30B | 1  | 8 | 48 | 1 | 1536 | No  | 29087.7 MiB (OOM in iteration 1)    | -       | -    | -    | 4/23
3072 | 2.0GHz | 30B | 16 | 4 | 48 | 1 | 1536 | Yes | 16632.9 MiB                         | 313.6   | 0.82 | 2.5  | 4/23
"""


def cells(markdown: str) -> list[list[str]]:
    """The cells of all table rows, headings first, the lines under them left out."""
    rows = [line for line in markdown.splitlines() if line.startswith("|") and not set(line) <= set("|-: ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in rows]


def study_run(study, layout, folder) -> LayoutRun:
    """A run that wrote the log from which the study's author typed a row."""
    key = (layout.nodes, layout.tensor, layout.activation_checkpointing)
    _, mib, seconds = STUDY[key]
    dies = key in ((48, 1, True), (384, 8, False))
    done = [] if seconds is None else [1] if dies else [1, 2, 3]
    lines = [STARTED, node_memory_line(mib), *(record_line(number, 3, seconds) for number in done)]
    return run_of(study, layout, folder, [*lines, OUT_OF_MEMORY] if dies else lines, End(int(dies)))


@pytest.fixture
def study_table(tmp_path):
    """The sweep of the study's first table, and its tidy table."""
    blocks = [
        BASE | {"nodes": nodes, "tensor": tensor, "activation_checkpointing": checkpointing, "note": note}
        for (nodes, tensor, checkpointing), (note, _, _) in STUDY.items()
    ]
    study = sweep_of(blocks)
    return study, build(study_run(study, layout, tmp_path) for layout in layouts_of(study))


def one_cell(heading: str, run: LayoutRun, study) -> str:
    """The cell under `heading` in the table of one run."""
    headings, row = cells(document(study, [run]))
    return dict(zip(headings, row, strict=True))[heading]


def rendered(study, table) -> str:
    """The document of a tidy table."""
    return render(document_of(study, table), table)


def pending(study) -> str:
    """The document of a sweep of which nothing has run yet."""
    return document(study, [LayoutRun(layout, "pending", None, None) for layout in layouts_of(study)])


def simple(**changes):
    """A sweep of one layout on one node, its layout, and the sweep's settings changed."""
    study = sweep_of([{"nodes": 1, "global_batch": 8, "sequence_length": 256}], **changes)
    return study, layouts_of(study)[0]


def test_doctests():
    """The examples of the formats hold."""
    assert doctest.testmod(cell_formats).failed == 0


def test_the_studys_first_table(study_table):
    """Every cell of the study's first table comes out of logs, but for the two OOM cells, which now say where."""
    headings, *rows = cells(rendered(*study_table))
    assert ",".join(headings) == "Nodes,Freq,Size,DP,MP,PP,MBS,GBS,AC,Mem,Sec/it,TFLOPs,Est. Aggr. PetaFLOPs,Notes"
    assert rows == [[cell.strip() for cell in line.split("|")] for line in STUDY_CELLS.strip().splitlines()]


def test_document(study_table, golden):
    """The whole document, byte for byte."""
    golden("tables.md", rendered(*study_table))


def test_same_inputs_same_bytes(study_table):
    """The table from results.csv is the table from the measurements."""
    study, table = study_table
    assert rendered(study, from_csv(to_csv(table))) == rendered(study, table) == rendered(study, table)


@pytest.mark.parametrize(
    ("value", "decimals", "significant", "text"),
    [
        (17212.8, 1, 3, "17212.8"),
        (12.345, 1, 3, "12.3"),
        (5.123, 1, 3, "5.12"),
        (0.5124, 1, 3, "0.512"),
        (0.0062, 2, 2, "0.0062"),
        (0.95, 2, 2, "0.95"),
        (1.1, 2, 2, "1.10"),
        (0.0445, 1, 1, "0.04"),
        (0.206, 1, 1, "0.2"),
        (2.46, 1, 1, "2.5"),
        (0.00047, 1, 1, "0.0005"),
        (0.0, 1, 1, "0.0"),
        (None, 1, 1, "-"),
        (float("nan"), 1, 1, "-"),
    ],
)
def test_numbers(value, decimals, significant, text):
    """So many decimals, and at least so many figures."""
    assert rounded(value, decimals, significant) == text


@pytest.mark.parametrize("status", ["pending", "queued", "running"])
def test_states(status):
    """A layout without an end keeps its row and says what it is waiting for."""
    study, layout = simple()
    assert one_cell("Notes", LayoutRun(layout, status, None, None), study) == status
    assert one_cell("Mem", LayoutRun(layout, status, None, None), study) == "-"


@pytest.mark.parametrize(
    ("record", "notes", "memory"),
    [
        ({"outcome": "ok", "note": "crashed in cleanup (exit code 1)"}, "crashed in cleanup (exit code 1)", "-"),
        ({"outcome": "timeout", "where": "after iteration 3"}, "timeout after iteration 3", "-"),
        ({"outcome": "launch_failed", "where": ""}, "launch_failed", "-"),
        ({"outcome": "oom", "where": "while building"}, "", "- (OOM while building)"),
        ({"outcome": "pruned", "note": "needs as much as n1"}, "pruned; needs as much as n1", "-"),
    ],
)
def test_ends_without_a_measurement(record, notes, memory):
    """An end other than ok stands in the notes, out of memory in the memory cell."""
    study, layout = simple()
    run = LayoutRun(layout, "ended", TerminalRecord(**record), None)
    assert (one_cell("Notes", run, study), one_cell("Mem", run, study)) == (notes, memory)


def test_one_iteration_only(tmp_path):
    """A figure of one iteration says so, unless the memory cell says why there is one."""
    study, layout = simple()
    once = run_of(study, layout, tmp_path, [STARTED, record_line(1, 3, 0.5123)], End(124, "time_limit"))
    assert one_cell("Notes", once, study) == "timeout after iteration 1; 1 iteration only"
    assert one_cell("Sec/it", once, study) == "0.512"
    died = run_of(study, layout, tmp_path, [STARTED, record_line(1, 3, 0.5), OUT_OF_MEMORY], End(1))
    assert one_cell("Notes", died, study) == ""


def test_clock_and_checkpointing_of_a_plain_machine():
    """A machine without clocks shows none; no recomputation is No."""
    study, layout = simple(machine={"scheduler": "local"})
    run = LayoutRun(layout, "pending", None, None)
    assert (one_cell("Freq", run, study), one_cell("AC", run, study)) == ("-", "No")


def test_sections_by_sequence_length():
    """Each sequence length has its section, shortest first, all with the same columns."""
    study = sweep_of([{"nodes": 1, "global_batch": 8, "sequence_length": [2048, 512]}])
    text = pending(study)
    assert re.findall("### Sequence Length=.*", text) == ["### Sequence Length=512", "### Sequence Length=2048"]
    assert len(re.findall(r"\| +Nodes \|", text)) == 2


def test_hyperparameters_that_differ_become_columns():
    """Where MP 6 asks for another width, hidden-size and num-attention-heads are columns, as in the study."""
    point = {"pipeline": 48, "global_batch": 1536, "sequence_length": 2048, "nodes": [192, 288], "tensor": [4, 6]}
    change = {"if": "tensor == 6", "model": {"hidden_size": 7176, "attention_heads": 78}}
    study = sweep_of([point], when=[change])
    headings, *rows = cells(pending(study))
    index = headings.index("hidden-size")
    assert headings[index:] == ["hidden-size", "num-attention-heads", "Notes"]
    assert [row[index : index + 2] for row in rows] == [["7168", "56"], ["7176", "78"]]


def test_variants_have_a_column():
    """Layouts told apart by a named environment show its name."""
    study = sweep_of([{"nodes": 1, "global_batch": 8, "sequence_length": 256}], variants=[{"name": "a"}, {"name": "b"}])
    headings, *rows = cells(pending(study))
    assert [row[headings.index("Variant")] for row in rows] == ["a", "b"]


def test_the_document_says_what_a_node_is():
    """The machine's own words, the ranks, the statistic and the warm-up are in the notations."""
    study, _ = simple(iterations={"total": 6, "warmup": 2})
    text = pending(study)
    assert "- Node = one processor (1 rank)\n" in text
    assert "mean of the logged iterations after warm-up (the first 2, or more where the times show it)" in text


def ended(study, layout, folder, *seconds) -> LayoutRun:
    """A run whose iterations took so long."""
    lines = [record_line(number, len(seconds), value) for number, value in enumerate(seconds, start=1)]
    return run_of(study, layout, folder, [STARTED, *lines])


NODES = [{"nodes": [1, 2, 4], "global_batch": 8, "sequence_length": 256}]


def test_chosen_columns(tmp_path):
    """Columns in the order of the config, under their own headings, in their own formats, with words after cells."""
    annotations = [{"if": "nodes > 1", "text": "(several)"}, {"if": "nodes > 0", "text": "(one)"}]
    columns = [
        {"heading": "s", "value": "iteration_seconds", "format": ".3f", "annotations": annotations},
        {"heading": "N", "value": "Nodes"},
        {"heading": "GPU memory", "value": "memory_mib"},
        {"heading": "AC", "value": "activation_checkpointing"},
        "Energy [Wh]",
    ]
    study = sweep_of(NODES, tables=[{"columns": columns, "order": ["-nodes"]}])
    one, two, _ = layouts_of(study)
    runs = [ended(study, one, tmp_path, 2.0), ended(study, two, tmp_path, 1.0)]
    assert cells(document(study, runs)) == [
        ["s", "N", "GPU memory", "AC", "Energy [Wh]"],
        ["1.000 (several)", "2", "-", "No", "-"],
        ["2.000 (one)", "1", "-", "No", "-"],
    ]
    assert "- s = seconds per iteration, mean of the logged" in document(study, runs)
    assert "MBS" not in document(study, runs)


def test_rows_and_their_order(tmp_path):
    """`where` picks rows; what is not known fulfils no comparison, and stands last however rows are sorted."""
    tables = [
        {"columns": ["Nodes"], "order": ["iteration_seconds"]},
        {"columns": ["Nodes"], "order": ["-iteration_seconds"]},
        {"columns": ["Nodes"], "where": "iteration_seconds < 10 and nodes * iteration_seconds > 2"},
        {"columns": ["Nodes"], "where": "iteration_seconds is none"},
        {"columns": ["Nodes"], "where": "outcome != 'ok' or 'only' in flags"},
    ]
    study = sweep_of(NODES, tables=tables)
    one, two, four = layouts_of(study)
    runs = [
        ended(study, one, tmp_path, 2.0, 2.0, 2.0),
        LayoutRun(two, "pending", None, None),
        ended(study, four, tmp_path, 1.0),
    ]
    shown = "".join(row[0] for row in cells(document(study, runs))).split("Nodes")[1:]
    assert shown == ["412", "142", "4", "2", "24"]


def test_a_condition_that_makes_no_sense_is_an_error_with_its_place():
    """A word compared with a number is no traceback."""
    study = sweep_of(NODES, tables=[{}, {"where": "state > 3"}])
    with pytest.raises(ConfigError, match=re.escape("tables[1].where: cannot evaluate 'state > 3'")):
        pending(study)


def test_a_table_of_another_statistic(tmp_path):
    """All figures follow: of 4, 1 and 4 s the median is 4 and the mean 3; 2048 tokens; the log's TFLOPs 1, 4, 1."""
    names = ["iteration_seconds", "tokens_per_second", "log_tflops_per_node", "tflops_per_node", "aggregate_petaflops"]
    columns = [{"heading": name, "value": name, "format": ".10g"} for name in names]
    columns.append({"heading": "statistic", "value": "statistic"})
    study = sweep_of(
        NODES, statistic="median", tables=[{"columns": columns}, {"columns": columns, "statistic": "mean"}]
    )
    layout = layouts_of(study)[1]
    values = ((1, 4.0, 1.0), (2, 1.0, 4.0), (3, 4.0, 1.0))
    lines = [record_line(number, 3, seconds, f" TFLOPs: {tflops:.2f} |") for number, seconds, tflops in values]
    text = document(study, [run_of(study, layout, tmp_path, [STARTED, *lines])])
    _, median, _, mean = cells(text)
    assert (median[0], median[1], median[2], median[5]) == ("4", "512", "1", "median")
    assert (mean[0], mean[1], mean[2], mean[5]) == ("3", "682.6666667", "2", "mean")
    for column in (3, 4):
        assert float(mean[column]) == pytest.approx(float(median[column]) * 4 / 3)
    assert "- iteration\\_seconds" not in text
    assert "- iteration_seconds (table 1) = seconds per iteration, median of" in text
    assert "- iteration_seconds (table 2) = seconds per iteration, mean of" in text


def test_tables_of_a_section(tmp_path):
    """Every section has its part of each table, in the order of the config, under heading and text."""
    tables = [
        {"heading": "All", "columns": ["Nodes"]},
        {"heading": "Large ones", "text": "Two nodes <or> more.", "columns": ["Nodes"], "where": "nodes > 1"},
        {"columns": ["Nodes"], "where": "nodes > 9"},
    ]
    lengths = [{"nodes": [1, 2], "global_batch": 8, "sequence_length": [512, 256]}]
    text = pending(sweep_of(lengths, tables=tables))
    assert re.findall(r"^#{3,4} .*", text.partition("## Experiments")[2], re.MULTILINE) == [
        *("### Sequence Length=256", "#### All", "#### Large ones"),
        *("### Sequence Length=512", "#### All", "#### Large ones"),
    ]
    assert text.count("\n\nTwo nodes &lt;or&gt; more.\n\n|") == 2
    assert text.endswith("|\n\nNo row in table 3: no layout has nodes &gt; 9.\n")


def test_headings_are_text():
    """A heading of the config is no mark-up."""
    study = sweep_of(NODES, tables=[{"columns": [{"heading": "a | <b> [c]", "value": "nodes"}]}])
    text = pending(study)
    assert cells(text)[0] == [r"a \| &lt;b&gt; \[c\]"]
    assert r"- a \| &lt;b&gt; \[c\] = nodes" in text


def test_a_document_that_is_no_sweep(tmp_path):
    """Columns, notations and sections of any maker's are rendered by the same code."""
    study = sweep_of(NODES)
    table = build(LayoutRun(layout, "pending", None, None) for layout in layouts_of(study))
    view = TableView((ShownColumn("Machines", ("nodes", "state"), lambda nodes, state: f"{nodes} {state}"),))
    other = TablesDocument("By hand", (("num-layers", 2),), (("GBS", "batch"),), (view,), "global_batch_samples", "GBS")
    text = render(other, table)
    assert text.startswith("# By hand\n") and "- --num-layers 2\n" in text and "- GBS = batch\n" in text
    assert "### GBS=8\n" in text
    assert cells(text) == [["Machines"], ["1 pending"], ["2 pending"], ["4 pending"]]


HOSTILE = [
    "a | b",
    "<script>alert(1)</script>",
    "`code` **bold** ~~gone~~",
    "\x1b[31mred\x1b[0m",
    "one\ntwo\r\n\n# three",
    "[x](javascript:alert(1)) ![y](http://z)",
    "\\| \\",
    "&lt;b&gt;",
    "\u202eturned",
    "{{ 7 * 7 }} {% raw %}",
]


def check_inert(text: str, markdown: str) -> None:
    """Nothing in `markdown` but its own structure: as many lines and cells as with a harmless text."""
    harmless = "harmless"
    assert "<" not in markdown
    assert all(character.isprintable() or character == "\n" for character in markdown)
    assert "49" not in markdown or "49" in text
    assert [len(row) for row in cells(markdown)] == [len(row) for row in cells(hostile_document(harmless))]
    assert markdown.count("\n") == hostile_document(harmless).count("\n")
    assert not re.search(r"(?<!\\)(?:\\\\)*[`\[\]]", markdown)


def hostile_document(text: str) -> str:
    """The document of a sweep in which `text` stands wherever a user's or a log's words can."""
    study, layout = simple()
    record = TerminalRecord(outcome=text, where=text, evidence=text, note=text, log=text)
    run = LayoutRun(layout, "ended", record, None)
    machine = study.machine.model_copy(update={"description": text})
    model = study.model.model_copy(update={"size": text})
    changed = study.model_copy(update={"title": text, "machine": machine, "model": model})
    table = build([run])
    table.loc[0, ["note", "flags", "model_size"]] = text
    return rendered(changed, table)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text(text):
    """No mark-up, template, escape sequence or line break in any text does anything."""
    check_inert(text, hostile_document(text))


def test_inert_by_hand():
    """What the escapes look like."""
    assert inert("a|b\n<i>") == r"a\|b &lt;i&gt;"


@settings(deadline=None)
@given(st.text(max_size=50))
def test_any_text_is_text(text):
    """Inert text is one printable line without a bare bar or tag."""
    line = inert(text)
    assert line.isprintable()
    assert "<" not in line
    assert not re.search(r"(?<!\\)(?:\\\\)*\|", line)


def test_nothing_to_run():
    """A sweep without rows still gives a document."""
    study, _ = simple()
    assert "No layout can run." in document(study, [])


USAGE = Usage(
    nodes="n[1-2]",
    memory_bytes=300 << 20,
    memory_of="node",
    energy_joules=5_400_000.0,
    power_watts=180.0,
    power_capped="2026/02/03 04:05:06",
    restarts=0,
)


def test_what_the_scheduler_counted(tmp_path):
    """Memory and energy of the scheduler's accounts have their cells, and capped power stands in the notes."""
    workload = {"command": ["t"], "log_format": "megatron-deepspeed", "memory_source": "scheduler"}
    study, layout = simple(workload=workload)
    run = run_of(study, layout, tmp_path, [STARTED, *(record_line(number, 3, 2.0) for number in (1, 2, 3))])
    record = replace(run.record, usage=USAGE)
    reading = read_log(tmp_path / record.log, FORMATS["megatron-deepspeed"])
    measurement = measure(layout, record, reading, MeasurementSettings.of(layout, study.statistic))
    run = run._replace(record=record, measurement=measurement)
    assert one_cell("Mem", run, study) == "300.0 MiB"
    assert one_cell("Energy [Wh]", run, study) == "1500"
    assert one_cell("Notes", run, study) == "power was capped at 2026/02/03 04:05:06"
    text = document(study, [run])
    assert "- Mem = peak memory by the scheduler's accounts" in text and "- Energy [Wh] = of all nodes" in text
    (row,) = build([run]).to_dict("records")
    assert (row["allocated_nodes"], row["energy_joules"], row["power_watts"]) == ("n[1-2]", 5_400_000.0, 180.0)
    assert row["memory_source"] == "scheduler, of a node"


def test_no_energy_no_column(tmp_path):
    """Where no scheduler counts energy, the table has no column for it."""
    study, layout = simple()
    run = run_of(study, layout, tmp_path, [STARTED, record_line(1, 3, 2.0)])
    assert "Energy" not in document(study, [run])
