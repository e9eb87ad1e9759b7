"""What a user may write: sweep, model, machine and workload, as checked types; tables are in table_config.py.

Shape and meaning of every key live here; the JSON Schemas under workflow/schemas are generated from it.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, create_model, model_validator

from nodesweep.common.outcomes import RUN_AGAIN

from .layout_field import LayoutField
from .layout_fields import AXES
from .machine import Machine
from .model import Model
from .tables import Statistic, Table
from .training import Search
from .types import (
    Condition,
    Count,
    Name,
    OneOf,
    Positive,
    Setting,
    StrictModel,
    Text,
    VariableName,
    axis_of,
)
from .workload import Workload


class Iterations(StrictModel):
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


if TYPE_CHECKING:

    class Block(StrictModel):
        """A product of axes; the keys are the axes of config/layout_fields.py."""

        note: str

else:

    def _axis(row: LayoutField) -> Any:
        """The type and default of a key of a block."""
        kind, default = axis_of(row), ... if row.default is None else (row.default,)
        if row.optional or row.of_workload or row.same_fact:
            kind, default = kind | None, None
        return Annotated[kind, Field(description=row.sentence)], default

    Block = create_model(
        "Block",
        __base__=StrictModel,
        __module__=__name__,
        __doc__="A product of axes; a single value is an axis of one.",
        **{row.name: _axis(row) for row in AXES.values()},
        note=(Annotated[Text, Field(description="Remark for the Notes column of these layouts.")], ""),
    )


class When(StrictModel):
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
        if "from" in self.model:
            raise ValueError("model.from is read once, for the model of the sweep; name the keys that change here")
        if not (self.model or self.machine or self.workload or self.iterations) and self.note is None:
            raise ValueError("changes nothing; give model, machine, workload or iterations settings, or a note")
        return self


class Variant(StrictModel):
    """A named environment every layout is run with once."""

    name: Name
    """Name of the variant, part of the layout's slug."""
    env: dict[VariableName, Setting] = {}
    """Environment variables over the workload's."""


class Sweep(StrictModel):
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
    rerun: tuple[Annotated[str, OneOf(lambda: RUN_AGAIN, "outcome after which a layout may run again")], ...] = (
        RUN_AGAIN
    )
    """Outcomes after which the next invocation runs a layout again."""
    statistic: Statistic = "median"
    """What stands for the iterations of a run."""
    campaign: Setting = "{{ variant or 'runs' }}"
    """Name of the software stack a layout runs on; times and memory of one are never used to predict another's."""
    prune: Literal["memory", "never"] = "memory"
    """Whether layouts that cannot fit are left out: by prediction, or because a smaller layout ran out of memory."""
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
