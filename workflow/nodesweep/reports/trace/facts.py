"""What is known of a run and of where it was set up, from which the origin of each of its values follows."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from nodesweep.common.errors import ConfigError
from nodesweep.config.loader import Key, dotted
from nodesweep.config.origins import axis_keys
from nodesweep.config.parameters import value_text
from nodesweep.config.sweep import Sweep
from nodesweep.config.trainer_settings import SaidSetting
from nodesweep.performance.dimensions import Dimensions
from nodesweep.results.measurement import Measurement
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.settings import SETTINGS
from nodesweep.sweep.template_values import context_of
from nodesweep.sweep.trainer_command import said_by, said_by_itself

MEASURE = "run `nodesweep measure`"
"""What to do where results are missing or older than their log."""


@dataclass(frozen=True)
class Trace:
    """Where a value comes from, one sentence a line; `lines`: the lines of the log that decide it, by number."""

    sentences: tuple[str, ...]
    lines: tuple[int, ...] = ()


class RunFacts(Protocol):
    """What is known of a run of a sweep or of an old job; the attributes are those of `LayoutFacts`."""

    @property
    def status(self) -> str: ...
    @property
    def outlook(self) -> str: ...
    @property
    def record(self) -> TerminalRecord | None: ...
    @property
    def record_place(self) -> str: ...
    @property
    def measurement(self) -> Measurement | None: ...
    @property
    def missing(self) -> str: ...
    @property
    def dimensions(self) -> Dimensions: ...
    @property
    def log(self) -> str: ...
    def setting(self, key: Key) -> str:
        """Where a setting of the run was made."""


@dataclass(frozen=True)
class LayoutFacts:
    """What is known of a layout of a sweep and of its last run.

    `block`, `conditions`: the numbers of its block and of the entries under `when` that hold. `where`: place of a key
    of the config, None where it was left out. `foreseen`: what becomes of it in words. `record_place`, `journal_place`:
    file and line of the terminal record and of the last event. `missing`: why there is no measurement. Files are named
    as in the layout's folder.
    """

    layout: Layout
    sweep: Sweep
    block: int
    conditions: tuple[int, ...]
    where: Callable[[Key], str | None]
    status: str
    foreseen: Callable[[], str]
    journal_place: str
    record: TerminalRecord | None
    record_place: str
    measurement: Measurement | None
    missing: str

    @property
    def outlook(self) -> str:
        """What becomes of the layout, in words."""
        return self.foreseen()

    @property
    def dimensions(self) -> Dimensions:
        """The sizes that the rates of the run follow from."""
        return Dimensions.of(self.layout)

    @property
    def log(self) -> str:
        """The log that was measured."""
        return self.measurement.log_name if self.measurement else "no log"

    def setting(self, key: Key) -> str:
        """Where a setting of this layout was made; entries under `when` come before the sweep's own."""
        return self._made(key) or f"{dotted(key)} left out, its default: config/README.md"

    def _made(self, key: Key) -> str | None:
        """Where a setting of this layout was made; None where it was left out."""
        for number in reversed(self.conditions):
            changes: Any = getattr(self.sweep.when[number], str(key[0]), None)
            for part in key[1:]:
                changes = _below(changes, part)
            if changes is not None:
                return f"{self.where(('when', number, *key))}, since {self.sweep.when[number].if_}"
        return self.where(key)

    def by_workload(self, name: str) -> str | None:
        """Where the workload says a field that a block may leave out, or a key of `training`: there or in a command."""
        key = SETTINGS.get(name, ("training", name))
        place, said = self._made(("workload", *key)), self._said.get(name)
        if place or said is None or (name == "recomputation" and said.value == "none"):
            return place
        return f"{said}: {self._place(said.key)}"

    @cached_property
    def _said(self) -> Mapping[str, SaidSetting]:
        """What the command says of fields that are left to the workload, and of keys of `training` for this layout."""
        values = self.layout.fields()
        try:
            whole = said_by(self.layout.workload, context_of(values, self.layout))
            of_training = {name: one for name, one in whole.items() if name not in SETTINGS}
            return {**said_by_itself(values, self.layout), **of_training}
        except ConfigError:  # the job script tells of what is wrong with a template
            return {}

    def _place(self, key: Key) -> str | None:
        """Where words of the command stand; `key`: of the workload, as `SaidSetting` has it."""
        whole, name = ("workload", *key), str(key[-1])
        if key[0] != "environment":
            return self._made(whole)
        variant, sweep = self.layout.variant, self.sweep
        if variant and name in variant.env:
            number = [one.name for one in sweep.variants].index(variant.name)
            return self.where(("variants", number, "env", name))
        if name in self.layout.parameters:
            return self.axis(name)
        return self._made(whole) or self._made(("machine", *key))

    def axis(self, name: str) -> str:
        """Where an axis or parameter of the layout's block was given, with the expression that gave its value."""
        place = self.given(name)
        if place is None:
            more = "no value" if name in self.sweep.parameters else "its default: config/README.md"
            return f"{dotted(('layouts', self.block, name))} left out, {more}"
        expression = self.layout.expressions.get(name)
        return place if expression is None else f"{place}: {expression} = {value_text(self.layout.values()[name])}"

    def given(self, name: str) -> str | None:
        """The place of an axis or parameter of the layout's block; None where it was left out."""
        groups = len(self.sweep.layouts[self.block].together)
        return next(filter(None, map(self.where, axis_keys(self.block, groups, name))), None)


def _below(values: Any, part: str | int) -> Any:
    """What a mapping or list has at a key or number; None where there is none."""
    if isinstance(part, int):
        return values[part] if isinstance(values, list | tuple) and part < len(values) else None
    return values.get(part) if isinstance(values, Mapping) else None


LayoutTracer = Callable[[LayoutFacts], Trace]
RunTracer = Callable[[RunFacts], Trace]


class TraceableRow(Protocol):
    """A row of results.csv whose values can be traced: of a layout, of a hand-kept table, or of an old job."""

    @property
    def folder(self) -> Path:
        """The folder of the results.csv that has the row."""

    @property
    def head(self) -> list[str]:
        """What the row is, one sentence a line."""

    def traces(self, columns: Iterable[str]) -> dict[str, Trace]:
        """Where the values of these columns come from."""

    def values(self) -> dict[str, str]:
        """The cells of the row by column, as results.csv has them once it is made anew."""

    def lines(self, numbers: set[int]) -> tuple[dict[int, str], list[str]]:
        """Lines of the run's log by number, and what to know if it is not the log that was measured."""


def cells_of(csv_text: str, slug: str) -> dict[str, str]:
    """The row of a slug as it stands in a CSV; empty where it has none."""
    rows = csv.DictReader(io.StringIO(csv_text, newline=""))
    try:
        found = next((row for row in rows if row.get("slug") == slug), {})
    except csv.Error:  # a cell of more characters than any that is written
        return {}
    return {name: value for name, value in found.items() if isinstance(name, str) and isinstance(value, str)}
