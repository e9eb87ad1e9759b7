"""The workload of a sweep: what a job runs, and how its log is read."""

from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

from nodesweep.common.errors import ConfigError

from .expressions import WORD_NAMES, compile_template
from .layout_words import Precision
from .log_format import WrittenFormat
from .memory_sources import MEMORY_SOURCES
from .training import MemoryConstants, Training
from .types import (
    Name,
    OneOf,
    Setting,
    ShellLine,
    StrictModel,
    Text,
    VariableName,
    Word,
    check_single_line,
    known_parameters,
)


def _check_condition(value: str, info: ValidationInfo) -> str:
    try:
        compile_template("{{ (" + check_single_line(value) + ") }}", WORD_NAMES + known_parameters(info))
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return value


class Refusal(StrictModel):
    """Layouts that a trainer cannot run as they are meant."""

    if_: Annotated[str, Field(alias="if", min_length=1, max_length=500), AfterValidator(_check_condition)]
    """Condition over what templates know, such as `model.positions == 'learned'`."""
    because: Text
    """Why, and what to do instead."""


class Workload(StrictModel):
    """What a job runs, and how its log is read."""

    name: Name = "workload"
    """Label; the file's name where the workload has a file of its own."""
    setup: tuple[ShellLine, ...] = ()
    """Shell lines run as in your shell before the command, after the machine's; one that fails ends the job."""
    environment: dict[VariableName, Setting] = {}
    """Environment of the command, over the machine's."""
    command: Annotated[tuple[Word, ...], Field(min_length=1)]
    """The command of one rank, word by word; a word that renders to nothing is left out."""
    passes: tuple[Name, ...] = ()
    """Fields of a layout, `model`, or single sizes of it that reach the trainer though no template depends on them."""
    refuses: tuple[Refusal, ...] = ()
    """Layouts and models that the trainer would not run as they are meant; they are rejected in the plan."""
    versions: dict[Name, ShellLine] = {}
    """Names, and the shell line whose first line of output is their version, over the machine's."""
    repositories: tuple[Word, ...] = ()
    """Paths whose git commit is part of a run's provenance; the working directory's always is."""
    log_format: WrittenFormat = "auto"
    """Form of the log: the name of one that is known, a description of another, or `auto` to recognise it."""
    memory_source: Annotated[str, OneOf(lambda: MEMORY_SOURCES, "source of memory")] = "log-max-allocated"
    """Figure shown as memory: the log's (a trainer's own peaks, a node's use), the scheduler's accounts, or none."""
    precision: Precision = "fp32"
    """Number format of the matrix products."""
    training: Training = Training()
    """What of the trainer's settings memory and time depend on, beside the layout."""
    memory_constants: MemoryConstants | None = None
    """What the software stack adds to the memory of its tensors; a guess, or a calibration, where left out."""
