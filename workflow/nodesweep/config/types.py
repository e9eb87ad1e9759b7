"""Kinds of values a config may hold; each kind refuses what could do harm where it is used."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import core_schema

from nodesweep.common.errors import ConfigError
from nodesweep.common.text import did_you_mean

from .expressions import (
    LAYOUT_NAMES,
    WORD_NAMES,
    check_expression,
    compile_condition,
    compile_template,
    is_expression,
)
from .layout_field import Kind, LayoutField
from .layout_words import other_spellings, word_of

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_OPTION_NAME = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"
_SHAPE = r"^[1-9][0-9]{0,4}(x[1-9][0-9]{0,4}){0,2}$"
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]{0,127}$"
PARAMETER_NAME = r"^[A-Za-z][A-Za-z0-9_]{0,63}$"
_PARAMETER_ORDER = PARAMETER_NAME.replace("^", "^-?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
_NOT_TEXT = re.compile(r"[;`$\"'\\{}]")
_NOT_WORD = re.compile(r"[;`\"'\\|&<>]|\$(?!\{[A-Za-z_][A-Za-z0-9_]*\})")
_HOLE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}")
_UPWARDS = re.compile(r"(^|/)\.\.(/|$)")
_LONGEST = 1000

STRICT = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, use_attribute_docstrings=True)
"""How all mappings of a config are read: unknown keys are refused by name, and values do not change."""


def check_single_line(value: str) -> str:
    """One line of text of bearable length; raises ValueError for anything else."""
    if len(value) > _LONGEST:
        raise ValueError(f"is {len(value)} characters long; at most {_LONGEST} are allowed")
    found = _CONTROL.search(value)
    if found:
        raise ValueError(f"holds the control character {found.group()!r}; write one line without any")
    return value


def is_name(value: str) -> bool:
    """Whether a text may be the name of something that has a file or folder."""
    return bool(re.match(_NAME, value)) and not _CONTROL.search(value) and ".." not in value


def _check_name(value: str) -> str:
    if not is_name(value):
        raise ValueError(
            f"{value!r:.80} is not a name: use letters, digits and . _ - (first a letter or digit, at most 64, no '..')"
        )
    return value


def _check_variable(value: str) -> str:
    if not re.fullmatch(_VARIABLE[1:-1], value):
        raise ValueError(f"{value!r:.80} is not an environment variable's name: letters, digits and _")
    return value


def _check_text(value: str) -> str:
    check_single_line(value)
    found = _NOT_TEXT.search(value) or _UPWARDS.search(value)
    if found:
        raise ValueError(
            f"holds {found.group()!r}, which is not allowed in text that reaches scripts and tables; "
            "leave out quotes, ; $ ` \\ { } and '..' as a path"
        )
    return value


def _check_word(value: str, info: ValidationInfo) -> str:
    check_single_line(value)
    plain = _HOLE.sub("", value)
    found = _NOT_WORD.search(plain)
    if found:
        raise ValueError(
            f"holds {found.group()!r}: this is one word of a command, not shell code; write one list item "
            "per argument, ${NAME} for an environment variable, and put shell code into 'setup' or a script"
        )
    if _UPWARDS.search(plain):
        raise ValueError("holds '..' as a path; start from {{ repository }} or give the full path")
    return _check_template(value, info)


def known_parameters(info: ValidationInfo) -> tuple[str, ...]:
    """The free parameters of the sweep that is read."""
    return tuple((info.context or {}).get("parameters", ()))


def _check_template(value: str, info: ValidationInfo) -> str:
    try:
        compile_template(value, WORD_NAMES + known_parameters(info))
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return value


def _check_option(value: str, info: ValidationInfo) -> str:
    _check_text(_HOLE.sub("", check_single_line(value)))
    return _check_template(value, info)


def check_filled(value: str) -> str:
    """A text without holes, such as an option's value once they are filled; raises ValueError for what is none."""
    return _check_text(value)


def _check_option_name(value: str) -> str:
    if not re.fullmatch(_OPTION_NAME[1:-1], value):
        raise ValueError(
            f"{value!r:.80} is not an option's name: use the scheduler's own, without dashes before it, such as "
            "account or constraint"
        )
    return value


def _check_shape(value: str) -> str:
    if not re.fullmatch(_SHAPE[1:-1], value):
        raise ValueError(f"{value!r:.80} is not a shape of nodes: write one to three sides, such as 8x12x32")
    return value


def _check_shell_line(value: str, info: ValidationInfo) -> str:
    if "\n" in value:
        raise ValueError(
            "holds several lines, or one that ends with a newline; make each an item of the list: items that belong "
            "together, such as those of a here-document, run together"
        )
    return _check_template(check_single_line(value), info)


def condition_over(names: tuple[str, ...]) -> Callable[[str, ValidationInfo], str]:
    """What checks a condition over these names and the free parameters of the sweep."""

    def check(value: str, info: ValidationInfo) -> str:
        try:
            compile_condition(check_single_line(value), names + known_parameters(info))
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return value

    return check


def check_one_of(value: str, choices: Iterable[str], what: str, meant: str = "") -> str:
    """A word that is among `choices`; raises ValueError for another, with what is `meant`, a variant or the nearest."""
    known = tuple(choices)
    if value not in known:
        variants = [name for name in known if re.fullmatch(rf"{re.escape(value)}-\w+", name)]
        near = [meant] if meant else variants
        hint = f"did you mean {' or '.join(map(repr, near))}? " if near else did_you_mean(value, known)
        raise ValueError(f"{value!r:.80} is no {what}; {hint}known here: {', '.join(known)}")
    return value


@dataclass(frozen=True)
class OneOf:
    """Annotation of a text: one of the words that `choices` gives when a config is read; `what` names them."""

    choices: Callable[[], Iterable[str]]
    what: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        def check(value: str) -> str:
            return check_one_of(value, self.choices(), self.what)

        return core_schema.no_info_after_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "enum": [*self.choices()]}


class OneOfOrParameter(OneOf):
    """Annotation of a text: one of the words that `choices` gives, or a free parameter of the sweep."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        def check(value: str, info: ValidationInfo) -> str:
            return check_one_of(value, (*self.choices(), *known_parameters(info)), self.what)

        return core_schema.with_info_after_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return word_or_parameter(self.choices())


def word_or_parameter(words: Iterable[str], ordered: bool = False) -> dict[str, Any]:
    """The JSON Schema of one of these words, or of a free parameter; `ordered`: a `-` may stand before it."""
    pattern = _PARAMETER_ORDER if ordered else PARAMETER_NAME
    return {"anyOf": [{"type": "string", "enum": [*words]}, {"type": "string", "pattern": pattern}]}


def as_list(value: Any) -> Any:
    """A scalar as a list of one: `tensor: 2` means `tensor: [2]`."""
    return value if isinstance(value, list | tuple) else [value]


class OneOrMany:
    """Annotation of a list: one item alone stands for a list of one."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(as_list, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        many = handler(schema)
        return {"anyOf": [many["items"], many]}


def _number_as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _flag_as_text(value: Any) -> Any:
    return "" if value is True else value


Name = Annotated[str, AfterValidator(_check_name), WithJsonSchema({"type": "string", "pattern": _NAME})]
VariableName = Annotated[str, AfterValidator(_check_variable)]
Text = Annotated[str, AfterValidator(_check_text)]
Word = Annotated[str, AfterValidator(_check_word)]
_TEXT_OR_NUMBER = WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number"}]})
Setting = Annotated[Word, BeforeValidator(_number_as_text), _TEXT_OR_NUMBER]
_OPTION_TEXT = Annotated[str, AfterValidator(_check_option), BeforeValidator(_number_as_text)]
_ONE_OPTION = {"anyOf": [{"type": "string"}, {"type": "number"}, {"const": True}]}
Option = Annotated[
    tuple[_OPTION_TEXT, ...],
    BeforeValidator(lambda value: [_flag_as_text(one) for one in as_list(value)]),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [*_ONE_OPTION["anyOf"], {"type": "array", "items": _ONE_OPTION, "minItems": 1}]}),
]
"""The values of a scheduler's option: text with `{{ }}` holes, which is text again once they are filled.

One value, `true` for a bare flag (kept as an empty text), or a list to give the option repeatedly.
"""
OptionName = Annotated[
    str, AfterValidator(_check_option_name), WithJsonSchema({"type": "string", "pattern": _OPTION_NAME})
]
Shape = Annotated[str, AfterValidator(_check_shape), WithJsonSchema({"type": "string", "pattern": _SHAPE})]
ShellLine = Annotated[str, AfterValidator(_check_shell_line)]
Contained = Annotated[str, Field(min_length=3, max_length=100), AfterValidator(check_single_line)]
Expression = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(check_single_line)]
Condition = Annotated[str, AfterValidator(condition_over(LAYOUT_NAMES))]
"""A condition over the fields of a layout."""


_EXPRESSION_SCHEMA = {"type": "string", "pattern": r"\{[{%]"}
OWN_WORDS = (PARAMETER_NAME, _PARAMETER_ORDER, _EXPRESSION_SCHEMA["pattern"])
"""Patterns of what may stand for a word of ours wherever there is a choice: a parameter, an expression."""
OTHER_SPELLINGS = "Other spellings"
"""Title of the part of a schema that the reference of keys leaves out: what else a value is called."""
_AXIS_NAMES = tuple(name for name in WORD_NAMES if name in (*LAYOUT_NAMES, "model", "machine"))
"""What an expression of an axis knows, beside free parameters."""


def _value_or_expression(value: Any, check: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    """A value of an axis as its type has it, or a text with holes that gives one for each layout."""
    if not is_expression(value):
        return check(value)
    try:
        check_expression(check_single_line(value), _AXIS_NAMES + known_parameters(info))
    except ConfigError as error:
        raise ValueError(f"{value!r:.80}: {error}") from None
    return value


def axis(item: Any, schema: dict[str, Any]) -> Any:
    """The type of an axis: one value or expression or a list of at least one, kept as a tuple."""
    item, schema = Annotated[item, WrapValidator(_value_or_expression)], {"anyOf": [schema, _EXPRESSION_SCHEMA]}
    one_or_many = {"anyOf": [schema, {"type": "array", "items": schema, "minItems": 1}]}
    return Annotated[tuple[item, ...], BeforeValidator(as_list), Field(min_length=1), WithJsonSchema(one_or_many)]


def _cores(value: Any) -> int | str:
    """A number of cores, or `host`."""
    if value == "host":
        return "host"
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10**9:
        return value
    raise ValueError(f"{value!r:.80} is neither a number of cores nor 'host', those of this machine")


Cores = Annotated[
    int | str,
    PlainValidator(_cores),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 10**9}, {"const": "host"}]}),
]

_AXIS_OF_KIND: dict[Kind, Any] = {
    "count": axis(
        Annotated[int, Field(strict=True, ge=1, le=10**9)], {"type": "integer", "minimum": 1, "maximum": 10**9}
    ),
    "yes_no": axis(Annotated[bool, Field(strict=True)], {"type": "boolean"}),
    "number": axis(Annotated[float, Field(gt=0, le=100)], {"type": "number", "exclusiveMinimum": 0}),
    "word": axis(Name, {"type": "string", "pattern": _NAME}),
}


def axis_of(row: LayoutField) -> Any:
    """The type of an axis with the values of a field."""
    if not row.words:
        return _AXIS_OF_KIND[row.kind]
    others = {"title": OTHER_SPELLINGS, "enum": other_spellings(row.words)}
    return axis(_choice_of(row), {"anyOf": [{"type": "string", "enum": [*row.words]}, others]})


def _choice_of(row: LayoutField) -> Any:
    """One of the words of a field, whatever its spelling, also where YAML reads it as a number, or `off` as false."""

    def known(value: Any) -> Any:
        text = str(value) if isinstance(value, str | int) else value
        return (word_of(row.words, text) or text) if isinstance(text, str) else text

    choice = OneOf(lambda: row.words, f"value of {row.name}")
    return Annotated[str, choice, BeforeValidator(known)]


Count = Annotated[int, Field(strict=True, ge=1, le=10**9)]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class StrictModel(BaseModel):
    """A mapping of the config: unknown keys are refused, values are frozen."""

    model_config = STRICT
