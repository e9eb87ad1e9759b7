"""`nodesweep measure` on logs that were not described, that go, and that somebody has compressed."""

import csv
import gzip
from pathlib import Path
from typing import Any

import pytest
import yaml
from sweeps import drained, runner_of, starts, study_in

from nodesweep.cli.main import main
from nodesweep.common.lock import SweepLock
from nodesweep.launch import journal
from nodesweep.launch.journal_events import Ended, Intent
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.sweep.study import Study

ONE = [{"nodes": 1, "global_batch": 16, "sequence_length": 128}]
UNKNOWN = {"name": "quiet", "command": ["seq", "-f", "batch %g took 0.11 s", "3"]}
DESCRIBED = {
    "name": "quiet",
    "iteration": {"contains": "batch ", "pattern": "^batch (?P<number>[0-9]+) took"},
    "figures": {"seconds": {"pattern": "took ([0-9.]+) s", "unit": "s"}},
}
CONFIG = ["--configfile", "sweep.yaml"]


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def ran(folder: Path, **changes: Any) -> Study:
    """A sweep of one layout that has run and was measured."""
    study = study_in(folder, layouts=ONE, **changes)
    runner = runner_of(study)
    runner.add(list(study.layouts))
    drained(runner, 1)
    assert main(["measure", *CONFIG]) == 0
    return study


def described(study: Study) -> None:
    """Say in the config how the log is to be read."""
    values = yaml.safe_load(Path("sweep.yaml").read_text())
    values["workload"]["log_format"] = DESCRIBED
    Path("sweep.yaml").write_text(yaml.safe_dump(values))


def row(study: Study) -> dict[str, str]:
    """The one row of results.csv."""
    (found,) = csv.DictReader((study.folder / "results.csv").open())
    return found


def log_of(study: Study) -> Path:
    """The log of the one run."""
    (slug,) = study.layouts
    return study.directory(slug) / f"{journal.state(study.journal(slug)).key}.log"


def record_of(study: Study) -> TerminalRecord:
    """The record of the one run by its journal."""
    (slug,) = study.layouts
    record = journal.state(study.journal(slug)).record
    assert record is not None
    return record


def test_a_format_that_is_described_later_brings_figures_and_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unread, with the way out in the table; then ok with its time, in table, journal, job.json, why and status."""
    study = ran(tmp_path, workload=UNKNOWN)
    (slug,) = study.layouts
    before = row(study)
    assert (before["outcome"], before["iteration_seconds"]) == ("unread", "")
    assert before["outcome_note"].startswith(
        "no iteration was recognised in its log: describe its lines under workload"
    )
    assert (before["evidence"], before["memory_mib"]) == ("line 4: batch 3 took 0.11 s", "")
    described(study)
    capsys.readouterr()
    assert main(["measure", *CONFIG]) == 0
    assert "unread before, ok by its log as it is read now: line 4: iteration 3 of 3" in capsys.readouterr().out
    assert (row(study)["outcome"], row(study)["iteration_seconds"]) == ("ok", "0.11")
    assert (record_of(study).outcome, TerminalRecord.from_json(study.record(slug).read_text()).outcome) == ("ok", "ok")
    assert main(["why", *CONFIG, slug, "outcome", "iteration_seconds"]) == 0
    assert main(["status", *CONFIG]) == 0
    said = capsys.readouterr().out
    assert "ended: ok, attempt 1; needs no more runs" in said and "median of 0.11 0.11 s" in said and "1 ok" in said
    assert main(["measure", *CONFIG]) == 0 and capsys.readouterr().out == ""  # nothing new: nothing is told twice


def test_while_a_launcher_works_its_journals_are_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table has the verdict at once; the journal gets it from the next look after the launcher has gone."""
    study = ran(tmp_path, workload=UNKNOWN)
    described(study)
    lock = SweepLock(study.folder)
    for _ in range(2):
        capsys.readouterr()
        assert main(["measure", *CONFIG]) == 0
        assert "a launcher works on the sweep" in capsys.readouterr().out
        assert (row(study)["outcome"], record_of(study).outcome) == ("ok", "unread")
    lock.release()
    assert main(["measure", *CONFIG]) == 0
    assert record_of(study).outcome == "ok"


def test_a_good_run_that_an_earlier_version_called_a_crash_does_not_run_again(tmp_path: Path) -> None:
    """Its journal says crash with exit code 0, it has no job.json: the next launcher reads its log anew and is done."""
    study = study_in(tmp_path, layouts=ONE, workload=UNKNOWN)
    (slug,) = study.layouts
    (study.directory(slug) / "k-a1.log").write_text(
        "batch 3 took 0.11 s\nnodesweep: the launch ended with exit code 0\n"
    )
    crash = TerminalRecord(
        slug=slug, key="k-a1", attempt=1, job_id="7", outcome="crash", exit_code=0, log="k-a1.log", evidence="line 2: x"
    )
    journal.append(study.journal(slug), Intent(key="k-a1", attempt=1))
    journal.append(study.journal(slug), Ended(record=crash))
    runner = runner_of(study)
    runner.add([slug])
    (done,) = drained(runner, 1)
    assert (done.record.outcome, done.record.attempt, done.final) == ("unread", 1, True)
    assert TerminalRecord.from_json(study.record(slug).read_text()) == done.record == record_of(study)


@pytest.mark.parametrize("way", ["gone", "cut", "damaged"])
def test_what_was_measured_outlives_its_log(tmp_path: Path, capsys: pytest.CaptureFixture[str], way: str) -> None:
    """Purged, cut short, or compressed and damaged: the figures and the verdict stay, and the row says from where."""
    study = ran(tmp_path)
    (slug,) = study.layouts
    before, log = row(study), log_of(study)
    text = log.read_text()
    if way == "cut":
        log.write_text(text[: len(text) // 2])
    else:
        log.unlink()
    if way == "damaged":
        log.with_name(log.name + ".gz").write_bytes(gzip.compress(text.encode())[:-20])
    assert main(["measure", *CONFIG]) == 0
    now = row(study)
    words = {"gone": "is gone", "cut": "its log has become shorter", "damaged": "cannot be unpacked behind its first"}
    assert words[way] in now["flags"] and now["flags"].endswith("figures as measured before")
    assert {**now, "flags": before["flags"]} == before
    assert (now["outcome"], record_of(study).outcome) == ("ok", "ok")
    assert main(["status", *CONFIG]) == 0 and main(["why", *CONFIG, slug, "iteration_seconds"]) == 0
    said = capsys.readouterr().out
    assert "iteration_seconds (Sec/it) = 0.5" in said and "Traceback" not in said
    if way != "cut":
        assert "3/3" in said and "0.500" in said
    log.write_text(text)
    assert main(["measure", *CONFIG]) == 0 and row(study) == before  # it was put back


def test_logs_compressed_after_the_end_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same row, also by other settings; `why` shows the lines, `explain-log` the whole, `ingest` takes it in."""
    study = ran(tmp_path)
    (slug,) = study.layouts
    before, log = row(study), log_of(study)
    packed = log.with_name(log.name + ".gz")
    packed.write_bytes(gzip.compress(log.read_bytes()))
    log.unlink()
    capsys.readouterr()
    assert main(["why", *CONFIG, slug, "iteration_seconds"]) == 0
    assert "has been compressed since it was measured" in capsys.readouterr().out
    assert main(["measure", *CONFIG]) == 0 and row(study) == before
    assert main(["measure", *CONFIG, "--config", '{"statistic": "mean"}']) == 0
    assert row(study) == before | {"statistic": "mean"}  # 0.5 s each
    assert main(["status", *CONFIG]) == 0 and main(["why", *CONFIG, slug, "iteration_seconds"]) == 0
    said = capsys.readouterr().out
    assert "3/3" in said and "line 4: iteration 2/ 3 | consumed samples:" in said
    assert main(["explain-log", str(packed)]) == 0
    said = capsys.readouterr().out
    assert f"{packed.stat().st_size:,} bytes, " in said and " unpacked, " in said and "outcome: ok" in said
    assert main(["ingest", "--name", "old", str(packed)]) == 0
    assert ".log.gz: megatron" in capsys.readouterr().out
    assert starts(tmp_path) == {slug: 1}
