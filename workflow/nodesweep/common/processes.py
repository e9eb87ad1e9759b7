"""Which process is meant: a process id comes again, but not with the same start."""

from pathlib import Path


def process_identity(process_id: int) -> str:
    """`<process id>@<start>`, the start in clock ticks since boot; empty when there is no such living process.

    Raises PermissionError where another user's processes are hidden.
    """
    try:
        status = Path(f"/proc/{process_id}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    state, start = status[0], status[19]
    return "" if state in "ZX" else f"{process_id}@{start}"
