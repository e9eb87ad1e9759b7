"""The whole command, as a user types it: real snakemake, real job scripts, real processes, real kills."""

import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from sweeps import (
    copied_repository,
    held,
    launched,
    run_nodesweep,
    run_snakemake,
    snakemake_command,
    starts,
    toy,
    write,
)
from terminals import Terminal

from nodesweep.common.lock import read_holder
from nodesweep.launch import journal
from nodesweep.sweep.study import Study


def tables(folder: Path) -> str:
    """The tables of the toy sweep."""
    return (folder / "results" / "toy" / "tables.md").read_text()


def notes(folder: Path) -> list[str]:
    """The Notes column, row by row."""
    measured = tables(folder).partition("## Where the time goes")[0]
    rows = [line for line in measured.splitlines() if line.startswith("|")][2:]
    return [row.split("|")[-2].strip() for row in rows]


def wait_for(condition: Any, seconds: float = 60) -> None:
    """Wait until something holds."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "did not come about"
        time.sleep(0.05)


def test_one_command_runs_all_and_the_next_runs_nothing(tmp_path: Path) -> None:
    """First all layouts run, tables and figures are written; a second time nothing is done and no byte changes."""
    config = write(tmp_path / "sweep.yaml", toy(ending="{{ 'oom' if nodes == 2 else 'ok' }}"))
    run = run_snakemake(tmp_path, config, "all")
    assert run.returncode == 0, run.stdout
    assert "ok" in run.stdout and "oom after iteration 1" in run.stdout
    text = tables(tmp_path)
    assert "(OOM after iteration 1)" in text and " 0.500 |" in text
    figures = {path.name: path.read_bytes() for path in tmp_path.glob("results/toy/figures/*.*")}
    assert {f"{name}.{end}" for name in ("strong-scaling", "tflops") for end in ("svg", "png", "json")} <= set(figures)
    assert all(f"(figures/{name})" in text for name in figures if name.endswith(".svg"))
    again = run_snakemake(tmp_path, config, "all")
    assert "Nothing to be done" in again.stdout
    assert {path.name: path.read_bytes() for path in tmp_path.glob("results/toy/figures/*.*")} == figures
    assert (set(starts(tmp_path).values()), tables(tmp_path)) == ({1}, text)


def test_tables_deleted_and_asked_for_again_run_nothing(tmp_path: Path) -> None:
    """`snakemake tables` makes the same bytes from what is there."""
    config = write(tmp_path / "sweep.yaml", toy())
    assert run_snakemake(tmp_path, config).returncode == 0
    text = tables(tmp_path)
    (tmp_path / "results" / "toy" / "tables.md").unlink()
    (tmp_path / "results" / "toy" / "results.csv").unlink()
    assert run_snakemake(tmp_path, config, "tables").returncode == 0
    assert (set(starts(tmp_path).values()), tables(tmp_path)) == ({1}, text)


def test_a_value_added_to_an_axis_runs_only_the_new_layouts(tmp_path: Path) -> None:
    """Growing an axis keeps what is finished; shrinking it again drops the row and runs nothing."""
    config = write(tmp_path / "sweep.yaml", toy())
    assert run_snakemake(tmp_path, config).returncode == 0
    before = starts(tmp_path)
    write(config, toy(layouts=[{"nodes": [1, 2, 4], "global_batch": 16, "sequence_length": 128}]))
    run = run_snakemake(tmp_path, config)
    assert run.returncode == 0, run.stdout
    assert len(starts(tmp_path)) == 3 and set(starts(tmp_path).values()) == {1}
    assert before.items() <= starts(tmp_path).items()
    assert len(notes(tmp_path)) == 3
    write(config, toy())
    assert run_snakemake(tmp_path, config).returncode == 0
    assert (len(notes(tmp_path)), set(starts(tmp_path).values())) == (2, {1})


def test_edited_templates_modules_and_comments_run_nothing_again(tmp_path: Path) -> None:
    """In a copy of the repository: a template, a rule, a module and a comment change; no finished layout runs again."""
    repository = copied_repository(tmp_path / "nodesweep")
    config = write(tmp_path / "sweep.yaml", toy())
    assert run_snakemake(tmp_path, config, repository=repository).returncode == 0
    scripts = {path: path.read_text() for path in tmp_path.glob("results/toy/layouts/*/job.sh")}
    for name, old, new in (
        ("workflow/nodesweep/schedulers/templates/job.sh.j2", "set -euo pipefail", "set -euo pipefail # edited"),
        ("workflow/rules/run.smk", "layouts are run by", "layouts are only run by"),
        ("workflow/nodesweep/schedulers/job_script.py", '"""Layout + machine', '"""Edited: layout + machine'),
        ("workflow/nodesweep/launch/runner.py", '"""The queue', '"""Edited: the queue'),
    ):
        path = repository / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
    config.write_text("# a comment\n" + config.read_text())
    run = run_snakemake(tmp_path, config, repository=repository)
    assert run.returncode == 0, run.stdout
    assert set(starts(tmp_path).values()) == {1}
    assert len(scripts) == 2
    assert {path: path.read_text() for path in scripts} == scripts, "finished layouts keep the script they ran"
    forced = run_snakemake(tmp_path, config, "--forceall", repository=repository)
    assert forced.returncode == 0, forced.stdout
    assert set(starts(tmp_path).values()) == {1}


def test_killed_launcher(tmp_path: Path) -> None:
    """After kill -9 in mid-run the same command takes over: nothing is started twice, nothing is unlocked by hand."""
    hold, layouts = held(tmp_path), [{"nodes": [1, 2, 4], "global_batch": 16, "sequence_length": 128}]
    config = write(tmp_path / "sweep.yaml", toy(hold=f"{hold}{{{{ '' if nodes == 2 else '-none' }}}}", layouts=layouts))
    launcher = launched(tmp_path, config)
    wait_for(lambda: len(starts(tmp_path)) == 2)
    second = run_snakemake(tmp_path, config)
    assert second.returncode != 0
    refusals = [line for line in second.stdout.splitlines() if "another launcher works on" in line]
    assert len(refusals) == 1 and f"process {launcher.pid} on" in refusals[0]
    assert "Traceback" not in second.stdout and 'File "' not in second.stdout
    launcher.send_signal(signal.SIGKILL)
    launcher.communicate()
    hold.unlink()
    third = run_snakemake(tmp_path, config)
    assert third.returncode == 0, third.stdout
    assert "taken over" in third.stdout or "while no launcher was there" in third.stdout
    assert starts(tmp_path) == dict.fromkeys(Study.load([config]).layouts, 1)
    assert notes(tmp_path) == ["", "", ""]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["Ctrl-C", "SIGTERM", "SIGHUP"])
def test_interrupted_launcher_leaves_its_job_to_the_next(tmp_path: Path, sent: signal.Signals) -> None:
    """An interrupt ends the launcher, not the running job; the next launcher takes it over."""
    hold = held(tmp_path)
    config = write(tmp_path / "sweep.yaml", toy(hold=str(hold)))
    launcher = launched(tmp_path, config)
    wait_for(lambda: starts(tmp_path))
    launcher.send_signal(sent)
    shown, _ = launcher.communicate(timeout=60)
    hold.unlink()
    assert launcher.returncode != 0
    assert "left running: job" in shown
    assert "Traceback" not in shown
    run = run_snakemake(tmp_path, config)
    assert run.returncode == 0, run.stdout
    assert (len(starts(tmp_path)), set(starts(tmp_path).values())) == (2, {1})


def test_a_terminal_that_closes(tmp_path: Path) -> None:
    """A launcher whose terminal closes lets go of the sweep, though it can say nothing more; its job runs on."""
    hold = held(tmp_path)
    config = write(tmp_path / "sweep.yaml", toy(hold=str(hold)))
    terminal = Terminal(snakemake_command(config), tmp_path, 80)
    terminal.until("1 running, 1 waiting")
    assert terminal.hang_up() != 0
    holder = read_holder(tmp_path / "results" / "toy")
    assert holder and holder.released
    hold.unlink()
    run = run_snakemake(tmp_path, config)
    assert run.returncode == 0, run.stdout
    assert (len(starts(tmp_path)), set(starts(tmp_path).values())) == (2, {1})


def test_a_launcher_that_is_stopped_and_continued(tmp_path: Path) -> None:
    """SIGSTOP in mid-run and SIGCONT after its job has ended: it goes on, and nothing runs twice."""
    hold = held(tmp_path)
    config = write(tmp_path / "sweep.yaml", toy(hold=str(hold)))
    launcher = launched(tmp_path, config)
    wait_for(lambda: starts(tmp_path))
    launcher.send_signal(signal.SIGSTOP)
    hold.unlink()
    wait_for(lambda: list(tmp_path.glob("results/toy/layouts/*/*.exit")))
    launcher.send_signal(signal.SIGCONT)
    shown, _ = launcher.communicate(timeout=60)
    assert launcher.returncode == 0, shown
    assert (len(starts(tmp_path)), set(starts(tmp_path).values())) == (2, {1})


def test_a_profile_may_end_running_jobs_on_interrupt(tmp_path: Path) -> None:
    """With on-interrupt: cancel nothing runs on after Ctrl-C; the layout is cancelled and runs again next time."""
    hold = held(tmp_path)
    config = write(tmp_path / "sweep.yaml", toy(hold=str(hold)))
    launcher = launched(tmp_path, config, "--nodesweep-on-interrupt", "cancel")
    wait_for(lambda: starts(tmp_path))
    trainer = int(next(tmp_path.glob("results/*/layouts/*/starts")).read_text().split()[-1])
    launcher.send_signal(signal.SIGINT)
    shown, _ = launcher.communicate(timeout=60)
    assert not psutil.pid_exists(trainer)
    hold.unlink()
    run = run_snakemake(tmp_path, config)
    assert run.returncode == 0, run.stdout
    assert ": cancelled " in shown + run.stdout  # recorded by the launcher that ends, or by the next
    first, second = Study.load([config]).layouts
    assert starts(tmp_path) == {first: 2, second: 1}


def test_a_crash_leaves_tables_and_runs_again_next_time(tmp_path: Path) -> None:
    """One layout crashes: the others go on, the tables say so, the exit code too; the next command tries it again."""
    config = write(tmp_path / "sweep.yaml", toy(ending="{{ 'crash' if nodes == 1 else 'ok' }}"))
    run = run_snakemake(tmp_path, config)
    assert run.returncode != 0
    assert "crash after iteration 1: line" in run.stdout and "ValueError: made to fail" in run.stdout
    assert "Traceback" not in run.stdout
    first, second = Study.load([config]).layouts
    assert notes(tmp_path) == ["crash after iteration 1; 1 iteration only", ""]
    assert run_snakemake(tmp_path, config).returncode != 0
    assert starts(tmp_path) == {first: 2, second: 1}
    write(config, toy())
    mended = run_snakemake(tmp_path, config)
    assert mended.returncode == 0, mended.stdout
    assert (starts(tmp_path), notes(tmp_path)) == ({first: 3, second: 1}, ["", ""])


def test_a_damaged_journal_ends_the_launcher_with_one_message(tmp_path: Path) -> None:
    """A journal spoilt in mid-run stops the launcher, which names file and line; mended, the sweep goes on."""
    hold = held(tmp_path)
    config = write(tmp_path / "sweep.yaml", toy(hold=str(hold)))
    launcher = launched(tmp_path, config)
    wait_for(lambda: starts(tmp_path))
    path = next(tmp_path.glob("results/toy/layouts/*/journal.jsonl"))
    good = path.read_text()
    path.write_text(good + "spoilt\n")
    hold.unlink()
    shown, _ = launcher.communicate(timeout=60)
    assert launcher.returncode != 0
    assert "journal.jsonl:3: is no journal event" in shown
    assert "Traceback" not in shown and 'File "' not in shown
    again = run_snakemake(tmp_path, config)
    assert again.returncode != 0 and "journal.jsonl:3: is no journal event" in again.stdout
    path.write_text(good)
    assert run_snakemake(tmp_path, config).returncode == 0
    assert set(starts(tmp_path).values()) == {1}


def test_tables_of_a_running_sweep(tmp_path: Path) -> None:
    """measure and tables may be called at any time: running and pending layouts have their rows."""
    hold = held(tmp_path)
    config = write(tmp_path / "sweep.yaml", toy(hold=str(hold)))
    launcher = launched(tmp_path, config)
    wait_for(lambda: starts(tmp_path))
    for room in ("measure", "tables"):
        assert run_nodesweep(tmp_path, room, "--configfile", str(config)).returncode == 0
    assert notes(tmp_path) == ["running", "pending"]
    hold.unlink()
    launcher.communicate(timeout=60)
    assert notes(tmp_path) == ["", ""]


def test_rerun_and_show(tmp_path: Path) -> None:
    """`nodesweep rerun` lets one finished layout run once more; `show` prints table and files."""
    config = write(tmp_path / "sweep.yaml", toy())
    assert run_snakemake(tmp_path, config).returncode == 0
    first, second = Study.load([config]).layouts
    asked = run_nodesweep(tmp_path, "rerun", first, "--configfile", str(config))
    assert (asked.returncode, f"{first}: runs with the next launch" in asked.stdout) == (0, True)
    assert run_snakemake(tmp_path, config).returncode == 0
    assert starts(tmp_path) == {first: 2, second: 1}
    shown = run_nodesweep(tmp_path, "show", "--configfile", str(config)).stdout
    assert "### Sequence Length=128" in shown and "results/toy/plan.md: every point" in shown
    unknown = run_nodesweep(tmp_path, "rerun", "n9", "--configfile", str(config))
    assert (unknown.returncode, len(unknown.stdout.splitlines())) == (1, 1)
    assert "toy has no layout 'n9'" in unknown.stdout


def test_plan_alone(tmp_path: Path) -> None:
    """`snakemake plan` writes the plan and nothing else runs."""
    config = write(tmp_path / "sweep.yaml", toy(exclude=["nodes == 2"]))
    assert run_snakemake(tmp_path, config, "plan").returncode == 0
    folder = tmp_path / "results" / "toy"
    assert sorted(path.name for path in folder.iterdir() if path.name[0] != ".") == ["logs", "plan.csv", "plan.md"]
    assert "exclude\\[0\\] holds: nodes == 2" in (folder / "plan.md").read_text()


def test_a_users_own_workload_and_machine(tmp_path: Path) -> None:
    """Another program, model and machine in YAML beside the sweep, without touching Python."""
    program = tmp_path / "my trainer.sh"
    program.write_text(
        "#!/bin/sh\n"
        'echo "learning rate $1, wall $WALL, launched by $LAUNCHER"\n'
        "for i in 1 2 3; do\n"
        '  echo " iteration $i/ 3 | elapsed time per iteration (ms): 2000.0 | lm loss: 1.5E+00 |"\n'
        '  echo "(after $i iterations) CPU memory (MB) | used: 1234.5 | total: 32000.0 |"\n'
        "done\n"
    )
    for kind, name, content in (
        ("models", "mine", {"layers": 2, "hidden_size": 64, "attention_heads": 4, "vocab_size": 100, "size": "tiny"}),
        (
            "machines",
            "attic",
            {
                "description": "a box in the attic",
                "scheduler": "local",
                "ranks_per_node": 2,
                "frequencies_ghz": [2.0],
                "launcher": ["env", "LAUNCHER=attic-{{ ranks }}"],
            },
        ),
        (
            "workloads",
            "mine",
            {
                "setup": ["export WALL=$(echo stone)"],
                "command": ["sh", str(program), "0.1"],
                "log_format": "megatron-deepspeed",
                "memory_source": "log-node-used",
            },
        ),
    ):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / f"{name}.yaml").write_text(yaml.safe_dump(content))
    axes = {"nodes": 2, "global_batch": 8, "sequence_length": 64, "frequency_ghz": 2.0, "note": "mine"}
    sweep = {"sweep": "toy", "model": "mine", "machine": "attic", "workload": "mine"}
    config = write(tmp_path / "sweep.yaml", {**sweep, "iterations": {"total": 3}, "layouts": [axes]})
    run = run_snakemake(tmp_path, config)
    assert run.returncode == 0, run.stdout
    row = [line for line in tables(tmp_path).splitlines() if line.startswith("|")][-1]
    assert [cell.strip() for cell in row.split("|")[1:12]] == [
        *("2", "2.0GHz", "tiny", "4", "1", "1", "1", "8", "No", "1234.5 MiB", "2.00")
    ]
    log = next(tmp_path.glob("results/toy/layouts/*/*.log")).read_text()
    assert "learning rate 0.1, wall stone, launched by attic-4" in log
    assert "a box in the attic (2 ranks)" in tables(tmp_path)


@pytest.mark.parametrize("event", ["intent", "submitted", "ended"])
def test_launcher_killed_at_each_write_of_the_journal(tmp_path: Path, event: str) -> None:
    """SIGKILL right after each event reaches the disk: the next launcher starts nothing a second time."""
    config = write(tmp_path / "sweep.yaml", toy(seconds=0.3))
    study = Study.load([config], results=tmp_path / "results")
    first = next(iter(study.layouts))
    launcher = launched(tmp_path, config)
    path = study.journal(first)
    wait_for(lambda: any(entry.kind == event for entry in journal.read(path)))
    launcher.send_signal(signal.SIGKILL)
    launcher.communicate()
    run = run_snakemake(tmp_path, config)
    assert run.returncode == 0, run.stdout
    assert starts(tmp_path) == dict.fromkeys(study.layouts, 1)
