"""What tables, plan, why, status, page, figures and compare say of layouts that run several times; a real sweep."""

from pathlib import Path
from typing import Any

import pytest
from paths import REPOSITORY
from sweeps import run_nodesweep, run_snakemake, toy, write

from nodesweep.config.tidy_row import TidyRow
from nodesweep.reports.figures.axes import slower_and_faster
from nodesweep.results.comparison.comparison import ComparedSweep, compare
from nodesweep.results.results_file import read_results
from nodesweep.results.table import records
from nodesweep.sweep.study import Study

UNEVEN = REPOSITORY / "tests" / "programs" / "uneven_trainer.sh"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of two layouts that ran three times each: 500, 600 and 540 ms an iteration."""
    place = tmp_path_factory.mktemp("repeats")
    sweep: dict[str, Any] = toy(repeats=3, iterations={"total": 5, "warmup": 1})
    sweep["workload"]["command"] = ["bash", str(UNEVEN), "500", "600", "540"]
    done = run_snakemake(place, write(place / "sweep.yaml", sweep), "report")
    assert done.returncode == 0, done.stdout
    assert "2 layouts to run in 6 jobs" in done.stdout
    return place


def rows_of(folder: Path) -> list[TidyRow]:
    """The rows of results.csv."""
    return records(read_results(folder / "results" / "toy"))


def told(folder: Path, *words: str) -> str:
    """What a command of nodesweep prints."""
    return run_nodesweep(folder, words[0], "--configfile", "sweep.yaml", *words[1:]).stdout


def test_tables(folder: Path) -> None:
    """One row a layout, with the median over runs, their number, and that they disagree."""
    text = (folder / "results" / "toy" / "tables.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("|") and "runs disagree: 0.5003 to 0.6003 s" in line]
    assert len(rows) == 2 and all("|    0.540 |      3 |" in row for row in rows)
    assert "- Runs = runs that did their work" in text


def test_why(folder: Path) -> None:
    """A layout's figure names each run with its value and lines; a run by its name has a trace of its own."""
    first = next(iter(Study.load([folder / "sweep.yaml"]).layouts))
    text = told(folder, "why", first, "Sec/it", "Runs", "run_seconds_low", "tflops_per_node", "iteration_seconds_error")
    assert "  3 runs, each in its folder:" in text
    assert f"  {first}-r2: ended: ok, attempt 1; needs no more runs; 0.6003 s an iteration" in text
    assert "iteration_seconds (Sec/it) = 0.54035\n    median over 3 runs of" in text
    assert ":4-7: 0.54035\n" in text and f"    {first}-r2/toy-" in text
    assert "run_seconds_low = 0.50035\n    by order statistics" in text
    assert "half the interval that holds the median over its runs with 75 %" in text
    assert "results.csv is older" not in text
    assert "tflops_per_node (TFLOPs) = " in text and "the run that is shown" not in text  # it follows from the median
    assert "the highest peak of" not in told(folder, "why", first, "memory_mib")  # no run says its memory
    one = told(folder, "why", f"{first}-r2", "Sec/it")
    assert one.startswith(f"{first}-r2\n") and "iteration_seconds (Sec/it) = 0.6003499999999999" in one
    assert "= 0.50035" in told(folder, "why", f"{first}-r1", "Sec/it")
    assert told(folder, "why", f"{first[:-1]}-r3", "Sec/it").startswith(f"{first}-r3\n")
    assert "tflops_per_node (TFLOPs) = " in text and "the run that is shown" not in text


def test_plan_and_status(folder: Path) -> None:
    """After the sweep nothing is to run; status lists each run with its number."""
    assert "0 layouts to run, 2 ended" in told(folder, "plan")
    status = told(folder, "status")
    assert "toy: 6 runs of 2 layouts" in status and status.count(" run 3 ") == 2


def test_page(folder: Path) -> None:
    """The page is made, with the script and log of the run in the middle."""
    assert "runs disagree: 0.5003 to 0.6003 s" in (folder / "results" / "toy" / "report.html").read_text()


def test_error_bars(folder: Path) -> None:
    """Bars of a figure span the interval over runs."""
    for row in rows_of(folder):
        assert slower_and_faster(row) == pytest.approx((0.60035 / 0.54035, 0.50035 / 0.54035))


def test_compare_by_the_interval(folder: Path) -> None:
    """15 % are no difference where runs are 20 % apart; without what other runs tell they would be one."""

    def slower(rows: list[TidyRow]) -> list[TidyRow]:
        return [{**row, "iteration_seconds": 1.15 * float(str(row["iteration_seconds"]))} for row in rows]

    rows = rows_of(folder)
    found = compare(ComparedSweep("a", rows, {}), ComparedSweep("b", slower(rows), {}), 5.0)
    assert [one.verdict for one in found.layouts] == ["no difference beyond noise"] * 2
    once = [{**row, **dict.fromkeys(("run_seconds_low", "run_seconds_high"))} for row in rows]
    found = compare(ComparedSweep("a", once, {}), ComparedSweep("b", slower(once), {}), 5.0)
    assert [one.verdict for one in found.layouts] == ["slower"] * 2
