"""One launcher a sweep: on one host, on two whose flock is local, and whatever lies where the lock should."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from hosts import LockingProcess, age, needs_hosts, started_together

from nodesweep.common import lock
from nodesweep.common.errors import LockError, NodesweepError
from nodesweep.common.lock import SweepLock, read_holder


def claims(folder: Path) -> list[str]:
    """The claims in a folder."""
    return sorted(path.name for path in folder.glob(".lock.*"))


def test_what_a_lock_says(tmp_path: Path) -> None:
    """The one claim there is names process, host, boot, user and nonce, and at the end that its holder let go."""
    for number in (1, 2, 3):
        with SweepLock(tmp_path, jobs_at_once=7) as held:
            held.check()
            said = json.loads((tmp_path / f".lock.{number}").read_text())
            assert (said["pid"], said["host"], said["jobs_at_once"]) == (os.getpid(), os.uname().nodename, 7)
            assert said["boot_id"] and said["user"] and said["nonce"] and not said["released"]
            assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()  # for earlier versions
        assert claims(tmp_path) == [f".lock.{number}"]
    holder = read_holder(tmp_path)
    assert holder and holder.released and holder.jobs_at_once == 7


def test_a_launcher_that_ends_by_an_error(tmp_path: Path) -> None:
    """It lets go all the same, so that another host need not watch what it has left."""
    with LockingProcess() as holder:
        assert holder.ask(f"take {tmp_path}") == "take done"
        holder.tell("raise")
        assert holder.process.wait(20) == 1
    left = read_holder(tmp_path)
    assert left and left.released


@pytest.mark.parametrize("local_flock", [False, True], ids=["flock", "no flock"])
def test_on_one_host(tmp_path: Path, local_flock: bool) -> None:
    """The second is refused at once, naming the first, whether flock works or not; after kill -9 it is let in."""
    with LockingProcess(local_flock=local_flock) as first, LockingProcess(local_flock=local_flock) as second:
        assert first.ask(f"take {tmp_path}") == "take done"
        refused = second.ask(f"take {tmp_path}")
        assert refused.startswith("refused another launcher works on") and f"process {first.process.pid} on" in refused
        first.process.kill()
        first.process.wait()
        assert second.ask(f"take {tmp_path}") == "take done"


@needs_hosts
def test_a_holder_on_another_host_lives(tmp_path: Path) -> None:
    """Where both hosts grant flock, the heartbeat of the first keeps the second out, and a reason is told."""
    with LockingProcess("login1") as first, LockingProcess("login2") as second:
        assert first.ask(f"take {tmp_path}") == "take done"
        refused = second.ask(f"take {tmp_path}")
        assert refused.startswith("refused") and "looking for 20 s at most whether process" in refused
        assert f"process {first.process.pid} on login1, of root" in refused and "do not reach from one host" in refused
        assert first.ask("check") == "check done"
        first.ask("release")
        assert second.ask(f"take {tmp_path}") == "take done"


def test_a_copy_of_a_folder(tmp_path: Path) -> None:
    """Nobody holds it, whoever holds the original; one that was only moved is still held."""
    original, moved = tmp_path / "original", tmp_path / "moved"
    with LockingProcess(local_flock=True) as first, LockingProcess(local_flock=True) as second:
        first.ask(f"take {original}")
        shutil.copytree(original, tmp_path / "copy")
        assert second.ask(f"take {tmp_path / 'copy'}") == "take done"
        original.rename(moved)
        assert second.ask(f"take {moved}").startswith("refused another launcher works on")


@needs_hosts
def test_a_holder_on_another_host_is_dead(tmp_path: Path) -> None:
    """It is watched, then taken over and told in a line; one that is silent for long by the server's clock at once."""
    with LockingProcess("login2", given_up_seconds=0.6) as second:
        for seconds, told in ((0, "gave no sign of life for 1 s; taken over"), (3600, "")):
            with LockingProcess("login1") as first:
                first.ask(f"take {tmp_path}")
            age(tmp_path, seconds)
            answer = second.ask(f"take {tmp_path}")
            assert answer.startswith("take done") and answer.endswith(told or "done")
            second.ask("release")


@needs_hosts
def test_a_holder_that_was_stopped_stands_aside(tmp_path: Path) -> None:
    """Stopped for long and continued, the first finds that the second has taken over, and its heart changes nothing."""
    with LockingProcess("login1") as first, LockingProcess("login2", given_up_seconds=0.6) as second:
        first.ask(f"take {tmp_path}")
        first.process.send_signal(signal.SIGSTOP)
        assert second.ask(f"take {tmp_path}").endswith("taken over")
        first.process.send_signal(signal.SIGCONT)
        refused = first.ask("check")
        assert refused.startswith("refused another launcher has taken") and "on login2" in refused
        first.ask("release")
        assert second.ask("check") == "check done"


@needs_hosts
def test_started_at_one_moment(tmp_path: Path) -> None:
    """Of three on two hosts with local flock one gets the lock, each time."""
    assert started_together(tmp_path, 20) == []


def test_a_claim_that_comes_too_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who saw claim 1 as free and makes claim 2 only after others had 2 and 3 has not got the lock."""
    SweepLock(tmp_path).release()
    make = lock.write_exclusive

    def late(path: Path, text: str, durable: bool = True) -> bool:
        if path.name == ".lock.2":
            (tmp_path / ".lock.1").rename(tmp_path / ".lock.3")
            living = {**json.loads(text), "nonce": "another's"}
            (tmp_path / ".lock.3").write_text(json.dumps(living))
        return make(path, text, durable)

    monkeypatch.setattr(lock, "write_exclusive", late)
    with pytest.raises(LockError, match="another launcher works on"):
        SweepLock(tmp_path)
    assert claims(tmp_path) == [".lock.3"]


@pytest.mark.parametrize("name", [".lock", ".lock.3"])
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file(tmp_path: Path, name: str, kind: str) -> None:
    """A link, a pipe or a folder in place of a lock file is refused by name, never followed or waited for."""
    path, sweep = tmp_path / name, tmp_path
    if kind == "link":
        (tmp_path / "precious").write_text("mine")
        path.symlink_to("precious")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    assert read_holder(sweep) is None
    with pytest.raises(NodesweepError, match=rf"{name} is a {kind} where a file is needed; move it away"):
        SweepLock(sweep)
    assert kind != "link" or (tmp_path / "precious").read_text() == "mine"


HOSTILE = [
    *("[" * 4000, '{"a":' * 700, "null", "3", '"text"', "[]", "{}", "x" * 10**6, "\0" * 5000, "9" * 4090),
    *('{"pid": "1", "host": 2, "since": []}', '{"pid": 1e400, "host": "h", "since": "s"}', '{"pid": true}'),
    *('{"pid": -1, "host": "h", "since": "s"}', f'{{"pid": {10**30}, "host": "h", "since": "s"}}'),
]


@pytest.mark.parametrize("name", [".lock", ".lock.3"])
def test_hostile_text(tmp_path: Path, name: str) -> None:
    """Text that names no holder is nobody's word: no traceback, and free once it has stood still for long."""
    for number, text in enumerate(HOSTILE):
        sweep = tmp_path / f"{number}"
        sweep.mkdir()
        (sweep / name).write_text(text)
        age(sweep, 3600)
        assert read_holder(sweep) is None
        with SweepLock(sweep) as held:
            held.check()
    (tmp_path / ".lock").write_text('{"pid": 7, "host": "a\\u001b[2Jb\\n", "since": "s", "jobs_at_once": "many"}')
    holder = read_holder(tmp_path)
    assert holder and (str(holder), holder.jobs_at_once) == ("process 7 on ab, since s", None)


def test_a_claim_that_somebody_removed(tmp_path: Path) -> None:
    """Without its claim a launcher keeps nobody out: it says so and goes no further."""
    with SweepLock(tmp_path) as held:
        (tmp_path / ".lock.1").unlink()
        with pytest.raises(LockError, match=r"\.lock\.1 is gone or changed"):
            held.check()
