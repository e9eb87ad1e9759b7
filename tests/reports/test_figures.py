"""Figures: which of them rows allow, their points checked by hand, and what is written of hostile words."""

import json
import re
import struct
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import altair
import pandas
import pytest
from fugaku_runs import JUNE, june
from hypothesis import given, settings
from hypothesis import strategies as st
from sweeps import toy, write
from written_logs import sweep_of

from nodesweep.cli.main import main
from nodesweep.config.columns import TIDY
from nodesweep.performance.calibration.fit import calibrate
from nodesweep.reports.figures import NAMES, Figure, figures_of
from nodesweep.reports.figures.curves import CurvePoint, by_calibrations
from nodesweep.reports.figures.drawing import files_of, spec_of
from nodesweep.results.metrics import Basis
from nodesweep.results.table import to_csv

MACHINE = {
    "name": "m",
    "scheduler": "local",
    "memory_mib_per_node": 4096,
    "ranks_per_node": 2,
    "frequencies_ghz": [2.0],
}
POINT = [{"nodes": 1, "global_batch": 16, "sequence_length": 128}]
SWEEP = sweep_of(POINT, machine=MACHINE)


def row(nodes: int, seconds: float | None, tensor: int = 1, **changes: Any) -> dict[str, Any]:
    """A row of results.csv that ended well: two ranks a node, GBS 16 of 100 tokens, 1 TFLOP/s at 100 s."""
    data = 2 * nodes // tensor
    known = {
        "slug": f"n{nodes}-mp{tensor}-{'-'.join(map(str, changes.values()))}",
        **{"nodes": nodes, "ranks_per_node": 2, "ranks": 2 * nodes, "data": data, "tensor": tensor, "pipeline": 1},
        **{"micro_batch_samples": 1, "global_batch_samples": 16, "sequence_length_tokens": 100},
        **{"activation_checkpointing": True, "campaign": "runs", "model_size": "1B", "source": "run"},
        **{"state": "ended", "outcome": "ok", "iteration_seconds": seconds},
    }
    if seconds is not None:
        known |= {"tokens_per_second": 1600 / (seconds or 1), "tflops_per_node": 100 / (seconds or 1)}
    return dict.fromkeys(TIDY) | known | changes


def shares(compute: float, bubble: float, sync: float, efficiency: float | None) -> dict[str, float | None]:
    """Where the time of a row goes, in percent."""
    parts = {"compute_percent": compute, "bubble_percent": bubble, "sync_percent": sync, "sharing_percent": 0.0}
    return parts | {"scaling_efficiency_percent": efficiency}


FOUR = [
    row(
        2,
        100.0,
        iteration_seconds_error=10.0,
        memory_mib=1024.0,
        predicted_memory_mib=1536.0,
        **shares(95, 5, 0, 100.0),
    ),
    row(4, 60.0, memory_mib=1024.0, **shares(80, 10, 10, 83.3)),
    row(8, 40.0, **shares(60, 10, 30, 62.5)),
    row(2, 90.0, tensor=2, memory_mib=2048.0, outcome="oom", where="after iteration 1"),
]
BATCHES = [row(2, 50.0, global_batch_samples=8, tokens_per_second=16.0), *FOUR]
ALL = [*BATCHES, row(16, 60.0, global_batch_samples=40, tokens_per_second=66.7)]
"""Rows that allow every figure: 8 samples on 2 nodes and 16 on 4 scale weakly, 40 on 16 nodes at a batch of its own."""


def foreseen(rows: Any) -> list[CurvePoint]:
    """A made-up curve that goes on to 16 nodes."""
    return [CurvePoint(nodes, 2 * nodes, 200.0 / nodes, 190.0 / nodes, 210.0 / nodes) for nodes in (2, 4, 8, 16)]


def figure(name: str, rows: list[dict[str, Any]], *more: Any) -> Figure:
    """One of the figures of rows."""
    return next(one for one in figures_of(rows, SWEEP, {}, *more)[0] if one.name == name)


def values(figure: Figure, layer: str, *names: str) -> list[tuple[Any, ...]]:
    """These fields of the points of a layer."""
    return [tuple(point.get(name) for name in names) for point in figure.layers[layer]]


@pytest.fixture(scope="module")
def drawn() -> dict[str, dict[str, bytes]]:
    """The files of all figures, by name and suffix."""
    figures, missing = figures_of(ALL, SWEEP, {}, foreseen)
    assert (tuple(one.name for one in figures), missing) == (NAMES, [])
    return {one.name: files_of(one, spec_of(one, "A <title> & more")) for one in figures}


def test_the_ideal_line():
    """From the fewest nodes of a series, 100 s on 2: 50 s on 4, 25 s on 8, and on to where the model goes."""
    found = figure("strong-scaling", FOUR, foreseen)
    lines = values(found, "lines", "series", "kind", "nodes", "seconds")
    assert [line[2:] for line in lines if line[:2] == ("MP 1", "ideal")] == [(2, 100), (4, 50), (8, 25), (16, 12.5)]
    assert [line[2:] for line in lines if line[:2] == ("MP 1", "measured")] == [(2, 100), (4, 60), (8, 40)]
    assert [line[2:] for line in lines if line[:2] == ("MP 1", "model")] == [(2, 100), (4, 50), (8, 25), (16, 12.5)]
    assert {line[0] for line in lines} == {"MP 1"}, "one point makes no line"
    assert values(found, "band", "nodes", "low", "high")[-1] == (16, 11.875, 13.125)


def test_the_curve_of_the_model():
    """June's MP 4 goes on to 12288 nodes where the batch of 1536 splits, and to what `nodesweep predict` says there."""
    sizes = {"pipeline": 48, "global_batch_samples": 1536, "sequence_length_tokens": 2048, "ranks_per_node": 1}
    sizes |= {"layers": 48, "hidden_size": 7168, "attention_heads": 56, "vocab_size": 50257, "compute_percent": 50.0}
    rows = [
        row(nodes, seconds, tensor, **sizes, campaign="june", source="import") | {"data": data}
        for nodes, data, tensor, seconds in JUNE
        if tensor == 4
    ]
    curve = by_calibrations(Basis(sweep_of(POINT), calibrations={"june": calibrate("june", june(), [], [])}))
    found = figure("strong-scaling", rows, curve)
    model = dict(values(found, "band", "nodes", "seconds"))
    assert list(model) == [192, 384, 576, 768, 1152, 1536, 2304, 3072, 4608, 6144, 9216, 12288]
    assert model[6144] == pytest.approx(252.05, rel=0.02) and model[12288] == pytest.approx(207.4, rel=0.01)
    assert "Dashed" in found.caption


def test_points_of_strong_scaling():
    """Each timed row is a point with its slug, its series, its error bar, and whether it ended well."""
    points = values(figure("strong-scaling", FOUR), "points", "slug", "series", "seconds", "low", "high", "well")
    assert points[0] == (FOUR[0]["slug"], "MP 1", 100.0, 90.0, pytest.approx(110.0), True)
    assert points[-1] == (FOUR[3]["slug"], "MP 2", 90.0, None, None, False)
    assert len(points) == 4


def test_rates_fall_where_times_rise():
    """10 s more or less than 100 s: 1 TFLOP/s becomes 0.909, or 1.111."""
    low, high = values(figure("tflops", FOUR), "points", "low", "high")[0]
    assert (round(low, 3), round(high, 3)) == (0.909, 1.111)


def test_shares_are_stacked():
    """A bar begins at 0, each share where the last one ended, the last at 100; a diamond is an efficiency."""
    found = figure("efficiency", FOUR)
    bars = values(found, "bars", "nodes", "part", "start", "end")
    assert bars[:3] == [(2, "compute", 0, 95), (2, "bubble", 95, 100), (2, "DP sync", 100, 100)]
    assert [end for *_, part, _, end in bars if part == "DP sync"] == [100, 100, 100]
    assert values(found, "marks", "nodes", "percent") == [(2, 100.0), (4, 83.3), (8, 62.5)]
    assert "shared cores" not in found.caption


def test_memory_against_the_limit():
    """4096 MiB a node of two ranks are 2 GiB a rank; out of memory is a kind of its own."""
    found = figure("memory", FOUR)
    assert values(found, "peaks", "bar", "kind", "gib") == [
        ("2 nodes MP1", "measured", 1.0),
        ("2 nodes MP1", "predicted", 1.5),
        ("2 nodes MP1", "limit", 2.0),
        ("4 nodes MP1", "measured", 1.0),
        ("4 nodes MP1", "limit", 2.0),
        ("2 nodes MP2", "out of memory", 2.0),
        ("2 nodes MP2", "limit", 2.0),
    ]


@pytest.mark.parametrize(("source", "gib"), [("scheduler, of a node", 1.0), ("scheduler, of a job", 0.25)])
def test_memory_of_a_rank(source, gib):
    """Where the figure is of a node of two ranks, or of a job of eight, the peak is the rank's part of it."""
    found = figure("memory", [row(4, 10.0, memory_mib=2048.0, memory_source=source)])
    assert values(found, "peaks", "kind", "gib")[0] == ("measured", gib)


def test_throughput_needs_two_batches():
    """GBS 8 and 16 of one layout make a line of tokens per second; where one batch exists that is the reason given."""
    found = figure("throughput", BATCHES)
    assert values(found, "lines", "global_batch_samples", "tokens") == [(8, 16.0), (16, 16.0)]
    assert found.x == ("global_batch_samples", "Global batch [samples]")
    reasons = {one.name: one.reason for one in figures_of(FOUR, SWEEP, {})[1]}
    assert reasons == {
        "weak-scaling": "no two numbers of nodes ran alike with one batch per rank; see strong-scaling",
        "throughput-scaling": "no number of nodes ran with a batch of its own; strong and weak series have them all",
        "throughput": "no layout was measured with several batches",
    }


def test_the_micro_batch_where_it_alone_varies():
    """MBS 1 and 2: tokens per second stand against the micro batch."""
    found = figure("throughput", [row(2, 10.0), row(2, 8.0, micro_batch_samples=2)])
    assert values(found, "lines", "micro_batch_samples", "tokens") == [(1, 160.0), (2, 200.0)]


@pytest.mark.parametrize(
    ("rows", "allowed"),
    [
        ([], set()),
        ([row(2, None, state="queued", outcome=None, predicted_memory_mib=100.0)], set()),
        ([row(2, 10.0)], set()),
        ([row(2, 10.0), row(4, 5.0)], {"strong-scaling", "tflops"}),
        ([row(2, 10.0), row(4, -5.0), row(8, 0.0), row(16, float("inf"))], set()),
        ([row(2, 10.0), row(4, 5.0, tensor=2)], {"tflops"}),
        ([row(2, 10.0, memory_mib=5.0)], {"memory"}),
        ([row(2, 10.0, **shares(90, 10, 0, None))], {"efficiency"}),
        ([row(2, 10.0), row(2, 9.0, global_batch_samples=32)], {"throughput"}),
    ],
)
def test_which_figures_rows_allow(rows, allowed):
    """A figure is drawn only where its rows show something, and the others say why not."""
    figures, missing = figures_of(rows, SWEEP, {})
    assert {one.name for one in figures} == allowed
    assert {one.name for one in missing} == set(NAMES) - allowed and all(one.reason for one in missing)


def test_names_say_what_differs():
    """MP and clock differ, so names have both; what all have in common stands above the figure; DP follows."""
    rows = [row(nodes, 10.0, tensor, frequency_ghz=ghz) for nodes in (2, 4) for tensor, ghz in ((1, 2.0), (2, 2.25))]
    found = figure("strong-scaling", rows)
    assert found.series == ("MP 1, 2 GHz", "MP 2, 2.25 GHz")
    assert found.below == "1B, PP 1, MBS 1, GBS 16, AC on, sequence 100"


def test_campaigns_are_no_series_of_one_name():
    """Two campaigns measured the same layouts: two series, named by their campaigns, though else nothing differs."""
    rows = [row(nodes, 10.0, campaign=campaign) for nodes in (2, 4) for campaign in ("april", "june")]
    assert figure("strong-scaling", rows).series == ("april", "june")


def test_rows_that_are_not_wholly_known_are_alone():
    """Of two rows without MP nobody knows whether they compute the same: no line joins them."""
    rows = [row(2, 10.0), row(4, 5.0), row(2, 9.0, slug="a"), row(4, 4.0, slug="b")]
    rows[2]["tensor"] = rows[3]["tensor"] = None
    lines = values(figure("strong-scaling", rows), "lines", "line", "seconds")
    assert lines == [("measured 0", 10.0), ("measured 0", 5.0), ("ideal MP 1", 10.0), ("ideal MP 1", 5.0)]


def test_many_series():
    """Of 100 series six have names, sixty are grey, and the caption counts those; the fastest are named."""
    rows = [row(nodes, 10.0 * number / nodes, variant=f"v{number}") for number in range(1, 101) for nodes in (2, 4)]
    found = figure("strong-scaling", rows)
    assert found.series == ("v1", "v2", "v3", "v4", "v5", "v6", "60 others")
    assert len(found.layers["other points"]) == 120
    assert (
        "Of 100 series the 6 that are fastest most often have colours; 60 are grey, 34 are left out." in found.caption
    )


def test_many_layouts():
    """Bars stop at 24, and of memory only kinds nearest the limit are shown; the captions say so."""
    rows = [
        row(nodes, 1000.0 / nodes, variant=f"v{number}", memory_mib=20.0 * number + nodes, **shares(100, 0, 0, None))
        for number in range(1, 101)
        for nodes in (2, 4, 8)
    ]
    bars, peaks = figure("efficiency", rows), figure("memory", rows)
    assert len({point["bar"] for point in bars.layers["bars"]}) == 24
    assert "24 of 300 layouts" in bars.caption
    assert (peaks.series[-1], len(peaks.series)) == ("v100", 24), "2008 MiB of the 2048 of a rank"
    assert peaks.below.startswith("1B, 8 nodes"), "of nodes the count that needs most"
    assert "Of 300 layouts" in peaks.caption


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_rows_that_lack_figures(data):
    """Whatever rows leave out, figures are drawn of the rest or say why not; nothing in them is None or no number."""
    rows = [dict(one) for one in BATCHES]
    for one in rows:
        for name in data.draw(st.sets(st.sampled_from(sorted(set(one) - {"slug", "state", "source"})), max_size=30)):
            one[name] = None
    figures, missing = figures_of(rows, SWEEP, {})
    assert {one.name for one in (*figures, *missing)} == set(NAMES)
    for one in figures:
        json.dumps(one.layers, allow_nan=False)
        assert all(value is not None for layer in one.layers.values() for point in layer for value in point.values())


def words(svg: bytes) -> list[str]:
    """The texts of an SVG."""
    return [element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("}text")]


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        (
            "strong-scaling",
            {"Time per iteration [s]", "Nodes (strong scaling)", "2", "16", "model, 95 % band", "ideal", "MP 1"},
        ),
        ("weak-scaling", {"Time per iteration [s]", "Nodes (weak scaling)", "2", "4", "ideal"}),
        ("throughput-scaling", {"Tokens per second", "Nodes (at any batch)", "2", "16", "ideal"}),
        ("tflops", {"TFLOPs per node", "Nodes", "8"}),
        ("efficiency", {"Share of an iteration [%]", "compute", "DP sync", "scaling efficiency", "80"}),
        ("memory", {"Peak memory of a rank [GiB]", "limit", "out of memory", "predicted"}),
        ("throughput", {"Tokens per second", "Global batch [samples]"}),
    ],
)
def test_labels_and_units(drawn, name, labels):
    """The SVG is XML with the sweep's title, axes with units, and a legend."""
    assert labels | {"A <title> & more"} <= set(words(drawn[name]["svg"]))


def test_sizes(drawn):
    """A PNG has three pixels for each of the SVG, which is no wider than a column of a paper: 3.8 inches of 96 px."""
    for files in drawn.values():
        width, height = struct.unpack(">II", files["png"][16:24])
        root = ElementTree.fromstring(files["svg"])
        assert (width, height) == (round(3 * float(root.get("width"))), round(3 * float(root.get("height"))))
        assert width / 3 / 96 < 3.8


def test_specs_are_whole_and_valid(drawn):
    """A spec has all its data, no address, each of its points a slug; and Altair's schema has nothing to object to."""
    for name, files in drawn.items():
        text = json.loads(files["json"])
        assert (text["name"], set(text)) == (name, {"name", "title", "caption", "spec"})
        assert "http" not in files["json"].decode() and '"url"' not in files["json"].decode()
        # Where legends go Vega knows, and Vega-Lite hands on; only its schema does not.
        del text["spec"]["config"]["legend"]["layout"]
        altair.Chart.from_dict(text["spec"])
        slugs = {point["slug"] for data in text["spec"]["datasets"].values() for point in data if "slug" in point}
        assert slugs <= {one["slug"] for one in ALL} and len(slugs) >= 2


def test_same_rows_same_bytes(drawn):
    """Drawn again, every byte of a figure is the same."""
    again = figure("strong-scaling", ALL, foreseen)
    assert files_of(again, spec_of(again, "A <title> & more")) == drawn["strong-scaling"]


HOSTILE = '<script>alert(1)</script> \x1b[31m{{x}} "quoted" \\ \u202e\u0000 [a](http://b) ' + "x" * 10_000


def test_hostile_words():
    """They are cut and stand as text: no element, no link, no control, no mark of direction."""
    rows = [one | {"campaign": HOSTILE, "variant": name, "memory_mib": 1.0} for one in FOUR for name in (HOSTILE, "b")]
    rows = [one | {"model_size": HOSTILE, "where": HOSTILE} for one in rows]
    for one in figures_of(rows, SWEEP, {})[0]:
        svg = files_of(one, spec_of(one, HOSTILE))["svg"]
        assert not {"script", "a", "image", "use"} & {
            tag.tag.split("}")[-1] for tag in ElementTree.fromstring(svg).iter()
        }
        assert "href" not in {name.split("}")[-1] for tag in ElementTree.fromstring(svg).iter() for name in tag.attrib}
        text = svg.decode()
        assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", text) and "x" * 100 not in text
        assert '<script>alert(1)</script> {{x}} "quoted" \\ [a](http://b…' in words(svg)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what it draws, and why not the rest; files that rows no longer allow go; tables link what is drawn."""
    monkeypatch.chdir(tmp_path)
    config = ["--configfile", str(write(tmp_path / "sweep.yaml", toy()))]
    folder = tmp_path / "results" / "toy" / "figures"
    folder.mkdir(parents=True)
    for name in ("throughput.svg", "throughput.json", "mine.svg"):
        (folder / name).write_text("of an earlier run")
    (folder.parent / "results.csv").write_text(to_csv(pandas.DataFrame([row(2, 4.0), row(4, 2.0)])))
    assert main(["figures", *config]) == 0 == main(["tables", *config])
    said = capsys.readouterr().out
    assert "figures drawn: strong-scaling, tflops: results/toy/figures" in said
    assert "not drawn: memory: no peak memory was measured" in said
    drawn = {path.name for path in folder.iterdir()}
    assert drawn == {
        "mine.svg",
        *(f"{name}.{end}" for name in ("strong-scaling", "tflops") for end in ("svg", "png", "json")),
    }
    assert linked(folder.parent) == ["figures/strong-scaling.svg", "figures/tflops.svg"]
    (folder.parent / "results.csv").write_text(to_csv(pandas.DataFrame([row(2, 4.0)])))
    assert main(["figures", *config]) == 0 == main(["tables", *config])
    assert "figures drawn: none" in capsys.readouterr().out
    assert ([path.name for path in folder.iterdir()], linked(folder.parent)) == (["mine.svg"], [])


def linked(folder: Path) -> list[str]:
    """The images of tables.md."""
    return re.findall(r"!\[.*?\]\((.*?)\)", (folder / "tables.md").read_text())
