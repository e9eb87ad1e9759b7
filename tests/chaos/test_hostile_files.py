"""The short form of `make fuzz`, and what it says of single files."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fuzz import fuzzed
from hostile_values import REPLACEMENTS, remove
from sweeps import drained, runner_of, starts, study_in, toy, write

from nodesweep.cli.main import main
from nodesweep.launch import journal
from nodesweep.launch.journal_events import Intent, Submitted
from nodesweep.launch.records import read_phase
from nodesweep.results.results_file import read_results
from nodesweep.sweep.study import Study

GARBAGE = [
    b"nonsense\n",
    b"[" * 100_000 + b"\n",
    b'{"event": "intent", "key": "k", "attempt": 1' + b"0" * 30 + b"}\n",
    b'{"event": "intent", "key": "k", "attempt": -5}\n',
    b'{"event": "intent", "key": "../../x", "attempt": 1}\n',
    b'{"event": "intent", "key": "k", "attempt": 1, "folder": "\\u0000"}\n',
    b'{"event": "submitted", "key": "k", "job_id": "--me"}\n',
    b'{"event": "submitted", "key": "k", "job_id": "all"}\n',
    b'{"event": "ended", "record": {"outcome": "ok", "attempt": 1e400}}\n',
    b'{"event": "ended", "record": {"outcome": "ok", "evidence": "\\ud800"}}\n',
    b'{"event": "ended", "record": 7}\n',
    b"\xff\xfe\x00\n",
]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A sweep of two layouts of which the first has run."""
    monkeypatch.chdir(tmp_path)
    study = study_in(tmp_path)
    runner = runner_of(study)
    runner.add(list(study.layouts)[:1])
    drained(runner, 1)
    return study


def test_three_hundred_changes() -> None:
    """Any exception but a NodesweepError, a reader that hangs, a command with what is no id: none of them."""
    outcomes, findings = fuzzed(seed=7, mutations=300, sample=150)
    assert findings == []
    assert outcomes["read"] > 300 and outcomes["refused"] > 0


@pytest.mark.parametrize("line", GARBAGE, ids=range(len(GARBAGE)))
def test_a_damaged_journal_costs_its_own_layout_alone(study: Study, line: bytes) -> None:
    """Nobody knows whether it runs: it is held with file and line, and the other layout runs."""
    spoilt, other = study.layouts
    with study.journal(spoilt).open("ab") as file:
        file.write(line)
    lines: list[str] = []
    runner = runner_of(study, lines, jobs_at_once=2)
    runner.add([spoilt, other])
    done = {one.slug: one for one in drained(runner, 2)}
    assert (done[spoilt].record.outcome, done[spoilt].final) == ("held", False)
    assert f"{study.journal(spoilt)}:4: is no journal event" in done[spoilt].record.evidence
    assert done[other].record.outcome == "ok" and set(starts(study.folder.parents[1]).values()) == {1}
    assert sum(str(study.journal(spoilt)) in one for one in lines) == 1


@pytest.mark.parametrize("replacement", REPLACEMENTS, ids=range(len(REPLACEMENTS)))
def test_no_file_in_place_of_a_journal(study: Study, replacement: Callable[[Path], None]) -> None:
    """A pipe, a folder, a device, a link, gigabytes, nothing: the layout is held, and is not started again."""
    slug = next(iter(study.layouts))
    remove(study.journal(slug))
    replacement(study.journal(slug))
    phase, state, _ = read_phase(study, slug)
    assert phase == "unreadable" and str(study.journal(slug)) in state.problem
    runner = runner_of(study)
    runner.add([slug])
    (done,) = drained(runner, 1)
    assert done.record.outcome == "held" and starts(study.folder.parents[1]) == {slug: 1}


def test_the_commands_tell_it_and_go_on(
    study: Study, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status, measure, plan, tables and why say which file it is; the rows of the others stand as ever."""
    monkeypatch.setenv("COLUMNS", "300")  # status cuts its remarks to the terminal's width
    write(Path("sweep.yaml"), toy())
    spoilt, other = study.layouts
    runner = runner_of(study)
    runner.add([other])
    drained(runner, 1)
    study.journal(spoilt).write_text("nonsense\n")
    for command in ("status", "plan", "measure", "tables", "why", "report"):
        words = ["--configfile", "sweep.yaml", command, *([spoilt] if command == "why" else [])]
        assert main(words) == 0
        said = capsys.readouterr().out
        assert command in ("tables", "report") or "journal.jsonl:1: is no journal event" in said.replace("\n", ""), (
            command
        )
    rows = read_results(study.folder).set_index("slug")
    assert (rows["state"][spoilt], rows["state"][other]) == ("unreadable", "ended")
    assert "journal.jsonl:1: is no journal event" in rows["outcome_note"][spoilt]
    assert main(["--configfile", "sweep.yaml", "rerun", spoilt]) == 1


def test_status_goes_on_without_a_calibration(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    """A calibration that is none costs what is foreseen: the layouts stand as they do, and the file is named."""
    write(Path("sweep.yaml"), toy())
    path = study.calibration("runs")
    path.parent.mkdir()
    os.mkfifo(path)
    assert main(["--configfile", "sweep.yaml", "status"]) == 0
    said = capsys.readouterr().out
    assert "1 pending, 1 ok" in said and f"nothing foreseen: {path.relative_to(Path.cwd())} is a pipe" in said


def test_a_missing_journal_beside_its_runs_is_told(study: Study) -> None:
    """Logs and marks of a launcher's runs tell of it; those of a script that was run by hand do not."""
    ran, other = study.layouts
    study.journal(ran).unlink()
    state = journal.state(study.journal(ran))
    assert state.problem.startswith(f"{study.journal(ran)}: says nothing, while")
    by_hand = study.directory(other) / "toy-0123456789ab-byhand-20261130T000000-1.log"
    shutil.copy(next(study.directory(ran).glob("*.log")), by_hand)
    assert journal.state(study.journal(other)).status == "pending"


def test_a_record_leads_out_of_no_folder(study: Study) -> None:
    """A log is a file of its layout's folder, whatever a record says."""
    slug = next(iter(study.layouts))
    text = study.journal(slug).read_text()
    study.journal(slug).write_text(
        text.replace(next(study.directory(slug).glob("*.log")).name, "../../../../etc/hosts")
    )
    _, _, record = read_phase(study, slug)
    assert record is not None and record.log == ""


def test_a_submission_whose_journal_is_lost_under_way(study: Study) -> None:
    """A journal that becomes a folder while its job runs is told at once; the launcher goes on with the others."""
    first, other = study.layouts
    key = "toy-0123456789ab-a2-wxyz"
    journal.append(study.journal(first), Intent(key=key, attempt=2, scheduler="local"))
    journal.append(study.journal(first), Submitted(key=key, job_id=f"{os.getpid()}@1"))
    lines: list[str] = []
    runner = runner_of(study, lines, jobs_at_once=2)
    runner.add([other])
    drained(runner, 1)
    assert journal.state(study.journal(other)).status == "ended"
