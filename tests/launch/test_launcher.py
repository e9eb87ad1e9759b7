"""What a launcher shows: on a terminal events above one bar, else plain lines; everything in its full log."""

import re
from pathlib import Path
from typing import Any

from sweeps import held, run_snakemake, runner_of, snakemake_command, study_in, toy, write
from terminals import Terminal

from nodesweep.launch import journal
from nodesweep.launch.journal_events import Intent, Submitted


def layouts(count: int) -> list[dict[str, Any]]:
    """So many layouts, of one node each."""
    return [{"nodes": 1, "global_batch": 16, "sequence_length": [128 * (number + 1) for number in range(count)]}]


def test_on_a_terminal(tmp_path: Path) -> None:
    """Events scroll above one line with a bar; rules say nothing; the bar is gone at the end, the log is named."""
    hold = held(tmp_path)
    config = write(tmp_path / "sweep.yaml", toy(hold=str(hold), ending="{{ 'crash' if nodes == 2 else 'ok' }}"))
    terminal = Terminal(snakemake_command(config), tmp_path, 80)
    shown = terminal.until("1 running, 1 waiting")
    assert "0/2" in shown and "rule plan" not in shown and "Select jobs" not in shown
    hold.unlink()
    assert terminal.close() != 0
    lines = terminal.screen()
    assert not [line for line in lines if "━" in line]
    assert [line[:5] for line in lines if line.startswith("[")] == ["[1/2]", "[2/2]"]
    assert "2 of 2 layouts done: 1 ok, 1 crash" in lines
    log = Path(next(line for line in lines if line.startswith("Complete log")).partition(": ")[2])
    assert "localrule plan:" in log.read_text()


def test_not_on_a_terminal(tmp_path: Path) -> None:
    """Plain lines: the rooms' own, the launcher's events, where the full log is; and a mistake in full.

    The mistake is a file that the measure room cannot read: message, rule and its log are shown.
    """
    config = write(tmp_path / "sweep.yaml", toy())
    (tmp_path / "results" / "toy" / "imported").mkdir(parents=True)
    (tmp_path / "results" / "toy" / "imported" / "mine.json").write_text("{}")
    run = run_snakemake(tmp_path, config)
    lines = [re.sub(r"n(\d)-\S+: ", r"n\1 ", line) for line in run.stdout.splitlines()]
    words = [" ".join(line.split()[:3]) for line in lines[1:8]]
    rooms = ["toy: 2 layouts", "toy: memory is", "toy: 2 job"]
    assert words == [*rooms, "n1 started as", "[1/2] n1 ok", "n2 started as", "[2/2] n2 ok"]
    assert run.returncode != 0 and "imported/mine.json: " in run.stdout
    assert "Error in rule measure:" in lines and "results/toy/logs/measure.log" in run.stdout
    assert "\x1b" not in run.stdout and "Select jobs" not in run.stdout and "Complete log(s): " in run.stdout


def test_many_taken_over_are_one_line(tmp_path: Path) -> None:
    """Jobs of an earlier launcher: a few are told one by one, of many the number, and each is noted."""
    study = study_in(tmp_path, layouts=layouts(12))
    for number, slug in enumerate(study.layouts):
        key = f"toy-{number:012}-a1"
        journal.append(study.journal(slug), Intent(key=key, attempt=1, script_sha256="", scheduler="local"))
        journal.append(study.journal(slug), Submitted(key=key, job_id="1@1"))  # long gone
    lines: list[str] = []
    runner_of(study, lines)
    assert lines == ["12 jobs ended while no launcher was there: lost"]
