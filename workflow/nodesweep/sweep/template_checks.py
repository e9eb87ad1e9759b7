"""Whether the templates of a sweep look up what there is in the model, the machine and the settings of the trainer."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from pydantic import BaseModel

from nodesweep.config.expressions import check_looked_up, is_expression
from nodesweep.config.machine import Machine
from nodesweep.config.model import Model
from nodesweep.config.training import Training
from nodesweep.config.workload import Workload

from .template_values import model_words
from .trainer_command import condition_of


def check_templates(model: Model, parts: Iterable[BaseModel]) -> None:
    """Raise ExpressionError for a template in these parts of a sweep that asks for what nothing has."""
    known = {**known_parts(model_words(model, model.sizes)), "training": tuple(Training.model_fields)}
    for part in parts:
        for text in _texts(part.model_dump()):
            check_looked_up(text, known)
        for entry in part.refuses if isinstance(part, Workload) else ():
            check_looked_up(condition_of(entry), known, entry.if_)


def known_parts(model: Mapping[str, Any]) -> dict[str, Collection[str]]:
    """What templates can look up in `model`, given as they know it, and in `machine`."""
    worked_out = [name for name, value in vars(Machine).items() if isinstance(value, property | cached_property)]
    return {"model": model.keys(), "machine": (*Machine.model_fields, *worked_out)}


def _texts(value: Any) -> Iterator[str]:
    """All texts with holes in a value."""
    if isinstance(value, Mapping):
        value = value.values()
    elif is_expression(value):
        yield value
    if not isinstance(value, str) and isinstance(value, Iterable):
        for one in value:
            yield from _texts(one)
