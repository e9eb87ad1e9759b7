"""The hand-kept study: five findings, its tables corrected cell by cell, and its rows among those of a sweep."""

import json
import re
from decimal import Decimal

import pytest
from sweeps import run_nodesweep, toy, write

from nodesweep.config.columns import TIDY
from nodesweep.importers.markdown import Imported, import_markdown
from nodesweep.results.table import from_csv

FIRST = """
48   | 2.0GHz | 30B | 1  | 1 | 48 | 1 | 1536 | Yes | 29138.6 MiB (OOM after first epoch) | 17212.8 | 0.95 | 0.04 | 4/22
192  | 2.0GHz | 30B | 1  | 4 | 48 | 1 | 1536 | Yes | 16622.7 MiB                         | 3720.0  | 1.10 | 0.2  | 4/23
384  | 2.0GHz | 30B | 1  | 8 | 48 | 1 | 1536 | Yes | 14356.7 MiB                         | 2338.8  | 0.88 | 0.3  | 4/23
384  | 2.0GHz | 30B | 1  | 8 | 48 | 1 | 1536 | No  | 29087.7 MiB (OOM)                   | -       | -    | -    | 4/23
3072 | 2.0GHz | 30B | 16 | 4 | 48 | 1 | 1536 | Yes | 16632.9 MiB                         | 313.6   | 0.82 | 2.5  | 4/23
"""
SECOND = """
192  | 1  | 4 | 48 | 1 | 1536 | 3534883.3(1itrのみ実行) | 1.16  | 7168 | 56 | 6/27
384  | 2  | 4 | 48 | 1 | 1536 | 1841598.85             | 1.115 | 7168 | 56 | 6/27
768  | 4  | 4 | 48 | 1 | 1536 | 982766.6               | 1.045 | 7168 | 56 | 6/27
1152 | 8  | 4 | 48 | 1 | 1536 | 701658.5               | 0.975 | 7168 | 56 | 6/27
1536 | 16 | 4 | 48 | 1 | 1536 | 558696.9               | 0.92  | 7168 | 56 | 6/27
3072 | 32 | 4 | 48 | 1 | 1536 | 353819.2               | 0.725 | 7168 | 56 | 6/27
6144 | 64 | 4 | 48 | 1 | 1536 | 252052.95              | 0.505 | 7168 | 56 | 6/27
576  | 2  | 6 | 48 | 1 | 1536 | 1516954.6              | 0.905 | 7176 | 78 | 6/27
1152 | 4  | 6 | 48 | 1 | 1536 | 806283.95              | 0.85  | 7176 | 78 | 6/27
2304 | 8  | 6 | 48 | 1 | 1536 | 465153.4               | 0.735 | 7176 | 78 | 6/27
4608 | 16 | 6 | 48 | 1 | 1536 | 297193.3               | 0.58  | 7176 | 78 | 6/27
"""
RIGHT_DATA = {1152: "6", 1536: "8", 3072: "16", 6144: "32"}
"""Nodes of the rows with MP 4 whose DP was typed wrong -> their DP."""

HEADINGS = (
    "Nodes | Freq   | Size | DP | MP | PP | MBS | GBS | AC | Mem | Sec/it | TFLOPs | Est. Aggr. PetaFLOPs| Notes",
    "Nodes | DP | MP | PP | MBS | GBS | Sec/it | TFLOPs | hidden-size | num-attention-heads | Notes",
)
# The second line of dashes is one cell short, as people leave it when they add a column.
DASHES = ("|" + "--:|" * 14, "|" + " --: |" * 10)


def lines(rows: str) -> list[str]:
    """The rows of a table in markdown."""
    return [f"| {line} |" for line in rows.strip().splitlines()]


STUDY = "\n".join(
    [
        "# 30B model\n",
        "- --num-layers 48\n- --hidden-size 7168\n- --num-attention-heads 56\n",
        "- Sec/it = seconds of an iteration\n- Est. Aggr. PetaFLOPs = TFLOPs * Nodes / 1024\n",
        "## Experiments\n",
        "### Sequence Length=2048\n",
        f"| {HEADINGS[0]} |",
        DASHES[0],
        *lines(FIRST),
        "",
        f"| {HEADINGS[1]} |",
        DASHES[1],
        *lines(SECOND),
        "",
    ]
)


def cells(rows: str) -> list[list[str]]:
    """The cells of a table's rows."""
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in rows.strip().splitlines()]


@pytest.fixture(scope="module")
def imported():
    """The study, imported."""
    return import_markdown(STUDY, "30b.md")


def test_five_findings(imported):
    """Four DP that do not multiply to their nodes, one column in milliseconds, and nothing else."""
    text = STUDY.splitlines()
    found = {(one.line, one.where, one.likely) for one in imported.findings}
    wrong = {(text.index(line) + 1, line.split(" ")[1]) for line in lines(SECOND) if "| 4 |" in line}
    expected = {(line, "DP", f"DP {RIGHT_DATA[int(nodes)]}") for line, nodes in wrong if int(nodes) in RIGHT_DATA}
    assert len(expected) == 4
    assert found == expected | {(text.index(f"| {HEADINGS[1]} |") + 1, "Sec/it", "in ms")}
    assert len(imported.findings) == 5
    assert all(one.sure for one in imported.findings)


def test_corrected_cell_by_cell(imported, golden):
    """The tables come out as they stood, but for four DP and for seconds instead of milliseconds."""
    document = imported.document()
    golden("imported.md", document)
    first, second = (
        [line for line in part.splitlines() if line.startswith("|")] for part in document.split("\n\n")[3:5]
    )
    assert cells(first[0])[0] == cells(HEADINGS[0])[0]
    assert [cells(line)[0] for line in first[2:]] == cells(FIRST)
    assert cells(second[0])[0] == cells(HEADINGS[1])[0]
    for before, line in zip(cells(SECOND), second[2:], strict=True):
        after, right = cells(line)[0], list(before)
        if before[2] == "4":
            right[1] = RIGHT_DATA.get(int(before[0]), before[1])
        printed = re.match(r"[0-9.]+", before[6])[0]
        assert Decimal(re.match(r"[0-9.]+", after[6])[0]) * 1000 == Decimal(printed)
        right[6] = after[6].split("(")[0] + before[6].removeprefix(printed)
        assert after == right


def test_measurements(imported):
    """Each row is a row of the tidy table, with its line; the unit is right, and what died says so."""
    rows = list(imported.figures())
    assert [one["outcome"] for one in rows] == ["oom", "ok", "ok", "oom", *["ok"] * 12]
    assert {one["source"] for one in rows} == {"import"}
    assert (rows[0]["memory_mib"], rows[0]["iteration_seconds"], rows[0]["evidence"]) == (
        29138.6,
        17212.8,
        "29138.6 MiB (OOM after first epoch)",
    )
    assert (rows[3]["iteration_seconds"], rows[3]["activation_checkpointing"]) == (None, False)
    assert (rows[8]["nodes"], rows[8]["data"], rows[8]["iteration_seconds"]) == (1152, 6, 701.6585)
    assert (rows[8]["ranks"], rows[8]["hidden_size"], rows[8]["sequence_length_tokens"]) == (1152, 7168, 2048)
    assert STUDY.splitlines()[rows[8]["source_line"] - 1].startswith("| 1152 | 8 ")
    assert rows[12]["attention_heads"] == 78


def test_figures_are_columns_of_the_tidy_table(imported):
    """All values of an imported row have a place in results.csv."""
    for row in imported.figures():
        assert set(row) <= set(TIDY)


def test_command(tmp_path):
    """The command writes import, tidy table and corrected tables; with --check, findings are exit code 1."""
    (tmp_path / "30b.md").write_text(STUDY)
    done = run_nodesweep(tmp_path, "import", "30b.md")
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith(
        "30b.md: 16 rows in 2 tables, 5 findings\n  1. line 22: Sec/it: the whole column is in ms"
    )
    folder = tmp_path / "results" / "30b"
    assert json.loads((folder / "imported" / "30b.json").read_text())["schema_version"] == 1
    assert len(from_csv((folder / "results.csv").read_text())) == 16
    assert (folder / "tables.md").read_text() == import_markdown(STUDY, "30b.md").document()
    assert run_nodesweep(tmp_path, "import", "--check", "30b.md").returncode == 1
    (tmp_path / "empty.md").write_text("# nothing\n")
    done = run_nodesweep(tmp_path, "import", "empty.md")
    assert done.stdout.startswith("nodesweep: empty.md: no table of results (it has no tables); one has a column of")
    (tmp_path / "none.md").write_bytes(b"\xff")
    done = run_nodesweep(tmp_path, "import", "none.md")
    assert (done.returncode, done.stdout) == (1, "nodesweep: none.md: not UTF-8 text (byte 0); save it as UTF-8\n")


def test_among_the_rows_of_a_sweep(tmp_path):
    """Imported rows follow the layouts of a sweep in results.csv and in its tables, where they say whence they are."""
    config = write(tmp_path / "sweep.yaml", toy())
    (tmp_path / "30b.md").write_text(STUDY + "\n## Later\n\n| Nodes | DP |\n|--|--|\n| 4 | 4 |\n")
    words = ("--configfile", str(config))
    for command in (("plan",), ("import", "30b.md"), ("measure",), ("tables",)):
        done = run_nodesweep(tmp_path, *command, *words)
        assert done.returncode == 0, done.stdout
    table = from_csv((tmp_path / "results" / "toy" / "results.csv").read_text())
    assert list(table["source"]) == ["run"] * 2 + ["import"] * 17
    folder = tmp_path / "results" / "toy" / "calibration"
    assert sorted(path.name for path in folder.iterdir()) == ["30b-1.yaml", "30b-2.yaml"]
    june = (folder / "30b-2.yaml").read_text()
    assert "# Time: 11 runs; each predicted by the others 0.45 % off in the mean, 1.1 % at worst." in june
    assert "# - MP 4, PP 48, MBS 1, sequence 2048, AC, 48 x 7168 / 56, vocabulary 1024, fp32: 2.242 s" in june
    assert "# Memory: 3 runs, 0.97 % off: a process takes" in (folder / "30b-1.yaml").read_text()
    tables = (tmp_path / "results" / "toy" / "tables.md").read_text()
    assert "| 4/22; imported, 30b.md:16; Mem: OOM after first epoch |" in re.sub(" +", " ", tables)
    assert "701.7" in tables
    done = run_nodesweep(tmp_path, "import", "toy.md")
    assert done.stdout.startswith(
        "nodesweep: results/toy holds the results of a sweep; name the sweep with --configfile"
    )


def test_peak_of_a_failed_run_is_not_taken_for_all_it_needed(tmp_path):
    """Of four runs with a peak one failed, by its status or by the cell of its time: three calibrate memory."""
    config = write(tmp_path / "sweep.yaml", toy())
    headings = f"| {HEADINGS[0]} | Status |"
    rows = [line for line in lines(FIRST) if "OOM" not in line]
    failed = rows[2].replace("313.6 ", "{time}").replace("0.82", "-").replace("2.5", "-")
    made = [
        *(f"{row} done |" for row in rows),
        f"{failed.replace('3072', '1536').replace('| 16 |', '| 8 |').format(time='-')} Failed (node lost) |",
        f"{failed.replace('3072', '768').replace('| 16 |', '| 4 |').format(time='failed')} |",
    ]
    before = STUDY[: STUDY.index(f"| {HEADINGS[0]} |")]
    (tmp_path / "30b.md").write_text("\n".join([before + headings, f"{DASHES[0]}--:|", *made, ""]))
    for command in ("plan", "import 30b.md", "measure"):
        done = run_nodesweep(tmp_path, *command.split(), "--configfile", str(config))
        assert done.returncode == 0, done.stdout
    table = from_csv((tmp_path / "results" / "toy" / "results.csv").read_text())
    rows = table[table["source"] == "import"]
    assert list(rows["outcome"]) == ["ok", "ok", "ok", "crash", "crash"]
    assert rows["memory_mib"].notna().all()
    calibration = (tmp_path / "results" / "toy" / "calibration" / "30b.yaml").read_text()
    assert "# Memory: 3 runs, " in calibration


def test_an_import_of_version_0_1(imported):
    """An import in which the clock has its older name reads as it did."""
    text = imported.to_json()
    older = text.replace('"frequency_ghz",', '"frequency",')
    assert older.count('"frequency",') == 1
    assert Imported.from_json(older) == imported
