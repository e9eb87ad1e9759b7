"""One row adds a field to layouts: it is inserted into a copy of the code, and the field is looked for everywhere."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sweeps import copied_repository, run_nodesweep, run_snakemake, toy, write

ROW = """
    wave: int = row_of(
        meaning="waves of each stage (WP)",
        symbol="WP",
        default=1,
        absent_means_default=True,
        logged_as=("wave_parallel_size",),
        headings="wp|waves",
    )
    ring: int = row_of(
        meaning="ring size (RP)", symbol="RP", default=1, parallel="ring", absent_means_default=True
    )
"""
BEFORE = "    micro_batch: int = row_of("
TABLE = """\
## Results

| Nodes | DP | MP | PP | WP | MBS | GBS | AC | Sec/it |
|------:|---:|---:|---:|----:|----:|----:|----|-------:|
|     2 |  2 |  1 |  1 |   1 |   1 |  16 | No |    2.0 |
|     2 |  2 |  1 |  1 |   2 |   1 |  16 | No |    1.5 |
"""


pytestmark = pytest.mark.xdist_group("layout fields")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code with one row more in config/layout_fields.py."""
    copy = copied_repository(tmp_path_factory.mktemp("copy") / "nodesweep")
    path = copy / "workflow" / "nodesweep" / "config" / "layout_fields.py"
    text = path.read_text()
    assert text.count(BEFORE) == 1
    path.write_text(text.replace(BEFORE, f"{ROW.lstrip(chr(10))}{BEFORE}"))
    return copy


@pytest.fixture(scope="module")
def ran(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a sweep over the new field that has run; WP 4 is excluded by a condition."""
    folder = tmp_path_factory.mktemp("sweep")
    block = {"nodes": [2], "wave": [1, 2, 4], "global_batch": 16, "sequence_length": 128}
    tables = [{"columns": ["Nodes", "WP", {"heading": "waves", "value": "wave"}, "Sec/it"]}, {}]
    config = write(folder / "sweep.yaml", toy(layouts=[block], exclude=["wave == 4"], tables=tables))
    run = run_snakemake(folder, config, repository=repository)
    assert run.returncode == 0, run.stdout
    return folder


def squeezed(text: str) -> str:
    """A text with single blanks: the padding of tables is not looked at."""
    return re.sub(r" +", " ", text)


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_schema_and_reference(repository: Path, tmp_path: Path) -> None:
    """The schema of a sweep has the key, and the reference explains it."""
    assert run_nodesweep(tmp_path, "schema", repository=repository).returncode == 0
    schema = json.loads((repository / "workflow" / "schemas" / "sweep.schema.json").read_text())
    assert schema["$defs"]["Block"]["properties"]["wave"]["default"] == [1]
    assert (
        "| `wave` | whole number or list of whole number | `[1]` |" in (repository / "config" / "README.md").read_text()
    )


def test_slug_and_plan(ran: Path) -> None:
    """A slug names the field where it is not the default; the plan has a column, and the condition excluded WP 4."""
    slugs = sorted(path.name.rsplit("-", 1)[0] for path in (ran / "results" / "toy" / "layouts").iterdir())
    assert slugs == ["n2-dp2-mp1-pp1-mbs1-gbs16-s128", "n2-dp2-mp1-pp1-wp2-mbs1-gbs16-s128"]
    plan = rows_of(ran / "results" / "toy" / "plan.csv")
    assert [(row["verdict"], row["wave"]) for row in plan] == [
        ("runs", "1"),
        ("runs", "2"),
        ("rejected", "4"),
    ]
    assert "exclude[0] holds" in plan[2]["reason"]


def test_results_and_tables(ran: Path) -> None:
    """results.csv has the column; a table shows it by heading, by column, and on its own where rows differ in it."""
    results = rows_of(ran / "results" / "toy" / "results.csv")
    assert [row["wave"] for row in results] == ["1", "2"]
    tables = squeezed((ran / "results" / "toy" / "tables.md").read_text())
    assert "| Nodes | WP | waves | Sec/it |" in tables
    assert "| PP | WP | MBS |" in tables


def test_a_parallel_size_enters_the_world_size_law(repository: Path, tmp_path: Path) -> None:
    """A row of a size that splits the ranks: DP follows from it, and what it does not divide is rejected."""
    block = {"nodes": [4], "ring": [2, 3], "global_batch": 16, "sequence_length": 128}
    write(tmp_path / "sweep.yaml", toy(layouts=[block]))
    run = run_nodesweep(tmp_path, "plan", "--configfile", "sweep.yaml", repository=repository)
    assert run.returncode == 0, run.stdout
    runs, rejected = rows_of(tmp_path / "results" / "toy" / "plan.csv")
    assert (runs["data"], runs["ring"], "-rp2-" in runs["slug"]) == ("2", "2", True)
    assert rejected["reason"] == (
        "4 nodes x 1 ranks = 4 ranks do not hold whole replicas of MP 1 x PP 1 x RP 3 = 3; nearest nodes: 3 or 6"
    )


def test_predict_and_why(repository: Path, ran: Path) -> None:
    """`predict` takes it as an option, with a row for each value; `why` says which key of the config it comes from."""
    assert "--wave N [N ...]" in run_nodesweep(ran, "predict", "--help", repository=repository).stdout
    run = run_nodesweep(ran, "predict", "--configfile", "sweep.yaml", "--wave", "2", "8", repository=repository)
    assert "wp2" in run.stdout and "wp8" in run.stdout, run.stdout
    why = run_nodesweep(ran, "why", "--configfile", "sweep.yaml", "n2-dp2-mp1-pp1-wp2", "WP", repository=repository)
    assert "layouts[0].wave" in why.stdout, why.stdout


def test_compare(repository: Path, ran: Path) -> None:
    """`compare` matches rows by the field and shows it where rows differ in it."""
    run = run_nodesweep(ran, "compare", "toy", "toy", repository=repository)
    assert run.returncode == 0, run.stdout
    assert (
        "| PP | WP | MBS |" in squeezed(run.stdout) and "## Vanished" not in run.stdout and "## Alike" not in run.stdout
    )


def test_import_and_ingest(repository: Path, tmp_path: Path) -> None:
    """A hand-kept table's heading is read, and an argument in the log of an old job."""
    (tmp_path / "kept.md").write_text(TABLE)
    run = run_nodesweep(tmp_path, "import", "kept.md", repository=repository)
    assert run.returncode == 0, run.stdout
    imported = rows_of(tmp_path / "results" / "kept" / "results.csv")
    assert [(row["wave"], row["ring"]) for row in imported] == [("1", "1"), ("2", "1")]
    (tmp_path / "old.log").write_text(
        "------------------------ arguments ------------------------\n"
        "  wave_parallel_size .............................. 2\n"
        "-------------------- end of arguments ---------------------\n"
        " iteration        1/       2 | elapsed time per iteration (ms): 900.0 | global batch size: 16 | lm loss: 9 |\n"
        " iteration        2/       2 | elapsed time per iteration (ms): 800.0 | global batch size: 16 | lm loss: 8 |\n"
    )
    run = run_nodesweep(tmp_path, "ingest", "old.log", repository=repository)
    assert run.returncode == 0, run.stdout
    assert [row["wave"] for row in rows_of(tmp_path / "results" / "old" / "results.csv")] == ["2"]
