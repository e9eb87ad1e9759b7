"""Sweep → layouts and rejected points, each with the law it broke."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from pydantic import BaseModel, ValidationError

from nodesweep.common.errors import AxisError, ConfigError, LayoutError, SettingError
from nodesweep.config.complaints import complaint
from nodesweep.config.expressions import compile_condition, filled, is_expression
from nodesweep.config.layout_fields import AXES
from nodesweep.config.loader import Key, dotted, key_of, merge
from nodesweep.config.model import NOT_OF_A_RUN
from nodesweep.config.model_fields import MODEL_FIELDS
from nodesweep.config.parameters import value_text
from nodesweep.config.sweep import Iterations, Sweep
from nodesweep.config.types import is_name

from .broken_law import LawsBroken
from .command_checks import unfaithful
from .constraints import broken_laws
from .layout import Layout, identity_of
from .mending import Mending, changed
from .points import Point, known_of, points_of, worked_out
from .settings import SETTINGS, settled, unsaid
from .template_checks import check_templates
from .template_values import Parts
from .trainer_command import workload_as_run

_NOTED = ("versions", "repositories", "secrets")
_MOST_REASONS = 3
_SEEN = ("model", "machine", "workload")
_PARTS = (*_SEEN, "iterations")
_EXCLUDED = "excluded"


@dataclass(frozen=True)
class Rejected:
    """A point that cannot run: its fields, the law it breaks, and what finds out the reason.

    `unsaid`: names of the fields that are as the workload says.
    """

    fields: dict[str, Any]
    law: str
    found_out: Callable[[], str] = field(compare=False, repr=False)
    unsaid: frozenset[str] = frozenset()

    @cached_property
    def reason(self) -> str:
        """The reason with its numbers and the way out, which is sought when somebody asks."""
        return self.found_out()


@dataclass(frozen=True)
class Expansion:
    """All points of a sweep in the order of the config; `blocks` are the numbers of the layouts' blocks."""

    layouts: tuple[Layout, ...]
    rejected: tuple[Rejected, ...]
    blocks: tuple[int, ...]


def expand(sweep: Sweep) -> Expansion:
    """Write out every block, derive DP, apply conditions, sort lawful layouts from rejected points.

    Raises ConfigError when two layouts are the same run, when nothing is left to run, or for a change under `when`
    that its target does not take.
    """
    check_templates(sweep.model, (sweep.machine, sweep.workload, sweep.iterations, *sweep.variants))
    for number, entry in enumerate(sweep.when):
        parts = [_changed(sweep, name, getattr(entry, name), ("when", number)) for name in _PARTS]
        check_templates(sweep.model, parts[1:])
    mending = Mending(partial(_built, sweep))
    layouts: dict[str, tuple[Layout, int]] = {}
    rejected: list[Rejected] = []
    for point in points_of(sweep):
        number = point.block
        try:
            point, changes = _prepared(sweep, point)
            layout = _layout(sweep, point, changes)
        except LayoutError as error:
            rejected.append(_rejected(sweep, point, error.law, partial(mending.sentence, point, error)))
            continue
        same = layouts.get(layout.slug)
        if same is not None and (layout.expressions or same[0].expressions):
            reason = f"the same run as {layout.slug} of layouts[{same[1]}]"
            rejected.append(_rejected(sweep, point, "twice", partial(str, reason)))
            continue
        if layout.slug in layouts:
            other = layouts[layout.slug][1]
            place = f"layouts[{number}]" + (f" and layouts[{other}]" if other != number else "")
            raise ConfigError(
                f"{place}: two identical layouts, {layout.slug}; take one out, or tell them apart with variants"
            )
        layouts[layout.slug] = (layout, number)
    if not layouts:
        reasons = "; ".join(_different(f"{one.law}: {one.reason}" for one in rejected))
        raise ConfigError(f"layouts: none of {len(rejected)} points can run ({reasons}); change the axes or exclude")
    found, blocks = zip(*layouts.values(), strict=True)
    return Expansion(found, tuple(rejected), blocks)


def _different(reasons: Iterable[str]) -> list[str]:
    """The first reasons that differ in more than their numbers."""
    found: dict[str, str] = {}
    for reason in reasons:
        found.setdefault(re.sub(r"[0-9.]+", "", reason), reason)
        if len(found) == _MOST_REASONS:
            break
    return list(found.values())


def _rejected(sweep: Sweep, point: Point, law: str, reason: Callable[[], str]) -> Rejected:
    return Rejected(settled(point.shown(), sweep.workload), law, reason, unsaid(point.fields, sweep.workload))


def conditions(sweep: Sweep, layout: Layout) -> tuple[int, ...]:
    """Numbers of the entries under `when` that hold for a layout of a sweep, in the order they are applied."""
    given = {**layout.values(), **dict.fromkeys(layout.unsaid), "variant": layout.variant}
    known = known_of(given, sweep.machine, sweep.workload)
    return tuple(number for number, entry in enumerate(sweep.when) if _holds(entry.if_, known, f"when[{number}].if"))


def conditions_without_effect(sweep: Sweep, expansion: Expansion) -> Iterator[tuple[Key, str]]:
    """The keys of entries under `exclude` that hold for no point, and under `when` that hold for no layout."""
    excluded = {one.reason for one in expansion.rejected if one.law == _EXCLUDED}
    for number, condition in enumerate(sweep.exclude):
        if _exclusion(number, condition) in excluded:
            continue
        if not any(_holds_for(sweep, point, condition) for point in expansion.rejected):
            yield ("exclude", number), condition
    idle = dict(enumerate(sweep.when))
    for layout in expansion.layouts:
        if not idle:
            break
        for number in conditions(sweep, layout):
            idle.pop(number, None)
    for number, entry in idle.items():
        yield ("when", number, "if"), entry.if_


def _holds_for(sweep: Sweep, point: Rejected, condition: str) -> bool:
    """Whether a condition holds for a point that was rejected for another reason; no where that cannot be told."""
    if any(map(is_expression, point.fields.values())):
        return False
    variant = next((one for one in sweep.variants if one.name == point.fields["variant"]), None)
    try:
        return _holds(condition, known_of({**point.fields, "variant": variant}, sweep.machine, sweep.workload), "")
    except ConfigError:
        return False


def _prepared(sweep: Sweep, point: Point) -> tuple[Point, dict[str, Any]]:
    """A point with its expressions worked out, and what `when` changes for it.

    Expressions see the model, machine and workload as `when` changes them, and `when` sees what they give.
    """
    if not point.expressions:
        changes = _changes(sweep, point)
        return point.noted(changes["note"]), changes
    found = worked_out(point, sweep.model, sweep.machine, sweep.workload)
    changes = _changes(sweep, found)
    if not any(changes[name] for name in _SEEN):
        return found.noted(changes["note"]), changes
    model, machine, workload = (_changed(sweep, name, changes[name]) for name in _SEEN)
    again = worked_out(point, model, machine, workload)
    anew = _changes(sweep, again)
    if any(anew[name] != changes[name] for name in _SEEN):
        name, source = next(iter(point.expressions.items()))
        raise AxisError(point.block, name, f"{source} depends on what `when` changes, and that on it; write its values")
    return again.noted(anew["note"]), anew


def _layout(sweep: Sweep, point: Point, changes: dict[str, Any]) -> Layout:
    """One point as a layout with `changes` to its settings; raises LayoutError with the broken law."""
    model, machine, workload, iterations = (_changed(sweep, name, changes[name]) for name in _PARTS)
    known = known_of(point.fields, machine, workload)
    if not known["data"]:
        values = {**model.values, **known, "data": None, "training": workload.training}
        raise LawsBroken(broken_laws({**known, "data": None})[0], values)
    _exclude(sweep, known)
    context = {**known, "model": model.values, "machine": machine}
    variant, of_point = point.fields["variant"], point.parameters
    parameters = {name: of_point[name] for name in sweep.parameters if name in of_point}
    parted = {"parameters": {name: value_text(value) for name, value in parameters.items()}} if parameters else {}
    parts = Parts(model, machine, workload, variant, iterations, parameters)
    open_values = {**known, **{name: point.fields[name] for name in SETTINGS}}
    layout = Layout(
        **{**point.axes, "data": known["data"]},
        variant=variant,
        parameters=parameters,
        expressions=point.expressions,
        note=changes["note"],
        model=model,
        machine=machine,
        workload=workload_as_run(open_values, parts),
        iterations=iterations,
        expected_seconds=_expected_seconds(iterations, context),
        campaign=_campaign(sweep, context),
        identity=identity_of(
            model=model.model_dump(exclude_defaults=True, exclude=set(NOT_OF_A_RUN)),
            iterations=iterations.total,
            on=machine.name,
            machine=_of_the_run(changes["machine"]),
            workload=_of_the_run(changes["workload"]),
            environment=variant.env if variant else {},
            **parted,
        ),
    )
    asked = frozenset(name for name, value in point.axes.items() if value is not None) - layout.unsaid
    if (lost := unfaithful(layout, asked)) is not None:
        raise LawsBroken(lost, {**layout.__dict__, **model.values, "training": layout.training})
    return layout


def _built(sweep: Sweep, point: Point, name: str, value: int) -> Layout:
    """The layout of a point in which an axis, a size of the model or a setting of the trainer has another value."""
    if name in AXES:
        return _layout(sweep, *_prepared(sweep, changed(point, name, value)))
    point, changes = _prepared(sweep, point)
    more = {"model": {name: value}} if name in MODEL_FIELDS else {"workload": {"training": {name: value}}}
    return _layout(sweep, point, merge(changes, more))


def _of_the_run(changes: dict[str, Any]) -> dict[str, Any]:
    """Changes to settings but for those that only say what is noted of a run."""
    return {name: value for name, value in changes.items() if name not in _NOTED}


def _expected_seconds(iterations: Iterations, context: dict[str, Any]) -> float | None:
    """Seconds the whole job is expected to take; None where the config does not say."""
    if iterations.expected_seconds is None:
        return None
    try:
        text = filled(iterations.expected_seconds, context)
        seconds = float(text)
    except ConfigError as error:
        raise ConfigError(f"iterations.expected_seconds: {error}") from None
    except ValueError:
        raise ConfigError(f"iterations.expected_seconds: gives {text!r:.80}, which is no number of seconds") from None
    if not 0 < seconds < 1e9:
        raise ConfigError(f"iterations.expected_seconds: gives {seconds:g}; an iteration takes more than 0 seconds")
    return iterations.startup_seconds + iterations.total * seconds


def _campaign(sweep: Sweep, context: dict[str, Any]) -> str:
    """The campaign of a point, a name that can be a file's."""
    try:
        text = filled(sweep.campaign, context)
    except ConfigError as error:
        raise ConfigError(f"campaign: {error}") from None
    if not is_name(text):
        raise ConfigError(f"campaign: gives {text!r:.80}, which is not a name: use letters, digits and . _ -")
    return text


def _changes(sweep: Sweep, point: Point) -> dict[str, Any]:
    """All settings that `when` changes for a point, and its note; later entries over earlier ones."""
    changes: dict[str, Any] = {name: {} for name in _PARTS} | {"note": point.fields["note"]}
    known = known_of(point.fields, sweep.machine, sweep.workload)
    for number, entry in enumerate(sweep.when):
        if _holds(entry.if_, known, f"when[{number}].if"):
            for name in _PARTS:
                changes[name] = merge(changes[name], getattr(entry, name))
            if entry.note is not None:
                changes["note"] = entry.note
    return changes


def _changed(sweep: Sweep, name: str, changes: dict[str, Any], place: tuple[str | int, ...] = ("when",)) -> Any:
    """A sweep's model, machine, workload or iterations with changes over it."""
    part: BaseModel = getattr(sweep, name)
    if not changes:
        return part
    try:
        whole = merge(part.model_dump(exclude_unset=True), changes)
        return type(part).model_validate(whole, context={"parameters": sweep.parameters})
    except ValidationError as error:
        item = error.errors(include_url=False)[0]
        key = key_of(item)
        raise SettingError((*place, name, *key), dotted((*place, name, *key)), complaint(item, (name, *key))) from None


def _exclude(sweep: Sweep, fields: dict[str, Any]) -> None:
    for number, condition in enumerate(sweep.exclude):
        if _holds(condition, fields, f"exclude[{number}]"):
            raise LayoutError(_EXCLUDED, _exclusion(number, condition))


def _exclusion(number: int, condition: str) -> str:
    return f"exclude[{number}] holds: {condition}"


def _holds(condition: str, fields: dict[str, Any], key: str) -> bool:
    try:
        return compile_condition(condition, None)(fields)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None
