"""A model with parts that no formula is known for: it is planned, searched and run, and what is empty says why."""

from pathlib import Path

import pytest
from sweeps import drained, study_in, toy

from nodesweep.cli.main import main
from nodesweep.launch.history import decisions_of
from nodesweep.launch.runner import Policy, Runner
from nodesweep.schedulers.local import Local

PARTS = "the model has parts that no formula is known for: Mamba layers"


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a toy sweep of such a model that has run, on a machine with a peak and a limit of memory."""
    tmp_path = tmp_path_factory.mktemp("hybrid")
    model = toy()["model"] | {"other_parts": ["Mamba layers"]}
    limits = {"peak_tflops": [{"precision": "fp32", "tflops_per_node": 1}], "memory_mib_per_node": 1}
    study = study_in(tmp_path, model=model, machine=toy()["machine"] | limits, search={"best": "fastest"})
    runner = Runner(study, Local(), Policy(), [].append, decisions_of(study))
    runner.recover()
    runner.add(list(study.layouts))
    drained(runner, 2)
    return tmp_path


@pytest.fixture(autouse=True)
def inside(hybrid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in the folder of the sweep."""
    monkeypatch.chdir(hybrid)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command prints of the sweep."""
    capsys.readouterr()
    assert main([*words[:1], "--configfile", "sweep.yaml", *words[1:]]) == 0
    return capsys.readouterr().out


def test_it_is_planned_and_not_pruned(hybrid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Memory and time are unknown, with the reason; however little memory there is, nothing is pruned."""
    said(capsys, "plan")
    plan = (hybrid / "results" / "toy" / "plan.md").read_text()
    assert f"- Memory unknown: {PARTS} (2 layouts)" in plan
    assert "2 ended, 0 rejected" in plan


def test_throughput_is_told_and_rates_say_why_they_are_empty(hybrid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tokens per second are of the log; TFLOPs, utilization and the size of the model are empty, and say why."""
    said(capsys, "measure")
    said(capsys, "tables")
    tables = (hybrid / "results" / "toy" / "tables.md").read_text()
    assert "recomputation counted, empty: no formula is known for Mamba layers" in tables
    why = said(capsys, "why", "n1-", "tokens_per_second", "TFLOPs", "MFU", "Size")
    assert "tokens_per_second (Tokens/s) = 4096.0" in why
    assert f"tflops_per_node (TFLOPs) = -\n    empty: {PARTS}" in why
    assert f"mfu_percent (MFU) = -\n    {PARTS}" in why
    assert f"unknown: {PARTS}" in why
