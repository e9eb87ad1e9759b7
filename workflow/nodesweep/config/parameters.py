"""Free parameters of a sweep: what they may be called and hold, and rows like those of the fields of a layout.

A parameter is a column of its own in results.csv, after the columns that every sweep has. Tables of several sweeps hold
them as texts: 2, 2.0 and the word 2 are one value there.
"""

import hashlib
import keyword
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import AfterValidator, PlainValidator, WithJsonSchema

from nodesweep.common.text import plain

from .columns import TIDY
from .expressions import WORD_NAMES, is_expression
from .headings import HEADINGS, MARKS
from .layout_field import Kind, LayoutField
from .layout_fields import FIELDS
from .tidy_row import TidyRow, TidyValue
from .types import PARAMETER_NAME, as_list, axis, check_filled

ParameterValue = bool | int | float | str
BLOCK_KEYS = ("note", "parameters", "together")
"""Keys of a block of layouts that are no axes."""
_OF_TEMPLATES = ("self", "super", "loop", "caller", "varargs", "kwargs")
_CLASHES: tuple[tuple[Iterable[str], str], ...] = (
    (FIELDS, "a field of a layout or a size of the model: write it as an axis of the block, or into the model"),
    (TIDY, "a column of results.csv"),
    (WORD_NAMES, "a word that templates know"),
    (BLOCK_KEYS, "a key of the block"),
    (HEADINGS, "a heading of the tables"),
    ((*keyword.kwlist, "true", "false", "none", MARKS, *_OF_TEMPLATES), "a word that means something else here"),
)
"""What a parameter may not be called, and what that is already."""
_MOST_CHARACTERS, _MOST_DIGITS = 200, 15
_SLUG_WORD, _SLUG_WORDS = 16, 80
"""Characters of a word in a slug, and of all its parameters together."""
_LONGEST_STACK = 200
"""Characters of the name of a stack, which is also that of a file."""
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,14})")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")
_YES_NO = {"True": True, "False": False}


def is_variable(name: str) -> bool:
    """Whether a parameter is also an environment variable of the job: its name has capital letters alone.

    >>> is_variable("NCCL_ALGO"), is_variable("attention_backend")
    (True, False)
    """
    return name.isupper()


def _check_name(name: str) -> str:
    if not re.fullmatch(PARAMETER_NAME[1:-1], name):
        raise ValueError(f"{name!r:.80} names no parameter: write a letter, then letters, digits and _, at most 64")
    for taken, what in _CLASHES:
        if name in taken:
            raise ValueError(f"'{name}' is {what}; call the parameter something else")
    return name


def value_text(value: TidyValue) -> str:
    """A value of a parameter in results.csv, whichever way it was written.

    >>> value_text(2), value_text(2.0), value_text(0.1), value_text("flash"), value_text(True)
    ('2', '2', '0.1', 'flash', 'True')
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < 10**_MOST_DIGITS:
        return str(int(value))
    return str(value)


def read_value(text: str) -> ParameterValue:
    """What a text means by itself: yes/no, a number where it is written as numbers are, else the text.

    >>> [read_value(text) for text in ("4", "0.5", "2.0", "007", "True", "Ring", "1e5", "nan")]
    [4, 0.5, '2.0', '007', True, 'Ring', '1e5', 'nan']
    """
    if text in _YES_NO:
        return _YES_NO[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    return number if value_text(number) == text and math.isfinite(number) else text


def check_value(value: Any) -> Any:
    """A value of a parameter, as YAML gives it; raises ValueError for what is no word, number or yes/no."""
    if value is None or value == "":
        raise ValueError("is empty; give a value, or yes and no, and fill in what they mean: {{ '--x' if name }}")
    if isinstance(value, bool) or is_expression(value):
        return value
    if isinstance(value, int | float):
        if not math.isfinite(value) or (isinstance(value, int) and abs(value) >= 10**_MOST_DIGITS):
            raise ValueError(f"{value} is no number of at most {_MOST_DIGITS} digits; put a name in quotes")
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!s:.80} is to YAML no word, number or yes/no; put it in quotes")
    if len(value) > _MOST_CHARACTERS or plain(value, _MOST_CHARACTERS) != value:
        raise ValueError(f"{value!r:.80} is longer than {_MOST_CHARACTERS} characters, or has other than single blanks")
    return check_filled(value)


def _check_values(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len({isinstance(value, bool) for value in values if not is_expression(value)}) > 1:
        raise ValueError("holds yes/no beside others: to YAML no, off, yes and on are that; put words in quotes")
    return values


def check_variables(parameters: Mapping[str, Sequence[Any]]) -> None:
    """Raise ValueError for a parameter that is also an environment variable and holds yes/no."""
    for name, values in parameters.items():
        if is_variable(name) and any(isinstance(value, bool) for value in values):
            raise ValueError(
                f"parameters.{name} is an environment variable too and holds yes/no; put into quotes what the variable "
                'is to be, such as "1" or "true"'
            )


_VALUE_SCHEMA = {"type": ["string", "number", "boolean"]}
ParameterName = Annotated[
    str, AfterValidator(_check_name), WithJsonSchema({"type": "string", "pattern": PARAMETER_NAME})
]
ParameterAxis: Any = Annotated[
    axis(Annotated[Any, PlainValidator(check_value)], _VALUE_SCHEMA), AfterValidator(_check_values)
]
"""The type of the values of a parameter in a block."""


@dataclass(frozen=True, kw_only=True)
class ParameterField(LayoutField):
    """A free parameter like a field of a layout; `letters`: what stands for its name where there is little room."""

    def short(self, value: Any) -> str:
        """The parameter in a word, `rl4`, `flash` or `no-fr`; empty where there is no value."""
        value = read_value(value) if isinstance(value, str) else value
        if value is None:
            return ""
        if isinstance(value, bool):
            return self.letters if value else f"no-{self.letters}"
        return value if isinstance(value, str) else f"{self.letters}{value:g}"


def parameter_field(name: str, kind: Kind, letters: str = "") -> ParameterField:
    """The row of a parameter; `letters`: what stands for its name where there is little room, the name if left out."""
    return ParameterField(
        name=name,
        kind=kind,
        meaning=f"parameter {name} of the sweep",
        symbol=name,
        label=name,
        column=name,
        letters=letters or name,
        optional=True,
        sets_problem=True,
    )


def letters_of(names: Iterable[str]) -> dict[str, str]:
    """What stands for the names of parameters where there is little room: the first letters of their words.

    A name of one word stands for itself, and so do those whose letters would be another's.

    >>> letters_of(["recompute_layers", "dropout", "micro_pieces", "model_parts"])
    {'recompute_layers': 'rl', 'dropout': 'dropout', 'micro_pieces': 'micro_pieces', 'model_parts': 'model_parts'}
    """
    found = {name: "".join(word[0] for word in name.split("_") if word).lower() for name in names}
    taken = [*(row.letters for row in FIELDS.values()), *found.values()]
    return {
        name: letters if len(letters) > 1 and taken.count(letters) == 1 else name for name, letters in found.items()
    }


def slug_parts(parameters: Mapping[str, ParameterValue]) -> list[str]:
    """What a slug says of the parameters of one layout, safe as the name of a file; the digest tells all of them apart.

    Words stand alone, but where two parameters of the layout have the same one, or one that looks like a number.

    >>> slug_parts({"attention_backend": "flash", "recompute_layers": 4, "fused_rope": False, "clip": 0.5})
    ['flash', 'clip0.5', 'no-fr', 'rl4']
    >>> slug_parts({"attention_backend": "flash", "mlp_backend": "flash", "preload": "/opt/lib/x.so"})
    ['ab_flash', 'mb_flash', 'x.so']
    """
    words = [value_text(value) for value in parameters.values()]
    parts = []
    for name, letters in letters_of(sorted(parameters)).items():
        value = parameters[name]
        word = parameter_field(name, "word", letters).short(value)
        if isinstance(read_value(value_text(value)), str):
            word = re.sub(r"[^A-Za-z0-9._]+", "_", word.rstrip("/").rpartition("/")[2]).strip("._")[:_SLUG_WORD]
            if words.count(value_text(value)) > 1 or not word[:1].isalpha():
                word = f"{letters}_{word}"
        parts.append(word)
    return parts if len("-".join(parts)) <= _SLUG_WORDS else ["-".join(parts)[:_SLUG_WORDS].rstrip("-._")]


def kind_of(texts: Iterable[str]) -> Kind:
    """The kind of the values of a parameter, by what stands for them in results.csv.

    >>> kind_of(["1", "4"]), kind_of(["1", "0.5"]), kind_of(["1", "auto"]), kind_of(["True"])
    ('count', 'number', 'word', 'yes_no')
    """
    types = {type(read_value(text)) for text in texts}
    if types == {bool}:
        return "yes_no"
    return "count" if types == {int} else "number" if types and types <= {int, float} else "word"


def parameter_fields(rows: Iterable[Mapping[str, Any]]) -> dict[str, ParameterField]:
    """The rows of all parameters that some of these rows of results.csv, or mappings by name, know."""
    texts: dict[str, dict[str, None]] = {}
    for row in rows:
        more = row.keys() - TIDY.keys()
        for name in row if more else ():
            if name in more:
                texts.setdefault(name, {}).update({value_text(row[name]): None} if row[name] is not None else {})
    letters = letters_of(texts)
    return {name: parameter_field(name, kind_of(found), letters[name]) for name, found in texts.items()}


def parameters_of(row: TidyRow) -> dict[str, str]:
    """The parameters that a row of results.csv knows, as texts in the order of their names."""
    return {name: value_text(row[name]) for name in sorted(row.keys() - TIDY.keys()) if row[name] is not None}


def parameter_names(values: Mapping[str, Any]) -> tuple[str, ...]:
    """The parameters that the blocks of a sweep name, which nobody has checked yet."""
    blocks = _mappings(values.get("layouts"))
    parts = [part for block in blocks for part in (block, *_mappings(block.get("together")))]
    named = [name for part in parts for found in _mappings(part.get("parameters")) for name in found]
    return tuple(dict.fromkeys(name for name in named if isinstance(name, str)))


def _mappings(value: Any) -> list[Mapping[Any, Any]]:
    """The mappings that stand at a key, one or a list of them."""
    return [one for one in as_list(value) if isinstance(one, Mapping)]


def stack_of(campaign: str, parameters: Mapping[str, Any]) -> str:
    """What runs are of whose times and memory predict one another: a campaign, with these values of parameters.

    >>> stack_of("runs", {}), stack_of("runs", {"recompute_layers": 4, "attention_backend": "flash"})
    ('runs', 'runs+attention_backend=flash+recompute_layers=4')
    """
    named = (f"{name}={quote(value_text(value), safe='')}" for name, value in sorted(parameters.items()))
    stack = "+".join([campaign, *named])
    if len(stack) <= _LONGEST_STACK:
        return stack
    return f"{stack[: _LONGEST_STACK - 13]}-{hashlib.sha256(stack.encode()).hexdigest()[:12]}"
