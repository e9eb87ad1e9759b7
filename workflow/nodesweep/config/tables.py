"""What a user may choose about tables, as checked types."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from nodesweep.common.markdown import CELL_CHARACTERS

from .columns import TIDY
from .headings import HEADINGS
from .layout_fields import FIELDS
from .types import (
    OneOfOrParameter,
    StrictModel,
    Text,
    check_one_of,
    condition_over,
    known_parameters,
    word_or_parameter,
)

Statistic = Literal["median", "mean"]
_FORMAT = r"^\+?,?(\.[0-9]{1,2})?[eEfgG%]$"


def _check_order(value: str, info: ValidationInfo) -> str:
    check_one_of(value.removeprefix("-"), (*TIDY, *known_parameters(info)), "column of results.csv")
    return value


def _check_format(value: str) -> str:
    if not re.fullmatch(_FORMAT[1:-1], value):
        raise ValueError(f"{value!r:.80} is not a number format; write one of Python's, such as .2f, .10g or .1%")
    return value


class _HeadingOrMapping:
    """The JSON Schema of a column: a standard heading, or a mapping."""

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [*word_or_parameter(HEADINGS)["anyOf"], handler(core_schema)]}


RowCondition = Annotated[str, AfterValidator(condition_over(tuple(TIDY)))]
_VALUE = OneOfOrParameter(lambda: (*HEADINGS, *TIDY), "standard heading or column of results.csv")
_ORDER_SCHEMA = WithJsonSchema(word_or_parameter([sign + name for sign in ("", "-") for name in TIDY], ordered=True))


class Annotation(StrictModel):
    """Words put after a cell where a condition holds."""

    if_: Annotated[RowCondition, Field(alias="if")]
    """Condition over the columns of results.csv, such as `records_used == 1`."""
    text: Annotated[Text, Field(min_length=1)]
    """The words, such as `(1 iteration only)`."""


class TableColumn(StrictModel):
    """A column of a table; a standard heading alone stands for that column as it is."""

    heading: Annotated[Text, Field(min_length=1)]
    """Heading of the column."""
    value: Annotated[str, _VALUE] = ""
    """What it shows: a column of results.csv, or the standard column of a heading; that of `heading` where left out."""
    format: Annotated[str, AfterValidator(_check_format), WithJsonSchema({"type": "string", "pattern": _FORMAT})] = ""
    """Format of its numbers in Python's words, such as `.2f` or `.10g`."""
    annotations: tuple[Annotation, ...] | None = None
    """Words after its cells: the first whose condition holds; those of the standard column where left out."""

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Self:
        if not self.value:
            names = (*HEADINGS, *known_parameters(info))
            check_one_of(self.heading, names, "standard heading and has no value", _heading_of(self.heading))
        if self.format and not self.number:
            raise ValueError(f"format {self.format} is for numbers; {self.value or self.heading} shows none")
        return self

    @property
    def number(self) -> str:
        """The column of results.csv whose numbers it shows, a parameter among them; empty where it shows none."""
        shown = self.value or self.heading
        if shown in HEADINGS:
            return HEADINGS[shown].number
        return shown if shown not in TIDY or TIDY[shown].kind in ("count", "number") else ""


def _heading_of(text: str) -> str:
    """The standard heading of what people head so in tables of their own; empty where there is none."""
    rows = (row for row in FIELDS.values() if row.symbol in HEADINGS and row.headings)
    return next((row.symbol for row in rows if re.fullmatch(row.headings, text.casefold())), "")


def _heading_as_mapping(value: Any) -> Any:
    return {"heading": value} if isinstance(value, str) else value


class Table(StrictModel):
    """A table of the results."""

    heading: Annotated[Text, Field(max_length=CELL_CHARACTERS)] = ""
    """Heading over it."""
    text: Annotated[Text, Field(max_length=CELL_CHARACTERS)] = ""
    """A paragraph over it."""
    columns: tuple[Annotated[TableColumn, BeforeValidator(_heading_as_mapping), _HeadingOrMapping()], ...] = ()
    """Columns in order: standard headings, or mappings; where left out, the standard ones that its rows need."""
    statistic: Statistic | None = None
    """What stands for the iterations of a run in this table; the sweep's where left out."""
    where: RowCondition | None = None
    """Condition over the columns of results.csv for its rows, such as `variant == 'june'`; all rows where left out."""
    order: tuple[Annotated[str, AfterValidator(_check_order), _ORDER_SCHEMA], ...] = ()
    """Columns of results.csv its rows are sorted by, `-nodes` for falling; the order of the sweep where left out."""

    @field_validator("columns")
    @classmethod
    def _headings_differ(cls, columns: tuple[TableColumn, ...]) -> tuple[TableColumn, ...]:
        headings = [column.heading for column in columns]
        twice = sorted({heading for heading in headings if headings.count(heading) > 1})
        if twice:
            raise ValueError(f"has two headed '{twice[0]}'; give each its own heading")
        return columns
