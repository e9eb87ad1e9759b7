"""A trainer nobody has described: its log read by what a sweep's YAML says, into a row of the table."""

import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sweeps import REPOSITORY, run_nodesweep, run_snakemake, toy, write

from nodesweep.common.errors import ConfigError
from nodesweep.config.log_format import LogFormat
from nodesweep.logs.custom_format import format_of
from nodesweep.logs.reader import read_log
from nodesweep.sweep.study import Study

UNSEEN = {
    "name": "unseen",
    "first_number": 0,
    "iteration": {"contains": " tick #", "pattern": r"tick #(?P<number>\d+) out of (?P<total>\d+) "},
    "figures": {
        "seconds": {"pattern": r"took ([\d.]+)ms", "unit": "ms"},
        "loss": {"pattern": r"xent=([\d.]+) "},
        "peak_reserved": {"pattern": r"vram ([\d.]+)GB", "unit": "GB"},
        "tokens_per_second": {"contains": "pace: ", "pattern": r"pace: ([\d.]+) tok"},
    },
    "started": {"contains": "warming up", "pattern": "unseen trainer, warming up"},
    "finished": {"contains": "that was it", "pattern": "== that was it =="},
}


def sweep(form: Any = UNSEEN) -> dict[str, Any]:
    """A sweep that runs the unseen trainer for five iterations."""
    workload = {
        "name": "unseen",
        "command": ["bash", str(REPOSITORY / "tests" / "programs" / "unseen_trainer.sh"), "{{ iterations }}"],
        "log_format": form,
        "memory_source": "log-max-reserved",
    }
    return toy(workload=workload, iterations={"total": 5, "warmup": 1})


def changed(*keys: str, value: Any) -> dict[str, Any]:
    """The format with one value changed, or left out for None."""
    form: dict[str, Any] = {name: dict(part) if isinstance(part, dict) else part for name, part in UNSEEN.items()}
    target = form
    for key in keys[:-1]:
        target[key] = dict(target[key])
        target = target[key]
    target[keys[-1]] = value
    return form


def test_from_yaml_alone_into_a_table_row(tmp_path: Path) -> None:
    """The real command runs it: 249.5, 248.5, 247.5 and 246.5 ms after warm-up, 1.5 GB, no word of a lost figure."""
    run = run_snakemake(tmp_path, write(tmp_path / "sweep.yaml", sweep()))
    assert run.returncode == 0, run.stdout
    measured = (tmp_path / "results/toy/tables.md").read_text().partition("## Where the time goes")[0]
    rows = [line for line in measured.splitlines() if line.startswith("|")]
    cells = [dict(zip(map(str.strip, rows[0].split("|")), map(str.strip, row.split("|")), strict=True)) for row in rows]
    assert [(row["Nodes"], row["Mem"], row["Sec/it"], row["Notes"]) for row in cells[2:]] == [
        ("1", "1430.5 MiB", "0.248", ""),
        ("2", "1430.5 MiB", "0.248", ""),
    ]
    log = next((tmp_path / "results/toy/layouts").glob("n1-*/*.log"))
    told = run_nodesweep(tmp_path, "explain-log", str(log), "--configfile", "sweep.yaml").stdout
    assert "format: unseen: 5 records" in told
    assert "0.248 s per iteration" in told
    assert "outcome: ok" in told


def test_without_the_description_it_says_what_to_do(tmp_path: Path) -> None:
    """As a log of an unknown trainer, nothing is read, and its lines are shown as what could be described."""
    log = tmp_path / "unseen.log"
    log.write_text("== unseen trainer ==\nstep 1: 20 ms\nstep 2: 21 ms\n")
    told = run_nodesweep(tmp_path, "explain-log", str(log)).stdout
    assert "format: not recognised" in told
    assert "describe them as the workload's log_format" in told
    assert "line 2: step 1: 20 ms" in told


@pytest.mark.parametrize(
    ("form", "word"),
    [
        (changed("iteration", "pattern", value=r"tick #(\d+)"), "no group for the iteration's number"),
        (changed("iteration", "pattern", value="tick #(?P<number>"), "no pattern of RE2's syntax"),
        (changed("iteration", "pattern", value=r"(?<=tick #)(?P<number>\d+)"), "no pattern of RE2's syntax"),
        (changed("iteration", "pattern", value=r"(?P<number>(a)\2)"), "no pattern of RE2's syntax"),
        (changed("iteration", "contains", value="a"), "at least 3"),
        (changed("figures", "seconds", value={"pattern": r"took (\d+)(ms)", "unit": "ms"}), "2 groups"),
        (changed("figures", "seconds", value={"pattern": r"took (\d+)"}), "its units: s, ms"),
        (changed("figures", "loss", value={"pattern": r"x=(\d+)", "unit": "ms"}), "none; leave it out"),
        (changed("figures", "speed", value={"pattern": r"x=(\d+)"}), "unknown key"),
        (changed("figures", value={"loss": {"pattern": r"x=(\d+)"}}), "neither seconds nor iterations_per_second"),
        ("megatron-deepsped", "megatron-deepspeed"),
    ],
)
def test_a_description_that_cannot_work_is_refused(tmp_path: Path, form: Any, word: str) -> None:
    """Where, what and what to do, in one line."""
    path = write(tmp_path / "sweep.yaml", sweep(form))
    with pytest.raises(ConfigError) as refusal:
        Study.load([path])
    assert word in str(refusal.value)
    assert str(refusal.value).startswith(f"{path}:") and len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize(
    "pattern", [r"(?P<number>(a+)+)$", r"(?P<number>(a|a)*)b", r"(?P<number>(.*)*)x", "(?P<number>(a?){50}a{50})"]
)
def test_patterns_that_would_backtrack_for_ever(tmp_path: Path, pattern: str) -> None:
    """What takes other engines longer than the universe takes this one no time."""
    form = LogFormat.model_validate(changed("iteration", value={"contains": "aaa", "pattern": pattern}))
    log = tmp_path / "slow.log"
    log.write_text(("a" * 5_000 + "\n") * 200)
    started = time.process_time()
    read_log(log, format_of(form))
    assert time.process_time() - started < 10


def test_what_a_pattern_may_not_grow_into() -> None:
    """A pattern whose automaton would fill the memory is refused."""
    with pytest.raises(ValidationError, match="no pattern of RE2's syntax"):
        LogFormat.model_validate(changed("iteration", "pattern", value="(?P<number>((a{100}){100}){100})"))
