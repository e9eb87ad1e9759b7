"""Names that packages above config offer: schedulers and log formats.

A config may name what stands in a registry further up. config imports nothing from there: it asks the registry by its
module's name, when a file is read or a schema is written.
"""

from importlib import import_module


def scheduler_names() -> tuple[str, ...]:
    """The schedulers a machine may name."""
    return tuple(import_module("nodesweep.schedulers").SCHEDULERS)


def log_format_names() -> tuple[str, ...]:
    """The log formats a workload may name; `auto` recognises them."""
    return ("auto", *sorted(import_module("nodesweep.logs.trainers").FORMATS))
