"""How often each layout of a sweep runs, as a checked type."""

from typing import Annotated, Any, Self

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic_core import core_schema

from .types import Positive, StrictModel

MOST_RUNS = 1000
"""Runs of a layout at most."""
_Runs = Annotated[int, Field(strict=True, ge=1, le=MOST_RUNS)]


class Repeats(StrictModel):
    """How often each layout runs, and in which order."""

    at_least: _Runs = 2
    """Runs of each layout at least, where `until_percent` may end them."""
    at_most: _Runs
    """Runs of each layout at most; all of them where `until_percent` is left out."""
    until_percent: Positive | None = None
    """How far the interval of the median over runs may reach to either side, in percent of it: once it reaches no
    farther, a layout needs no more runs."""
    seed: Annotated[int, Field(strict=True, ge=0)] = 0
    """What decides the order of layouts from the second round of runs on."""

    @model_validator(mode="after")
    def _no_fewer_than_most(self) -> Self:
        if self.at_most < self.at_least:
            raise ValueError(f"at_most {self.at_most} is less than at_least {self.at_least}; raise it, or lower that")
        if self.until_percent is not None and self.at_least < 2:
            raise ValueError(f"until_percent takes two runs to tell how far they differ; at_least is {self.at_least}")
        return self


class NumberOfRuns:
    """Annotation of `Repeats`: a number alone stands for as many runs of each layout."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(_repeats, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_RUNS}, handler(schema)]}


def _repeats(value: Any) -> Any:
    if isinstance(value, dict | Repeats):
        return value
    if type(value) is not int or not 1 <= value <= MOST_RUNS:
        raise ValueError(
            f"must be a whole number of runs from 1 to {MOST_RUNS}, or a mapping of keys, not {value!r:.40}"
        )
    return {"at_least": value, "at_most": value}
