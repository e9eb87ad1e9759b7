"""One launcher a sweep, on one host and across hosts.

Two things keep a second launcher out. `.lock` is locked by the operating system: that ends with the process that holds
it, whatever ended it. Some file systems grant that lock once on each host (Lustre mounted without `-o flock` or with
`-o localflock`, NFS with `local_lock`), or have none. So a holder also makes the next of the numbered files
`.lock.<n>`, its claim, and renews it while it lives. That gives:

- One at a time: a claim's name can be had once, also by launchers that start at one moment on two hosts, or that give
  up one dead holder at one moment. Numbers only rise, so that who comes late with an old one finds a higher one.
- No waiting for the dead where they can be told: a claim is free when it says so, and when its process is gone from
  this host. Else it is watched: a holder that renews it lives, and the newcomer is refused; one that does not for 45
  seconds is dead. Clocks of two hosts are not compared, but for a claim that is older than five minutes by the file
  server's clock: it is free at once.
- A holder that was stopped, or cut off, for longer finds that its claim is gone: `SweepLock.check`.

Not given: nothing happens between a check and what it was made for. A launcher may be stopped right there, which is why
each attempt to run a layout has a claim of its own (`launch.submitter`).
"""

import atexit
import errno
import fcntl
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from .errors import LockError, NodesweepError
from .files import file_error_message, new_file, open_regular, write_exclusive
from .lock_holder import RECORD_BYTES, LockHolder, holder_in, record_of, this_process

HEARTBEAT_SECONDS = 10.0
"""Between two renewals of a claim."""
GIVEN_UP_SECONDS = 45.0
"""How long a claim that is watched must stay as it is to count as given up."""
LOOK_SECONDS = 0.5
"""Between two looks at a claim that is watched."""
LONG_SILENT_SECONDS = 300.0
"""By the file server's clock: where clocks of two hosts differ by more, munge, and with it Slurm, works no longer."""
_CLAIM = re.compile(r"\.lock\.(\d{1,15})")
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)


@dataclass(frozen=True)
class _Seen:
    """A lock file at one moment."""

    text: str
    changed: float
    holder: LockHolder | None

    def is_free(self, number: int) -> bool:
        """Whether this claim says that nobody holds it; the lock file of nobody is empty, a claim never is."""
        return self.holder.released if self.holder else not number and not self.text


class SweepLock:
    """Held from construction until `release`, or until the process ends in whatever way; at its exit it is released.

    Raises LockError where another process holds it, and NodesweepError where the folder cannot be written.
    `jobs_at_once`: what the file says to whoever reads it. `tell` gets a line about a holder that is watched.
    """

    def __init__(self, folder: Path, jobs_at_once: int | None = None, tell: Callable[[str], None] | None = None):
        self._folder, self._tell = folder, tell or _say
        self._over, self._writing = threading.Event(), threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = open_regular(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
            try:
                self._lock_file()
                self._who = this_process(folder, os.fstat(self._lock).st_ino, jobs_at_once)
                self._number = self._claimed_number()
                self._claim = open_regular(_path(folder, self._number), os.O_WRONLY | os.O_NOFOLLOW)
            except BaseException:
                os.close(self._lock)
                raise
        except OSError as error:
            raise NodesweepError(file_error_message(error)) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, record_of(self._who).encode(), 0)  # earlier versions look for their holder there
        self._heart = threading.Thread(target=self._renew, daemon=True)
        self._heart.start()
        atexit.register(self.release)  # whatever ends the process in order

    def __enter__(self) -> "SweepLock":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def check(self) -> None:
        """Raise LockError where another launcher has taken over, as from one that was stopped for long."""
        path = _path(self._folder, self._number)
        with self._writing:
            seen = _look(path)
        if seen and seen.holder and seen.holder.nonce == self._who.nonce:
            if not os.path.lexists(_path(self._folder, self._number + 1)):
                return
        elif not _newest(self._folder) > self._number:
            raise LockError(f"{path} is gone or changed, which keeps others out; nothing more is submitted without it")
        other = read_holder(self._folder)
        raise LockError(
            f"another launcher has taken {self._folder} over ({other or 'it has just started'}), since this one "
            "gave no sign of life for a while; this one stands aside"
        )

    def release(self) -> None:
        """Let the next launcher in; once is enough."""
        if self._over.is_set():
            return
        atexit.unregister(self.release)
        self._over.set()
        self._heart.join()
        with suppress(OSError):  # a claim that was lost is nobody's
            self._write(released=True)
        os.close(self._claim)
        os.close(self._lock)

    def _lock_file(self) -> None:
        """Have the operating system lock `.lock`, where its file system can."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._refusal(read_holder(self._folder)) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise

    def _refusal(self, holder: LockHolder | None, why: str = "") -> LockError:
        return LockError(
            f"another launcher works on {self._folder} ({holder or 'it has just started'}){why}; "
            "wait for it, or stop it: its running jobs are kept"
        )

    def _claimed_number(self) -> int:
        """The number of the claim this process has made, the next after all that are free."""
        number = _newest(self._folder)
        while True:
            self._wait_until_free(number)
            number += 1
            if write_exclusive(_path(self._folder, number), record_of(self._who), durable=False):
                newest = _newest(self._folder)
                if newest == number:
                    break
                _path(self._folder, number).unlink(missing_ok=True)  # it came too late
                number = newest
        for earlier in _claims(self._folder):
            if earlier < number:
                with suppress(OSError):
                    _path(self._folder, earlier).unlink()
        return number

    def _wait_until_free(self, number: int) -> None:
        """Watch a claim until it is known to be free; raises LockError where its holder lives."""
        path = _path(self._folder, number)
        first = _look(path)
        if first is None or first.is_free(number):
            return
        if first.holder and not first.holder.is_of_folder_of(self._who):  # this folder is a copy of what it holds
            return
        gone = first.holder.is_gone if first.holder else None
        if gone is False:
            raise self._refusal(first.holder, ", and the file system does not lock")
        if gone or _server_time(path) - first.changed > LONG_SILENT_SECONDS:
            return
        name = first.holder or f"who made {path}"
        self._tell(f"{self._folder}: looking for {GIVEN_UP_SECONDS:.0f} s at most whether {name} still works on it")
        limit = time.monotonic() + GIVEN_UP_SECONDS
        while time.monotonic() < limit:
            time.sleep(LOOK_SECONDS)
            seen = _look(path)
            if seen is None or seen.is_free(number):
                return
            if seen.text != first.text:
                why = ", and locks of this file system do not reach from one host, or container, to another"
                raise self._refusal(seen.holder, why)
        self._tell(f"{self._folder}: {name} gave no sign of life for {GIVEN_UP_SECONDS:.0f} s; taken over")

    def _renew(self) -> None:
        while not self._over.wait(HEARTBEAT_SECONDS):
            with suppress(OSError):  # the file server is away; later it will do
                self._write(beat=self._who.beat + 1)

    def _write(self, beat: int | None = None, released: bool = False) -> None:
        self._who = replace(self._who, beat=self._who.beat if beat is None else beat, released=released)
        with self._writing:
            os.pwrite(self._claim, record_of(self._who).encode(), 0)
            os.fdatasync(self._claim)


def read_holder(folder: Path) -> LockHolder | None:
    """Who holds a sweep, or held it last; None where no file says so, or none can be read."""
    with suppress(OSError, NodesweepError):
        seen = _look(_path(folder, _newest(folder)))
        return seen.holder if seen else None
    return None


def _path(folder: Path, number: int) -> Path:
    """A claim; 0 stands for the lock file itself, where earlier versions wrote who holds it."""
    return folder / (f".lock.{number}" if number else ".lock")


def _claims(folder: Path) -> list[int]:
    return [int(match[1]) for path in folder.iterdir() if (match := _CLAIM.fullmatch(path.name))]


def _newest(folder: Path) -> int:
    return max(_claims(folder), default=0)


def _look(path: Path) -> _Seen | None:
    """What a lock file says now; None where there is none. Raises OSError, and NodesweepError for what is no file."""
    try:
        descriptor = open_regular(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        text = os.read(descriptor, 4 * RECORD_BYTES).decode(errors="replace").strip("\0 \n")
        return _Seen(text, os.fstat(descriptor).st_mtime, holder_in(text))
    finally:
        os.close(descriptor)


def _server_time(path: Path) -> float:
    """What the clock of a folder's file server says."""
    descriptor, temporary = new_file(path)
    try:
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
        temporary.unlink()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
