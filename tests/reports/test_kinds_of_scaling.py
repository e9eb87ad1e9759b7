"""Weak and throughput scaling beside strong scaling: sentences, the table of the best, figures, predictions."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas
import pytest
from fugaku_runs import june
from sweeps import toy, write
from written_logs import STARTED, layouts_of, record_line, run_of, sweep_of

from nodesweep.cli.main import main
from nodesweep.config.columns import TIDY
from nodesweep.config.tidy_row import TidyRow
from nodesweep.performance.calibration.fit import calibrate
from nodesweep.performance.forecast import TimeForecast, forecast
from nodesweep.performance.predict import WhatIf
from nodesweep.performance.timing import TimeParts
from nodesweep.reports.figures import Figure, figures_of
from nodesweep.reports.figures.curves import by_calibrations
from nodesweep.reports.figures.drawing import below
from nodesweep.reports.figures.kinds import series_of_kinds
from nodesweep.reports.figures.series import shared
from nodesweep.reports.scaling import sentence
from nodesweep.reports.tables.explanation import explained_of, explanation
from nodesweep.results.metrics import Basis, explain
from nodesweep.results.predicted_scaling import batch_of_ranks, predicted_efficiencies, scales_weakly
from nodesweep.results.rows import LayoutRun
from nodesweep.results.scaling import REST, ScalingLoss
from nodesweep.results.scaling_kinds import STRONG as STRONG_SCALING
from nodesweep.results.scaling_kinds import ScalingSeries
from nodesweep.results.table import build, explained, records
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.study import Study

POINT = {"sequence_length": 128, "pipeline": 1}
STRONG = [(1, 16, 100.0), (2, 16, 60.0), (4, 16, 40.0)]
WEAK = [(1, 16, 100.0), (2, 32, 110.0), (4, 64, 125.0)]
BOTH = [*STRONG, *WEAK[1:]]
FREE = [(1, 16, 100.0), (2, 24, 60.0), (4, 40, 80.0)]
Times = list[tuple[int, int, float]]


def table(folder: Path, times: Times, **more: Any) -> pandas.DataFrame:
    """The explained table of a sweep that ran these nodes, global batches and seconds, on one rank a node."""
    points = [{**POINT, "nodes": nodes, "global_batch": batch, **more} for nodes, batch, _ in times]
    sweep = sweep_of(points)
    seconds = {(nodes, batch): value for nodes, batch, value in times}
    runs: list[LayoutRun] = [
        run_of(
            *(sweep, layout, folder),
            [STARTED, *(record_line(number, 3, seconds[layout.nodes, layout.global_batch]) for number in (1, 2, 3))],
        )
        for layout in layouts_of(sweep)
    ]
    return explained(build(runs), Basis(sweep, {run.layout.slug: run.layout for run in runs}))


def rows(folder: Path, times: Times) -> list[TidyRow]:
    """The rows of such a table."""
    return records(table(folder, times))


def figures(found: list[TidyRow]) -> tuple[dict[str, Figure], dict[str, str]]:
    """The figures of rows by name, and the reasons of the others."""
    drawn, missing = figures_of(found, sweep_of([{**POINT, "nodes": 1, "global_batch": 16}]), {})
    return {one.name: one for one in drawn}, {one.name: one.reason for one in missing}


def lines(figure: Figure, kind: str, value: str) -> list[tuple[str, int, float]]:
    """The points of the lines of a kind."""
    return [
        (one["series"], one["nodes"], round(one[value], 1)) for one in figure.layers["lines"] if one["kind"] == kind
    ]


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (STRONG, ["From 1 to 4 nodes: 62 % of the speed per node is left. No fit tells where the rest goes."]),
        (
            WEAK,
            [
                "Weak scaling from 1 to 4 nodes (GBS 16 a rank): 80 % of the speed per node is left. "
                "No fit tells where the rest goes."
            ],
        ),
        (
            BOTH,
            [
                "Strong scaling from 1 to 4 nodes (GBS 16): 62 % of the speed per node is left. "
                "No fit tells where the rest goes.",
                "Weak scaling from 1 to 4 nodes (GBS 16 a rank): 80 % of the speed per node is left. "
                "No fit tells where the rest goes.",
            ],
        ),
        (
            FREE,
            [
                "Throughput scaling from 1 to 4 nodes (any GBS; GBS 16, then GBS 40): 78 % of the speed per node is "
                "left. No fit tells where the rest goes."
            ],
        ),
        (
            [(1, 16, 100.0), (2, 32, 100.5)],
            ["Weak scaling from 1 to 2 nodes (GBS 16 a rank): the speed per node stays the same."],
        ),
    ],
)  # fmt: skip
def test_what_is_lost_in_words(tmp_path: Path, times: Times, said: list[str]) -> None:
    """A sentence for each series; a strong one that stands alone is told as ever."""
    found = explained_of(table(tmp_path, times))
    assert found is not None and list(found.losses) == said
    assert ("Weak scaling: the global batch grows with the ranks." in found.kinds) == any("Weak" in one for one in said)


def loss_of(between: tuple[float, float] | None, kept: float, **flagged: str) -> ScalingLoss:
    """A strong loss from 1 to 4 nodes that the sync has all of."""
    first = dict.fromkeys(TIDY) | {"nodes": 1, "slug": "base", "global_batch_samples": 16} | flagged
    last = dict.fromkeys(TIDY) | {"nodes": 4, "slug": "last", "global_batch_samples": 16}
    series = ScalingSeries(STRONG_SCALING, "16", (first, last))
    return ScalingLoss(first, last, {"the DP sync": 1 / kept, REST: 1.0}, series, between)


def test_no_more_is_said_than_the_fit_tells() -> None:
    """A sync that doubles the time where it grows by a quarter, 3.1 times the loss in logarithms, explains nothing."""
    far = replace(loss_of(None, 0.8), factors={"the DP sync": 2.0, REST: 0.625})
    said = sentence(far, (), campaigns=False)
    assert said.endswith("80 % of the speed per node is left. The fit is too far off to tell what the loss goes to.")


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (loss_of(None, 0.8), "80 % of the speed per node is left. Of the loss 100 % goes to the DP sync."),
        (
            loss_of((0.75, 0.85), 0.8),
            "80 % (75 to 85 % by its runs) of the speed per node is left. Of the loss 78 to 137 % goes to the DP sync.",
        ),
        (
            loss_of((0.6, 0.9), 0.8),
            "80 % (60 to 90 % by its runs) of the speed per node is left. "
            "Its runs differ too much to tell what the loss goes to.",
        ),
        (
            loss_of((0.7, 1.1), 0.9),
            "90 % (70 to 110 % by its runs) of the speed per node is left: too far apart to tell whether any is lost.",
        ),
        (
            loss_of((1.2, 1.3), 1.25),
            "the speed per node grows to 125 % (120 to 130 % by its runs). "
            "Of the gain 85 to 122 % comes by the DP sync.",
        ),
        (loss_of((0.97, 1.03), 1.0), "the speed per node stays the same (97 to 103 % by its runs)."),
        (
            loss_of((0.83, 1.2), 1.0),
            "100 % (83 to 120 % by its runs) of the speed per node is left: too far apart to tell whether any is lost.",
        ),
        (
            loss_of(None, 0.8, flags="runs disagree: 1 to 2 s; 1 iteration only"),
            "80 % of the speed per node is left. Of the loss 100 % goes to the DP sync. "
            "All is compared with base, which is flagged: runs disagree: 1 to 2 s and 1 more.",
        ),
        (
            loss_of((0.75, 0.85), 0.8, flags="runs disagree: 1 to 2 s"),  # the interval says it
            "80 % (75 to 85 % by its runs) of the speed per node is left. Of the loss 78 to 137 % goes to the DP sync.",
        ),
    ],
)  # fmt: skip
def test_no_more_is_said_than_runs_tell(loss: ScalingLoss, said: str) -> None:
    """A loss has its interval; causes are told where that leaves them a meaning, and a doubtful base is named."""
    assert sentence(loss, (), campaigns=False) == f"From 1 to 4 nodes: {said}"


GRID = [(nodes, batch, 6.0 * batch / nodes + 4.0) for nodes in (1, 2, 4) for batch in (16, 32, 64)]


def test_a_grid_of_nodes_and_batches(tmp_path: Path) -> None:
    """Many batches of one problem are one sentence for each kind; GBS 16 takes 100 s on 1 node, 28 s on 4: 89 %."""
    frame = table(tmp_path, GRID)
    found = explained_of(frame)
    assert found is not None and found.best is not None
    assert found.losses == (
        "Strong scaling from 1 to 4 nodes at 3 global batches: of the speed per node is left "
        "89 % at GBS 16, 94 % at GBS 32, 97 % at GBS 64.",
        "Weak scaling at 3 batches per rank: of the speed per node is left 100 % at GBS 16 a rank from 1 to 4 nodes, "
        "100 % at GBS 32 a rank from 1 to 2 nodes, 100 % at GBS 8 a rank from 2 to 4 nodes.",
    )
    headings, best = found.best
    assert headings[:6] == ["Scaling", "Nodes", "Best measured", "Sec/it", "Tokens/s", "Efficiency"]
    assert [line[0] for line in best] == [
        *["any GBS"] * 3,
        *(f"strong, GBS {gbs}" for gbs in (16, 32, 64) for _ in "124"),
    ]
    assert [line[5] for line in best[:4]] == ["-", "-", "-", "100.0 %"] and best[5][5] == "89.3 %"
    drawn, _ = figures(records(frame))
    assert drawn["tflops"].series == ("GBS 16", "GBS 32", "GBS 64"), "each row once"
    assert drawn["weak-scaling"].series == ("GBS 16 a rank", "GBS 32 a rank", "GBS 8 a rank")
    assert drawn["weak-scaling"].x == ("nodes", "Nodes (weak scaling)")


def test_repeated_rows_have_intervals_of_their_efficiency(tmp_path: Path) -> None:
    """100 s of 95 to 105 against 40 s of 36 to 44 on 4 nodes: 62.5 %, between 54 and 73, in words, table, figure."""
    frame = table(tmp_path, BOTH)
    base, last = (frame["nodes"] == 1), (frame["nodes"] == 4) & (frame["global_batch_samples"] == 16)
    for chosen, low, high in ((base, 95.0, 105.0), (last, 36.0, 44.0)):
        frame.loc[chosen, ["run_seconds_low", "run_seconds_high"]] = [low, high]
    for name, percent in (("compute_percent", 100.0), ("bubble_percent", 0.0), ("sync_percent", 0.0)):
        frame[name] = percent
    frame["sharing_percent"] = 0.0
    found = explained_of(frame)
    assert found is not None and found.best is not None
    assert "62 % (54 to 73 % by its runs) of the speed per node is left." in found.losses[0]
    assert "62.5 % (54 to 73)" in [line[5] for line in found.best[1]]
    assert found.times is not None
    column = [one.heading for one in found.times.view.columns].index("Efficiency")
    cells = [found.times.view.cells(one)[column] for one in found.times.rows]
    assert cells == ["100.0 %", "83.3 %", "62.5 % (54 to 73)", "-", "-"]
    number = next(number for number, one in enumerate(last) if one)
    why = explain(Basis(), records(frame))[number]["scaling_efficiency_percent"].sentences
    assert "53.98 to 72.92 while both times lie within the intervals of their runs" in why
    (mark,) = (mark for mark in figures(records(frame))[0]["efficiency"].layers["marks"] if "low" in mark)
    assert (round(mark["low"], 1), mark["percent"], round(mark["high"], 1)) == (54.0, 62.5, 72.9)


def test_what_all_rows_have_in_common_fits() -> None:
    """Recomputation of whole layers says that activations are recomputed; what is longer than a line goes on below."""
    row = dict.fromkeys(TIDY) | {"tensor": 1, "activation_checkpointing": True, "recomputation": "full"}
    assert shared([row], "nodes") == "MP 1, Recomputation full"
    assert shared([row | {"recomputation": "selective"}], "nodes") == "MP 1, Recomputation selective"
    assert shared([row | {"recomputation": None}], "nodes") == "MP 1, AC on"
    assert shared([row | {"activation_checkpointing": False, "recomputation": "none"}], "nodes") == "MP 1, AC off"
    lines = below(", ".join(["30B", *(f"parameter {number}" for number in range(20))]))
    assert len(lines) == 2 and all(len(line) <= 68 for line in lines) and lines[1].endswith("…")


def test_as_good_at_another_batch(tmp_path: Path) -> None:
    """A layout of another batch is as good by its tokens per second: 32 samples in 200 s are 20, of 128 tokens each."""
    found = explained_of(table(tmp_path, [(1, 16, 100.0), (1, 32, 200.0), (2, 16, 50.0), (2, 32, 100.0)]))
    assert found is not None and found.best is not None
    first = found.best[1][0]
    assert first[:3] == ["any GBS", "1", "DP 1, GBS 16"] and first[-1] == "DP 1, GBS 32: 20 tokens/s"


def test_the_plan_names_what_will_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything runs plan.md says of which kinds its layouts are; nothing where there are none."""
    monkeypatch.chdir(tmp_path)
    both = [{"nodes": [1, 2, 4], "global_batch": 16, "sequence_length": 128}]
    both += [{"nodes": [2, 4], "global_batch": "{{ 16 * ranks }}", "sequence_length": 128}]
    grid = [{"nodes": [1, 2, 4], "global_batch": [16, 32], "sequence_length": 128}]
    for layouts, said in (
        (both, "Scaling: strong over 1, 2, 4 nodes (GBS 16); weak over 1, 2, 4 nodes (GBS 16 a rank)."),
        (grid, "Scaling: strong over 1, 2, 4 nodes (GBS 16, 32); weak over 1, 2 nodes (GBS 16 a rank); "
               "weak over 2, 4 nodes (GBS 8 a rank)."),
        ([{"nodes": [1, 2, 4], "global_batch": "{{ [12, 16, 20][nodes // 2] }}", "sequence_length": 128}],
         "Scaling: throughput over 1, 2, 4 nodes (any GBS)."),
        ([{**grid[0], "nodes": [1, 2, 4, 8, 16, 32], "global_batch": [32, 64, 128]}],
         "Scaling: strong over 6 numbers of nodes from 1 to 32 (GBS 32, 64, 128); weak over 1, 2, 4 nodes "
         "(GBS 32 a rank); weak over 2, 4, 8 nodes (GBS 16 a rank); 4 more weak series."),
        ([{**both[0], "nodes": 2}], ""),
    ):  # fmt: skip
        config = str(write(tmp_path / "sweep.yaml", toy(layouts=layouts)))
        assert main(["plan", "--configfile", config]) == 0
        plan = Path("results/toy/plan.md").read_text()
        assert said in plan and ("Scaling: " in plan) == bool(said)


def test_the_section_of_a_sweep_that_scales_both_ways(tmp_path: Path) -> None:
    """Columns for both efficiencies, what they mean, and the best layouts of each series."""
    text = explanation(sweep_of([{**POINT, "nodes": 1, "global_batch": 16}]), table(tmp_path, BOTH))
    meaning = "speed per node against the fewest nodes with the same model, MP and batch per rank"
    assert f"- Weak efficiency = {meaning}" in text
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    best = [line for line in cells if line[0] in ("any GBS", "strong, GBS 16", "weak, GBS 16 a rank")]
    assert [line[:2] for line in best if line[0].startswith("weak")] == [
        ["weak, GBS 16 a rank", nodes] for nodes in ("1", "2", "4")
    ]
    assert len(best) == 9
    heading = next(line for line in cells if "Weak efficiency" in line)
    places = heading.index("Efficiency"), heading.index("Weak efficiency")
    shown = [tuple(line[place] for place in places) for line in cells if len(line) == len(heading)][2:7]
    assert shown == [("100.0 %", "100.0 %"), ("83.3 %", "-"), ("62.5 %", "-"), ("-", "90.9 %"), ("-", "80.0 %")]


def test_figures_of_a_weak_sweep(tmp_path: Path) -> None:
    """Ideally 100 s stay 100 s; a strong figure is missing for a reason that is true, and TFLOPs are one line."""
    drawn, missing = figures(rows(tmp_path, WEAK))
    weak = drawn["weak-scaling"]
    assert lines(weak, "measured", "seconds") == [("all", 1, 100.0), ("all", 2, 110.0), ("all", 4, 125.0)]
    assert lines(weak, "ideal", "seconds") == [("all", 1, 100.0), ("all", 2, 100.0), ("all", 4, 100.0)]
    assert "GBS 16 a rank" in weak.below
    assert missing["strong-scaling"] == "no two numbers of nodes ran alike with one global batch; see weak-scaling"
    assert [name for name, *_ in lines(drawn["tflops"], "measured", "tflops")] == ["all"] * 3


def test_figures_of_a_sweep_that_scales_both_ways(tmp_path: Path) -> None:
    """Each figure has its own rows, the smallest node count in both; TFLOPs have a line of each."""
    drawn, missing = figures(rows(tmp_path, BOTH))
    assert lines(drawn["strong-scaling"], "measured", "seconds") == [
        ("all", 1, 100.0),
        ("all", 2, 60.0),
        ("all", 4, 40.0),
    ]
    assert lines(drawn["strong-scaling"], "ideal", "seconds") == [("all", 1, 100.0), ("all", 2, 50.0), ("all", 4, 25.0)]
    assert len(drawn["strong-scaling"].layers["points"]) == 3 == len(drawn["weak-scaling"].layers["points"])
    assert drawn["tflops"].series == ("GBS 16", "GBS 16 a rank")
    assert "throughput-scaling" in missing


def test_the_figure_of_a_free_batch(tmp_path: Path) -> None:
    """16 samples in 100 s on 1 node are 20.5 tokens/s: ideally 41 on 2 and 81.9 on 4, measured 51.2 and 64."""
    drawn, missing = figures(rows(tmp_path, FREE))
    free = drawn["throughput-scaling"]
    assert lines(free, "measured", "tokens") == [("all", 1, 20.5), ("all", 2, 51.2), ("all", 4, 64.0)]
    assert lines(free, "ideal", "tokens") == [("all", 1, 20.5), ("all", 2, 41.0), ("all", 4, 81.9)]
    assert {"strong-scaling", "weak-scaling"} <= set(missing)


def test_one_number_of_nodes(tmp_path: Path) -> None:
    """Nothing scales, and that is the reason given for each figure over nodes."""
    missing = figures(rows(tmp_path, [(2, 16, 60.0), (2, 32, 110.0)]))[1]
    names = ("strong-scaling", "weak-scaling", "throughput-scaling")
    assert {missing[name] for name in names} == {"no layout was measured on several numbers of nodes"}


def test_lines_join_what_differs_in_the_batch_alone(tmp_path: Path) -> None:
    """Weak rows of MP 1 with other stages are another line, as they are in strong scaling."""
    found = rows(tmp_path, WEAK)
    deeper = [{**row, "slug": f"{row['slug']}-pp", "pipeline": 2} for row in found]
    assert [len(one.rows) for one in series_of_kinds([*found, *deeper])] == [3, 3]
    (free, _) = figures([*found, *deeper])
    assert free["weak-scaling"].series == ("PP 1", "PP 2")


def test_the_curve_of_a_weak_series() -> None:
    """June's MP 4 at 48 micro batches a replica: on 6144 nodes GBS 1536, as measured, and on 12288 twice that."""
    sizes = {"tensor": 4, "pipeline": 48, "micro_batch_samples": 1, "sequence_length_tokens": 2048, "ranks_per_node": 1}
    sizes |= {"layers": 48, "hidden_size": 7168, "attention_heads": 56, "vocab_size": 50257, "campaign": "june"}
    sizes |= {"source": "import", "activation_checkpointing": True}
    rows_of_june = [
        dict.fromkeys(TIDY) | sizes | {"nodes": nodes, "data": nodes // 192, "global_batch_samples": nodes // 4}
        for nodes in (1536, 6144)
    ]
    sweep = sweep_of([{**POINT, "nodes": 1, "global_batch": 16}])
    curve = by_calibrations(Basis(sweep, calibrations={"june": calibrate("june", june(), [], [])}))
    found = {one.nodes: one for one in curve(rows_of_june)}
    assert [(nodes, one.data) for nodes, one in found.items()] == [(1536, 8), (3072, 16), (6144, 32), (12288, 64)]
    assert found[6144].seconds == pytest.approx(252.05, rel=0.02)
    assert found[1536].seconds < found[6144].seconds, "only the sync grows"


def test_a_layout_is_predicted_as_it_scales(tmp_path: Path) -> None:
    """GBS 32 on 2 nodes is in a weak series alone; GBS 16 on 1 node in both; 4 nodes in 40 s keep 62.5 %."""
    layouts = layouts_of(sweep_of([{**POINT, "nodes": nodes, "global_batch": batch} for nodes, batch, _ in BOTH]))
    by_size = {(layout.nodes, layout.global_batch): layout for layout in layouts}
    found = records(table(tmp_path, BOTH))
    assert [scales_weakly(found, by_size[size]) for size in ((1, 16), (2, 16), (2, 32))] == [False, False, True]
    assert batch_of_ranks(by_size[2, 32]) == "{{ 16 * ranks }}"
    percents = predicted_efficiencies(found, [_foreseen(by_size[4, 16], 40.0), _foreseen(by_size[4, 64], 125.0)])
    assert percents == [{"strong": 62.5}, {"weak": 80.0}]


def _foreseen(layout: Layout, seconds: float) -> WhatIf:
    """A layout that is predicted to take so long."""
    found = forecast(layout)
    time = TimeForecast(TimeParts(seconds, 0.0, 0.0), seconds, seconds, "", "")
    return WhatIf(layout, replace(found, time=time))


def test_predictions_follow_the_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A layout that scales weakly alone takes more samples to more nodes, unless it is told otherwise."""
    monkeypatch.chdir(tmp_path)
    blocks = [{"nodes": nodes, "global_batch": 8 * nodes, "sequence_length": 128} for nodes in (1, 2)]
    config = ["--configfile", str(write(tmp_path / "sweep.yaml", toy(layouts=blocks)))]
    assert main(["predict", "--nodes", "4", *config]) == 0
    assert "gbs16" in capsys.readouterr().out, "nothing was measured: the batch stays"
    assert main(["predict", "--nodes", "4", "--scaling", "weak", *config]) == 0
    said = capsys.readouterr().out
    assert "weak scaling: GBS 8 a rank; --global-batch 16 keeps it" in said and "n4-dp4-mp1-pp1-mbs1-gbs32" in said
    assert main(["predict", "--scaling", "weak", *config]) != 0
    assert "give --nodes too" in capsys.readouterr().err
    assert main(["predict", "--nodes", "4", "--global-batch", "64", "--scaling", "weak", *config]) != 0
    assert "leave out --scaling" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "like"), [("strong", "n4-dp4-mp1-pp1-mbs1-gbs16"), ("weak", "n4-dp4-mp1-pp1-mbs1-gbs64")]
)
def test_predictions_go_by_a_layout_that_scales_as_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], asked: str, like: str
) -> None:
    """GBS 64 on 4 nodes has the most tokens per second, but is in no strong series: GBS 16 has 3 rows."""
    monkeypatch.chdir(tmp_path)
    blocks = [{"nodes": nodes, "global_batch": batch, "sequence_length": 128} for nodes, batch, _ in BOTH]
    config = ["--configfile", str(write(tmp_path / "sweep.yaml", toy(layouts=blocks)))]
    found = records(table(tmp_path, BOTH))
    monkeypatch.setattr("nodesweep.cli.predict._rows", lambda study: named_as(study, found))
    assert main(["predict", "--nodes", "8", "--scaling", asked, *config]) == 0
    assert capsys.readouterr().out.startswith(f"like {like}-")


def named_as(study: Study, found: list[TidyRow]) -> list[TidyRow]:
    """The rows with the slugs that layouts of their size have in a study."""
    slugs = {(layout.nodes, layout.global_batch): layout.slug for layout in study.layouts.values()}
    return [{**row, "slug": slugs[row["nodes"], row["global_batch_samples"]]} for row in found]
