"""Hand-kept tables of today's models: their axes, and no formula of a GPT on a model that is none."""

import csv
from pathlib import Path

import pytest

from nodesweep.cli.main import main

COLUMNS = "Model | GPUs | DP | TP | PP | VP | CP | EP | ETP | Precision | Sharding | MBS | GBS | Seq | AC"
RATES = "num-layers | hidden-size | num-attention-heads | Sec/it | TFLOPs"
LLAMA = (
    "{model} | 16 | 4 | 2 | 1 | 2 | 2 | 1 | 1 | MXFP8 | FSDP | 1 | 128 | 8192 | No | 32 | 4096 | 32 | 16.5 | {tflops}"
)


def imported(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], above: str, *rows: str
) -> tuple[str, list[dict[str, str]]]:
    """What is said of a table under some lines, and its rows."""
    width = COLUMNS.count("|") + RATES.count("|") + 2
    table = [f"| {COLUMNS} | {RATES} |", "|---" * width + "|", *(f"| {row} |" for row in rows)]
    (folder / "kept.md").write_text("\n".join((above, "", *table)) + "\n")
    monkeypatch.chdir(folder)
    main(["import", "kept.md"])
    with (folder / "results" / "kept" / "results.csv").open(newline="") as stream:
        return capsys.readouterr().out, list(csv.DictReader(stream))


@pytest.mark.parametrize(
    ("above", "model", "is_judged"),
    [
        ("# Scaling", "7B", True),
        ("# Scaling", "GPT 7B", True),
        ("# Scaling", "Llama 3 8B", False),
        ("# Dense models with SwiGLU and GQA", "8B", False),
        ("# Scaling\n\nAll runs train Qwen2.5.", "7B", False),
        ("# Llama and others\n\n## GPT-3 7B", "7B", True),
        ("# Llama and others", "GPT 7B", True),
    ],
)
def test_only_a_gpt_is_held_against_its_formula(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    above: str,
    model: str,
    is_judged: bool,
) -> None:
    """A model that its cell, a heading or the prose names as another decoder has rates of its own.

    A cell counts before a heading, and a near heading before a far one.
    """
    report, (row,) = imported(tmp_path, monkeypatch, capsys, above, LLAMA.format(model=model, tflops=9999))
    assert ("1 finding" in report) == is_judged
    assert ("is no GPT: times and TFLOPs are not held against the formula of one" in report) != is_judged
    assert row["tflops_per_node"] == "9999.0"


def test_axes_of_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """GPUs are DP x TP x PP x CP, whatever EP is; formats and sharding are read however they are spelled."""
    row = LLAMA.format(model="Llama 3 8B", tflops=460)
    report, (read,) = imported(tmp_path, monkeypatch, capsys, "# 2026", row)
    assert "0 findings" in report
    names = ("data", "tensor", "virtual_pipeline", "context", "expert", "precision", "sharding", "model_size")
    assert [read[name] for name in names] == ["4", "2", "2", "2", "1", "mxfp8", "zero3", "8B"]


def test_no_size_of_a_gpt_for_another_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """32 layers of 4096 are 6.7B of a GPT and 8B of Llama 3: where the text names a Llama, no size is worked out."""
    row = LLAMA.format(model="", tflops=460)
    _, (llama,) = imported(tmp_path, monkeypatch, capsys, "# Runs of Llama", row)
    _, (gpt,) = imported(tmp_path, monkeypatch, capsys, "# Runs", row)
    assert (llama["model_size"], gpt["model_size"]) == ("", "6.7B")


@pytest.mark.parametrize(
    ("size", "sharding", "group"), [(1, "", "1"), (8, "hsdp", "8"), (64, "zero3", "64"), (0, "", "")]
)
def test_sizes_of_fsdp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, sharding: str, group: str) -> None:
    """Over 64 replicas an FSDP of 64 shares out everything and one of 8 is hybrid; 0 and 1 say too little."""
    (tmp_path / "kept.md").write_text(
        f"| GPUs | TP | PP | FSDP | GBS | Sec/it |\n|---|---|---|---|---|---|\n| 128 | 2 | 1 | {size} | 256 | 4.0 |\n"
    )
    monkeypatch.chdir(tmp_path)
    main(["import", "kept.md"])
    with (tmp_path / "results" / "kept" / "results.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["sharding"], row["sharding_group"]) == (sharding, group)
