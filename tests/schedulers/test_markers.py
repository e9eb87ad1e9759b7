"""A submission starts at most once: its mark can be made only once, by the job or by whoever gives it up."""

import hashlib
import json
import os
import subprocess
import threading
import time
from pathlib import Path

from job_scripts import full_key, run, script, submitted
from sweeps import starts, toy

from nodesweep.schedulers.base import End
from nodesweep.schedulers.markers import StartMark, another_script, end_marker, has_started, revoke, start_mark


def test_a_revoked_key_never_starts(tmp_path: Path) -> None:
    """A script whose key was given up ends with 75 and one line, and does not touch the trainer."""
    path = script(tmp_path, toy())
    key = full_key(path, "k")
    assert revoke(path.parent, key) and not has_started(path.parent, key)
    done = run(path, key="k")
    assert (done.returncode, starts(tmp_path)) == (75, {})
    assert f"nodesweep: {key} does not run: it has been given up, or has started before" in done.stdout
    assert revoke(path.parent, key)  # once more is no other answer


def test_a_started_key_cannot_be_revoked(tmp_path: Path) -> None:
    """Once the script has started, giving it up fails; nor does it start again."""
    path = script(tmp_path, toy(seconds=0.01))
    key = full_key(path, "k")
    assert run(path, key="k").returncode == 0
    assert has_started(path.parent, key) and not revoke(path.parent, key)
    assert run(path, key="k").returncode == 75
    assert set(starts(tmp_path).values()) == {1}
    end = end_marker(path.parent, key)
    assert end is not None and end.exit_code == 0  # the second start left the marker of the first alone


def test_the_beginning_of_a_marker_is_none(tmp_path: Path) -> None:
    """However much of its line a marker holds, it tells of no end before the line has its own."""
    whole = '{"key": "k", "exit_code": 0, "started": 1.5, "launched": 2, "returned": 3, "ended": 4.5, "cause": null}\n'
    for length in range(len(whole)):
        (tmp_path / "k.exit").write_text(whole[:length])
        assert end_marker(tmp_path, "k") is None
    (tmp_path / "k.exit").write_text(whole)
    assert end_marker(tmp_path, "k") == End(0, None, "exit code 0", 1.5, 4.5)


def test_script_and_launcher_at_the_same_moment(tmp_path: Path) -> None:
    """Thirty races between a starting script and a launcher that gives it up: each has exactly one winner."""
    mark = 'set -o noclobber; if { true >"$1.started"; } 2>/dev/null; then echo started; fi'
    for number in range(30):
        key, answers = f"k{number}", []
        words = ["bash", "-c", mark, "bash", str(tmp_path / key)]
        thread = threading.Thread(target=lambda key=key, answers=answers: answers.append(revoke(tmp_path, key)))
        job = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        thread.start()
        started = job.communicate()[0] == "started\n"
        thread.join()
        assert answers == [not started]
    assert not list(tmp_path.glob(".*"))


def test_what_a_job_notes_when_it_starts(tmp_path: Path) -> None:
    """Host, boot, process, scheduler's id and the digest of the very script that runs; a changed one is told."""
    path = script(tmp_path, toy(seconds=0.01, machine={"name": "c", "scheduler": "slurm"}))
    spooled = path.with_name("slurm_script")
    spooled.write_text(path.read_text() + "# changed\n")
    assert start_mark(path.parent, full_key(path, "k")) is None
    variables = {**submitted(path, "k"), "SLURM_JOB_ID": '4"2\n'}
    began = time.time()
    process = subprocess.Popen(["bash", str(spooled)], env=variables)
    assert process.wait(timeout=30) == 0
    mark = start_mark(path.parent, full_key(path, "k"))
    assert mark is not None and mark.time is not None and began <= mark.time <= time.time()
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert (mark.job_id, mark.host, mark.boot_id, mark.process_id) == (
        "4_2_",
        os.uname().nodename,
        boot_id,
        process.pid,
    )
    digests = [hashlib.sha256(one.read_bytes()).hexdigest() for one in (spooled, path)]
    assert mark.script_sha256 == digests[0] and another_script(mark, digests[0]) == ""
    words = f"the script that ran (sha256 {digests[0][:12]}) is not the one that was submitted ({digests[1][:12]})"
    assert another_script(mark, digests[1]) == words


def test_any_mark_is_read(tmp_path: Path) -> None:
    """An empty mark of an earlier version says nothing but that the job started; hostile text says no more."""
    hostile = ["", "[" * 10_000, "[]", '{"pid": true, "time": 1e999, "host": 7}', '{"pid": -1, "time": "x"}']
    for text in hostile:
        (tmp_path / "k.started").write_text(text)
        assert start_mark(tmp_path, "k") == StartMark()
    (tmp_path / "k.started").write_text(json.dumps({"host": "\x1b[31mn1\nn2", "time": 5, "pid": 7.9}))
    assert start_mark(tmp_path, "k") == StartMark(host="n1 n2", process_id=7, time=5.0)
    (tmp_path / "k.started").write_text("revoked\n")
    assert start_mark(tmp_path, "k") is None
    assert another_script(None, "a") == another_script(StartMark(), "a") == ""


def test_a_job_of_results_that_were_deleted_stands_back(tmp_path: Path) -> None:
    """Where no journal names its key, after a minute's looks, it ends with 75 and leaves no mark; not so by hand."""
    path = script(tmp_path, toy(seconds=0.01))
    (tmp_path / "bin").mkdir()
    sleep = tmp_path / "bin" / "sleep"
    sleep.write_text(f"#!/bin/sh\necho $1 >>{tmp_path}/slept\n")
    sleep.chmod(0o755)
    fast = f"{tmp_path}/bin:{os.environ['PATH']}"
    for journal in (None, '{"event": "intent", "key": "another"}\n'):
        if journal is not None:
            (path.parent / "journal.jsonl").write_text(journal)
        key = full_key(path, "a1")
        done = run(path, NODESWEEP_KEY=key, PATH=fast)
        assert (done.returncode, starts(tmp_path)) == (75, {})
        assert f"nodesweep: {key} does not run: {path.parent}/journal.jsonl does not name it" in done.stdout
        assert not list(path.parent.glob("*.started"))
    assert (tmp_path / "slept").read_text() == "5\n" * 24
    assert run(path, NODESWEEP_KEY="other-a1", PATH=fast).stdout.startswith("output goes to ")
    assert len(list(path.parent.glob("*-byhand-*.started"))) == 1
