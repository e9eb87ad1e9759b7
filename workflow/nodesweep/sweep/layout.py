"""One point of a sweep and the laws it obeys."""

import hashlib
import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from nodesweep.common.errors import LayoutError
from nodesweep.config.machine import Machine, Queue
from nodesweep.config.model import Model
from nodesweep.config.sweep import Iterations, Variant
from nodesweep.config.workload import Workload


def divisors(number: int) -> list[int]:
    """All divisors in rising order.

    >>> divisors(12)
    [1, 2, 3, 4, 6, 12]
    """
    low = [n for n in range(1, int(number**0.5) + 1) if number % n == 0]
    return sorted({*low, *(number // n for n in low)})


def nearest(values: list[int], wanted: int) -> str:
    """The one or two values beside `wanted`, as words.

    >>> nearest([1, 2, 4, 8], 6)
    '4 or 8'
    """
    below = [value for value in values if value < wanted][-1:]
    above = [value for value in values if value > wanted][:1]
    return " or ".join(str(value) for value in below + above)


def multiples(step: int, wanted: int) -> list[int]:
    """The positive multiples of `step` on both sides of `wanted`."""
    below = wanted // step * step
    return [value for value in (below, below + step) if value > 0]


@dataclass(frozen=True)
class Layout:
    """One run of a sweep: how many nodes, how the model is split over them, on what batch.

    `micro_batch`, `global_batch` are in samples, `sequence_length` in tokens. `expected_seconds` is the time the whole
    job is expected to take. `campaign`: the software stack it runs on. `identity` holds what else changes the run
    (model, iterations, machine, conditional settings), already in canonical form. Raises LayoutError.
    """

    nodes: int
    tensor: int
    pipeline: int
    data: int
    micro_batch: int
    global_batch: int
    sequence_length: int
    activation_checkpointing: bool
    frequency_ghz: float | None
    model: Model
    machine: Machine
    workload: Workload
    iterations: Iterations
    variant: Variant | None = None
    note: str = ""
    expected_seconds: float | None = None
    campaign: str = "runs"
    identity: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        self._check_world_size()
        self._check_batch()
        self._check_model()
        self._check_machine()

    @property
    def ranks_per_node(self) -> int:
        """Ranks started on each node."""
        return self.machine.ranks_per_node

    @property
    def ranks(self) -> int:
        """Ranks of the whole run."""
        return self.nodes * self.ranks_per_node

    @property
    def micro_batches(self) -> int:
        """Micro batches each replica works through in one iteration."""
        return self.global_batch // (self.data * self.micro_batch)

    @cached_property
    def queue(self) -> Queue | None:
        """The first queue that takes its nodes and time; None on machines without queues."""
        return next((queue for queue in self.machine.queues if not self._refusal(queue)), None)

    @property
    def elapse_limit_seconds(self) -> int | None:
        """Its job's time limit: the machine's, else the expected time with a margin up to the queue's, or the queue's.

        Whole minutes where it follows from the expected time; None where nothing says how long the job may take.
        """
        if self.machine.elapse_limit_seconds is not None:
            return self.machine.elapse_limit_seconds
        most = self.queue.elapse_limit_seconds if self.queue else None
        if self.expected_seconds is None:
            return most
        limit = math.ceil(self.expected_seconds * self.iterations.time_margin / 60) * 60
        return limit if most is None else min(limit, most)

    @cached_property
    def slug(self) -> str:
        """Readable name of the layout, unique for all that changes its run; never parsed back."""
        parts = [
            f"n{self.nodes}-dp{self.data}-mp{self.tensor}-pp{self.pipeline}",
            f"mbs{self.micro_batch}-gbs{self.global_batch}-s{self.sequence_length}",
            "ac" if self.activation_checkpointing else "",
            f"{self.frequency_ghz:g}ghz" if self.frequency_ghz else "",
            self.variant.name if self.variant else "",
            hashlib.sha256(self.identity.encode()).hexdigest()[:6],
        ]
        return "-".join(part for part in parts if part)

    def fields(self) -> dict[str, Any]:
        """The values conditions and templates see, by name."""
        return {
            "nodes": self.nodes,
            "ranks_per_node": self.ranks_per_node,
            "ranks": self.ranks,
            "data": self.data,
            "tensor": self.tensor,
            "pipeline": self.pipeline,
            "micro_batch": self.micro_batch,
            "global_batch": self.global_batch,
            "micro_batches": self.micro_batches,
            "sequence_length": self.sequence_length,
            "activation_checkpointing": self.activation_checkpointing,
            "frequency_ghz": self.frequency_ghz,
            "variant": self.variant.name if self.variant else "",
        }

    def _check_world_size(self) -> None:
        if self.ranks != self.data * self.tensor * self.pipeline:
            product = self.data * self.tensor * self.pipeline
            raise LayoutError(
                "world size",
                f"{self.nodes} nodes x {self.ranks_per_node} ranks = {self.ranks} ranks, but DP {self.data} x "
                f"MP {self.tensor} x PP {self.pipeline} = {product}; leave data out and it follows",
            )

    def _check_batch(self) -> None:
        step = self.data * self.micro_batch
        if self.global_batch % step:
            raise LayoutError(
                "batch",
                f"GBS {self.global_batch} does not split over DP {self.data} x MBS {self.micro_batch}; "
                f"nearest GBS: {nearest(multiples(step, self.global_batch), self.global_batch)}",
            )

    def _check_model(self) -> None:
        model = self.model
        if model.hidden_size % model.attention_heads:
            raise LayoutError(
                "hidden size",
                f"hidden size {model.hidden_size} does not split over {model.attention_heads} heads; nearest hidden "
                f"size: {nearest(multiples(model.attention_heads, model.hidden_size), model.hidden_size)}",
            )
        for law, name, size, split, parts in (
            ("layers", "layers", model.layers, "PP", self.pipeline),
            ("attention heads", "attention heads", model.attention_heads, "MP", self.tensor),
            ("feed-forward width", "feed-forward width", model.ffn_width, "MP", self.tensor),
        ):
            if size % parts:
                near = nearest(divisors(size), parts)
                raise LayoutError(law, f"{size} {name} do not split over {split} {parts}; nearest {split}: {near}")

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


def identity_of(**parts: Any) -> str:
    """What changes a run beside the layout's fields, as canonical JSON; models count by what differs from defaults."""
    return json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
