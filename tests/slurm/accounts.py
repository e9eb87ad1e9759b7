"""Real accounts of this machine, made for a test: what they may read and write is what the kernel lets them."""

import contextlib
import os
import pwd
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from paths import REPOSITORY

# Root's own Python may lie where no other account can go: in a mount namespace of its own, a process sees an empty
# folder in the place of the closed one, and in it the paths it needs. $1: the closed folder; the paths up to --.
OPENED = """\
set -e
closed=$1 kept=$(mktemp -d); shift
mount -t tmpfs kept "$kept"
for ((n = 1; n <= $#; n++)); do
    [[ ${!n} != -- ]] || break
    mkdir "$kept/$n"; mount --bind "${!n}" "$kept/$n"
done
mount -t tmpfs -o mode=755 opened "$closed"
for ((n = 1; n <= $#; n++)); do
    [[ ${!n} != -- ]] || break
    mkdir -p "${!n}"; mount --bind "$kept/$n" "${!n}"
done
umount --recursive "$kept"; rmdir "$kept"
shift "$n"
exec "$@"
"""


@dataclass(frozen=True)
class Account:
    """A user of this machine, without a home."""

    name: str

    @property
    def ids(self) -> tuple[int, int]:
        """The numbers of the account and of its group."""
        entry = pwd.getpwnam(self.name)
        return entry.pw_uid, entry.pw_gid

    def command(self, words: list[str]) -> list[str]:
        """The words that run a command as this account, which then reaches this Python and the repository."""
        user, group = self.ids
        command = ["setpriv", f"--reuid={user}", f"--regid={group}", "--init-groups", *words]
        needed = [str(path) for path in (sys.base_prefix, REPOSITORY) if _closed_above(Path(path))]
        if not needed:
            return command
        closed = str(_closed_above(Path(needed[0])))
        return ["unshare", "--mount", "bash", "-c", OPENED, "opened", closed, *needed, "--", *command]


@contextlib.contextmanager
def made(*suffixes: str) -> Iterator[list[Account]]:
    """Accounts of one group, which are gone afterwards; their names begin with this process's number."""
    prefix = f"sweep{os.getpid()}"
    accounts = [Account(f"{prefix}{suffix}") for suffix in suffixes]
    _change("groupadd", prefix)
    try:
        for account in accounts:
            _change("useradd", "--no-create-home", "--home-dir=/nonexistent", "--gid", prefix, account.name)
        yield accounts
    finally:
        for account in accounts:
            _change("userdel", account.name)
        _change("groupdel", prefix)


def _closed_above(path: Path) -> Path | None:
    """The uppermost folder on the way to a path that other accounts cannot enter."""
    return next((folder for folder in reversed([path, *path.parents]) if not folder.stat().st_mode & 0o001), None)


def _change(*words: str) -> None:
    """Change the accounts of this machine; another test may be doing so at the moment."""
    for _ in range(50):
        done = subprocess.run(words, capture_output=True, text=True)
        if "cannot lock" not in done.stderr:
            break
        time.sleep(0.1)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
