"""What a user may write: sweep, model, machine, workload and table, as checked types.

Shape and meaning of every key live here; the JSON Schemas under workflow/schemas are generated from it.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .fields import (
    BooleanAxis,
    Condition,
    FrequencyAxis,
    Name,
    Option,
    PositiveAxis,
    Setting,
    ShellLine,
    Text,
    VariableName,
    Word,
)

Count = Annotated[int, Field(strict=True, ge=1, le=10**9)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Precision = Literal["fp32", "bf16", "fp16"]


class _Strict(BaseModel):
    """A mapping whose unknown keys are refused by name and whose values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, use_attribute_docstrings=True)


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


class Machine(_Strict):
    """Where jobs run and how ranks are started there."""

    name: Name = "machine"
    """Label; the file's name where the machine has a file of its own."""
    description: Text = ""
    """What a node of the sweep is on this machine; printed with the tables."""
    scheduler: Literal["local"]
    """Who runs the jobs: `local` runs them on the launcher's own machine."""
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
    enforce_memory: bool = False
    """Whether the job script holds each rank to its share of memory_mib_per_node (`ulimit -d`)."""
    elapse_limit_seconds: Count | None = None
    """Time limit of a job's launch, in seconds."""
    peak_tflops: tuple[Peak, ...] = ()
    """Peak FLOP/s of a node per precision and clock."""
    launcher: tuple[Word, ...] = ()
    """Words put before the workload's command to start all ranks."""
    setup: tuple[ShellLine, ...] = ()
    """Shell lines run as they are before anything of the workload, such as module loads."""
    environment: dict[VariableName, Setting] = {}
    """Environment of every job on this machine."""
    options: dict[Name, Option] = {}
    """Directives for the scheduler, as it names them; the local scheduler has none."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.max_nodes is not None and self.max_nodes < self.min_nodes:
            raise ValueError(f"max_nodes {self.max_nodes} is below min_nodes {self.min_nodes}; raise it")
        if self.enforce_memory and self.memory_mib_per_node is None:
            raise ValueError("enforce_memory needs memory_mib_per_node; give the node's memory in MiB")
        if self.scheduler == "local" and self.options:
            raise ValueError("options are directives for a batch scheduler; 'local' takes none: leave it out")
        return self


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
    log_format: Literal["megatron-deepspeed"]
    """Form of the iteration lines the command prints."""
    memory_source: Literal["log-max-allocated", "log-max-reserved", "log-node-used", "none"] = "log-max-allocated"
    """Which figure is shown as memory: the trainer's own peaks in its log, the node's use in its log, or none."""
    precision: Precision = "fp32"
    """Number format of the matrix products."""


class Iterations(_Strict):
    """How long each run is."""

    total: Count
    """Iterations each run trains for."""
    warmup: Annotated[int, Field(strict=True, ge=0)] = 1
    """First iterations left out of the statistics."""

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

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not (self.model or self.machine or self.workload):
            raise ValueError("changes nothing; give model, machine or workload settings, or leave it out")
        return self


class Variant(_Strict):
    """A named environment every layout is run with once."""

    name: Name
    """Its name, part of the layout's slug."""
    env: dict[VariableName, Setting] = {}
    """Environment variables over the workload's."""


class Table(_Strict):
    """How results are shown."""

    statistic: Literal["median", "mean"] = "median"
    """What stands for the iterations of a run."""


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
    table: Table = Table()
    """How results are shown."""

    @model_validator(mode="after")
    def _variants_differ(self) -> Self:
        names = [variant.name for variant in self.variants]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"variants has two named '{twice[0]}'; give each its own name")
        return self
