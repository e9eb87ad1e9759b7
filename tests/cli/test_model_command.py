"""`nodesweep model`: a model by name, by YAML, by a config.json, or of a sweep; figures as text and as JSON."""

import json
from pathlib import Path

import pytest
from hugging_face_configs import CONFIGS
from sweeps import toy, write

from nodesweep.cli.main import main


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What the command prints."""
    assert main(["model", *words]) == 0
    return capsys.readouterr().out


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Parameters and FLOPs stand under plain names, those of each sequence length by every convention that holds."""
    found = json.loads(said(capsys, "mixtral-8x7b", "--sequence-length", "4096", "2048", "--json"))
    assert (found["parameters"], found["active_parameters"]) == (46702792704, 12879925248)
    assert sum(found["parameters_by_part"].values()) == 46702792704
    causal = 326477644038144  # half of the square of attention is 3 x 4096^2 x 32 layers x 2 x 4096 less
    assert found["flops_per_sample"]["4096"] == {"whole": causal + 3 * 4096**2 * 32 * 2 * 4096, "causal": causal}
    assert list(found["flops_per_sample"]) == ["4096", "2048"]
    assert found["state_bytes_per_parameter"] == {"fp32": 16, "bf16": 18, "fp16": 18}
    assert (found["flops_convention"], found["unknown"], found["not_understood"]) == ("whole", None, [])


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    """A plain GPT has FLOPs by eq. 3 too, which is what its rates count, and positions are said to be left out."""
    text = said(capsys, "gpt-30b", "--sequence-length", "2048")
    assert text.startswith("gpt-30b: 30B, 29,959,738,368 parameters\n")
    assert "narayanan: by Narayanan et al. 2021, eq. 3; what rates count" in text
    assert "2 + 4 + 12 = 18 bytes a parameter, 502.2 GiB" in text
    assert "learned positions are not counted: 7168 parameters each" in text


def test_a_config_json_beside_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A config.json is a model named as its folder; what was not understood is listed."""
    folder = tmp_path / "DeepSeek V3"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIGS["DeepSeek V3"][0]))
    text = said(capsys, str(folder / "config.json"))
    assert text.startswith("DeepSeek-V3: 671B, 671,026,404,352 parameters, of which 37,552,282,624 work on a token\n")
    assert "num_nextn_predict_layers 1: not counted" in text


def test_a_model_file_and_a_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A YAML file is one of a model, with `from` beside it, or of a sweep that has one."""
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS["Qwen3 32B"][0]))
    (tmp_path / "mine.yaml").write_text("from: config.json\nlayers: 2\n")
    assert json.loads(said(capsys, str(tmp_path / "mine.yaml"), "--json"))["keys"]["layers"] == 2
    path = write(tmp_path / "sweep.yaml", toy())
    assert said(capsys, str(path)).startswith("toy: 265600, 265,600 parameters\n")


def test_parts_without_a_formula(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is counted of a model with unknown parts, and it is said why."""
    (tmp_path / "hybrid.yaml").write_text(
        "layers: 52\nhidden_size: 64\nattention_heads: 4\nvocab_size: 128\nother_parts: [Mamba layers]\n"
    )
    found = json.loads(said(capsys, str(tmp_path / "hybrid.yaml"), "--json"))
    assert (found["parameters"], found["flops_per_sample"], found["size"]) == (None, None, None)
    assert found["unknown"] == "the model has parts that no formula is known for: Mamba layers"
    assert "FLOPs and memory unknown: the model has parts" in said(capsys, str(tmp_path / "hybrid.yaml"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("layers: 2\nhidden_size: 8\nheads: 2\nvocab_size: 9\n", "mine.yaml:3: heads is an unknown key; did you mean"),
        ("layers: 2\nhidden_size: 8\nattention_heads: 2\n", "vocab_size is missing"),
        ("layers: 2\nhidden_size: 9\nattention_heads: 2\nvocab_size: 9\n", "hidden size 9 does not split over 2 heads"),
        ("title: nothing\n", "describes no model"),
        (None, "there is no model file mine.yaml; known: "),
    ],
)
def test_mistakes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str | None,
    complaint: str,
) -> None:
    """A mistake is told with file, line and key, without a traceback."""
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("mine.yaml").write_text(text)
    assert main(["model", "mine.yaml" if text is not None else "mine"]) == 1
    assert complaint in capsys.readouterr().err
