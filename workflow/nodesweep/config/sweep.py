"""What a user may write: sweep, model, machine and workload, as checked types; tables are in table_config.py.

Shape and meaning of every key live here; the JSON Schemas under workflow/schemas are generated from it.
"""

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, create_model, model_validator

from nodesweep.common.outcomes import RUN_AGAIN

from .expressions import is_expression
from .layout_field import LayoutField
from .layout_fields import AXES
from .machine import Machine
from .model import Model
from .parameters import ParameterAxis, ParameterName, check_variables, is_variable
from .repeats import NumberOfRuns, Repeats
from .tables import Statistic, Table
from .training import Search
from .types import (
    Condition,
    Count,
    Name,
    OneOf,
    OneOrMany,
    Positive,
    Setting,
    StrictModel,
    Text,
    VariableName,
    axis_of,
)
from .workload import Workload


class EnoughIterations(StrictModel):
    """When a run has done enough iterations: its median is known so well that its job is ended."""

    percent: Annotated[float, Field(gt=0, le=50)]
    """How far the median may be off that of a whole run, in percent."""
    confidence: Annotated[float, Field(ge=0.5, le=0.999)] = 0.95
    """Share of runs in which it is to be no farther off."""
    least: Annotated[int, Field(strict=True, ge=6)] = 8
    """Records of a log after warm-up before which no run is ended."""


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
    enough: EnoughIterations | None = None
    """End a run early once its median is known well enough; where left out, all iterations are done."""

    @model_validator(mode="after")
    def _some_left(self) -> Self:
        if self.warmup >= self.total:
            raise ValueError(f"warmup {self.warmup} leaves none of {self.total} iterations; lower it or raise total")
        return self


NEEDED = [name for name, row in AXES.items() if row.default is None and not (row.optional or row.same_fact)]
"""The axes that a block gives, itself or among those that vary together in it."""

if TYPE_CHECKING:

    class Together(StrictModel):
        """Axes and parameters of a block that vary together."""

        parameters: dict[str, tuple[Any, ...]]

    class Block(Together):
        """A product of axes; the keys are the axes of config/layout_fields.py."""

        note: str
        together: tuple[Together, ...]

else:

    def _axis(row: LayoutField, always: bool) -> Any:
        """The type and default of a key of a block; `always`: whether it has a value wherever it is left out."""
        kind, default = axis_of(row), (row.default,)
        if row.default is None or row.optional or row.of_workload or row.same_fact or not always:
            kind, default = kind | None, None
        return Annotated[kind, Field(description=row.sentence)], default

    _PARAMETERS = dict[ParameterName, ParameterAxis]

    def _as_many_values(group: "Together") -> "Together":
        """A group of axes that vary together; raises ValueError where one has more values than another."""
        lengths = {name: len(values) for name, values in axes_of(group).items()}
        if len(set(lengths.values())) > 1:
            found = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise ValueError(f"holds lists of different lengths ({found}); give each as many values")
        return group

    Together = create_model(
        "Together",
        __base__=StrictModel,
        __module__=__name__,
        __validators__={"check": model_validator(mode="after")(_as_many_values)},
        __doc__="Axes and parameters of a block that vary together: their first values are one layout, and so on.",
        **{row.name: _axis(row, False) for row in AXES.values()},
        parameters=(Annotated[_PARAMETERS, Field(description="Parameters that vary with them.")], {}),
    )

    def _each_once(block: "Block") -> "Block":
        """A block whose axes stand once, in it or among those that vary together, and of which none is missing."""
        parts = [axes_of(block, given=True), *(axes_of(group) for group in block.together)]
        names = [name for part in parts for name in part]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"{twice[0]} stands twice, within together and beside it or in two groups; keep one")
        if missing := [name for name in NEEDED if name not in names]:
            errors = [{"type": "missing", "loc": (name,), "input": {}} for name in missing]
            raise ValidationError.from_exception_data("Block", errors)
        check_variables({name: values for part in parts for name, values in part.items() if name not in AXES})
        return block

    Block = create_model(
        "Block",
        __base__=StrictModel,
        __module__=__name__,
        __validators__={"check": model_validator(mode="after")(_each_once)},
        __doc__="A product of axes; a single value is an axis of one.",
        **{row.name: _axis(row, True) for row in AXES.values()},
        parameters=(
            Annotated[
                _PARAMETERS,
                Field(description="More axes, by names of your own, such as `attention_backend: [fused, flash]`."),
            ],
            {},
        ),
        together=(
            Annotated[
                tuple[Together, ...],
                OneOrMany(),
                Field(description="Axes that vary together: `{tensor: [1, 2], pipeline: [2, 1]}`, or a list of such."),
            ],
            (),
        ),
        note=(Annotated[Text, Field(description="Remark for the Notes column of these layouts.")], ""),
    )
    Block.model_config["json_schema_extra"] = {"anyOf": [{"required": NEEDED}, {"required": ["together"]}]}


def axes_of(part: Together, given: bool = False) -> dict[str, tuple[Any, ...]]:
    """The axes and parameters of a block, or of those that vary together in it; `given`: without what was left out."""
    names = [name for name in AXES if not given or name in part.model_fields_set]
    axes = {name: values for name in names if (values := getattr(part, name)) is not None}
    return axes | part.parameters


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
    repeats: Annotated[Repeats, NumberOfRuns()] = Field(default=1, validate_default=True)
    """Runs of each layout, each a job of its own: a number, or a mapping. Its figures are then over them."""
    search: Search | None = None
    """Seek the best layout alone: what cannot be better than the best measured is not run."""
    tables: Annotated[tuple[Table, ...], Field(min_length=1)] = (Table(),)
    """Tables of the results, each shown once for every sequence length."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The free parameters that its blocks name."""
        parts: list[Together] = [part for block in self.layouts for part in (block, *block.together)]
        return tuple(dict.fromkeys(name for part in parts for name in part.parameters))

    @property
    def idle_parameters(self) -> list[str]:
        """The parameters that no word, condition or expression asks for, and that are no environment variables."""
        keys = {"machine", "workload", "iterations", "when", "variants"}
        axes = [axes_of(part) for block in self.layouts for part in (block, *block.together)]
        values = [str(value) for part in axes for values in part.values() for value in values if is_expression(value)]
        texts = " ".join([self.model_dump_json(include=keys), *values])
        idle = [name for name in self.parameters if not re.search(rf"\b{name}\b", texts)]
        return [name for name in idle if not is_variable(name)]

    @model_validator(mode="after")
    def _enough_is_of_medians(self) -> Self:
        early = self.iterations.enough or any("enough" in one.iterations for one in self.when)
        if early and self.statistic == "mean":
            raise ValueError(
                "iterations.enough ends runs once their median is known, and statistic is mean; "
                "take one of them out, or set statistic: median"
            )
        return self

    @model_validator(mode="after")
    def _variables_differ(self) -> Self:
        for number, variant in enumerate(self.variants):
            if both := [name for name in self.parameters if name in variant.env]:
                raise ValueError(
                    f"variants[{number}].env sets {both[0]}, and so does a parameter of a block; a run has one value "
                    "of it: take it out of one of them"
                )
        return self

    @model_validator(mode="after")
    def _variants_differ(self) -> Self:
        names = [variant.name for variant in self.variants]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"variants has two named '{twice[0]}'; give each its own name")
        return self
