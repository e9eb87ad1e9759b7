"""`nodesweep predict` and `nodesweep explain`: layouts that are in no sweep yet, and those that are."""

import json
from pathlib import Path

import pytest
from fugaku_runs import JUNE
from sweeps import REPOSITORY, toy, write

from nodesweep.cli.main import main
from nodesweep.config.sweep import Sweep
from nodesweep.config.tidy_row import TidyRow
from nodesweep.performance.predict import layouts_like, predict_layouts
from nodesweep.results.calibrate import calibrations_of
from nodesweep.sweep.study import Study

POINT = {"pipeline": 48, "global_batch": 1536, "sequence_length": 2048, "activation_checkpointing": True}


def rows(campaign: str) -> list[TidyRow]:
    """The runs of June as rows that were taken in from a file of that name."""
    return [
        {
            "slug": f"n{nodes}-{tensor}",
            "campaign": campaign,
            "source": "import",
            "state": "ended",
            "outcome": "ok",
            "nodes": nodes,
            "ranks_per_node": 1,
            "data": data,
            "tensor": tensor,
            "pipeline": 48,
            "micro_batch_samples": 1,
            "global_batch_samples": 1536,
            "sequence_length_tokens": 2048,
            "activation_checkpointing": True,
            "layers": 48,
            "hidden_size": 7176 if tensor == 6 else 7168,
            "attention_heads": 78 if tensor == 6 else 56,
            "iteration_seconds": seconds,
        }
        for nodes, data, tensor, seconds in JUNE
    ]


@pytest.fixture
def study(tmp_path, monkeypatch) -> Study:
    """The study's sweep in a folder of its own, with what the runs of June say as a campaign `june`."""
    monkeypatch.chdir(tmp_path)
    study = Study.load([REPOSITORY / "config" / "fugaku-30b.yaml"], {"training_tokens": 3e11})
    study.folder.mkdir(parents=True)
    found = calibrations_of(study.sweep, (), {"june": rows("june")})
    study.calibration("june").parent.mkdir()
    study.calibration("june").write_text(found["june"].to_yaml())
    return study


def output_of(capsys, *words: str) -> str:
    """What the command prints; it must end well."""
    config = ("--configfile", str(REPOSITORY / "config" / "fugaku-30b.yaml"), "--config", '{"training_tokens": 3e11}')
    assert main([*words, *config]) == 0
    return capsys.readouterr().out


def test_twice_the_nodes(study, capsys):
    """12288 nodes: 24 micro batches of 2.24 s, 47 of bubble, the sync of DP 64."""
    text = output_of(capsys, "predict", "--nodes", "6144", "12288", "--like", "n6144")
    assert "like n6144-dp32-mp4-pp48" in text and "but for nodes" in text
    assert "time: 253.1 s an iteration" in text and "compute 107.6 s = 48 micro batches x 2.243 s" in text
    assert (
        "compute 53.82 s = 24 micro batches x 2.243 s, bubble 105.4 s over 48 stages, DP sync 48.19 s at DP 64" in text
    )
    assert "(by 11 runs of campaign june)" in text
    assert text.count("what makes the interval as wide as it is: the size of the DP sync") == 2
    assert "for 3e+11 tokens" in text


def test_what_is_predicted_is_what_was_measured(study):
    """Asked for what June ran, the interval holds what June measured; memory is foreseen for each."""
    like = study.layout_beginning("n6144")
    calibrations = calibrations_of(study.sweep, (), {"june": rows("june")})
    for nodes, _, tensor, seconds in JUNE:
        (one,) = predict_layouts(
            study.sweep,
            layouts_like(study.sweep, like, {"nodes": [nodes], "tensor": [tensor]}).layouts,
            calibrations,
            None,
        )
        assert one.forecast.time.low_seconds < seconds < one.forecast.time.high_seconds
        assert one.forecast.memory.verdict == "fits"
        assert one.node_hours_per_billion_tokens == pytest.approx(
            one.forecast.time.seconds * nodes / 3600 / (1536 * 2048) * 1e9
        )


def test_a_kind_that_was_never_measured(study, capsys):
    """MP 8 has a wide interval, which says why; without recomputation it does not fit."""
    text = output_of(capsys, "predict", "--nodes", "768", "--tensor", "8", "--activation-checkpointing", "yes", "no")
    assert "what makes the interval as wide as it is: its kind of stage was never measured" in text
    assert "will not fit" in text and "activations in flight 45.37 GiB" in text


def test_laws_hold_for_what_is_asked(study, capsys):
    """Points that cannot run are listed with their law and the way out, beside those that can."""
    text = output_of(capsys, "predict", "--nodes", "12288", "24576", "--like", "n6144")
    assert "not nodes 24576: machine nodes: 24576 nodes; fugaku takes 1 to 12288 nodes" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nodes", "7"], "do not hold whole replicas of MP 4 x PP 48 = 192; nearest nodes: 192"),
        (["--nodes", "384", "--like", "n3"], "'n3' begins 5 slugs"),
        (["--nodes", "384", "--like", "x"], "has no layout 'x'"),
        (
            ["--nodes", "384", "--campaign", "may"],
            "no run of a campaign 'may' has been fitted; campaigns that have: june",
        ),
    ],
)
def test_what_cannot_be_asked(study, capsys, words, message):
    """One message with the way out."""
    assert main(["predict", *words, "--configfile", str(REPOSITORY / "config" / "fugaku-30b.yaml")]) == 1
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1


def test_why_runs_do_not_tell_a_time(tmp_path, monkeypatch, capsys):
    """Runs of up to 4 replicas say nothing of the sync of 8, and that is said where no guess stands in for it."""
    monkeypatch.chdir(tmp_path)
    small = toy(layouts=[{"nodes": [1, 2, 4], "global_batch": 16, "sequence_length": 128}], campaign="june")
    config = write(tmp_path / "sweep.yaml", small)
    found = Study.load([config])
    sizes = {"global_batch_samples": 16, "sequence_length_tokens": 128, "activation_checkpointing": False}
    sizes |= {"layers": 4, "hidden_size": 64, "attention_heads": 4, "vocab_size": 1024, "pipeline": 1, "tensor": 1}
    small_rows = [
        row | sizes | {"nodes": nodes, "data": nodes, "iteration_seconds": 1 / nodes}
        for row, nodes in zip(rows("june"), (1, 2, 4), strict=False)
    ]
    found.calibration("june").parent.mkdir(parents=True)
    found.calibration("june").write_text(calibrations_of(found.sweep, (), {"june": small_rows})["june"].to_yaml())
    assert main(["predict", "--nodes", "8", "--configfile", str(config)]) == 0
    said = "time: unknown: the runs go up to DP 4 and do not tell the DP sync of DP 8; peak_tflops of the machine or"
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--nodes", "0"], ["--frequency-ghz", "nan"], ["--activation-checkpointing", "x"]])
def test_values_that_are_none(study, capsys, words):
    """No traceback for a typing error."""
    with pytest.raises(SystemExit):
        main(["predict", *words])
    assert "error: argument" in capsys.readouterr().err


def test_runs_of_another_campaign(study, capsys):
    """Layouts of April are predicted by the runs of June only where --campaign asks for it."""
    asked_for = ("predict", "--nodes", "3072", "--like", "n3072-dp16-mp4-pp48-mbs1-gbs1536-s2048-ac-2ghz-april")
    assert "by a guess: iterations.expected_seconds of the config" in output_of(capsys, *asked_for)
    assert "by 11 runs of campaign june" in output_of(capsys, *asked_for, "--campaign", "june")


def test_layouts_explained(study, capsys):
    """A layout of the sweep part by part, and whether anything keeps it from running."""
    text = output_of(capsys, "explain", "n6144")
    assert "memory: 16.34 GiB of 28.63 GiB in stage 0: fits" in text and "nothing keeps it from running" in text


def test_a_sweep_explained(tmp_path, monkeypatch, capsys):
    """Where the time of its runs goes, then what they tell; before any has run, that nothing is known."""
    monkeypatch.chdir(tmp_path)
    machine = {"name": "m", "scheduler": "local"}
    model = {"layers": 48, "hidden_size": 7168, "attention_heads": 56, "vocab_size": 50257}
    sweep = {
        "sweep": "toy",
        "model": model,
        "machine": machine,
        "workload": {"command": ["train"]},
        "iterations": {"total": 3},
        "layouts": [{"nodes": 192, "tensor": 4, **POINT}],
    }
    words = ("--configfile", str(write(tmp_path / "sweep.yaml", sweep)))
    assert main(["explain", *words]) == 1
    assert "results.csv does not exist yet" in capsys.readouterr().err
    lines = [
        f"| {nodes} | {data} | {tensor} | 48 | 1 | 1536 | Yes | {seconds} |"
        for nodes, data, tensor, seconds in JUNE
        if tensor == 4
    ]
    sizes = ("num-layers 48", "hidden-size 7168", "num-attention-heads 56")
    head = ["# 30B", *(f"- --{size}" for size in sizes), "", "### Sequence Length=2048", ""]
    table = ["| Nodes | DP | MP | PP | MBS | GBS | AC | Sec/it |", "|--|--|--|--|--|--|--|--|", *lines, ""]
    Path("june.md").write_text("\n".join([*head, *table]))
    for command in (("import", "june.md"), ("measure",)):
        assert main([*command, *words]) == 0
    capsys.readouterr()
    assert main(["explain", *words]) == 0
    text = capsys.readouterr().out
    assert text.startswith("## Where the time goes")
    assert "\nWhat the runs of campaign june say of memory and time.\n" in text


def test_the_options_are_those_of_a_block():
    """What can be asked about are the axes of a block of the config."""
    schema = json.loads((REPOSITORY / "workflow" / "schemas" / "sweep.schema.json").read_text())
    from nodesweep.config.parameters import BLOCK_KEYS
    from nodesweep.performance.predict import AXES

    assert set(AXES) == set(schema["$defs"]["Block"]["properties"]) - set(BLOCK_KEYS)
    assert Sweep.model_fields["layouts"]


def test_either_field_of_recomputation_is_asked_for(study, capsys):
    """`--recomputation none` asks for a layout without AC like one with it, and `--activation-checkpointing` too."""
    for words in (("--recomputation", "none"), ("--activation-checkpointing", "no")):
        text = output_of(capsys, "predict", "--like", "n384-dp2-mp4", *words)
        assert "n384-dp2-mp4-pp48-mbs1-gbs1536-s2048-2ghz" in text
    text = output_of(capsys, "predict", "--like", "n384-dp2-mp4", "--recomputation", "selective", "--precision", "fp8")
    assert "-ac-selective-fp8-" in text and "memory: unknown: no formula is known for what is kept in fp8" in text
