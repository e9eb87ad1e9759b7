"""A submission starts at most once: its mark can be made only once, by the job or by whoever gives it up."""

import subprocess
import threading
from pathlib import Path

from job_scripts import full_key, run, script
from sweeps import starts, toy

from nodesweep.schedulers.base import End
from nodesweep.schedulers.markers import end_marker, has_started, revoke


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
