"""Sweep → layouts and rejected points, each with the law it broke."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from nodesweep.common.errors import ConfigError, LayoutError
from nodesweep.config.expressions import compile_condition, compile_template
from nodesweep.config.layout_fields import AXES, LAYOUT_FIELDS
from nodesweep.config.loader import dotted, merge
from nodesweep.config.machine import Machine
from nodesweep.config.model import NOT_OF_A_RUN
from nodesweep.config.sweep import Block, Iterations, Sweep, Variant
from nodesweep.config.types import is_name
from nodesweep.config.workload import Workload

from .constraints import broken_laws, completed
from .layout import Layout, identity_of
from .settings import settled, unsaid

_MOST_POINTS = 100_000
_NOTED = ("versions", "repositories", "secrets")
_PARTS = ("model", "machine", "workload", "iterations")
Part = TypeVar("Part", bound=BaseModel)


@dataclass(frozen=True)
class Rejected:
    """A point that cannot run: its fields, the law it breaks, the reason with its numbers and the way out.

    `unsaid`: names of the fields that are as the workload says.
    """

    fields: dict[str, Any]
    law: str
    reason: str
    unsaid: frozenset[str] = frozenset()


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
    for number, entry in enumerate(sweep.when):
        for name in _PARTS:
            _changed(getattr(sweep, name), name, getattr(entry, name), f"when[{number}]")
    layouts: dict[str, tuple[Layout, int]] = {}
    rejected: list[Rejected] = []
    for number, fields in _points(sweep):
        changes = _changes(sweep, fields)
        fields |= {"note": changes["note"]}
        try:
            layout = _layout(sweep, fields, changes)
        except LayoutError as error:
            left = unsaid(fields, sweep.workload)
            rejected.append(Rejected(_readable(settled(fields, sweep.workload)), error.law, str(error), left))
            continue
        if layout.slug in layouts:
            other = layouts[layout.slug][1]
            place = f"layouts[{number}]" + (f" and layouts[{other}]" if other != number else "")
            raise ConfigError(
                f"{place}: two identical layouts, {layout.slug}; take one out, or tell them apart with variants"
            )
        layouts[layout.slug] = (layout, number)
    if not layouts:
        different = dict.fromkeys(f"{one.law}: {one.reason}" for one in rejected)
        reasons = "; ".join(list(different)[:3])
        raise ConfigError(f"layouts: none of {len(rejected)} points can run ({reasons}); change the axes or exclude")
    found, blocks = zip(*layouts.values(), strict=True)
    return Expansion(found, tuple(rejected), blocks)


def conditions(sweep: Sweep, layout: Layout) -> tuple[int, ...]:
    """Numbers of the entries under `when` that hold for a layout of a sweep, in the order they are applied."""
    given = {**layout.fields(), **dict.fromkeys(layout.unsaid), "variant": layout.variant}
    known = _known(given, sweep.machine, sweep.workload)
    return tuple(number for number, entry in enumerate(sweep.when) if _holds(entry.if_, known, f"when[{number}].if"))


def _points(sweep: Sweep) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every point with the number of its block, in the order of the config."""
    total = 0
    variants: tuple[Variant | None, ...] = sweep.variants or (None,)
    for number, block in enumerate(sweep.layouts):
        names, values = _axes(block)
        size = len(variants)
        for axis in values:
            size *= len(axis)
        total += size
        if total > _MOST_POINTS:
            raise ConfigError(f"layouts[{number}]: the sweep has over {_MOST_POINTS} points; shorten its axes")
        for point in itertools.product(*values):
            for variant in variants:
                yield number, {**dict(zip(names, point, strict=True)), "variant": variant, "note": block.note}


def _axes(block: Block) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Names and values of a block's axes, nodes slowest."""
    return list(AXES), [getattr(block, name) or (None,) for name in AXES]


def _layout(sweep: Sweep, fields: dict[str, Any], changes: dict[str, Any]) -> Layout:
    """One point as a layout with `changes` to its settings; raises LayoutError with the broken law."""
    model = _changed(sweep.model, "model", changes["model"])
    machine = _changed(sweep.machine, "machine", changes["machine"])
    workload = _changed(sweep.workload, "workload", changes["workload"])
    iterations = _changed(sweep.iterations, "iterations", changes["iterations"])
    known = _known(fields, machine, workload)
    if not known["data"]:
        broken = broken_laws({**known, "data": None})[0]
        raise LayoutError(broken.law, broken.sentence)
    _exclude(sweep, known)
    context = {**known, "model": model.values, "machine": machine}
    values: dict[str, Any] = {**fields, "data": known["data"]}
    return Layout(
        **values,
        model=model,
        machine=machine,
        workload=workload,
        iterations=iterations,
        expected_seconds=_expected_seconds(iterations, context),
        campaign=_campaign(sweep, context),
        identity=identity_of(
            model=model.model_dump(exclude_defaults=True, exclude=set(NOT_OF_A_RUN)),
            iterations=iterations.total,
            on=machine.name,
            machine=_of_the_run(changes["machine"]),
            workload=_of_the_run(changes["workload"]),
            environment=fields["variant"].env if fields["variant"] else {},
        ),
    )


def _of_the_run(changes: dict[str, Any]) -> dict[str, Any]:
    """Changes to settings but for those that only say what is noted of a run."""
    return {name: value for name, value in changes.items() if name not in _NOTED}


def _known(fields: dict[str, Any], machine: Machine, workload: Workload) -> dict[str, Any]:
    """What conditions see of a point; DP and its micro batches are 0 where DP is no whole number."""
    known = completed({**settled(fields, workload), "ranks_per_node": machine.ranks_per_node})
    data = known.get("data", 0)
    return {
        **fields,
        **{name: known.get(name) for name in LAYOUT_FIELDS},
        "data": data,
        "micro_batches": fields["global_batch"] // (data * fields["micro_batch"]) if data else 0,
        "variant": fields["variant"].name if fields["variant"] else "",
    }


def _expected_seconds(iterations: Iterations, context: dict[str, Any]) -> float | None:
    """Seconds the whole job is expected to take; None where the config does not say."""
    if iterations.expected_seconds is None:
        return None
    try:
        text = compile_template(iterations.expected_seconds)(context)
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
        text = compile_template(sweep.campaign)(context)
    except ConfigError as error:
        raise ConfigError(f"campaign: {error}") from None
    if not is_name(text):
        raise ConfigError(f"campaign: gives {text!r:.80}, which is not a name: use letters, digits and . _ -")
    return text


def _changes(sweep: Sweep, fields: dict[str, Any]) -> dict[str, Any]:
    """All settings that `when` changes for these fields, and their note; later entries over earlier ones."""
    changes: dict[str, Any] = {name: {} for name in _PARTS} | {"note": fields["note"]}
    known = _known(fields, sweep.machine, sweep.workload)
    for number, entry in enumerate(sweep.when):
        if _holds(entry.if_, known, f"when[{number}].if"):
            for name in _PARTS:
                changes[name] = merge(changes[name], getattr(entry, name))
            if entry.note is not None:
                changes["note"] = entry.note
    return changes


def _changed(part: Part, name: str, changes: dict[str, Any], place: str = "when") -> Part:
    """A sweep's model, machine, workload or iterations with changes over it."""
    if not changes:
        return part
    try:
        return type(part).model_validate(merge(part.model_dump(exclude_unset=True), changes))
    except ValidationError as error:
        item = error.errors(include_url=False)[0]
        message = item["msg"].removeprefix("Value error, ")
        raise ConfigError(
            f"{place}.{dotted((name, *item['loc']))}: {message}; check the keys and values of the {name}"
        ) from None


def _exclude(sweep: Sweep, fields: dict[str, Any]) -> None:
    for number, condition in enumerate(sweep.exclude):
        if _holds(condition, fields, f"exclude[{number}]"):
            raise LayoutError("excluded", f"exclude[{number}] holds: {condition}")


def _holds(condition: str, fields: dict[str, Any], key: str) -> bool:
    try:
        return compile_condition(condition)(fields)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None


def _readable(fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, "variant": fields["variant"].name if fields["variant"] else ""}
