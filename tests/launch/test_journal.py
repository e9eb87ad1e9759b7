"""The journal keeps whole events only, through a crash at any byte, and says where a layout stands."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodesweep.common.errors import JournalError, LockError
from nodesweep.common.lock import SweepLock
from nodesweep.launch import journal
from nodesweep.launch.journal import State
from nodesweep.launch.journal_events import (
    Adopted,
    Ended,
    Intent,
    JournalEvent,
    Refused,
    RerunAsked,
    Revoked,
    Submitted,
)
from nodesweep.results.terminal_record import TerminalRecord


def full(path: Path) -> None:
    """A layout submitted once and ended."""
    journal.append(path, Intent(key="k-a1", attempt=1, script_sha256="0"))
    journal.append(path, Submitted(key="k-a1", job_id="7@9"))
    journal.append(path, Adopted(key="k-a1", job_id="7@9"))
    journal.append(path, Ended(record=TerminalRecord(outcome="ok")))


def test_state_after_each_event(tmp_path: Path) -> None:
    """intent → unclear, submitted → running, ended → ended, rerun → pending; refused → pending."""
    path = tmp_path / "journal.jsonl"
    assert journal.state(path) == State()
    journal.append(path, Intent(key="k-a1", attempt=1, script_sha256="0"))
    assert (journal.state(path).status, journal.state(path).key) == ("unclear", "k-a1")
    journal.append(path, Refused(key="k-a1", reason="was never started"))
    assert journal.state(path).status == "pending"
    journal.append(path, Intent(key="k-a2", attempt=2, script_sha256="0"))
    journal.append(path, Submitted(key="k-a2", job_id="7@9"))
    assert (journal.state(path).status, journal.state(path).job_id, journal.state(path).attempt) == (
        "running",
        "7@9",
        2,
    )
    journal.append(path, Ended(record=TerminalRecord(outcome="oom")))
    assert (journal.state(path).status, journal.state(path).record) == ("ended", TerminalRecord(outcome="oom"))
    journal.append(path, RerunAsked())
    assert (journal.state(path).status, journal.state(path).record, journal.state(path).attempt) == ("pending", None, 2)


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 2000))
def test_a_write_torn_anywhere_costs_at_most_its_own_event(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """After a crash in mid-write the whole lines before it stand, and the next event goes on a line of its own."""
    path = tmp_path_factory.mktemp("torn") / "journal.jsonl"
    full(path)
    data = path.read_bytes()
    path.write_bytes(data[:cut])
    whole = data[:cut].count(b"\n")
    assert len(journal.read(path)) == whole
    journal.append(path, RerunAsked())
    assert [event.kind for event in journal.read(path)][whole:] == ["rerun"]


APPEND = """
import sys
from pathlib import Path
from nodesweep.launch import journal
from nodesweep.launch.journal_events import Revoked
for number in range(150):
    journal.append(Path(sys.argv[1]), Revoked(key=f"{sys.argv[2]}{number}", reason="x" * 50 * number))
"""


def test_two_that_write_at_once(tmp_path: Path) -> None:
    """Of two processes that append to one journal with a torn line in it, neither loses an event of the other's."""
    path = tmp_path / "journal.jsonl"
    path.write_text('{"event": "inte')
    writers = [subprocess.Popen([sys.executable, "-c", APPEND, str(path), name]) for name in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    keys = [event.key for event in journal.read(path) if isinstance(event, Revoked)]
    assert [[key for key in keys if key[0] == name] for name in "ab"] == [[f"{n}{i}" for i in range(150)] for n in "ab"]


@pytest.mark.parametrize(
    "line",
    [
        *("not json", "[]", '{"event": []}', '{"event": "ended", "record": {}}', '{"event": "intent", "key": "k"}'),
        *('{"event": "unheard"}', '{"no": "event"}', "\x00\x00"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    """A whole line that is no event is an error with file and line, never passed over."""
    path = tmp_path / "journal.jsonl"
    full(path)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(JournalError, match=r"journal\.jsonl:5: is no journal event"):
        journal.read(path)


@pytest.mark.parametrize("job_id", ["17", "17;b", "17.server", "123[1]", "4711@998877"])
def test_ids_of_all_schedulers_are_read(tmp_path: Path, job_id: str) -> None:
    """A job of another cluster of Slurm is called by both: its number and the cluster."""
    journal.append(tmp_path / "journal.jsonl", Intent(key="k-a1", attempt=1, script_sha256="0"))
    journal.append(tmp_path / "journal.jsonl", Submitted(key="k-a1", job_id=job_id))
    assert journal.state(tmp_path / "journal.jsonl").job_id == job_id


def test_lock_admits_one_launcher(tmp_path: Path) -> None:
    """The second is refused in one line naming the first; after release the next is let in."""
    lock = SweepLock(tmp_path / "results")
    with pytest.raises(LockError) as caught:
        SweepLock(tmp_path / "results")
    assert len(str(caught.value).splitlines()) == 1 and "another launcher works on" in str(caught.value)
    lock.release()
    SweepLock(tmp_path / "results").release()


@pytest.mark.parametrize("late", [RerunAsked(), Intent(key="k-a1-abcd", attempt=1)])
def test_an_open_job_stays_open(tmp_path: Path, late: JournalEvent) -> None:
    """Neither a rerun asked for in the moment of a submission, nor an intent that stands twice, hides its job."""
    path = tmp_path / "journal.jsonl"
    for event in (Intent(key="k-a1-abcd", attempt=1), Submitted(key="k-a1-abcd", job_id="7"), late):
        journal.append(path, event)
    state = journal.state(path)
    assert (state.status, state.key, state.job_id) == ("running", "k-a1-abcd", "7")
    journal.append(path, Ended(record=TerminalRecord(key="k-a1-abcd", outcome="ok")))
    assert journal.state(path).status == "ended"
