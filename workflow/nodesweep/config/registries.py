"""Names that packages above config offer: schedulers and log formats.

A config may name what stands in a registry further up. config imports nothing from there: it asks the registry by its
module's name, when a file is read or a schema is written.
"""

from collections.abc import Collection
from importlib import import_module


def scheduler_names() -> tuple[str, ...]:
    """The schedulers a machine may name."""
    return tuple(import_module("nodesweep.schedulers").SCHEDULERS)


def scheduler_meanings() -> dict[str, str]:
    """What each scheduler stands for in a machine file, by its name."""
    return {name: str(row.meaning) for name, row in import_module("nodesweep.schedulers").SCHEDULERS.items()}


def batch_scheduler_names() -> tuple[str, ...]:
    """The schedulers that have queues and options and run jobs on nodes of their own."""
    return tuple(name for name, row in import_module("nodesweep.schedulers").SCHEDULERS.items() if row.is_batch)


def keys_of_schedulers() -> dict[str, tuple[str, ...]]:
    """Keys of a machine file that only one scheduler takes, by its name."""
    return {name: tuple(row.machine_keys) for name, row in import_module("nodesweep.schedulers").SCHEDULERS.items()}


def option_refusal(scheduler: str, name: str, values: tuple[str, ...], given: Collection[str]) -> str | None:
    """Why a machine of this scheduler that gives these keys may not have an option with these values, if it may not."""
    own = import_module("nodesweep.schedulers").SCHEDULERS[scheduler].own_options
    refusal: str | None = own.refusal(name, values, given)
    return refusal


def log_format_names() -> tuple[str, ...]:
    """The log formats a workload may name; `auto` recognises them."""
    return ("auto", *sorted(import_module("nodesweep.logs.trainers").FORMATS))
