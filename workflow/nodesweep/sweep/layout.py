"""One point of a sweep and the laws it obeys."""

import hashlib
import json
import math
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from nodesweep.common.errors import LayoutError
from nodesweep.config.layout_fields import LAYOUT_FIELDS, LayoutValues
from nodesweep.config.machine import Machine, Queue
from nodesweep.config.model import Model
from nodesweep.config.parameters import ParameterValue, slug_parts, stack_of
from nodesweep.config.sweep import Iterations, Variant
from nodesweep.config.training import Training
from nodesweep.config.workload import Workload

from .broken_law import LawsBroken
from .constraints import broken_by, with_defaults
from .settings import settled, training_of, unsaid

LimitSource = Literal["machine", "iterations.expected_seconds", "predictions by runs", "queue", ""]


@dataclass(frozen=True, kw_only=True)
class Layout(LayoutValues):
    """One run of a sweep: how many nodes, how the model is split over them, on what batch.

    `expected_seconds` is the time the whole job is expected to take. `campaign`: the software stack it runs on.
    `parameters`: the free parameters that its block gives, by name. `expressions`: where a value of an axis or
    parameter was worked out, the expression of the config, by name. `identity` holds what else changes the run (model,
    iterations, machine, parameters, conditional settings), already in canonical form. A field that may be left to the
    workload is None where it is, and is then as the workload has it. `repeat`: which of its runs this is, from 1; it
    changes nothing of the run. Raises LayoutError.
    """

    model: Model
    machine: Machine
    workload: Workload
    iterations: Iterations
    variant: Variant | None = None
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    expressions: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    expected_seconds: float | None = None
    campaign: str = "runs"
    identity: str = field(default="", repr=False)
    repeat: int = 1

    def __post_init__(self) -> None:
        derived = {"ranks_per_node": self.machine.ranks_per_node, "ranks": self.nodes * self.machine.ranks_per_node}
        self.__dict__.update(settled(self.__dict__, self.workload) | derived)  # it is frozen for everybody else
        values = {**self.__dict__, **self.model.values, "training": self.training}
        for broken in broken_by(with_defaults(values)):
            raise LawsBroken(broken, values)
        self.__dict__["micro_batches"] = self.global_batch // (self.data * self.micro_batch)
        self._check_machine()

    @cached_property
    def queue(self) -> Queue | None:
        """The first queue that takes the layout's nodes and time; None on machines without queues."""
        return next((queue for queue in self.machine.queues if not self._refusal(queue)), None)

    @property
    def elapse_limit_seconds(self) -> int | None:
        """The time limit of the job, in seconds.

        The machine's; else the expected time with a margin, up to the limit of the queue; else the limit of the queue.
        Whole minutes where it follows from the expected time; None where nothing says how long the job may take.
        """
        if self.machine.elapse_limit_seconds is not None:
            return self.machine.elapse_limit_seconds
        most = self.queue.elapse_limit_seconds if self.queue else None
        if self.expected_seconds is None:
            return most
        limit = math.ceil(self.expected_seconds * self.iterations.time_margin / 60) * 60
        return limit if most is None else min(limit, most)

    @property
    def elapse_limit_source(self) -> LimitSource:
        """What gives the time limit; empty where there is none.

        A prediction by runs is one that was put in place of the expected seconds that the config leaves out.
        """
        if self.machine.elapse_limit_seconds is not None:
            return "machine"
        if self.expected_seconds is None:
            return "" if self.elapse_limit_seconds is None else "queue"
        return "predictions by runs" if self.iterations.expected_seconds is None else "iterations.expected_seconds"

    def repeated(self, repeat: int) -> "Layout":
        """The run of the layout that has this number."""
        other = copy(self)  # its laws hold as they do for this one
        other.__dict__["repeat"] = repeat
        return other

    @property
    def slug(self) -> str:
        """Readable name of the run and of its folder: that of the layout, with its number behind from the second on."""
        return run_name(self.row, self.repeat)

    @cached_property
    def row(self) -> str:
        """Readable name of the layout, unique for all that changes its runs; never parsed back."""
        fields = self.fields()
        named = (row for name, row in LAYOUT_FIELDS.items() if not row.worked_out and name not in self.unsaid)
        parts = [row.slug_part(fields[row.name], said=row.of_workload) for row in named]
        parts += slug_parts(self.parameters)
        digest = hashlib.sha256(self.identity.encode()).hexdigest()[: 8 if self.parameters else 6]
        return "-".join([*(part for part in parts if part), digest])

    @property
    def stack(self) -> str:
        """What runs are of by which its time and memory are predicted: its campaign and parameters."""
        return stack_of(self.campaign, self.parameters)

    @cached_property
    def training(self) -> Training:
        """What of the trainer's settings memory and time depend on: the workload's, with the layout's own over them."""
        return training_of(self.__dict__, self.workload.training)

    @cached_property
    def unsaid(self) -> frozenset[str]:
        """Names of the fields that are as the workload says, so that nothing need be said of them."""
        return unsaid(self.__dict__, self.workload)

    def values(self) -> dict[str, Any]:
        """The values conditions and templates see, by name: those of the fields and of its parameters."""
        return {**self.fields(), **self.parameters}

    def fields(self) -> dict[str, Any]:
        """The values of its fields, by name."""
        values = {name: getattr(self, name) for name in LAYOUT_FIELDS}
        return {**values, "variant": self.variant.name if self.variant else ""}

    def _check_machine(self) -> None:
        machine = self.machine
        if self.nodes < machine.min_nodes or (machine.max_nodes is not None and self.nodes > machine.max_nodes):
            most = "any number" if machine.max_nodes is None else machine.max_nodes
            raise LayoutError(
                "machine nodes",
                f"{self.nodes} nodes; {machine.name} takes {machine.min_nodes} to {most} nodes",
            )
        if self.frequency_ghz is not None and self.frequency_ghz not in machine.frequencies_ghz:
            choice = ", ".join(f"{value:g}" for value in machine.frequencies_ghz) or "none; leave it out"
            raise LayoutError(
                "machine frequency",
                f"{self.frequency_ghz:g} GHz; clocks {machine.name} lets a job choose: {choice}",
            )
        if machine.queues and self.queue is None:
            refusals = "; ".join(str(self._refusal(queue)) for queue in machine.queues)
            needed = f" for {self._needed_seconds:.0f} s" if self._needed_seconds else ""
            raise LayoutError(
                "queue",
                f"{self.nodes} nodes{needed} fit no queue of {machine.name}: {refusals}; "
                "change the nodes, run fewer iterations, or add a queue",
            )

    @property
    def _needed_seconds(self) -> float | None:
        return self.machine.elapse_limit_seconds or self.expected_seconds

    def _refusal(self, queue: Queue) -> str | None:
        return queue.refusal(self.nodes, self._needed_seconds)


def run_name(row: str, repeat: int) -> str:
    """The name of a run of a layout, and of its folder.

    >>> run_name("n2-mp1-1a2b3c", 1), run_name("n2-mp1-1a2b3c", 3)
    ('n2-mp1-1a2b3c', 'n2-mp1-1a2b3c-r3')
    """
    return row if repeat == 1 else f"{row}-r{repeat}"


def identity_of(**parts: Any) -> str:
    """What changes a run beside the layout's fields, as canonical JSON; models count by what differs from defaults."""
    return json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
