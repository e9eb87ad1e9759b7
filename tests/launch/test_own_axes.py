"""A sweep over a parameter of its own and an expression, from the config to the last command."""

import csv
from pathlib import Path

import pytest
from sweeps import drained, runner_of, study_in

from nodesweep.cli.main import main


def cells(text: str) -> str:
    """Tables without the blanks that make their columns straight."""
    return " ".join(text.split())


def test_a_parameter_and_an_expression_in_a_sweep_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are in slugs, jobs, plan, tables, status, why and compare."""
    block = {
        "nodes": [1, 2],
        "global_batch": "{{ 8 * nodes }}",
        "sequence_length": 128,
        "parameters": {"backend": ["fused", "flash"], "TOY_ALGO": "Ring"},
    }
    pace = "{{ 0.01 if backend == 'flash' else 0.02 }}"
    study = study_in(tmp_path, seconds=pace, layouts=[block])
    runner = runner_of(study, jobs_at_once=4, canary=0)
    runner.add(list(study.layouts))
    drained(runner, 4)
    config, folder = tmp_path / "sweep.yaml", study.folder
    monkeypatch.chdir(tmp_path)
    for command in ("plan", "measure", "tables"):
        assert main([command, "--configfile", str(config)]) == 0
    capsys.readouterr()
    with (folder / "results.csv").open() as stream:
        rows = {row["slug"]: row for row in csv.DictReader(stream)}
    assert [(row["nodes"], row["global_batch_samples"], row["backend"], row["TOY_ALGO"]) for row in rows.values()] == [
        ("1", "8", "fused", "Ring"),
        ("1", "8", "flash", "Ring"),
        ("2", "16", "fused", "Ring"),
        ("2", "16", "flash", "Ring"),
    ]
    assert {row["backend"] for row in rows.values() if row["outcome"] == "ok"} == {"fused", "flash"}
    slug = list(rows)[1]
    assert slug.startswith("n1-dp1-mp1-pp1-mbs1-gbs8-s128-Ring-flash-")
    script = (folder / "layouts" / slug / "job.sh").read_text()
    assert "# parameters: backend flash, TOY_ALGO Ring\n" in script
    assert "export TOY_ALGO=Ring\n" in script and " 0.01 " in script
    plan, tables = (cells((folder / name).read_text()) for name in ("plan.md", "tables.md"))
    assert "| backend | TOY_ALGO |" in plan and "| 16 | 128 | No | flash | Ring |" in plan
    assert "| backend | Notes |" in tables

    said = {}
    for words in (["why", slug, "backend", "GBS"], ["status", "--all"], ["compare", str(folder), str(folder)]):
        main([*words, *(["--configfile", str(config)] if words[0] != "compare" else [])])
        said[words[0]] = cells(capsys.readouterr().out)
    number = next(n for n, line in enumerate(config.read_text().splitlines(), 1) if "backend:" in line)
    assert f"backend = flash sweep.yaml:{number}: layouts[0].parameters.backend" in said["why"]
    assert "layouts[0].global_batch: {{ 8 * nodes }} = 8" in said["why"]
    assert "n1 dp1 gbs8 flash ok" in said["status"]
    assert "| backend |" in said["compare"] and "| flash |" in said["compare"]
