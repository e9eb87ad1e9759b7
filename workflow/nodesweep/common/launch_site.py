"""Where a process runs: account, host, boot and process namespace, outside of which its id means nothing."""

import os
import pwd
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_FIRST_PID_NAMESPACE = "pid:[4026531836]"
"""The namespace of a host itself, on every Linux: PROC_PID_INIT_INO of the kernel's sources."""


@dataclass(frozen=True)
class LaunchSite:
    """Where something was launched; an empty text where nobody knows.

    `host`: its name for itself. `boot_id`: a new one each time it boots. `pid_namespace`: containers on one host have
    one each. `cluster`: what its scheduler calls itself, where a home may be mounted on several.
    """

    user: str = ""
    host: str = ""
    boot_id: str = ""
    pid_namespace: str = ""
    cluster: str = ""

    def shares_processes(self, other: "LaunchSite") -> bool:
        """Whether a process id means the same process here and there; True where either side does not say."""
        mine, others = (
            (self.host, self.boot_id, self.pid_namespace),
            (other.host, other.boot_id, other.pid_namespace),
        )
        return all(one == another or not one or not another for one, another in zip(mine, others, strict=True))

    def is_earlier_boot_of(self, other: "LaunchSite") -> bool:
        """Whether this is the host of another site before it booted anew, so that all its processes are gone.

        False for containers: two hosts may each have one of the same name.
        """
        on_the_host = self.pid_namespace == other.pid_namespace == _FIRST_PID_NAMESPACE
        return on_the_host and bool(self.boot_id) and self.host == other.host and self.boot_id != other.boot_id


NOWHERE = LaunchSite()
"""Where nobody knows."""


@cache
def this_site() -> LaunchSite:
    """Where this process runs, by what the system says of it."""
    return LaunchSite(
        user=_user(),
        host=socket.gethostname(),
        boot_id=_first_line(_BOOT_ID),
        pid_namespace=_link(Path("/proc/self/ns/pid")),
    )


def boot_time() -> float | None:
    """When this host booted, in seconds since the epoch; None where the system does not say."""
    words = [line.split() for line in _text(Path("/proc/stat")).splitlines() if line.startswith("btime ")]
    return float(words[0][1]) if words else None


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # an account without a name, as in some containers
        return str(os.geteuid())


def _first_line(path: Path) -> str:
    return _text(path).partition("\n")[0].strip()


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""
