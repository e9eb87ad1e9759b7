"""Who holds a sweep, as its lock files say: written as a line of JSON, read as text that anybody may have written."""

import hashlib
import json
import os
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from .files import json_value
from .launch_site import this_site
from .processes import process_identity
from .text import plain

RECORD_BYTES = 1024


@dataclass(frozen=True)
class LockHolder:
    """Who holds a sweep, as a lock file says; what is empty was not written by earlier versions.

    `process`: see `process_identity`. `since`: in local time, for people. `nonce`: one of a kind. `beat`: how often it
    was renewed. `released`: whether its holder has let go. `jobs_at_once`: how many jobs it has queued or running.
    `folder`, `inode`: a digest of the sweep's path, and the number of its `.lock`, which a copy of the folder has not.
    """

    pid: int
    host: str
    since: str
    user: str = ""
    boot_id: str = ""
    pid_namespace: str = ""
    process: str = ""
    nonce: str = ""
    beat: int = 0
    released: bool = False
    jobs_at_once: int | None = None
    folder: str = ""
    inode: int = 0

    def __str__(self) -> str:
        user = f", of {self.user}" if self.user else ""
        return f"process {self.pid} on {self.host}{user}, since {self.since}"

    def is_of_folder_of(self, other: "LockHolder") -> bool:
        """Whether both hold one folder, and not one of them a copy of it; True where that is not said."""
        return not self.folder or self.folder == other.folder or self.inode == other.inode

    @property
    def is_gone(self) -> bool | None:
        """Whether its process has ended; None where that cannot be told from here."""
        here = this_site()
        if not self.process:  # by an earlier version, which says no more than the host; the system's lock has told
            return True if self.host == here.host else None
        if (self.host, self.boot_id, self.pid_namespace) != (here.host, here.boot_id, here.pid_namespace):
            return None
        try:
            os.kill(self.pid, 0)
            return process_identity(self.pid) != self.process
        except ProcessLookupError:
            return True
        except PermissionError:  # somebody else's, and some hosts hide those
            identity = _hidden_identity(self.pid)
            return identity != self.process if identity else None


def holder_in(text: str) -> LockHolder | None:
    """The holder that the text of a lock file names; None for any text that names none."""
    try:
        said = json_value(text)
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    pid, host, since = _whole(said, "pid"), _text(said, "host"), _text(said, "since")
    if pid is None or not 0 < pid < 2**31 or not host or not since:
        return None
    return LockHolder(
        pid,
        host,
        since,
        user=_text(said, "user"),
        boot_id=_text(said, "boot_id"),
        pid_namespace=_text(said, "pid_namespace"),
        process=_text(said, "process"),
        nonce=_text(said, "nonce"),
        beat=_whole(said, "beat") or 0,
        released=said.get("released") is True,
        jobs_at_once=_whole(said, "jobs_at_once"),
        folder=_text(said, "folder"),
        inode=_whole(said, "inode") or 0,
    )


def _text(said: Mapping[str, object], name: str) -> str:
    value = said.get(name)
    return plain(value, 80) if isinstance(value, str) else ""


def _whole(said: Mapping[str, object], name: str) -> int | None:
    value = said.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def this_process(path: Path, inode: int, jobs_at_once: int | None) -> LockHolder:
    """This process as the holder it is from now on, of the sweep with this folder and this lock file."""
    site, pid = this_site(), os.getpid()
    return LockHolder(
        pid,
        site.host,
        time.strftime("%Y-%m-%d %H:%M:%S"),
        user=site.user,
        boot_id=site.boot_id,
        pid_namespace=site.pid_namespace,
        process=process_identity(pid),
        nonce=secrets.token_hex(8),
        jobs_at_once=jobs_at_once,
        folder=hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16],
        inode=inode,
    )


def record_of(holder: LockHolder) -> str:
    """A lock file's text, always as long, so that it can be written over an earlier one."""
    said = {name: value for name, value in asdict(holder).items() if value is not None}
    return json.dumps(said).ljust(RECORD_BYTES - 1) + "\n"


def _hidden_identity(process_id: int) -> str:
    """The identity of somebody else's process; empty where it is hidden."""
    with suppress(PermissionError):
        return process_identity(process_id)
    return ""
