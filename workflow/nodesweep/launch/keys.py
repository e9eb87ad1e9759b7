"""The names of submissions: a name of the layout, the number of the attempt, and what makes each one of a kind."""

import re
import secrets
import string
from pathlib import Path

from nodesweep.schedulers.job_script import key_of

NONCE_LETTERS = 4
_FILE = re.compile(r".*-a\d{1,6}(-\w{1,8})?\.(started|exit|log)")


def new_key(folder: Path, slug: str, attempt: int) -> str:
    """A key for an attempt to run a layout: a job of a sweep that was deleted has another than the new one's."""
    nonce = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(NONCE_LETTERS))
    return f"{key_of(folder, slug)}-a{attempt}-{nonce}"


def is_file_of_submission(name: str) -> bool:
    """Whether a file's name is one that a launcher's submission leaves, also of versions before there was a nonce.

    >>> is_file_of_submission("toy-0123456789ab-a1-x7k2.log"), is_file_of_submission("toy-0123456789ab-byhand-1.log")
    (True, False)
    """
    return _FILE.fullmatch(name) is not None
