"""Whether the command of a layout runs what the layout is: all that it asks for is passed on, and as it asks.

A size that no template of the workload depends on would be left as the trainer has it, and a model or layout would run
under the name of another. So the templates are filled twice, once without the size: where nothing changes, the trainer
does not learn of it. A workload whose templates name no size of a model, or none of a layout, tells its trainer of them
by other means, such as a script, and is taken at its word.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

from nodesweep.common.errors import ConfigError
from nodesweep.config.expressions import names_in
from nodesweep.config.layout_field import LayoutField
from nodesweep.config.layout_fields import LAYOUT_FIELDS
from nodesweep.config.loader import Key, dotted
from nodesweep.config.model_fields import MODEL_FIELDS, SEPARATOR, CompletedSizes, default_of, words_in
from nodesweep.config.trainer_settings import SaidSetting
from nodesweep.config.workload import Workload

from .broken_law import BrokenLaw
from .layout import Layout
from .settings import SETTINGS
from .template_values import Context, context_of, derived_values, model_words
from .trainer_command import condition_of, rendered, said_by, templates_of, told_by

_NEWER = tuple(row for row in LAYOUT_FIELDS.values() if row.of_workload or row.absent_means_default)
"""Fields of a layout that a trainer runs without where nothing tells it of them."""
_NOT_PASSED = ("flops_convention", "ffn_hidden_size")
"""Sizes of a model that no trainer is told of, or that workloads were never asked to pass on."""
_LISTS = ("extras", "other_parts")
"""Sizes of a model that are several words."""
_BY_NAME = ("model", "model.name", "model.from_")
"""What tells a trainer of the whole model at once."""


@dataclass(frozen=True)
class Contradiction:
    """A field of a layout, or a setting under `training`, that has one value while the command says another.

    `key`: the key of the sweep that gives the value, None where nothing gives it.
    """

    field: str
    value: Any
    said: SaidSetting
    key: Key | None

    @property
    def name(self) -> str:
        """What a config calls it."""
        return dotted(self.key) if self.key else self.field

    def sentence(self, place: str | None) -> str:
        """What is contradicted, `place` being where its key stands, and what to do."""
        at = f" ({place.partition(': ')[0]})" if place else ""
        says = f"{self.name}{at} is {_shown(self.value)}, but the command says {_shown(self.said.value)}: {self.said}"
        if self.key is None and self.field not in LAYOUT_FIELDS:
            return f"{says}; predictions go by the former: change the block or the command"
        if self.key is None:
            return f"{says}; give {self.field}: {_shown(self.said.value)} in the block, or change the command"
        return f"{says}; predictions go by the former: take it out, and they go by the command, or change the command"


def unfaithful(layout: Layout, asked: frozenset[str]) -> BrokenLaw | None:
    """The first thing that a layout asks for and its trainer would not run; None where there is none.

    `asked`: names of the fields that its block gives, and not its workload.
    """
    try:
        check = _Check(layout)
        return next(chain(check.refusals(), check.lost_fields(asked), check.lost_sizes()), None)
    except ConfigError:  # the job script tells of what is wrong with a template
        return None


def contradictions(layout: Layout) -> list[Contradiction]:
    """What has another value in a layout, or under `training`, than its command says."""
    values, workload = layout.fields(), layout.workload
    try:
        said = said_by(workload, context_of(values, layout))
    except ConfigError:
        return []
    known = {**dict(layout.training), **values}
    found = [(name, one) for name, one in said.items() if known.get(name, one.value) != one.value]
    keys = {name: _key_of(name, workload) for name, _ in found}
    return [Contradiction(name, _given(keys[name], workload, known[name]), one, keys[name]) for name, one in found]


def _given(key: Key | None, workload: Workload, value: Any) -> Any:
    """The value as its key gives it; `value` where no key does."""
    return getattr(workload.training, str(key[-1])) if key and "training" in key else value


def _key_of(name: str, workload: Workload) -> Key | None:
    """The key of a sweep that gives a setting; None where it is left out."""
    key = SETTINGS.get(name, ("training", name))
    given = workload.model_fields_set if key[0] == "precision" else workload.training.model_fields_set
    return ("workload", *key) if key[-1] in given else None


class _Check:
    """What is asked of the templates of one layout."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.context = layout, context_of(layout.fields(), layout)
        self.workload = layout.workload
        self.templates = templates_of(layout.workload)
        self.named = _names(self.templates)
        self.told = _names(told_by(layout.workload))
        self.said = said_by(layout.workload, self.context)

    def refusals(self) -> Iterator[BrokenLaw]:
        """What the workload itself does not take."""
        for entry in self.workload.refuses:
            if rendered(condition_of(entry), self.context) == "True":
                numbers = f"{self.workload.name} does not run layouts with {entry.if_}"
                yield BrokenLaw("workload", numbers, in_config=entry.because)

    def lost_fields(self, asked: frozenset[str]) -> Iterator[BrokenLaw]:
        """Fields of a layout that its block gives, and that do not reach the trainer as they are."""
        if not self.told & LAYOUT_FIELDS.keys():
            return
        for row in _NEWER:
            value = getattr(self.layout, row.name)
            if row.name not in asked or row.name in self.workload.passes:
                continue
            said = self.said.get(row.name)
            if said is not None and value != said.value:
                yield self._lost(row.name, f"{_shown(value)}, but its command says {_shown(said.value)} ({said})")
            elif said is None and value not in (None, row.default) and not self._reaches(row):
                yield self._lost(row.name, f"{_shown(value)} does not reach the trainer: no template depends on it")

    def lost_sizes(self) -> Iterator[BrokenLaw]:
        """Sizes of the model that do not reach the trainer."""
        passes = self.workload.passes
        by_name = self.told.intersection(_BY_NAME) or "model" in passes
        if by_name or not any(name.startswith("model.") for name in self.told):
            return
        sizes = self.layout.model.sizes
        for name, value in sizes.items():
            needless = value is None or name in _NOT_PASSED or not MODEL_FIELDS[name].optional
            if needless or f"model.{name}" in passes or self._goes_without(name, value):
                continue
            for without, part in _without(name, value):
                changed = {**self.context, "model": model_words(self.layout.model, {**sizes, name: without})}
                if not self._differs(changed):
                    text = f"{_shown(part)} does not reach the trainer: no template depends on it"
                    yield self._lost(f"model.{name}", text)

    def _reaches(self, row: LayoutField) -> bool:
        if row.kind == "yes_no":
            return row.name in self.named
        values = {**self.layout.fields(), row.name: None if row.of_workload else row.default}
        return self._differs(
            {**self.context, **values, **derived_values(values, self.layout.model, self.context["training"])}
        )

    def _differs(self, context: Context) -> bool:
        """Whether the templates give something else in other circumstances."""
        changed = {name for name, value in context.items() if name != "model" and value != self.context.get(name)}
        if context["model"] is not self.context["model"]:
            old = self.context["model"]
            changed |= {f"model.{name}" for name, value in context["model"].items() if value != old.get(name)}
        asking = [source for source in self.templates if not names_in(source).isdisjoint(changed)]
        return any(rendered(source, self.context) != rendered(source, context) for source in asking)

    def _goes_without(self, name: str, value: Any) -> bool:
        """Whether a size is what it is where it is left out, or says nothing of this model."""
        sizes = {other: size for other, size in self.layout.model.sizes.items() if other != name}
        if name == "max_positions" and sizes["positions"] is not None:
            return True
        if name == "tied_embeddings" and self.workload.training.tied_embeddings == value:
            return True
        try:
            others = CompletedSizes({**sizes, "sequence_length": self.layout.sequence_length})
            return bool(default_of(name, others) == value)
        except AttributeError:
            return False

    def _lost(self, name: str, text: str) -> BrokenLaw:
        if name == "sharding_group" and self.layout.sharding != "hsdp":
            text = f"{self.layout.sharding_group} reaches the trainer under hsdp alone"
            way_out = "give hsdp a block of its own, with the sharding_group"
            return BrokenLaw("command", f"{self.workload.name}: {name} {text}", in_config=way_out)
        way_out = f"pass it on in workload.command, choose a workload that does, or list {name} under workload.passes"
        return BrokenLaw("command", f"{self.workload.name}: {name} {text}", in_config=way_out)


@lru_cache(maxsize=256)
def _names(templates: tuple[str, ...]) -> frozenset[str]:
    """All that templates ask for."""
    return frozenset(chain.from_iterable(map(names_in, templates)))


def _without(name: str, value: Any) -> Iterator[tuple[Any, Any]]:
    """A size left out, or, where it is a list, without one of its words after the other; and what is left out."""
    if name not in _LISTS:
        yield None, value
        return
    words = words_in(value)
    for word in words:
        yield SEPARATOR.join(other for other in words if other != word) or None, word


def _shown(value: Any) -> str:
    if value is None:
        return "left out"
    return str(value).casefold() if isinstance(value, bool) else str(value)
