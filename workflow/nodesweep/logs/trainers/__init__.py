"""The trainers whose logs are read: every module of this folder holds one, named TRAINER, and is found by itself.

A new trainer is a new module here and example logs under tests/logs/examples.
"""

from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

from nodesweep.logs.patterns.lines import IterationPattern
from nodesweep.logs.patterns.trainer import Format, Trainer


def _trainer_in(module: str) -> Trainer:
    trainer = getattr(import_module(f"{__name__}.{module}"), "TRAINER", None)
    if not isinstance(trainer, Trainer):
        raise TypeError(f"{__name__}.{module} has no TRAINER; name its row of nodesweep.logs.patterns.trainer so")
    return trainer


def ordered_formats(formats: list[Format]) -> dict[str, Format]:
    """Formats by name, in the order in which they are tried.

    Of formats of one kind of line those with evidence come before the one without, and each before the one that it
    names as `before`. Raises ValueError for two formats of one name and for a `before` that names none.
    """
    by_name = {form.name: form for form in formats}
    if len(by_name) < len(formats):
        raise ValueError(f"two formats have one name among {', '.join(sorted(form.name for form in formats))}")
    order = TopologicalSorter[str]()
    for form in formats:
        order.add(form.name)
        later = [row.name for row in formats if row.iteration is form.iteration and row.evidence is None]
        for name in (later if form.evidence else []) + ([form.before] if form.before else []):
            if name not in by_name:
                raise ValueError(f"format {form.name} comes before {name!r}, which is no format")
            order.add(name, form.name)
    return {name: by_name[name] for name in order.static_order()}


_MODULES = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__")
TRAINERS = {name: _trainer_in(name) for name in _MODULES}
"""Trainers by the name of their module."""
FORMATS = ordered_formats([form for trainer in TRAINERS.values() for form in trainer.formats])
"""Formats by name, in the order in which they are tried."""


def recognised_format(iteration: IterationPattern, line: str) -> Format:
    """The format of a log whose iteration lines match `iteration`, by one of them."""
    rows = [row for row in FORMATS.values() if row.iteration is iteration]
    return next(row for row in rows if row.evidence is None or row.evidence.search(line))
