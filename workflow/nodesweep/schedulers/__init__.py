"""The schedulers nodesweep can submit to, by the name a machine gives."""

from collections.abc import Callable

from .base import Scheduler
from .local import Local
from .pbs import Pbs
from .pjm import Pjm
from .slurm import Slurm

SCHEDULERS: dict[str, Callable[[], Scheduler]] = {"local": Local, "pbs": Pbs, "pjm": Pjm, "slurm": Slurm}
