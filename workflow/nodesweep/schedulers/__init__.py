"""The schedulers nodesweep can submit to, by the name a machine gives."""

import shutil
from collections.abc import Callable

from nodesweep.common.errors import SchedulerError

from .base import Scheduler
from .local import Local
from .pbs import Pbs, _pbs
from .pjm import Pjm, _pjm
from .slurm import Slurm, _slurm

SCHEDULERS: dict[str, Callable[[], Scheduler]] = {"local": Local, "pbs": Pbs, "pjm": Pjm, "slurm": Slurm}


def scheduler_of(name: str) -> Scheduler:
    """The scheduler of a name, ready to use; raises SchedulerError where its commands are missing."""
    scheduler = SCHEDULERS[name]()
    missing = [command for command in scheduler.commands if shutil.which(command) is None]
    if missing:
        raise SchedulerError(
            f"{missing[0]} is not on PATH; start nodesweep where the commands of {name} are, or name another machine"
        )
    return scheduler


OPTION: dict[str, Callable[[str, str | None], str]] = {"slurm": _slurm, "pjm": _pjm, "pbs": _pbs}
"""Per scheduler: an option as it stands in a directive line."""
