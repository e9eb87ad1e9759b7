"""Python's search for cycles of garbage: a fifth of the time of a process that makes many objects and ends."""

import atexit
import gc

_NEW_OBJECTS = 200_000
"""Between two searches, instead of 700: plans and tables are many objects, hardly one of them in a cycle."""


def search_seldom() -> None:
    """Search less often in this process, and not at its end, where all memory is given back anyway."""
    gc.set_threshold(_NEW_OBJECTS)
    atexit.register(gc.freeze)
