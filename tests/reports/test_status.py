"""nodesweep status: where layouts stand by their files alone, on one line each, whatever the files hold."""

import json
import os
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console
from sweeps import drained, held, run_nodesweep, runner_of, study_in, toy, write
from terminals import Terminal

from nodesweep.cli.status import StatusPage
from nodesweep.launch import journal
from nodesweep.launch.forecasts import ExpectedRun
from nodesweep.launch.journal_events import Ended, Intent, JobHeld, Submitted
from nodesweep.launch.status import LayoutStatus, LogProgress, StatusRow, labels_of
from nodesweep.launch.status_reader import StatusReader
from nodesweep.launch.sweep_status import sweep_status
from nodesweep.reports.status import head, table
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.sweep.study import Study

NOW = 1_800_000_000.0
HOSTILE = "\x1b[31m<b>[red]|evil|[/red]\x1b]0;title\x07 \u202egnp.exe\u202c \x07" + "long " * 200
LINE = " iteration {0:8d}/       3 | elapsed time per iteration (ms): {1:.1f} | lm loss: 9.0 |\n"


def layouts(count: int) -> list[dict[str, Any]]:
    """So many layouts, of one node each."""
    return [{"nodes": 1, "global_batch": 16, "sequence_length": [128 * (number + 1) for number in range(count)]}]


def submitted(study: Study, slug: str, seconds_ago: float = 0, attempt: int = 1, job: str = "4711") -> str:
    """Write into a journal that a layout was submitted, as its launcher would have; returns the key."""
    key = f"toy-{slug[-12:]}-a{attempt}"
    journal.append(study.journal(slug), Intent(key=key, attempt=attempt, script_sha256="", scheduler="local"))
    if job:
        journal.append(study.journal(slug), Submitted(key=key, job_id=job))
    text = re.sub(r'"time": [\d.]+', f'"time": {NOW - seconds_ago}', study.journal(slug).read_text())
    study.journal(slug).write_text(text)
    return key


def started(study: Study, slug: str, key: str, seconds_ago: float, iterations: int = 0, silent: float = 0) -> None:
    """Leave what a run that started leaves: its mark, and a log of iterations of 2 s that grew last `silent` s ago."""
    mark, log = study.directory(slug) / f"{key}.started", study.directory(slug) / f"{key}.log"
    mark.touch()
    os.utime(mark, (NOW - seconds_ago,) * 2)
    log.write_text("".join(LINE.format(number, 2000) for number in range(1, iterations + 1)))
    os.utime(log, (NOW - silent,) * 2)


def ended(study: Study, slug: str, key: str, outcome: str, evidence: str = "") -> None:
    """Write into a journal how a run of 36 s ended."""
    times = {"started": "2026-01-01T00:00:00+00:00", "ended": "2026-01-01T00:00:36+00:00"}
    record = TerminalRecord(slug=slug, key=key, outcome=outcome, evidence=evidence, job_id="1", log=f"{key}.log")
    journal.append(study.journal(slug), Ended(record=replace(record, **times)))


def statuses(study: Study) -> dict[str, LayoutStatus]:
    """Where the layouts stand now."""
    return {one.slug: one for one in StatusReader(study).layouts(NOW)}


def test_where_layouts_stand(tmp_path: Path) -> None:
    """Each state of a layout is told by its journal and its marks, with the seconds it has lasted."""
    study = study_in(tmp_path, layouts=layouts(10))
    _, pruned, submitting, queued, stuck, running, ending, good, bad, again = study.layouts
    study.record(pruned).write_text(json.dumps({"outcome": "pruned", "evidence": "needs 9 of 5 GiB"}))
    submitted(study, submitting, 300, job="")
    submitted(study, queued, 40)
    key = submitted(study, stuck, 50)
    journal.append(study.journal(stuck), JobHeld(key=key, word="JobHeldUser"))
    started(study, running, submitted(study, running, 90), 70, iterations=2)
    key = submitted(study, ending, 90)
    started(study, ending, key, 80)
    (study.directory(ending) / f"{key}.exit").touch()
    os.utime(study.directory(ending) / f"{key}.exit", (NOW - 20,) * 2)
    ended(study, good, submitted(study, good, 900), "ok")
    ended(study, bad, submitted(study, bad, 900), "crash", "ValueError: no")
    ended(study, again, submitted(study, again, 900), "node_failure")
    submitted(study, again, 20, attempt=2)
    found = statuses(study)
    assert [(one.word, one.seconds) for one in found.values()] == [
        *(("pending", None), ("pruned", None), ("submitting", 300), ("queued", 40), ("held", 50), ("running", 70)),
        *(("ending", 60), ("ok", 36), ("crash", 36), ("queued", 20)),
    ]
    assert [one.slug for one in found.values() if one.troubled] == [submitting, stuck]
    remarks = {slug: StatusRow("", one, None, None).remark for slug, one in found.items()}
    assert remarks[stuck] == "JobHeldUser" and remarks[bad] == "ValueError: no; runs again"
    assert remarks[again] == "attempt 2 after node failure" and remarks[pruned] == "needs 9 of 5 GiB"
    assert (found[good].spent_node_hours, found[again].spent_node_hours) == (0.01, 0.01)


def test_clocks_that_differ_make_no_negative_times(tmp_path: Path) -> None:
    """Times of a host whose clock is ahead count as nothing; so does a log that grew in the future."""
    study = study_in(tmp_path)
    first, second = study.layouts
    submitted(study, first, -30)
    started(study, second, submitted(study, second, -60), -50, iterations=1, silent=-40)
    reader = StatusReader(study)
    one, two = reader.layouts(NOW)
    assert (one.seconds, two.seconds) == (0, 0)
    detail = reader.progress(two, NOW)
    assert detail is not None and (detail.done, detail.silent_seconds) == (1, None)


def test_a_silent_job_may_hang(tmp_path: Path) -> None:
    """After ten iterations' time without output, and five minutes at least, a running job needs a look."""
    study = study_in(tmp_path)
    slug = next(iter(study.layouts))
    key = submitted(study, slug, 1000)
    reader, silent = StatusReader(study), []
    for seconds in (299, 301):
        started(study, slug, key, 900, iterations=2, silent=seconds)
        detail = reader.progress(reader.layouts(NOW)[0], NOW)
        assert detail is not None
        silent.append(detail.silent_seconds)
    assert silent == [None, 301]
    row = StatusRow("n1", reader.layouts(NOW)[0], detail, None)
    assert row.troubled and row.remark == "silent for 5 min, may hang"


def test_what_changes_between_looks_is_seen(tmp_path: Path) -> None:
    """One look after the other: pending, queued, running, ok, and a journal somebody spoilt names its line."""
    study = study_in(tmp_path)
    slug, reader = next(iter(study.layouts)), StatusReader(study)
    words = [reader.layouts(NOW)[0].word]
    key = submitted(study, slug)
    words.append(reader.layouts(NOW)[0].word)
    started(study, slug, key, 5)
    words.append(reader.layouts(NOW)[0].word)
    ended(study, slug, key, "ok")
    words.append(reader.layouts(NOW)[0].word)
    with study.journal(slug).open("a") as file:
        file.write("spoilt\n")
    spoilt = reader.layouts(NOW)[0]
    assert [*words, spoilt.word] == ["pending", "queued", "running", "ok", "unreadable"]
    assert "journal.jsonl:4: is no journal event" in spoilt.reason


def test_nothing_is_written(tmp_path: Path) -> None:
    """A look leaves every file as it was, and makes none; not even a lock."""
    study = study_in(tmp_path)
    started(study, (slug := next(iter(study.layouts))), submitted(study, slug), 5, iterations=2)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    run = run_nodesweep(tmp_path, "status", "--configfile", str(tmp_path / "sweep.yaml"))
    assert run.returncode == 0, run.stdout
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def status_of(
    study: Study, slug: str, group: Any, word: str, seconds: float | None = None, **facts: Any
) -> LayoutStatus:
    """A layout that stands so."""
    return LayoutStatus(slug, study.layouts[slug], group, word, seconds, **facts)


def test_what_a_sweep_adds_up_to(tmp_path: Path) -> None:
    """By hand: foreseen 100 s each, the one that ended took 120, so 120 each; two run at once."""
    study = study_in(tmp_path, layouts=[{"nodes": [1, 2, 4, 8, 16], "global_batch": 16, "sequence_length": 128}])
    good, first, second, waits, later = study.layouts
    stand = [
        status_of(study, good, "ended", "ok", 120, spent_node_hours=0.5),
        status_of(study, first, "running", "running", 60),
        status_of(study, second, "running", "running", 90),
        status_of(study, waits, "queued", "queued", 5),
        status_of(study, later, "waiting", "pending"),
    ]
    details = {first: LogProgress(5, 10, 8.0)}
    expected = dict.fromkeys(study.layouts, ExpectedRun(100, False))
    sweep = sweep_status("toy", stand, details, expected)
    # Left: 5 x 8 s of the first, 120 - 90 of the second, 120 of each other: 310 s, two at a time.
    assert (sweep.left_seconds, sweep.done, sweep.total, sweep.running) == (155, 1, 5, 2)
    assert sweep.spent_node_hours == pytest.approx(0.5 + (60 * 2 + 90 * 4) / 3600)
    assert sweep.left_node_hours == pytest.approx((40 * 2 + 30 * 4 + 120 * 8 + 120 * 16) / 3600)
    assert list(sweep.counts.items()) == [("running", 2), ("queued", 1), ("pending", 1), ("ok", 1)]
    nothing = sweep_status("toy", stand[3:], {}, expected)
    assert (nothing.left_seconds, nothing.left_node_hours) == (None, None)  # nothing runs, and a guess is no basis
    late = sweep_status("toy", [status_of(study, first, "running", "running", 500), stand[0]], {}, expected)
    assert late.left_seconds == 1  # it should have ended: never 0 while something is left


@pytest.mark.parametrize("enough", [True, False])
def test_estimate_says_where_runs_may_end_early(tmp_path: Path, enough: bool) -> None:
    """93 iterations of 12.34 s at most: less where `iterations.enough` may end the run."""
    study = study_in(tmp_path, iterations={"total": 100, **({"enough": {"percent": 1}} if enough else {})})
    rows = rows_of(study)[1:]
    sweep = sweep_status("toy", [row.status for row in rows], {rows[0].status.slug: LogProgress(7, 100, 12.34)}, {})
    text = "\n".join(line.plain for line in head(sweep, "12:00:00", 120))
    assert "about 19 min left, by estimate" in text
    assert ("by estimate, less where iterations are enough" in text) == enough


def test_layouts_are_named_by_what_differs(tmp_path: Path) -> None:
    """Short names: the nodes always, other fields where layouts differ; what nearly all share only the others say."""
    axes = {"nodes": 2, "tensor": [1, 2], "global_batch": 16, "sequence_length": 128}
    some = {**axes, "activation_checkpointing": [True, False]}
    names = labels_of(Study.load([write(tmp_path / "a.yaml", toy(layouts=[some]))]).layouts)
    assert list(names.values()) == ["n2 dp2 mp1 ac", "n2 dp2 mp1 no-ac", "n2 dp1 mp2 ac", "n2 dp1 mp2 no-ac"]
    most = [{**axes, "nodes": [2, 4]}, {"nodes": 2, "global_batch": 64, "sequence_length": 128}]
    names = labels_of(Study.load([write(tmp_path / "b.yaml", toy(layouts=most))]).layouts)
    assert list(names.values()) == ["n2 dp2 mp1", "n2 dp1 mp2", "n4 dp4 mp1", "n4 dp2 mp2", "n2 dp2 mp1 gbs64"]


def rows_of(study: Study, **facts: Any) -> list[StatusRow]:
    """Two rows, the second a running one with these facts."""
    first, second = study.layouts
    detail = LogProgress(7, 100, 12.34, 20480.0)
    return [
        StatusRow("n1 dp1", status_of(study, first, "waiting", "pending"), None, 11.0, guess=True),
        StatusRow("n2 dp2", status_of(study, second, "running", "running", 4000, **facts), detail, 11.987),
    ]


def test_columns_go_where_there_is_no_room(tmp_path: Path) -> None:
    """From wide to narrow: the job's id goes first, then the memory, then what was foreseen; names are cut last."""
    rows = rows_of(study_in(tmp_path), job_id="4711")
    lines = {width: [line.plain for line in table(rows, width)] for width in (100, 66, 60, 50, 30)}
    assert lines[100] == [
        "Layout  State    Job      Time  Iteration  s/it  foreseen    Memory",
        "n1 dp1  pending  -           -          -     -     ~11.0         -",
        "n2 dp2  running  4711  1:06:40      7/100  12.3      12.0  20.0 GiB",
    ]
    assert lines[66][2] == "n2 dp2  running  1:06:40      7/100  12.3      12.0  20.0 GiB"
    assert lines[60][2] == "n2 dp2  running  1:06:40      7/100  12.3      12.0"
    assert lines[50][2] == "n2 dp2  running  1:06:40      7/100  12.3"
    assert all(cell_len(line) <= 30 for line in lines[30])


@pytest.mark.parametrize("width", [20, 40, 80, 100, 200])
def test_hostile_words_are_inert(tmp_path: Path, width: int) -> None:
    """Escapes, markup, marks of direction and wide letters of files: one line each, no wider than the terminal."""
    study = study_in(tmp_path)
    rows = rows_of(study, job_id=HOSTILE, reason=f"{'層' * 30} {HOSTILE}", attempt=3, before=HOSTILE)
    sweep = sweep_status(HOSTILE, [row.status for row in rows], {}, {})
    lines = [*head(sweep, "12:00:00", width), *table(rows, width)]
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        console = Console(file=nowhere, force_terminal=True, width=width, record=True)
        for line in lines:
            console.print(line, no_wrap=True, crop=False)
    assert all(cell_len(line.plain) <= width and line.plain.isprintable() for line in lines)
    shown = re.sub(r"\x1b\[[\d;]*m", "", console.export_text(styles=True))  # but for rich's own colours
    assert not re.search("[\x1b\x07\u202e\u202c]", shown)
    assert width < 100 or "[red]|evil|[/red]" in shown  # shown as it is, not taken as markup


def test_a_thousand_layouts_are_summed_up(tmp_path: Path) -> None:
    """What runs comes first, as many rows as there is room for, then a count of the others."""
    study = study_in(tmp_path, layouts=layouts(60))
    slugs = list(study.layouts)
    started(study, slugs[50], submitted(study, slugs[50]), 5, iterations=2)
    page = StatusPage(study, everything=False, clock=lambda: NOW)
    lines = [line.plain for line in page.lines(80, 24)]
    assert len(lines) <= 24 and lines[0].endswith("  toy: 60 layouts")
    assert lines[1] == "1 running, 59 pending"
    assert "running" in lines[5] and "2/3" in lines[5]
    assert lines[-1] == "... and 42 more: 42 pending (--all shows all)"
    assert len(StatusPage(study, everything=True, clock=lambda: NOW).lines(80, None)) == 65
    other = StatusPage(study_in(tmp_path, layouts=layouts(2)), everything=False, clock=lambda: NOW)
    assert other.lines(80, 24)[4].plain.startswith("1 more ran here by another config, or for another machine: --con")


def test_a_real_sweep_in_terminals(tmp_path: Path) -> None:
    """While a job runs, --watch at 100 and 80 columns shows it, sees it end, and leaves its last state behind."""
    hold = held(tmp_path)
    study = study_in(tmp_path, hold=str(hold))
    runner = runner_of(study)
    runner.add(list(study.layouts))
    runner.step()
    words = [sys.executable, "-m", "nodesweep", "status", "--configfile", str(tmp_path / "sweep.yaml")]
    terminals = {width: Terminal([*words, "--watch", "0.2"], tmp_path, width) for width in (100, 80)}
    for terminal in terminals.values():
        assert "1 running, 1 pending" in terminal.until("pending")
    hold.unlink()
    drained(runner, 2)
    for width, terminal in terminals.items():
        terminal.until("2 ok")
        os.killpg(terminal.process.pid, signal.SIGINT)
        assert terminal.close() == 0
        screen, _, left = terminal.shown.decode().rpartition("\x1b[?1049l")  # the end of the alternate screen
        assert "\x1b[?1049h" in screen
        lines = [line for line in re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", left).splitlines() if line.strip()]
        assert lines[0].endswith("  toy: 2 layouts") and lines[1] == "2 ok"
        assert "2/2 done, nothing left to run" in lines[2]
        assert [line.split()[:3:2] for line in lines[-2:]] == [["n1", "ok"], ["n2", "ok"]]
        assert all("3/3" in line and "0.500" in line for line in lines[-2:])
        assert all(cell_len(line.rstrip()) <= width for line in lines)
    plain = run_nodesweep(tmp_path, *words[3:], "--watch")
    assert plain.returncode == 0 and "\x1b" not in plain.stdout and "toy: 2 layouts\n2 ok\n" in plain.stdout
