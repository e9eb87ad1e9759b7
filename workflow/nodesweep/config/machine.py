"""The machine of a sweep: its scheduler, queues, nodes and how ranks are started."""

import math
import os
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from .accelerators import ACCELERATORS
from .layout_words import Precision
from .registries import batch_scheduler_names, keys_of_schedulers, option_refusal, scheduler_meanings, scheduler_names
from .types import (
    Cores,
    Count,
    Name,
    OneOf,
    Option,
    OptionName,
    Positive,
    Setting,
    Shape,
    ShellLine,
    StrictModel,
    Text,
    VariableName,
    Word,
)


class PeakTflops(StrictModel):
    """What a node could do at best."""

    precision: Precision
    """Number format of the matrix products."""
    frequency_ghz: Positive | None = None
    """Clock this holds for; every clock where left out."""
    tflops_per_node: Positive
    """Peak of one node in 1e12 floating-point operations per second."""


class Queue(StrictModel):
    """A queue of the batch system, also where it has another word for it: a partition, a resource group."""

    name: Name
    """Name that the batch system knows it by."""
    min_nodes: Count = 1
    """Smallest node count it takes."""
    max_nodes: Count | None = None
    """Largest node count it takes."""
    elapse_limit_seconds: Count | None = None
    """Longest time limit it takes, in seconds."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.max_nodes is not None and self.max_nodes < self.min_nodes:
            raise ValueError(f"max_nodes {self.max_nodes} is below min_nodes {self.min_nodes}; raise it")
        return self

    def refusal(self, nodes: int, needed_seconds: float | None) -> str | None:
        """Why it does not take a job of so many nodes that needs so long; None where it does."""
        if nodes < self.min_nodes or (self.max_nodes is not None and nodes > self.max_nodes):
            most = "any number of" if self.max_nodes is None else self.max_nodes
            return f"{self.name} takes {self.min_nodes} to {most} nodes"
        if self.elapse_limit_seconds and needed_seconds and needed_seconds > self.elapse_limit_seconds:
            return f"{self.name} takes at most {self.elapse_limit_seconds} s"
        return None


def _small_letters(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _name_schedulers(schema: dict[str, Any]) -> None:
    """Add what each scheduler stands for to the description of the key."""
    meanings = "; ".join(f"`{name}`: {meaning}" for name, meaning in scheduler_meanings().items())
    schema["description"] = f"{schema['description']} {meanings}."


class Machine(StrictModel):
    """Where jobs run and how ranks are started there."""

    name: Name = "machine"
    """Label; the file's name where the machine has a file of its own."""
    description: Text = ""
    """What a node of the sweep is on this machine; printed with the tables."""
    scheduler: Annotated[str, OneOf(scheduler_names, "scheduler"), Field(json_schema_extra=_name_schedulers)]
    """Who runs the jobs."""
    ranks_per_node: Count = 1
    """Ranks started on each node."""
    min_nodes: Count = 1
    """Smallest node count a job may ask for."""
    max_nodes: Count | None = None
    """Largest node count a job may ask for."""
    frequencies_ghz: tuple[Positive, ...] = ()
    """Clocks a job may ask for; none can be chosen where empty."""
    memory_mib_per_node: Positive | None = None
    """Memory the ranks of a node may use together, in MiB."""
    shared_cores: Cores | None = None
    """Ranks that run at full speed at once where all share one machine: its cores; `host`: those nodesweep may use."""
    enforce_memory: bool = False
    """Whether the job script holds each rank to its share of memory_mib_per_node (`ulimit -d`)."""
    elapse_limit_seconds: Count | None = None
    """Time limit of a job, in seconds; where left out, iterations.expected_seconds, earlier runs or the queue tell."""
    queues: tuple[Queue, ...] = ()
    """Queues in order of preference; a job goes to the first that takes its nodes and its time."""
    gpu: Annotated[str, BeforeValidator(_small_letters), OneOf(lambda: ACCELERATORS, "accelerator")] | None = None
    """What computes on a node; its peaks are known (config/accelerators.py), so that peak_tflops may be left out."""
    gpus_per_node: Count | None = None
    """How many of it a node has; as many as ranks where left out."""
    peak_tflops: tuple[PeakTflops, ...] = ()
    """Peak FLOP/s of a node per precision and clock; in place of all peaks that are known of its `gpu`."""
    launcher: tuple[Word, ...] = ()
    """Words put before the workload's command to start all ranks."""
    setup: tuple[ShellLine, ...] = ()
    """Shell lines run as in your shell before anything of the workload; one that fails ends the job: setup_failed."""
    environment: dict[VariableName, Setting] = {}
    """Environment of every job on this machine."""
    versions: dict[Name, ShellLine] = {}
    """Names, and the shell line whose first line of output is their version: part of a run's provenance."""
    secrets: tuple[VariableName, ...] = ()
    """Parts of names of environment variables whose values stay out of the provenance, beside tokens and passwords."""
    options: dict[OptionName, Option] = {}
    """More directives, as the scheduler names them: a value, true for a bare flag, or a list to give one repeatedly.

    Those that nodesweep writes itself, such as output, job name, nodes and time limit, are refused with the way out.
    """
    node_shapes: dict[Annotated[int, Field(ge=1)], Shape] = {}
    """PJM: shape of a node count, such as `3072: 8x12x32`; counts not listed are asked for as a plain number."""
    node_allocation: Literal["torus", "mesh", "noncont"] | None = None
    """PJM: how nodes must lie to each other."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.max_nodes is not None and self.max_nodes < self.min_nodes:
            raise ValueError(f"max_nodes {self.max_nodes} is below min_nodes {self.min_nodes}; raise it")
        if self.enforce_memory and self.memory_mib_per_node is None:
            raise ValueError("enforce_memory needs memory_mib_per_node; give the node's memory in MiB")
        self._check_scheduler()
        for nodes, shape in self.node_shapes.items():
            if math.prod(int(side) for side in shape.split("x")) != nodes:
                raise ValueError(
                    f"node_shapes gives {nodes} nodes the shape {shape}; the sides must multiply to {nodes}"
                )
        return self

    def _check_scheduler(self) -> None:
        """Raise ValueError for keys that are not for this machine's scheduler."""
        batch = batch_scheduler_names()
        if self.scheduler not in batch and (self.options or self.queues):
            raise ValueError(
                f"options and queues are for a batch scheduler; '{self.scheduler}' takes none: leave them out"
            )
        if self.scheduler in batch and self.shared_cores == "host":
            here = " or ".join(name for name in scheduler_names() if name not in batch)
            raise ValueError(f"shared_cores 'host' is for scheduler {here}; with {self.scheduler} give their number")
        for name, values in self.options.items():
            if (refusal := option_refusal(self.scheduler, name, values, self.keys_given)) is not None:
                raise ValueError(f"options.{name}: {refusal}")
        for name, keys in keys_of_schedulers().items():
            if name != self.scheduler and any(getattr(self, key) for key in keys):
                verb = "is" if len(keys) == 1 else "are"
                raise ValueError(
                    f"{' and '.join(keys)} {verb} for scheduler {name}; leave {'it' if verb == 'is' else 'them'} out"
                )

    @property
    def peaks(self) -> tuple[PeakTflops, ...]:
        """What a node can do at best per precision and clock: as typed, else by its accelerators."""
        if self.peak_tflops or self.gpu is None:
            return self.peak_tflops
        one, count = ACCELERATORS[self.gpu], self.gpus_per_node or self.ranks_per_node
        return tuple(
            PeakTflops(precision=precision, frequency_ghz=clock, tflops_per_node=count * tflops)
            for clock, table in one.tables
            for precision, tflops in table.items()
        )

    @property
    def source_of_peaks(self) -> str:
        """Which key of the machine gives the peaks."""
        return f"machine.gpu {self.gpu}" if self.gpu and not self.peak_tflops else "machine.peak_tflops"

    @property
    def keys_given(self) -> frozenset[str]:
        """The keys that say something, each of which may be said in `options` too."""
        return frozenset(name for name in type(self).model_fields if getattr(self, name))

    @property
    def cores_shared_by_ranks(self) -> int | None:
        """Ranks that run at full speed at once; None where each node has cores of its own."""
        return len(os.sched_getaffinity(0)) if isinstance(self.shared_cores, str) else self.shared_cores


def peak_of(machine: Machine, precision: str, frequency_ghz: float | None) -> PeakTflops | None:
    """The highest peak that a node has in this precision at this clock, or at any where the layout names none."""
    fitting = [
        peak
        for peak in machine.peaks
        if peak.precision == precision
        and (frequency_ghz is None or peak.frequency_ghz is None or peak.frequency_ghz == frequency_ghz)
    ]
    return max(fitting, key=lambda peak: peak.tflops_per_node, default=None)
