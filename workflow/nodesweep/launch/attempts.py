"""Each attempt to run a layout is one launcher's: a file `.attempt-<n>` in the layout's folder, which can be made once.

Whatever the lock of a sweep is worth on its file system, and for however long a launcher was stopped since it looked at
it: of two that submit the same attempt one goes on. The order is intent, claim, submission. A crash after an intent
leaves a submission of which nothing more is known, which the next launcher looks for and gives up; a later attempt has
another number.
"""

import os
from pathlib import Path

from nodesweep.common.errors import LockError
from nodesweep.common.files import file_error_message, write_exclusive

from . import journal
from .journal_events import Deferred, Intent


def free_attempt(folder: Path, attempt: int) -> int:
    """The first number from `attempt` on that nobody has claimed; claims outlive a journal that was removed."""
    while os.path.lexists(_path(folder, attempt)):
        attempt += 1
    return attempt


def claim_attempt(path: Path, intent: Intent) -> None:
    """Make an attempt this launcher's alone, its intent being in the journal at `path`.

    Where that fails, the journal says that nothing came of the intent. Raises LockError where another launcher has the
    attempt, and OSError.
    """
    claim = _path(path.parent, intent.attempt)
    try:
        made = write_exclusive(claim, f"{intent.key}\n", durable=False)
    except OSError as error:
        journal.append(path, Deferred(key=intent.key, reason=file_error_message(error)))
        raise
    if not made:
        journal.append(path, Deferred(key=intent.key, reason="another launcher submits this attempt"))
        raise LockError(
            f"{path.parent.name}: another launcher submits attempt {intent.attempt} at this moment ({claim} is there); "
            "this one stands aside"
        )


def give_back_attempt(folder: Path, attempt: int) -> None:
    """Let the number of an attempt that came to nothing be used again."""
    _path(folder, attempt).unlink(missing_ok=True)


def _path(folder: Path, attempt: int) -> Path:
    return folder / f".attempt-{attempt}"
