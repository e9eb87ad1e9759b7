"""`nodesweep import`: what is found in hand-kept tables, by rows whose numbers belong to real runs."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_tables import ERRORS, consistent, with_error

from nodesweep.common.errors import NodesweepError
from nodesweep.importers.markdown import Imported, import_markdown
from nodesweep.importers.markdown.cells import cell_text, number_cell
from nodesweep.importers.markdown.columns import column_of
from nodesweep.results.comparable import PROBLEM_COLUMNS
from nodesweep.results.scaling_kinds import bases, efficiency_percent

ROWS = [(192, 1, 3534.9, 1.16), (384, 2, 1841.6, 1.115), (768, 4, 982.8, 1.045), (1536, 8, 558.7, 0.92)]
"""Nodes, DP, seconds and TFLOPs per node of a 30B model with MP 4, PP 48, GBS 1536."""

MODEL = "- num-layers: 48\n- hidden-size: 7168\n- num-attention-heads: 56\n- Sequence length: 2048\n"


def row(*cells: object) -> str:
    """A table row."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def table(headings: str, *rows: str) -> str:
    """A table under headings given as `A | B`."""
    return "\n".join([f"| {headings} |", "|" + "--:|" * (headings.count("|") + 1), *rows]) + "\n"


def study_rows(**changes: dict[int, object]) -> list[str]:
    """The rows above as Nodes, DP, MP, PP, GBS, Sec/it, TFLOPs; a change gives a column other values by row number."""
    rows = [[nodes, data, 4, 48, 1536, seconds, rate] for nodes, data, seconds, rate in ROWS]
    for name, values in changes.items():
        place = ["nodes", "data", "tensor", "pipeline", "batch", "seconds", "rate"].index(name)
        for number, value in values.items():
            rows[number][place] = value
    return [row(*cells) for cells in rows]


HEADINGS = "Nodes | DP | MP | PP | GBS | Sec/it | TFLOPs"
FIRST = 8
"""The line of the first row behind MODEL, an empty line and two lines of headings."""


def study(*rows: str, headings: str = HEADINGS, model: str = MODEL) -> Imported:
    """An import of a table under the hyperparameters of the model."""
    return import_markdown(f"{model}\n{table(headings, *rows)}", "study.md")


def found(imported: Imported) -> list[tuple[int, str, str]]:
    """Line, heading and likely right value of each finding."""
    return [(one.line, one.where, one.likely) for one in imported.findings]


def only(imported: Imported) -> str:
    """The sentence of the one finding."""
    (one,) = imported.findings
    return one.sentence()


def figures(imported: Imported) -> list[dict]:
    """The rows of the tidy table."""
    return list(imported.figures())


def test_consistent_rows_have_no_findings():
    """Real rows agree with the formula; that no vocabulary is given is said."""
    imported = study(*study_rows())
    assert found(imported) == []
    assert "50257 assumed" in imported.remarks[0].text


def test_wrong_data_parallel():
    """DP follows from nodes, MP and PP where other rows have the same MP and PP."""
    imported = study(*study_rows(data={3: 16}))
    assert found(imported) == [(FIRST + 3, "DP", "DP 8")]
    assert "1536 nodes, but DP 16 x MP 4 x PP 48 = 3072" in only(imported)
    assert figures(imported)[3]["data"] == 8
    assert imported.tables[0].rows[3].corrected[1] == "8"


def test_wrong_nodes():
    """Where the TFLOPs agree with DP x MP x PP and not with the nodes, the nodes are wrong."""
    imported = study(*study_rows(nodes={2: 384}))
    assert found(imported) == [(FIRST + 2, "Nodes", "Nodes 768")]
    assert figures(imported)[2]["nodes"] == 768


def test_wrong_tensor_parallel():
    """An MP no other row has, where the usual one fits, is the wrong one."""
    assert found(study(*study_rows(tensor={2: 8}))) == [(FIRST + 2, "MP", "MP 4")]


def test_nothing_fits_surely():
    """Without another row of the same MP and PP the values that would fit are named, and the row is only marked."""
    imported = study(row(192, 2, 4, 48, 1536, 3534.9, 1.16), *study_rows()[1:1], row(384, 2, 5, 48, 1536, "-", "-"))
    assert found(imported) == [(FIRST, "DP", "DP 1"), (FIRST + 1, "DP", "MP 4")]
    assert imported.tables[0].rows[1].corrected[1] == "2 (finding 2)"
    assert figures(imported)[1]["data"] == 2
    assert "MP 4 (left as it is)" in figures(imported)[1]["flags"]


def test_times_as_programs_write_them():
    """Floats with all their digits are numbers, 0.7656000000000001 s among them."""
    imported = study(*study_rows(seconds={0: "0.7656000000000001", 1: "0.0123456789012345678"}), model="")
    times = [one["iteration_seconds"] for one in figures(imported)]
    assert times[:2] == [0.7656000000000001, 0.012345678901234568]


def test_column_in_milliseconds():
    """One finding for the column; times are exact in the corrected table, remarks stay."""
    rows = study_rows(seconds={0: "3534883.3(1itrのみ実行)", 1: "1,841,598.85", 2: "982766.6", 3: "558696.9"})
    imported = study(*rows)
    assert found(imported) == [(6, "Sec/it", "in ms")]
    cells = [one.corrected[5] for one in imported.tables[0].rows]
    assert cells == ["3534.8833(1itrのみ実行)", "1841.59885", "982.7666", "558.6969"]
    assert [one["iteration_seconds"] for one in figures(imported)] == [3534.8833, 1841.59885, 982.7666, 558.6969]
    assert figures(imported)[0]["outcome_note"] == f"imported, study.md:{FIRST}; Sec/it: 1itrのみ実行"


def test_seconds_under_a_heading_of_milliseconds():
    """The corrected numbers are in the unit of the heading."""
    imported = study(*study_rows(), headings=HEADINGS.replace("Sec/it", "Time per iteration (ms)"))
    assert found(imported) == [(6, "Time per iteration (ms)", "in s")]
    assert imported.tables[0].rows[0].corrected[5] == "3534900"
    assert figures(imported)[0]["iteration_seconds"] == 3534.9


def test_time_without_a_unit():
    """A heading without a unit is no error; the TFLOPs tell the unit, which is said."""
    rows = study_rows(seconds={number: int(seconds * 1000) for number, (_, _, seconds, _) in enumerate(ROWS)})
    imported = study(*rows, headings=HEADINGS.replace("Sec/it", "Iteration time"))
    assert found(imported) == []
    assert any("read as ms" in one.text for one in imported.remarks)
    assert figures(imported)[0]["iteration_seconds"] == 3534.9


def test_units_in_cells_and_rates():
    """A unit in a cell comes before that of the heading; iterations per second are turned over."""
    rows = study_rows(seconds={0: "58.915 min", 1: "1841.6 s"})
    assert found(study(*rows)) == []
    rows = study_rows(seconds={0: 0.00028289, 1: 0.000543, 2: 0.0010175, 3: 0.0017899})
    imported = study(*rows, headings=HEADINGS.replace("Sec/it", "it/s"))
    assert found(imported) == []
    assert figures(imported)[1]["iteration_seconds"] == pytest.approx(1841.6, rel=1e-3)


def test_wrong_rate():
    """TFLOPs that do not follow from the time: both ways out are named, nothing is changed."""
    imported = study(*study_rows(rate={1: 1.51}))
    assert found(imported)[0][:2] == (FIRST + 1, "TFLOPs")
    assert only(imported).startswith("TFLOPs: 1.51 printed, 1.11 by the formula from the time 1841.6; likely 1.11, or")
    assert imported.tables[0].rows[1].corrected[6] == "1.51 (finding 1)"


def test_rounding_is_no_error():
    """TFLOPs printed with one digit may be off by half of it."""
    assert found(study(*study_rows(rate={0: 1.2, 1: 1.1, 2: 1.0, 3: 0.9}))) == []


def test_another_formula():
    """Where all rows are off by one factor, the column is told of once."""
    rates = {number: round(rate * 1.2, 3) for number, (*_, rate) in enumerate(ROWS)}
    imported = study(*study_rows(rate=rates))
    assert found(imported)[0][:2] == (6, "TFLOPs")
    assert "4 of 4 rows" in only(imported)


def test_model_flops():
    """TFLOPs that leave recomputation out by habit are no error, but are said."""
    rates = {number: round(rate * 0.75, 4) for number, (*_, rate) in enumerate(ROWS)}
    rows = [line + " Yes |" for line in study_rows(rate=rates)]
    imported = study(*rows, headings=f"{HEADINGS} | AC")
    assert found(imported) == []
    assert any("model FLOPs" in one.text for one in imported.remarks)


def test_batch_that_does_not_split():
    """GBS must be a multiple of DP x MBS; that the TFLOPs then do not fit either is not told again."""
    imported = study(*study_rows(batch={3: 1540}))
    assert found(imported) == [(FIRST + 3, "GBS", "GBS 1536 or 1544")]


def test_size_that_does_not_fit():
    """A heading that names another size than its hyperparameters give; other rows of it are not told of."""
    imported = import_markdown(f"# 13B model\n{MODEL}\n{table(HEADINGS, *study_rows())}", "study.md")
    assert found(imported) == [(1, "Size", "30B")]


def test_size_in_one_row():
    """A size in a row of its own."""
    rows = [f"| {'13B' if number == 2 else '30B'} {line}" for number, line in enumerate(study_rows())]
    assert found(study(*rows, headings=f"Model | {HEADINGS}")) == [(FIRST + 2, "Size", "30B")]


def test_size_from_afar():
    """A title's size says nothing of rows with hyperparameters of their own."""
    text = f"# 30B model\n{MODEL}\n## Smaller ones\n\n" + table(
        "Nodes | layers | hidden size | Sec/it", row(4, 24, 2048, 9.1), row(8, 24, 2048, 4.7)
    )
    assert found(import_markdown(text, "study.md")) == []


def test_duplicates():
    """Two rows of one layout that differ only in what was measured; a note tells two runs apart."""
    rows = [*study_rows(), study_rows(seconds={0: 3530.1})[0]]
    assert found(study(*rows)) == [(FIRST + 4, "row", "one of them is left over")]
    noted = [f"{line} {note} |" for line, note in zip(rows, "abcde", strict=True)]
    assert found(study(*noted, headings=f"{HEADINGS} | Notes")) == []


def test_heads():
    """Heads split over MP, and the hidden size over the heads; what several rows inherit is told once."""
    rows = [row(n * 6 * 48, n, 6, 48, 1536, "-", "-") for n in (1, 2, 4)]
    assert found(study(*rows)) == [(FIRST, "attention heads", "MP 4 or 7")]
    model = MODEL.replace("56", "57")
    assert found(study(*study_rows(), model=model)) == [(3, "hidden size", "hidden size 7125 or 7182, or other heads")]


def test_two_tables_inherit_one_error():
    """A wrong setting is one finding, however many tables stand below it."""
    text = f"{MODEL.replace('56', '57')}\n{table(HEADINGS, *study_rows())}\n{table(HEADINGS, *study_rows())}"
    assert len(import_markdown(text, "study.md").findings) == 1


@pytest.mark.parametrize("thousand", [1000, 1024])
def test_aggregates(thousand):
    """Petaflops by 1000 or by 1024, as the column has it; a row off that is corrected by its TFLOPs."""
    sums = [f"{nodes * rate / thousand:.3f}" for nodes, _, _, rate in ROWS]
    rows = [f"{line} {total} |" for line, total in zip(study_rows(), sums, strict=True)]
    assert found(study(*rows, headings=f"{HEADINGS} | Est. Aggr. PetaFLOPs")) == []
    rows[1] = f"{study_rows()[1]} 0.811 |"
    imported = study(*rows, headings=f"{HEADINGS} | Est. Aggr. PetaFLOPs")
    assert found(imported) == [(FIRST + 1, "Est. Aggr. PetaFLOPs", sums[1])]
    assert imported.tables[0].rows[1].corrected[7] == sums[1]


GPUS = """# GPT-3 13B on eight-way nodes

Layers: 40, hidden size: 5120, heads: 40

* GPUs per node: 8
* Sequence Length: **2048**
* Vocab size: 51,200

## With activation recomputation

Nodes | DP (data parallel) | TP | PP | Micro-batch | Global batch | Time / step | TFLOP/s/GPU | Mem/GPU [GiB] | Remarks
:-- | --: | --: | --: | -- | -- | -- | --
1 | 1 | 8 | 1 | 4 | 512 | **101.0** s | 140 | 61.2 | cell
2 | 2 | ^ | 1 | " | 512 | ~90 s | 140[^1] | 61.2 | `first`
4 | 4 | 8 | 1 | 4 | 512 | 25.2 s | OOM | N/A | x
8 | 8 | 8 | 1 | 4 | 512 | - | - | OOM
16 | 16 | 8 | 1 | 4 | 512 | 6.31 s | 140 | 61.2 | x | extra \\| cell

[^1]: wild guess
"""


def test_gpus():
    """A table in the style of GPU clusters: no outer pipes, units in cells, as above, footnotes, ragged rows."""
    imported = import_markdown(GPUS, "gpus.md")
    assert found(imported) == []
    rows = figures(imported)
    assert [one["outcome"] for one in rows] == ["ok", "ok", "oom", "oom", "ok"]
    assert [one["ranks"] for one in rows] == [8, 16, 32, 64, 128]
    assert (rows[1]["tensor"], rows[1]["micro_batch_samples"], rows[1]["activation_checkpointing"]) == (8, 4, True)
    assert (rows[0]["tflops_per_node"], rows[0]["memory_mib"], rows[0]["vocab_size"]) == (1120.0, 61.2 * 1024, 51200)
    assert rows[1]["outcome_note"].endswith("; wild guess")
    assert imported.tables[0].rows[4].corrected[-1] == "extra | cell"
    said = [one.text for one in imported.remarks]
    assert any(text.startswith("9 cells under 10 headings") for text in said)
    assert found(import_markdown(GPUS.replace("4 | 4 | 8 | 1 |", "4 | 8 | 8 | 1 |"), "gpus.md"))[0][::2] == (15, "DP 4")


JAPANESE = """# ベンチマーク結果（30B）

- レイヤー数：48
- 隠れ層のサイズ：７，１６８
- アテンションヘッド数：56

## 系列長＝2048、再計算あり

| ノード数 | データ並列 | テンソル並列 | パイプライン並列 | GBS | 秒/反復 | TFLOPS/ノード | メモリ使用量 | 備考 |
|---|---|---|---|---|---|---|---|---|
| １９２ | １ | ４ | ４８ | １，５３６ | ３５３４．９（1回のみ） | １．１６ | 16.2 GiB | 4/23 |
| 384 | 2 | 〃 | 〃 | 同上 | 1841.6 | 1.115 | 16.2GiB | 4/23 |
| 768 | 4 | 4 | 48 | 1536 | 982.8 | 1.045※ | メモリ不足 | 4/23 |

※ 参考値
"""


def test_japanese():
    """Japanese headings, full-width digits and brackets."""
    imported = import_markdown(JAPANESE, "結果.md")
    assert found(imported) == []
    rows = figures(imported)
    assert [(one["nodes"], one["data"], one["global_batch_samples"]) for one in rows] == [
        (192, 1, 1536),
        (384, 2, 1536),
        (768, 4, 1536),
    ]
    assert (rows[0]["iteration_seconds"], rows[0]["memory_mib"]) == (3534.9, pytest.approx(16588.8))
    assert (rows[0]["model_size"], rows[0]["hidden_size"], rows[0]["activation_checkpointing"]) == ("30B", 7168, True)
    assert rows[0]["outcome_note"] == "imported, 結果.md:11; 秒/反復: 1回のみ"
    assert (rows[2]["outcome"], rows[2]["iteration_seconds"]) == ("oom", 982.8)
    assert rows[2]["outcome_note"].endswith("; 参考値")
    assert found(import_markdown(JAPANESE.replace("| 768 | 4 |", "| 768 | 6 |"), "結果.md")) == [
        (13, "データ並列", "DP 4")
    ]
    wrong = JAPANESE.replace("３５３４．９", "３５３４９００").replace("1841.6", "1841600").replace("982.8", "982800")
    imported = import_markdown(wrong, "結果.md")
    assert found(imported) == [(9, "秒/反復", "in ms")]
    assert imported.tables[0].rows[0].corrected[5] == "3534.900 (1回のみ)"


def test_sections_give_their_own_hyperparameters():
    """A list speaks for the smallest section with a table; a nearer one comes first."""
    text = (
        "# Scaling\n\n## Setup\n\n- seq_length: 2048\n- num_layers: 40\n\n"
        "## 13B\n\n- hidden_size: 5120\n\n| Nodes | DP | s/it |\n|--|--|--|\n| 4 | 4 | 9 |\n\n"
        "## 30B\n\n--num-layers 48 --hidden-size 7168 \\\n\n| Nodes | DP | s/it |\n|--|--|--|\n| 4 | 4 | 9 |\n"
    )
    imported = import_markdown(text, "two.md")
    assert found(imported) == []
    rows = figures(imported)
    assert [(one["layers"], one["hidden_size"], one["model_size"]) for one in rows] == [
        (40, 5120, "13B"),
        (48, 7168, "30B"),
    ]
    assert [one["sequence_length_tokens"] for one in rows] == [2048, 2048]


def test_what_is_no_table_of_results():
    """Tables in code and comments are none; others are left alone, with their lines."""
    hidden = "| Nodes | DP |\n|--|--|\n| 1 | 2 |\n"
    text = (
        f"```\n{hidden}```\n<!--\n{hidden}-->\n\n    {hidden.replace(chr(10), chr(10) + '    ')}\n\n"
        f"| optimizer | lr |\n|--|--|\n| adam | 1 |\n\n| Nodes | DP |\n| 1 | 2 |\n| 2 | 2 |\n\n"
        "> | Nodes | Sec/it |\n> |--|--|\n> | 8 | 2.5 |\n"
    )
    imported = import_markdown(text, "study.md")
    assert [one["nodes"] for one in figures(imported)] == [8]
    assert [(one.line, one.text[:10]) for one in imported.remarks] == [(17, "left alone"), (21, "left alone")]


def test_machines_are_no_series_of_one():
    """Two machines in one table share no efficiency: 100 s on 4 nodes of one and 40 s on 8 of another are no 125 %."""
    heading, rest = "System | Nodes | DP | MP | PP | GBS | Sec/it", (4, 48, 1536)
    rows = [("GB300 / 72", 192, 1, *rest, 100), ("GB200", 384, 2, *rest, 40), ("GB200", 768, 4, *rest, 25)]
    imported = study(*(row(*cells) for cells in rows), headings=heading)
    assert not any("System" in remark.text for remark in imported.remarks)
    found = [dict.fromkeys(PROBLEM_COLUMNS) | one for one in figures(imported)]
    assert [one["campaign"] for one in found] == ["study-GB300-72", "study-GB200", "study-GB200"]
    first, second, third = bases(found)
    assert not first and second["strong"]["slug"] == third["strong"]["slug"] == found[1]["slug"]
    assert efficiency_percent(found[2], third["strong"]) == 80.0  # 40 x 384 / (25 x 768)


def test_unknown_columns_are_kept():
    """A column nobody knows is kept as text and said; so is a cell that is no number."""
    imported = study(row(192, "1-2", 4, 48, 1536, 3534.9, 1.16, "blue"), headings=f"{HEADINGS} | Colour")
    assert {(one.line, one.text) for one in imported.remarks} > {
        (6, "not understood, or a second column of its kind, and kept as text: 'Colour'"),
        (8, "DP '1-2' is not understood and kept as text"),
    }
    assert imported.tables[0].rows[0].raw[-1] == "blue"


def test_nothing_to_import():
    """A document without results is refused with what a table of results is."""
    with pytest.raises(NodesweepError, match="no table of results"):
        import_markdown("# Nothing\n\n| a | b |\n|--|--|\n| 1 | 2 |\n", "no.md")


def test_hostile_text_is_inert():
    """Markup in cells and headings is text in the corrected document."""
    rows = [line + " <script>x</script> ![x](y) `c` \\| d |" for line in study_rows()]
    text = f"# <b>30B</b> [x](y)\n{MODEL}\n{table(HEADINGS + ' | Notes', *rows)}"
    document = import_markdown(text, "study.md").document()
    assert "<script" not in document
    assert "[x](" not in document
    assert document.count("\n|") == 6


@settings(max_examples=200, deadline=None)
@given(
    st.text(alphabet=st.sampled_from('|-:*[]^`\\"#~ \n\tNDPMSec/it0123456789.,OM（）１４ー〃<>!=+e()'), max_size=300)
)
def test_any_text(text):
    """Whatever a file holds is imported whole or refused in one sentence; what was written is read back."""
    try:
        imported = import_markdown(f"| Nodes | DP | MP | PP | Sec/it | TFLOPs |\n|-|-|-|-|-|-|\n{text}", "any.md")
    except NodesweepError as error:
        assert "no table" in str(error)
        return
    assert Imported.from_json(imported.to_json()) == imported
    assert imported.document() == Imported.from_json(imported.to_json()).document()


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_cell_and_heading(text):
    """Any cell and any heading is read."""
    assert column_of(text).heading == cell_text(text).shown
    value = number_cell(text, 1, {"s"})
    assert value.number is None or value.number >= 0


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_consistent_tables_have_no_findings(seed):
    """A table made from consistent layouts, in any wording, order and unit, gives no findings."""
    made = consistent(seed)
    assume(len(made.rows) > 2)
    assert found(import_markdown(made.text(), "random.md")) == []


@pytest.mark.parametrize("kind", ERRORS)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_one_error_is_one_finding(kind, seed):
    """One error put into such a table gives one finding, on its line."""
    made = consistent(seed)
    assume(len(made.rows) > 2)
    line = with_error(made, kind)
    assume(line is not None)
    assert [one.line for one in import_markdown(made.text(), "random.md").findings] == [line]


def test_an_import_of_another_version():
    """A file that this version did not write is refused with the way out."""
    text = study(*study_rows()).to_json()
    for other in (
        text.replace('"schema_version": 1', '"schema_version": 2'),
        text.replace('"nodes": 192', '"nodes": "x"'),
        "{}",
        "",
    ):
        with pytest.raises(NodesweepError, match="import again"):
            Imported.from_json(other)


def test_axes_of_today_in_a_table() -> None:
    """Headings VP, CP, EP, FSDP and Precision are read, whatever the spelling of a format; n/a is no value."""
    rows = (
        "| #-GPUs | Precision | GBS | MBS | Sequence Length | FSDP | TP | PP | CP | VP | EP | Sec/it |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
        "| 256 | MXFP8 | 1536 | 1 | 8192 | 0 | 2 | 8 | 2 | 4 | n/a | 10.5 |",
        "| 64 | FP8-CS | 256 | 2 | 8192 | 64 | 1 | 1 | 1 | n/a | 8 | 20.5 |",
        "| 64 | int3 | 256 | 2 | 8192 | n/a | 1 | 1 | 1 | 1 | 1 | 30.5 |",
    )
    measured = figures(import_markdown("\n".join(rows), "kept.md"))
    axes = ("precision", "sharding_group", "virtual_pipeline", "context", "expert")
    assert [tuple(one[name] for name in axes) for one in measured] == [
        ("mxfp8", None, 4, 2, 1),
        ("fp8", 64, None, 1, 8),
        (None, None, 1, 1, 1),
    ]
