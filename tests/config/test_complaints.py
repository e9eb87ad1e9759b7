"""What nodesweep says of the slips that people make in config files: where, what is wrong, and what to write."""

import doctest
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from sweeps import toy, write

from nodesweep.cli.main import main
from nodesweep.common.errors import ConfigError
from nodesweep.config import schema
from nodesweep.config.hugging_face import read_hugging_face
from nodesweep.sweep.study import Study

LLAMA = {
    "model_type": "llama",
    "num_hidden_layers": 4,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "intermediate_size": 256,
    "vocab_size": 1000,
}


def said(folder: Path, text: str) -> str:
    """What is said of a sweep with this text, without the folder of its file."""
    path = folder / "a.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        Study.load([path])
    return str(error.value).replace(f"{folder}/", "")


def said_of(folder: Path, **changes: Any) -> str:
    """What is said of the toy sweep with changes."""
    return said(folder, yaml.safe_dump(toy(**changes), sort_keys=False))


def axes(**changes: Any) -> dict[str, Any]:
    """One block of layouts."""
    return {"layouts": [{"nodes": 1, "global_batch": 16, "sequence_length": 128, **changes}]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "a: {{ 4 * ranks }}\n",
            "a.yaml:1: is not valid YAML: found unhashable key; put a value that begins",
        ),
        ("a:\n\tb: 1\n", "a.yaml:2: is not valid YAML: found character that cannot start any token: a tab; indent"),
        ("a: %b\n", "a.yaml:1: is not valid YAML: found character that cannot start any token"),
    ],
)
def test_what_is_no_yaml(tmp_path: Path, text: str, says: str) -> None:
    """Braces without quotes and tabs are named, and what to write instead."""
    assert said(tmp_path, text).startswith(says)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"workload": {"enviroment": {}}},
            "workload.enviroment is an unknown key; did you mean 'environment'?",
        ),
        ({"machine": {"queus": []}}, "machine.queus is an unknown key; did you mean 'queues'? known here: "),
        ({"iterations": {"totl": 3}}, "iterations.totl is an unknown key; did you mean 'total'? known here: "),
        ({"model": {"layer": 3}}, "model.layer is an unknown key; did you mean 'layers'? known here: "),
        (
            {"machine": {"memory_mib_per_node": "640 GB"}},
            "memory_mib_per_node must be a number of MiB, not '640 GB'",
        ),
        (
            {"workload": {"training": {"zero_stag": 1}}},
            "workload.training.zero_stag is an unknown key; did you mean 'zero_stage'?",
        ),
    ],
)
def test_changes_under_when(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    """A wrong change has its line, and the words that the key itself would have."""
    text = yaml.safe_dump(toy(when=[{"if": "nodes == 1", **change}]), sort_keys=False)
    key = says.split()[0].rpartition(".")[2]
    line = next(number for number, one in enumerate(text.splitlines(), 1) if f"{key}:" in one)
    found = said(tmp_path, text)
    assert found.startswith(f"a.yaml:{line}: when[0].{next(iter(change))}.") and says in found


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"exclude": ["nodes = 4"]}, "expected token ')', got '='; write == to compare"),
        (
            {"exclude": ["precision == flash"]},
            "unknown name 'flash'; put it in quotes if it is a word; known",
        ),
        ({"exclude": ["tensr == 2"]}, "unknown name 'tensr'; did you mean 'tensor'? known here: nodes"),
        (axes(tensor="{{ node }}"), "unknown name 'node'; did you mean 'nodes'? known here: nodes"),
        (axes(tensor="{{ nodes }"), "unexpected '}'; a hole ends with }}"),
        (
            axes(tensor="{{ model.num_layers * 32 }}"),
            "layouts[0].tensor: {{ model.num_layers * 32 }}: model has no",
        ),
        (
            axes(tensor="{{ machine.rank_per_node }}"),
            "machine has no rank_per_node; did you mean 'ranks_per_node'?",
        ),
        (
            axes(nodes=[1, 2, 4], tensor="{{ ranks / 3 }}"),
            "none of 3 points can run (expression: layouts[0].tensor: {{ ranks / 3 }} gives '0.333333' (ranks 1): it "
            "should be a whole number; change the expression or what it is made of); change the axes or exclude",
        ),
        (
            {"workload": toy()["workload"] | {"command": ["a", "--l={{ model.num_layers }}"]}},
            "workload.command[1]: --l={{ model.num_layers }}: model has no num_layers; did you mean 'layers'? it has",
        ),
        (
            {"workload": toy()["workload"] | {"refuses": [{"if": "model.expert > 1", "because": "it has none"}]}},
            "workload.refuses[0].if: model.expert > 1: model has no expert; did you mean 'experts'? it has",
        ),
        ({"budget_node_hours": "10h"}, "budget_node_hours must be a number of node-hours, not '10h'"),
        (axes(nodes="4-32"), "nodes[0] must be a whole number, not '4-32'; write a list, as [4, 8, 16]"),
        (axes(nodes="4, 8, 16"), "nodes[0] must be a whole number, not '4, 8, 16'; write [4, 8, 16]"),
        (axes(nodes=["2 4 8"]), "nodes[0] must be a whole number, not '2 4 8'; write [2, 4, 8]"),
        (
            {"tables": [{"columns": ["TP"]}]},
            "'TP' is no standard heading and has no value; did you mean 'MP'?",
        ),
        ({"machine": "slurm-gpus"}, "there is no machine file slurm-gpus.yaml; did you mean 'slurm-gpu'? known: "),
    ],
)
def test_slips_in_values(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    """Each is told with its line and the words that were meant, before anything is rendered."""
    assert says in said_of(tmp_path, **changes)


def test_what_a_template_can_do_without(tmp_path: Path) -> None:
    """A part that a default stands for, or that is asked after, need not be there."""
    words = ["a", "{{ model.depth | default(3) }}", "{{ 'x' if model.depth is defined }}", "{{ model.shared_experts }}"]
    assert Study.load([write(tmp_path / "a.yaml", toy(workload=toy()["workload"] | {"command": words}))])


def test_a_hugging_face_config_without_from(tmp_path: Path) -> None:
    """A path or folder as the model of a sweep is answered with what to write."""
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "config.json").write_text(json.dumps(LLAMA))
    for name in ("hf", "hf/config.json"):
        assert "a Hugging Face config is given as model: {from: hf/config.json}; or write" in said_of(
            tmp_path, model=name
        )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"num_hidden_layers": 0},
            "says num_hidden_layers 0, but a model has some; write it there, or give",
        ),
        (
            {"num_hidden_layers": None},
            "says no num_hidden_layers or n_layer or num_layers or n_layers; write",
        ),
        ({"model_type": None}, 'model_type is missing: add the line of its family, such as "model_type": "llama"'),
        ({"model_type": "qwen25"}, "model_type 'qwen25': did you mean 'qwen2'?"),
    ],
)
def test_slips_in_a_hugging_face_config(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    """What is missing, wrong or misspelt is told by its key."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(LLAMA | changes))
    try:
        found = "; ".join(read_hugging_face(path, "config.json").not_understood)
    except ConfigError as error:
        found = str(error)
    assert says in found


def test_the_model_command_names_what_is_near(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown name and a folder are called as they were typed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "config.json").write_text(json.dumps(LLAMA))
    for name, says in (
        (
            "llama-3-8b",
            "nodesweep: llama-3-8b: there is no model file llama-3-8b.yaml; did you mean 'llama3-8b'?",
        ),
        ("hf", "nodesweep: hf: is a folder; name its file, hf/config.json"),
    ):
        assert main(["model", name]) == 1
        assert capsys.readouterr().err.startswith(says)


def test_keys_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--config takes KEY=VALUE and JSON, and says so of what is neither."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.yaml", toy())
    for keys in ("prune=never", '{"prune": "never"}'):
        assert main(["plan", "--configfile", "a.yaml", "--config", keys]) == 0
    with pytest.raises(SystemExit):
        main(["plan", "--configfile", "a.yaml", "--config", '{"prune"'])
    assert "'{\"prune\"' is neither KEY=VALUE nor a JSON object: write machine=slurm, or" in capsys.readouterr().err


def test_doctests() -> None:
    """The examples hold."""
    assert doctest.testmod(schema) == (0, 1)


def test_the_reference_has_as_many_cells_as_headings() -> None:
    """No bar within a cell ends it: every row of a table has the columns of its head."""
    width = 0
    for line in schema.reference().splitlines():
        count = line.replace("\\|", "").count("|")
        width = (width or count) if line.startswith("|") else 0
        assert count == width or not line.startswith("|"), line
