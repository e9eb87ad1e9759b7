"""The schedulers nodesweep can submit to, by the name a machine gives.

A scheduler is a module or folder here that has a job template of its name; nothing else lists it. All that is known of
it stands in its row, `SCHEDULER`.
"""

import pkgutil
import shutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from nodesweep.common.errors import SchedulerError

from .base import Scheduler, SchedulerRow

TEMPLATES = Path(__file__).parent / "templates"


def _found() -> dict[str, SchedulerRow]:
    """The row of every module that has a template of its name, by that name; raises TypeError where it has no row."""
    rows = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        if (TEMPLATES / f"{name}.sh.j2").exists():
            row = getattr(import_module(f"{__name__}.{name}"), "SCHEDULER", None)
            if not isinstance(row, SchedulerRow):
                raise TypeError(f"{__name__}.{name} has a job template; it must have its row too: SCHEDULER")
            rows[name] = row
    return rows


SCHEDULERS: Mapping[str, SchedulerRow] = _found()
"""Every scheduler's row by the name a machine gives."""


def scheduler_of(name: str) -> Scheduler:
    """The scheduler of a name, ready to use; raises SchedulerError where its commands are missing."""
    row = SCHEDULERS[name]
    missing = [command for command in row.commands if shutil.which(command) is None]
    if missing:
        raise SchedulerError(
            f"{missing[0]} is not on PATH; start nodesweep where the commands of {name} are, or name another machine"
        )
    return row.connect()
