"""Two sweeps against each other: what is called a difference, what is not, and what the command prints and returns."""

import csv
import io
import json
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sweeps import run_nodesweep
from written_logs import layouts_of, record_line, run_of, sweep_of

from nodesweep.cli.main import main
from nodesweep.config.columns import TIDY
from nodesweep.config.layout_fields import COLUMNS
from nodesweep.reports.comparison import CSV_COLUMNS, markdown
from nodesweep.reports.run_diff import NotedRun, document
from nodesweep.results.comparable import LAYOUT_COLUMNS
from nodesweep.results.comparison.comparison import ComparedSweep, Comparison, compare
from nodesweep.results.comparison.matching import match
from nodesweep.results.comparison.noise import Interval, MeasuredTime, TimeDifferences, independent, time_differences
from nodesweep.results.environment import Fact
from nodesweep.results.table import build, to_csv

HOSTILE = "<script>alert(1)</script> [x](y) `z` \x1b[31m| \u202e # *b*\n# heading"


def row(slug: str = "n1", seconds: float | None = 1.0, **values: Any) -> dict[str, Any]:
    """A row of a layout that ended well."""
    known = {"nodes": 1, "data": 1, "tensor": 1, "pipeline": 1, "micro_batch_samples": 1, "global_batch_samples": 8}
    ended = {"state": "ended", "outcome": "ok" if seconds else "oom", "source": "run", "statistic": "median"}
    times = {"iteration_seconds": seconds, "iteration_seconds_median": seconds, "records_used": 10}
    spread = {"iteration_seconds_half_interquartile_range": 0.003 * seconds if seconds else None}
    return {name: None for name in TIDY} | {"slug": slug} | known | ended | times | spread | values


def sweep(*seconds: float | None, **values: Any) -> list[dict[str, Any]]:
    """Rows of layouts of 1, 2, 3, ... nodes with these seconds per iteration."""
    return [row(f"n{nodes}", value, nodes=nodes, **values) for nodes, value in enumerate(seconds, 1)]


def compared(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]], tolerance: float = 5.0) -> Comparison:
    """Two sweeps of which only the tables are known."""
    return compare(ComparedSweep("old", before, {}), ComparedSweep("new", after, {}), tolerance)


def verdicts(found: Comparison) -> dict[str, str]:
    """By slug of the second sweep."""
    return {one.after["slug"]: one.verdict for one in found.layouts}


# What the statistics promise, on series whose truth is known


class Machine:
    """Makes runs: iterations scatter by `scatter` and hang together by `memory`; runs differ by `between`."""

    def __init__(self, seed: int, between: float, scatter: float = 0.02, memory: float = 0.5) -> None:
        self.random, self.between, self.scatter, self.memory = random.Random(seed), between, scatter, memory

    def run(self, seconds: float) -> MeasuredTime:
        """A run of 30 iterations that take so long in truth."""
        seconds *= math.exp(self.random.gauss(0, self.between))
        state, series = self.random.gauss(0, 1), []
        for _ in range(30):
            state = self.memory * state + math.sqrt(1 - self.memory**2) * self.random.gauss(0, 1)
            series.append(seconds * math.exp(self.scatter * state))
        return MeasuredTime.of_series(sorted(series)[15], series)

    def pair(self, layouts: int, slowed: float = 0.0, drift: float = 0.0) -> TimeDifferences:
        """Two sweeps; in the second all take longer by `drift`, and the first layout by `slowed` beside that."""
        truth = [self.random.uniform(0.1, 2.0) for _ in range(layouts)]
        after = [seconds * (1 + drift) * (1 + slowed * (not at)) for at, seconds in enumerate(truth)]
        return time_differences([(self.run(old), self.run(new)) for old, new in zip(truth, after, strict=True)])


PAIRS = 120
# 5 % of 120 pairs are 6; more than 12 have a probability of about 1 %.
MOST_FALSE = 12


@pytest.mark.parametrize(
    "machine",
    [Machine(1, 0.002), Machine(2, 0.01), Machine(3, 0.01, 0.05, 0.8)],
    ids=["quiet", "as expected", "slow waves"],
)
def test_the_same_sweep_twice_raises_no_alarm(machine: Machine) -> None:
    """Of 120 pairs of sweeps of eight layouts that differ by noise alone, about 5 % at most show any difference."""
    alarms = 0
    for _ in range(PAIRS):
        found = machine.pair(8)
        assert found.shift is not None
        alarms += found.shift.sure or any(own.sure for own in found.own)
    assert alarms <= MOST_FALSE


def test_heavy_noise_widens_the_intervals() -> None:
    """Where runs differ by eight times what was expected, alarms stay few, and the intervals say why."""
    machine = Machine(4, 0.08)
    found = [machine.pair(8) for _ in range(PAIRS)]
    assert sum(any(own.sure for own in one.own) for one in found) <= 2 * MOST_FALSE
    widths = sorted(one.own[0].high - one.own[0].value for one in found)
    assert widths[PAIRS // 2] > 0.25


@pytest.mark.parametrize("drift", [0.0, 0.2])
def test_a_layout_slowed_by_a_tenth_is_found(drift: float) -> None:
    """Runs that differ by 0.7 %, 10 % in one layout: found in nine of ten sweeps, also where all drift."""
    machine = Machine(5, 0.007, 0.01)
    found = [machine.pair(8, 0.1, drift) for _ in range(60)]
    assert sum(one.own[0].sure and one.own[0].value > 0 for one in found) >= 54
    assert sum(any(own.sure for own in one.own[1:]) for one in found) <= 8
    covered = sum(one.own[0].low <= math.log(1.1) <= one.own[0].high for one in found)
    assert covered >= 57
    if drift:
        assert sum(one.shift is not None and one.shift.sure for one in found) >= 57


def test_two_slowed_layouts_do_not_hide_each_other() -> None:
    """Both are found, the others are not called faster, and what all have in common is told by those six alone."""
    quiet = [(MeasuredTime(1.0, 0.005, 0.002), MeasuredTime(1.0 + 0.002 * at, 0.005, 0.002)) for at in range(8)]
    slow = [(old, replace(new, seconds=1.12)) for old, new in quiet[:2]]
    found = time_differences([*slow, *quiet[2:]])
    assert [own.sure for own in found.own] == [True, True, *[False] * 6]
    assert found.shift.value == time_differences(quiet[2:]).shift.value


def test_few_layouts_are_judged_each_by_itself() -> None:
    """One layout, 3 % slower: within noise and drift; 30 %: beyond. No shift is told from so few."""
    for seconds, sure in ((1.03, False), (1.3, True)):
        found = time_differences([(MeasuredTime(1.0, 0.003, 0.001), MeasuredTime(seconds, 0.003, 0.001))])
        assert (found.shift, found.own[0].sure) == (None, sure)
    assert found.own[0].percents[0] == pytest.approx(30)


def test_iterations_that_hang_together_count_less() -> None:
    """Forty that alternate are as good as sixteen; forty of which the later half is slower are two halves."""
    assert independent([1.0, 1.1] * 20) == 16
    assert independent([1.0] * 20 + [1.1] * 20) < 6
    assert independent([1.0, 1.0, 1.0]) == 3
    of_table = MeasuredTime.of_spread(2.0, 0.06745, 4)
    assert of_table.scatter == pytest.approx(0.05)
    assert of_table.error == pytest.approx(0.05 * 1.2533 / math.sqrt(2), rel=1e-3)


def test_a_difference_within_the_rounding_of_logs_is_none() -> None:
    """2.0 s and 2.2 s of steady runs differ, but not where the logs give no more than 2.0 and 2.2 to half a tenth."""
    assert MeasuredTime(2.0, 0.001, 0.0).rounded(0.1).error == pytest.approx(0.05 / math.sqrt(3))
    steady = {"iteration_seconds_half_interquartile_range": 0.001, "records_used": 20}
    for rounding, verdict in ((0.0005, "slower"), (0.1, "no difference beyond noise")):
        values = steady | {"iteration_seconds_rounding": rounding}
        assert verdicts(compared(sweep(2.0, **values), sweep(2.2, **values))) == {"n1": verdict}


def test_hundreds_of_layouts_are_compared() -> None:
    """Five of four hundred are slower by 20 %: those and no others are found."""
    before = [1.0 + at / 500 for at in range(400)]
    after = [seconds * (1.2 if at % 80 == 7 else 1 + 0.004 * (at % 3 - 1)) for at, seconds in enumerate(before)]
    found = compared(sweep(*before), sweep(*after))
    assert [slug for slug, verdict in verdicts(found).items() if verdict == "slower"] == [
        f"n{at + 1}" for at in range(400) if at % 80 == 7
    ]
    assert "no difference beyond noise" in verdicts(found).values()


# Which rows are one layout, and what becomes of the others


def test_rows_are_matched_by_their_fields() -> None:
    """Slug, model name and campaign may differ; nodes, batch, clock, variant, settings and shape may not."""
    of_workload = {field.column: field.default for field in COLUMNS.values() if field.of_workload}
    before = [row("a", campaign="april", model="m", **of_workload)]
    assert len(match(before, [row("b", campaign="june", model="other", **of_workload)]).pairs) == 1
    for name in LAYOUT_COLUMNS:
        found = match(before, [row("a", **{name: "v" if name == "variant" else 7})])
        assert (len(found.pairs), len(found.vanished), len(found.appeared)) == (0, 1, 1), name


def test_a_table_without_settings_is_matched_by_the_rest() -> None:
    """Tables of earlier versions name no precision: their rows are of the layouts that are otherwise alike."""
    new = [row("a", precision="fp8"), row("b", precision="fp8", nodes=5)]
    assert [(one["slug"], other["slug"]) for one, other in match([row("a")], new).pairs] == [("a", "a")]
    assert not match([row("a", precision="bf16")], new[:1]).pairs


def test_rows_alike_are_matched_by_slug_or_not_at_all() -> None:
    """Two rows of one layout: those with a partner of their name are compared, the last by itself, others named."""
    found = match([row("a"), row("b")], [row("b"), row("c")])
    assert [(old["slug"], new["slug"]) for old, new in found.pairs] == [("b", "b"), ("a", "c")]
    found = match([row("a"), row("b")], [row("c")])
    assert not found.pairs and len(found.unclear) == 1
    assert "cannot be told apart" in markdown(
        compare(ComparedSweep("o", [row("a"), row("b")], {}), ComparedSweep("n", [row("c")], {}), 5)
    )


def test_a_run_that_was_not_read_is_no_regression() -> None:
    """It ended well, and nobody knows how much it did: neither worse nor better than the other."""
    base = sweep(1.0, 1.0)
    unread = [base[0], base[1] | {"outcome": "unread", "iteration_seconds": None, "iteration_seconds_median": None}]
    for before, after in ((base, unread), (unread, base)):
        found = compared(before, after)
        assert (verdicts(found)["n2"], found.regression) == ("cannot say", False)


def test_outcomes_and_rows_that_vanish_are_regressions() -> None:
    """ok to out of memory, or to nothing, is worse; the other way is not; new rows are no regression."""
    base = sweep(1.0, 1.0, 1.0, 1.0, None)
    after = sweep(1.0, 1.0, 1.0, None, 1.0)
    found = compared(base, after)
    assert verdicts(found)["n4"] == "worse outcome" and verdicts(found)["n5"] == "better outcome" and found.regression
    assert not compared(sweep(1.0, 1.0, None), sweep(1.0, 1.0, 1.0)).regression
    assert compared(base, base[:-1]).regression
    assert not compared(base[:-1], base).regression
    pending = [*base[:3], base[3] | {"state": "pending", "outcome": None, "iteration_seconds": None}, base[4]]
    assert compared(base, pending).layouts[0].reason == "ok, then pending" and compared(base, pending).regression


@pytest.mark.parametrize("left_out", ["skipped", "pruned"])
def test_what_was_not_run_has_no_outcome(left_out: str) -> None:
    """What memory, budget or search left out in a sweep neither ended worse there nor better in the other."""
    base = sweep(1.0, 1.0, 1.0, 1.0, None)
    nothing = {"state": left_out, "outcome": None, "iteration_seconds": None, "iteration_seconds_median": None}
    without = [*base[:3], base[3] | nothing, base[4] | nothing]
    for before, after, reason in (
        (base, without, f"ok, then {left_out}"),
        (without, base, f"{left_out}, then ok"),
        (without, without, f"{left_out}, then {left_out}"),
    ):
        found = compared(before, after)
        assert (verdicts(found)["n4"], verdicts(found)["n5"], found.regression) == ("not run", "not run", False)
        assert reason in [one.reason for one in found.layouts]
        assert " 2 not run, before or after, since " in markdown(found)


def test_new_rows_show_what_is_new_in_them() -> None:
    """A parameter and an axis that all new rows have alike stand in their table, since the other sweep has others."""
    old = [row("n1", MALLOC_ARENA_MAX="4"), row("n2", nodes=2, MALLOC_ARENA_MAX="4")]
    new = [row(f"{one['slug']}-8", nodes=one["nodes"], MALLOC_ARENA_MAX="8", context=2) for one in old]
    text = markdown(compared(old, [*old, *new]))
    heading, _, first, second = text.partition("## Appeared\n\n")[2].splitlines()
    cells = [[cell.strip() for cell in line.split("|")] for line in (heading, first, second)]
    for name, value in (("MALLOC_ARENA_MAX", "8"), ("CP", "2")):
        assert [line[cells[0].index(name)] for line in cells[1:]] == [value, value]
    assert "MALLOC_ARENA_MAX" not in text.partition("## Appeared")[0]


def test_tolerance_and_noise_decide_together() -> None:
    """10 % in one layout: a regression at 5 % tolerance, none at 20 %; 20 % in all of them is one as a whole."""
    base = sweep(*[1.0] * 8)
    after = sweep(1.1, *[1.0] * 7)
    found = compared(base, after)
    assert verdicts(found) == {"n1": "slower"} | {f"n{nodes}": "no difference beyond noise" for nodes in range(2, 9)}
    assert found.regression and not compared(base, after, 20).regression
    found = compared(base, sweep(*[1.2] * 8))
    assert found.shift_regression and set(verdicts(found).values()) == {"no difference beyond noise"}
    assert not compared(sweep(*[1.2] * 8), base).regression


# What is printed


def table_of(folder: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """A results folder with these rows."""
    folder.mkdir(parents=True)
    (folder / "results.csv").write_text(to_csv(build([], rows)))
    return folder


def test_markdown(tmp_path: Path, golden: Any) -> None:
    """The whole text: summary, table with what got worse first, vanished and appeared rows."""
    before = [*sweep(1.0, 2.0, 3.0, 4.0, 5.0, 6.0), row("n7", 7.0, nodes=7, memory_mib=900.0), row("n9", 1.0, nodes=9)]
    after = [
        *sweep(1.01, 2.2, 3.02, 4.02, 5.04, None),
        row("n7", 7.07, nodes=7, memory_mib=990.0),
        row("n8", 1, nodes=8),
    ]
    golden("compare.md", markdown(compared(before, after)))


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Exit code and all output of the command, in this process."""
    try:
        code = main(list(words))
    except SystemExit as end:
        code = int(end.code or 0)
    return code, "".join(capsys.readouterr())


def test_csv_has_a_line_for_every_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Matched, vanished and appeared ones, with units in the column names and empty cells for what is not known."""
    old, new = (
        table_of(tmp_path / "old", sweep(1.0, 2.0)),
        table_of(tmp_path / "new", [*sweep(1.5), row("n9", nodes=9)]),
    )
    code, shown = said(capsys, "compare", str(old), str(new), "--format", "csv")
    lines = list(csv.DictReader(io.StringIO(shown)))
    assert code == 1 and tuple(lines[0]) == CSV_COLUMNS
    assert [line["verdict"] for line in lines] == ["slower", "vanished", "appeared"]
    assert float(lines[0]["difference_percent"]) == pytest.approx(50)
    assert (lines[1]["iteration_seconds_before"], lines[1]["iteration_seconds_after"]) == ("2.0", "")


def real_sweep(folder: Path, slowed: float = 0.0) -> Path:
    """The results folder of six layouts with logs of twelve iterations, measured; the first is slowed by a share."""
    sweep = sweep_of(
        [{"nodes": [1, 2, 4, 8, 16, 32], "micro_batch": 1, "global_batch": 64, "sequence_length": 2048}],
        iterations={"total": 12, "warmup": 2},
    )
    runs, noise = [], random.Random(folder.name)
    for layout in layouts_of(sweep):
        place = folder / "layouts" / layout.slug
        place.mkdir(parents=True)
        seconds = 64 / layout.nodes * (1 + slowed * (layout.nodes == 1)) * math.exp(noise.gauss(0, 0.002))
        lines = [record_line(at, 12, seconds * math.exp(noise.gauss(0, 0.003))) for at in range(1, 13)]
        runs.append(run_of(sweep, layout, place, lines))
        measurement = runs[-1].measurement
        assert measurement is not None
        (place / "measurement.json").write_text(measurement.to_json())
        (place / "job.sh").write_text(
            f"directory={place}\n# key:     k{folder.name}\ncd -- /tmp\ntrain --flag={slowed}\n"
        )
        facts = f"software\ttorch\t2.{int(10 * slowed)}\nhost\tname\tsame\nenvironment\tWHERE\t{place}/x\n"
        (place / f"{layout.slug}.provenance").write_text(facts)
    (folder / "results.csv").write_text(to_csv(build(runs)))
    return folder


def test_the_command_compares_results_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured series are used; the same again is exit code 0, a slowed layout 1 with the command that explains it."""
    for name, slowed in (("a", 0.0), ("b", 0.0), ("c", 0.1)):
        real_sweep(tmp_path / "results" / name, slowed)
    monkeypatch.chdir(tmp_path)
    code, same = said(capsys, "compare", "a", "results/b/results.csv")
    assert code == 0, same
    assert "No regression (tolerance 5 %). 6 layouts were measured both times. None differs beyond noise." in same
    slower = run_nodesweep(tmp_path, "compare", "a", "c")
    slug = next(path.name for path in (tmp_path / "results/a/layouts").iterdir() if path.name.startswith("n1-"))
    assert slower.returncode == 1
    assert f"1 is slower beyond noise beside the others: {slug} +" in slower.stdout
    hint = f"nodesweep diff results/a:{slug} results/c:{slug}"
    assert f"    {hint}\n" in slower.stdout
    code, told = said(capsys, *hint.split()[1:])
    assert code == 0 and "-train --flag=0.0" in told and "+train --flag=0.1" in told
    assert "| torch | 2.0      | 2.1     |" in told and "WHERE" not in told
    assert said(capsys, "diff", "a:n1-", "c") == (0, told)
    assert "may be 3 rows" in said(capsys, "diff", "n1-", "n2-")[1]
    assert "begins 6 rows of a" in said(capsys, "diff", "a:n", "c")[1]
    assert "has many layouts" in said(capsys, "diff", "a", "c")[1]


def test_what_cannot_be_compared_is_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No folder, a table of something else, no layout in common: one line that says so."""
    table_of(tmp_path / "results" / "a", sweep(1.0))
    table_of(tmp_path / "results" / "b", [row("n9", None, nodes=1)])
    table_of(tmp_path / "results" / "c", []).joinpath("results.csv").write_bytes(b"\xff\x00 nodes\n" + b"x" * 200_000)
    monkeypatch.chdir(tmp_path)
    for pair in (("a", "nowhere"), ("a", "c"), ("a", "a/results.csv/x"), ("b", "b")):
        code, shown = said(capsys, "compare", *pair)
        assert (code, len(shown.splitlines())) == (2, 1), shown
    assert said(capsys, "compare", "a", "a", "--tolerance", "-1")[0] == 2


def test_hostile_text_is_inert(tmp_path: Path) -> None:
    """Names, evidence and facts of a run reach the comparison and the diff as text that does nothing."""
    before, after = row("n1" + HOSTILE, variant=HOSTILE), row("n2" + HOSTILE, None, variant=HOSTILE)
    old = ComparedSweep(HOSTILE, [before, row("v" + HOSTILE, nodes=3)], {})
    shown = markdown(compare(old, ComparedSweep(HOSTILE, [after], {}), 5))
    facts = [Fact("software", HOSTILE, HOSTILE), Fact("environment", "A", HOSTILE)]
    script = f"#!/bin/bash\n{HOSTILE}\n"
    other = [Fact("software", HOSTILE, "1"), Fact("host", "name", HOSTILE)]
    told = document(NotedRun(HOSTILE, before, script, facts), NotedRun(HOSTILE, after, "x\n" + script, other))
    for line in f"{shown}\n{told}".splitlines():
        assert line.isprintable(), line
        if not line.startswith("    "):  # lines of code mean themselves
            assert "<script" not in line and "](y)" not in line.replace("\\]", "") and " # heading" not in line


def test_a_diff_shows_where_long_values_part_and_counts_what_is_equal() -> None:
    """Paths, keys and slugs are no differences; the job's own numbers come last; a run without facts is named."""
    head = "directory=/r/{0}/layouts/n1\n# key:     key{0}\ncd -- /work\n"
    path = ":".join(f"/opt/tool{number}/bin" for number in range(30))
    facts = [Fact("environment", "PATH", path), Fact("environment", "SLURM_JOB_ID", "1"), Fact("host", "kernel", "6")]
    again = [Fact("environment", "PATH", path[:-3] + "sbin"), Fact("environment", "SLURM_JOB_ID", "2"), facts[2]]
    facts.append(Fact("environment", "HERE", "/r/a/layouts/n1/x"))
    again.append(Fact("environment", "HERE", "/r/b/layouts/n1/x"))
    told = document(NotedRun("a", row(), head.format("a"), facts), NotedRun("b", row(), head.format("b"), again))
    assert "## Environment" in told and "…l28/bin:/opt/tool29/bin" in told and "## Script" not in told
    assert (
        told.index("## Environment") < told.index("## Of the jobs themselves") < told.index("SLURM\\_JOB\\_ID")
        if ("SLURM\\_JOB" in told)
        else told.index("## Of the jobs themselves") < told.index("SLURM_JOB_ID")
    )
    assert told.endswith("Equal: the script, 1 of host, 1 of environment.\n")
    assert "Nothing was noted of b" in document(NotedRun("a", row(), "", facts), NotedRun("b", row(), "", ()))


def test_an_interval_says_whether_it_is_beyond_noise() -> None:
    """In percent of the time before: a logarithm of 0.1 is 10.5 %."""
    assert Interval(0.1, 0.01, 0.2).sure and not Interval(0.1, -0.01, 0.2).sure
    assert json.dumps([round(value, 1) for value in Interval(0.1, -0.1, 0.2).percents]) == "[10.5, -9.5, 22.1]"
