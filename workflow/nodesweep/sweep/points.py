"""Blocks of a sweep -> points: one value of every axis and parameter each, expressions worked out."""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from typing import Any

from pydantic import TypeAdapter, ValidationError

from nodesweep.common.errors import AxisError, ConfigError, LayoutError
from nodesweep.config.expressions import check_looked_up, filled, is_expression, names_in
from nodesweep.config.layout_fields import AXES, LAYOUT_FIELDS
from nodesweep.config.machine import Machine
from nodesweep.config.model import Model
from nodesweep.config.parameters import check_value, check_variables, read_value
from nodesweep.config.sweep import Block, Sweep, Variant, axes_of
from nodesweep.config.types import axis_of
from nodesweep.config.workload import Workload

from .broken_law import LawsBroken
from .constraints import FOLLOWS, broken_laws, completed, with_defaults
from .settings import settled
from .template_checks import known_parts

_MOST_POINTS = 100_000
Dimension = tuple[tuple[str, ...], list[tuple[Any, ...]]]
"""Names that vary together, and their values, one of each name at a time."""


@dataclass(frozen=True)
class Point:
    """A point of a block: its number, and the values of axes and parameters, of `variant` and `note`, by name.

    `expressions`: texts with holes that stand for a value, or stood for it before it was worked out.
    """

    block: int
    fields: dict[str, Any]
    expressions: Mapping[str, str] = field(default_factory=dict)

    @property
    def axes(self) -> dict[str, Any]:
        """The values of the axes."""
        return {name: self.fields[name] for name in AXES}

    @property
    def parameters(self) -> dict[str, Any]:
        """The values of the parameters."""
        return {name: value for name, value in self.fields.items() if name not in (*AXES, "variant", "note")}

    def noted(self, note: str) -> "Point":
        """The point with a note."""
        return replace(self, fields={**self.fields, "note": note})

    def shown(self) -> dict[str, Any]:
        """The values as a plan shows them."""
        return {**self.fields, "variant": self.fields["variant"].name if self.fields["variant"] else ""}


def points_of(sweep: Sweep) -> Iterator[Point]:
    """Every point in the order of the config; raises ConfigError where there are too many."""
    total = 0
    variants: tuple[Variant | None, ...] = sweep.variants or (None,)
    for number, block in enumerate(sweep.layouts):
        dimensions = _dimensions(block)
        size = len(variants)
        for _, values in dimensions:
            size *= len(values)
        total += size
        if total > _MOST_POINTS:
            raise ConfigError(f"layouts[{number}]: the sweep has over {_MOST_POINTS} points; shorten its axes")
        names = [name for group, _ in dimensions for name in group]
        left_out = dict.fromkeys(name for name in AXES if name not in names)
        for parts in itertools.product(*(values for _, values in dimensions)):
            point = dict(zip(names, itertools.chain(*parts), strict=True)) | left_out
            expressions = {name: value for name, value in point.items() if is_expression(value)}
            for variant in variants:
                yield Point(number, {**point, "variant": variant, "note": block.note}, expressions)


def _dimensions(block: Block) -> list[Dimension]:
    """What a block is the product of, slowest first: its axes, nodes before all others, then its parameters.

    Axes that vary together stand where the first of them does.
    """
    groups: dict[str, Dimension] = {}
    for group in map(axes_of, block.together):
        groups |= dict.fromkeys(group, (tuple(group), list(zip(*group.values(), strict=True))))
    alone = {name: ((name,), [(value,) for value in values]) for name, values in axes_of(block).items()}
    dimensions = alone | groups
    parameters = [name for name in (*groups, *alone) if name not in AXES]
    found = {dimensions[name][0]: dimensions[name] for name in (*AXES, *parameters) if name in dimensions}
    return list(found.values())


def known_of(fields: Mapping[str, Any], machine: Machine, workload: Workload) -> dict[str, Any]:
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


def worked_out(point: Point, model: Model, machine: Machine, workload: Workload) -> Point:
    """A point whose expressions have given their values, each after what it needs.

    Raises LayoutError for a number that does not fit its axis, ConfigError for all that is no value at all.
    """
    fields = dict(point.fields)
    given = {name: value for name, value in fields.items() if name not in point.expressions}
    known = {name: value for name, value in settled(given, workload).items() if value is not None}
    for name in point.expressions:
        for other in (name, *_same_fact(name)):
            if given.get(other) is None:
                known.pop(other, None)
    known |= {"ranks_per_node": machine.ranks_per_node, "model": model.values, "machine": machine}
    known["variant"] = fields["variant"].name if fields["variant"] else ""
    for name in _order(point):
        if name in point.expressions:
            fields[name] = known[name] = _value(point.block, name, point.expressions[name], known)
        elif name not in known:
            known[name] = _follows(name, known)
    return replace(point, fields=fields)


def _same_fact(name: str) -> list[str]:
    """The fields that say the same as one, more finely or less."""
    own = LAYOUT_FIELDS[name].same_fact if name in LAYOUT_FIELDS else ""
    return [other for other, row in LAYOUT_FIELDS.items() if other == own or row.same_fact == name]


def _order(point: Point) -> list[str]:
    """Expressions and what follows from other sizes, each after all that it needs; raises ConfigError for a circle."""
    asked = {name: names_in(source) for name, source in point.expressions.items()}
    needs = {name: {one.partition(".")[0] for one in names} for name, names in asked.items()}
    for name, product in FOLLOWS.items():
        if point.fields.get(name) is None:
            needs[name] = {product.whole, *product.parts} - {name}
    wanted, open_names = set(), list(point.expressions)
    while open_names:
        name = open_names.pop()
        if name in needs and name not in wanted:
            wanted.add(name)
            open_names += needs[name]
    try:
        return list(TopologicalSorter({name: needs[name] & wanted for name in wanted}).static_order())
    except CycleError as error:
        circle = " needs ".join(reversed(error.args[1]))
        name = next(name for name in error.args[1] if name in point.expressions)
        reason = f"{point.expressions[name]} goes in a circle: {circle}; give one of them a value"
        raise AxisError(point.block, name, reason) from None


def _follows(name: str, known: Mapping[str, Any]) -> int:
    """A size that follows from others; raises LawsBroken where it is no whole number."""
    found = FOLLOWS[name].solved(name, with_defaults(known))
    if found is None:
        values = {**known["model"], **known, name: None}
        raise LawsBroken(broken_laws(values)[0], values)
    return found


def _value(block: int, name: str, source: str, known: Mapping[str, Any]) -> Any:
    """The value that an expression gives."""
    try:
        check_looked_up(source, known_parts(known["model"]))
        text = filled(source, known).strip()
    except ConfigError as error:
        raise AxisError(block, name, f"{error}{_seen(source, known)}") from None
    gives = f"{source} gives '{_short(text):.80}'{_seen(source, known)}"
    if is_expression(text):  # the checks of values leave expressions to be filled
        raise AxisError(block, name, f"{gives}, which has holes again; let it give a value")
    try:
        value = _parsed(name, text)
    except ValueError as error:
        raise AxisError(block, name, f"{gives}: {error}") from None
    try:
        return _check_of(name)(value)
    except (ValidationError, ValueError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        reason = reason.replace("Input should", "it should").replace("valid integer", "whole number")
        reason = f"{reason.removeprefix('Value error, ')}; change the expression or what it is made of"
        raise LayoutError("expression", f"layouts[{block}].{name}: {gives}: {reason}") from None


def _parsed(name: str, text: str) -> Any:
    """A text as a value of an axis or parameter; raises ValueError for one that is none of its kind."""
    kind = AXES[name].kind if name in AXES else ""
    value = read_value(text)
    if kind in ("count", "number"):
        try:
            number = float(text)
        except ValueError:
            raise ValueError("that is no number") from None
        return int(number) if number.is_integer() else number
    if kind == "yes_no" and not isinstance(value, bool):
        raise ValueError("that is neither True nor False")
    return text if kind == "word" else value


@lru_cache(maxsize=1024)
def _check_of(name: str) -> Any:
    """What checks a value of an axis or parameter, and raises ValueError or ValidationError for a wrong one."""
    if name in AXES:
        adapter: TypeAdapter[Any] = TypeAdapter(axis_of(AXES[name]))
        return lambda value: adapter.validate_python([value])[0]

    def check(value: Any) -> Any:
        check_variables({name: [value]})
        return check_value(value)

    return check


def _short(text: str) -> str:
    """What an expression gives, a number with no more digits than anybody reads.

    >>> _short("10.666666666666666"), _short("2.5"), _short("flash")
    ('10.6667', '2.5', 'flash')
    """
    return f"{float(text):g}" if re.fullmatch(r"-?[0-9]{1,5}\.[0-9]+", text) else text


def _seen(source: str, known: Mapping[str, Any]) -> str:
    """The values that an expression saw, in words."""
    found = []
    for asked in sorted(names_in(source)):
        name, _, key = asked.partition(".")
        value = known.get(name)
        if key:
            value = value.get(key) if isinstance(value, Mapping) else getattr(value, key, None)
        if isinstance(value, bool | int | float | str):
            found.append(f"{asked} {value if value != '' else repr(value)}")
    return f" ({', '.join(found)})" if found else ""
