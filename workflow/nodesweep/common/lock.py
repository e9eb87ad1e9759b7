"""One launcher a sweep: a lock of the operating system, gone with the process that held it."""

import fcntl
import json
import os
import socket
import time
from pathlib import Path

from .errors import LockError, NodesweepError
from .files import file_error_message


class SweepLock:
    """Held from construction until `release`, or until the process ends in whatever way.

    Raises LockError where another process holds it or the file system has no locks, and NodesweepError where the folder
    cannot be written. `facts`: what else the file says of its holder, to whoever reads it.
    """

    def __init__(self, folder: Path, **facts: int):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise NodesweepError(file_error_message(error)) from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(self._descriptor)
            os.close(self._descriptor)
            raise LockError(
                f"another launcher works on {folder} ({holder}); wait for it, or stop it: its running jobs are kept"
            ) from None
        except OSError as error:
            os.close(self._descriptor)
            raise LockError(
                f"{folder} cannot be locked ({error.strerror}); use a results folder on a file system with flock"
            ) from None
        who = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S"), **facts}
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(who).encode(), 0)

    def release(self) -> None:
        """Let the next launcher in."""
        os.close(self._descriptor)


def _holder(descriptor: int) -> str:
    try:
        who = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {int(who['pid'])} on {who['host']!s:.80}, since {who['since']!s:.40}"
    except (ValueError, KeyError, TypeError):
        return "it has just started"
