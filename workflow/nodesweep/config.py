"""What a user may write: sweep, model, machine and workload, as checked types; tables are in table_config.py.

Shape and meaning of every key live here; the JSON Schemas under workflow/schemas are generated from it.
"""

import math
import os
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from .fields import (
    STRICT,
    BooleanAxis,
    Condition,
    Cores,
    FrequencyAxis,
    Name,
    Option,
    OptionName,
    PositiveAxis,
    Setting,
    Shape,
    ShellLine,
    Text,
    VariableName,
    Word,
)
from .log_config import WrittenFormat
from .table_config import Statistic, Table
from .training_config import MemoryConstants, Search, Training

Count = Annotated[int, Field(strict=True, ge=1, le=10**9)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Precision = Literal["fp32", "bf16", "fp16"]


class _Strict(BaseModel):
    model_config = STRICT


class Model(_Strict):
    """A GPT-style decoder."""

    name: Name = "model"
    """Label; the file's name where the model has a file of its own."""
    size: Text | None = None
    """Label of the Size column, such as 30B; worked out from the parameters where left out."""
    layers: Count
    """Transformer layers."""
    hidden_size: Count
    """Width of the residual stream."""
    attention_heads: Count
    """Attention heads per layer; must divide hidden_size."""
    ffn_hidden_size: Count | None = None
    """Inner width of the feed-forward block; 4 x hidden_size where left out."""
    vocab_size: Count
    """Entries of the vocabulary, before any padding."""

    @property
    def ffn_width(self) -> int:
        """Inner width of the feed-forward block."""
        return self.ffn_hidden_size or 4 * self.hidden_size


class Peak(_Strict):
    """What a node could do at best."""

    precision: Precision
    """Number format of the matrix products."""
    frequency_ghz: Positive | None = None
    """Clock this holds for; every clock where left out."""
    tflops_per_node: Positive
    """Peak of one node in 1e12 floating-point operations per second."""


class Queue(_Strict):
    """A queue of the batch system: a partition of Slurm, a resource group of PJM, a queue of PBS."""

    name: Name
    """Its name there."""
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


class Machine(_Strict):
    """Where jobs run and how ranks are started there."""

    name: Name = "machine"
    """Label; the file's name where the machine has a file of its own."""
    description: Text = ""
    """What a node of the sweep is on this machine; printed with the tables."""
    scheduler: Literal["local", "slurm", "pjm", "pbs"]
    """Who runs the jobs: `local` runs them on the launcher's own machine, the others through their batch system."""
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
    peak_tflops: tuple[Peak, ...] = ()
    """Peak FLOP/s of a node per precision and clock."""
    launcher: tuple[Word, ...] = ()
    """Words put before the workload's command to start all ranks."""
    setup: tuple[ShellLine, ...] = ()
    """Shell lines run as they are before anything of the workload, such as module loads."""
    environment: dict[VariableName, Setting] = {}
    """Environment of every job on this machine."""
    versions: dict[Name, ShellLine] = {}
    """Names, and the shell line whose first line of output is their version: part of a run's provenance."""
    secrets: tuple[VariableName, ...] = ()
    """Parts of names of environment variables whose values stay out of the provenance, beside tokens and passwords."""
    options: dict[OptionName, Option] = {}
    """More directives, as the scheduler names them: a value, true for a bare flag, or a list to give one repeatedly."""
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
        if self.scheduler == "local" and (self.options or self.queues):
            raise ValueError("options and queues are for a batch scheduler; 'local' takes none: leave them out")
        if self.scheduler != "local" and self.shared_cores == "host":
            raise ValueError(f"shared_cores 'host' is for scheduler local; with {self.scheduler} give their number")
        if self.scheduler != "pjm" and (self.node_shapes or self.node_allocation):
            raise ValueError("node_shapes and node_allocation are for scheduler pjm; leave them out")
        for nodes, shape in self.node_shapes.items():
            if math.prod(int(side) for side in shape.split("x")) != nodes:
                raise ValueError(
                    f"node_shapes gives {nodes} nodes the shape {shape}; the sides must multiply to {nodes}"
                )
        return self

    @property
    def cores_shared_by_ranks(self) -> int | None:
        """Ranks that run at full speed at once; None where each node has cores of its own."""
        return len(os.sched_getaffinity(0)) if isinstance(self.shared_cores, str) else self.shared_cores


class Workload(_Strict):
    """What a job runs, and how its log is read."""

    name: Name = "workload"
    """Label; the file's name where the workload has a file of its own."""
    setup: tuple[ShellLine, ...] = ()
    """Shell lines run as they are before the command, after the machine's."""
    environment: dict[VariableName, Setting] = {}
    """Environment of the command, over the machine's."""
    command: Annotated[tuple[Word, ...], Field(min_length=1)]
    """The command of one rank, word by word; a word that renders to nothing is left out."""
    versions: dict[Name, ShellLine] = {}
    """Names, and the shell line whose first line of output is their version, over the machine's."""
    repositories: tuple[Word, ...] = ()
    """Paths whose git commit is part of a run's provenance; the working directory's always is."""
    log_format: WrittenFormat = "auto"
    """Form of the log: the name of one that is known, a description of another, or `auto` to recognise it."""
    memory_source: Literal["log-max-allocated", "log-max-reserved", "log-node-used", "scheduler", "none"] = (
        "log-max-allocated"
    )
    """Figure shown as memory: the log's (a trainer's own peaks, a node's use), the scheduler's accounts, or none."""
    precision: Precision = "fp32"
    """Number format of the matrix products."""
    training: Training = Training()
    """What of the trainer's settings memory and time depend on, beside the layout."""
    memory_constants: MemoryConstants | None = None
    """What the software stack adds to the memory of its tensors; a guess, or a calibration, where left out."""


class Iterations(_Strict):
    """How long each run is."""

    total: Count
    """Iterations each run trains for."""
    warmup: Annotated[int, Field(strict=True, ge=0)] = 1
    """First iterations left out of the statistics."""
    expected_seconds: Setting | None = None
    """Seconds an iteration is expected to take, such as 30 or `{{ 714240 / nodes }}`; gives jobs their time limits."""
    startup_seconds: Annotated[int, Field(strict=True, ge=0)] = 600
    """Seconds a job is expected to take beside its iterations."""
    time_margin: Annotated[float, Field(ge=1, le=100)] = 1.5
    """Factor between the expected time of a job and its time limit."""

    @model_validator(mode="after")
    def _some_left(self) -> Self:
        if self.warmup >= self.total:
            raise ValueError(f"warmup {self.warmup} leaves none of {self.total} iterations; lower it or raise total")
        return self


class Block(_Strict):
    """A product of axes; a single value is an axis of one."""

    nodes: PositiveAxis
    """Node counts."""
    tensor: PositiveAxis = (1,)
    """Tensor model parallel sizes (MP)."""
    pipeline: PositiveAxis = (1,)
    """Pipeline stages (PP)."""
    data: PositiveAxis | None = None
    """Data-parallel replicas (DP); follows from the others, and must agree where given."""
    micro_batch: PositiveAxis = (1,)
    """Samples of one micro batch (MBS)."""
    global_batch: PositiveAxis
    """Samples of one iteration (GBS)."""
    sequence_length: PositiveAxis
    """Tokens of one sample."""
    activation_checkpointing: BooleanAxis = (False,)
    """Whether activations are recomputed in the backward pass (AC)."""
    frequency_ghz: FrequencyAxis | None = None
    """Clocks, on machines that let a job choose."""
    note: Text = ""
    """Remark for the Notes column of these layouts."""


class When(_Strict):
    """Changes to settings for the layouts a condition holds for."""

    if_: Annotated[Condition, Field(alias="if")]
    """Condition over a layout's fields, such as `tensor == 6`."""
    model: dict[str, Any] = {}
    """Model keys and their values under the condition."""
    machine: dict[str, Any] = {}
    """Machine keys and their values under the condition."""
    workload: dict[str, Any] = {}
    """Workload keys and their values under the condition."""
    iterations: dict[str, Any] = {}
    """Keys of `iterations` and their values under the condition."""
    note: Text | None = None
    """Remark for the Notes column under the condition."""

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not (self.model or self.machine or self.workload or self.iterations) and self.note is None:
            raise ValueError("changes nothing; give model, machine, workload or iterations settings, or a note")
        return self


class Variant(_Strict):
    """A named environment every layout is run with once."""

    name: Name
    """Its name, part of the layout's slug."""
    env: dict[VariableName, Setting] = {}
    """Environment variables over the workload's."""


class Sweep(_Strict):
    """A node-scaling study: which layouts of which model run what, where."""

    sweep: Name
    """Name of the study and of its folder under results/."""
    title: Text = ""
    """Title of the tables; the name where left out."""
    model: Model
    """A model: a name under config/models, or a mapping in place."""
    machine: Machine
    """A machine: a name under config/machines, or a mapping in place."""
    workload: Workload
    """A workload: a name under config/workloads, or a mapping in place."""
    iterations: Iterations
    """How long each run is."""
    layouts: Annotated[tuple[Block, ...], Field(min_length=1)]
    """Blocks of layouts; each is the product of its axes."""
    exclude: tuple[Condition, ...] = ()
    """Conditions over a layout's fields; a layout one of them holds for does not run."""
    when: tuple[When, ...] = ()
    """Changes to settings under a condition, applied in order."""
    variants: tuple[Variant, ...] = ()
    """Optional axis of named environments."""
    rerun: tuple[Literal["crash", "hang", "cancelled", "launch_failed", "lost", "node_failure", "preempted"], ...] = (
        "crash",
        "hang",
        "cancelled",
        "launch_failed",
        "lost",
        "node_failure",
        "preempted",
    )
    """Outcomes after which the next invocation runs a layout again."""
    statistic: Statistic = "median"
    """What stands for the iterations of a run."""
    campaign: Setting = "{{ variant or 'runs' }}"
    """Name of the software stack a layout runs on; times and memory of one are never used to predict another's."""
    prune: Literal["memory", "never"] = "memory"
    """Whether layouts that cannot fit are left out: by prediction, or since one that needs less ran out of memory."""
    budget_node_hours: Positive | None = None
    """Node-hours the sweep may use; no layout is submitted that could pass it."""
    training_tokens: Positive | None = None
    """Tokens the model is to be trained on, such as 300_000_000_000; the tables then say how many days that takes."""
    search: Search | None = None
    """Seek the best layout alone: what cannot be better than the best measured is not run."""
    tables: Annotated[tuple[Table, ...], Field(min_length=1)] = (Table(),)
    """Tables of the results, each shown once for every sequence length."""

    @model_validator(mode="after")
    def _variants_differ(self) -> Self:
        names = [variant.name for variant in self.variants]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"variants has two named '{twice[0]}'; give each its own name")
        return self
