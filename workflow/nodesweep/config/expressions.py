"""Conditions and templates over named values, in Jinja2's sandbox: hostile text can compute nothing harmful."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, TemplateError, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from nodesweep.common.errors import ConfigError

from .layout_fields import LAYOUT_FIELDS

LAYOUT_NAMES = tuple(LAYOUT_FIELDS)
"""What conditions and templates know of a layout."""
WORD_NAMES = (*LAYOUT_NAMES, "model", "machine", "iterations", "slug", "python", "repository", "directory")


class Unknown:
    """A value nobody knows: it equals nothing, nothing is more or less than it, and sums with it are unknown too."""

    def __bool__(self) -> bool:
        return False

    def _never(self, other: object) -> bool:
        return False

    def _unknown(self, other: object = None) -> "Unknown":
        return self

    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = _never
    __hash__ = object.__hash__
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __neg__ = _unknown
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _unknown


UNKNOWN = Unknown()


class _Sandbox(ImmutableSandboxedEnvironment):
    """The sandbox without what could eat the memory of the launcher: powers, and long texts from short ones."""

    intercepted_binops = frozenset(["**", "*", "%"])

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" or not all(isinstance(value, int | float | Unknown) for value in (left, right)):
            raise SecurityError(f"'{operator}' is not allowed between {left!r:.40} and {right!r:.40}")
        return super().call_binop(context, operator, left, right)


_ENVIRONMENT = _Sandbox(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False)
_ENVIRONMENT.globals.clear()
_FILTERS = ("abs", "default", "float", "int", "length", "lower", "max", "min", "round", "string", "trim", "upper")
_ENVIRONMENT.filters = {name: _ENVIRONMENT.filters[name] for name in _FILTERS}
_ENVIRONMENT.tests["none"] = lambda value: value is None or value is UNKNOWN


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _parsed(source: str) -> nodes.Template:
    try:
        return _ENVIRONMENT.parse(source)
    except TemplateError as error:
        raise ConfigError(f"not a valid expression: {_one_line(error)}") from None


def _check_names(source: str, known: tuple[str, ...]) -> None:
    """Raise ConfigError for a Jinja2 source that does not parse, loops, or asks for unknown names."""
    tree = _parsed(source)
    statement = next(tree.find_all((nodes.For, nodes.Macro, nodes.CallBlock, nodes.Include, nodes.Import)), None)
    if statement is not None:
        raise ConfigError(f"a '{type(statement).__name__.lower()}' block is not allowed here; write an expression")
    strange = next((node.name for node in tree.find_all(nodes.Filter) if node.name not in _FILTERS), None)
    if strange is not None:
        raise ConfigError(f"unknown filter '{strange:.40}'; there are {', '.join(_FILTERS)}")
    if next(tree.find_all(nodes.Call), None) is not None:
        raise ConfigError(f"a template calls nothing; there are names, operators and the filters {', '.join(_FILTERS)}")
    unknown = sorted(meta.find_undeclared_variables(tree) - set(known))
    if unknown:
        raise ConfigError(f"unknown name '{unknown[0]}'; known here: {', '.join(known)}")


@lru_cache(maxsize=1024)
def compile_condition(source: str, names: tuple[str, ...] = LAYOUT_NAMES) -> Callable[[Mapping[str, Any]], bool]:
    """A condition over `names`, by default the fields of a layout, e.g. `tensor == 4 and pipeline > 1`.

    Raises ConfigError when it does not parse, asks for unknown names, or cannot be evaluated.

    >>> compile_condition("tensor == 4 and pipeline > 1")({"tensor": 4, "pipeline": 2})
    True
    """
    tree = _parsed("{{ (" + source + ") }}")
    if next(tree.find_all((nodes.Getattr, nodes.Getitem, nodes.Call)), None) is not None:
        raise ConfigError("a condition compares fields; it calls and looks into nothing")
    _check_names("{{ (" + source + ") }}", names)
    try:
        evaluate = _ENVIRONMENT.compile_expression(source, undefined_to_none=False)
    except TemplateError as error:
        raise ConfigError(f"not a valid expression: {_one_line(error)}") from None

    def condition(fields: Mapping[str, Any]) -> bool:
        try:
            return bool(evaluate(**fields))
        except (TemplateError, TypeError, ArithmeticError, ValueError) as error:
            raise ConfigError(f"cannot evaluate {source!r}: {_one_line(error)}") from None

    return condition


@lru_cache(maxsize=4096)
def compile_template(source: str) -> Callable[[Mapping[str, Any]], str]:
    """A text with `{{ }}` holes over a layout, its model and machine.

    Raises ConfigError when it does not parse, asks for unknown names, or cannot be rendered.

    >>> compile_template("--nproc-per-node={{ ranks }}")({"ranks": 8})
    '--nproc-per-node=8'
    """
    _check_names(source, WORD_NAMES)
    template = _ENVIRONMENT.from_string(source)

    def render(context: Mapping[str, Any]) -> str:
        try:
            return template.render(**context)
        except (TemplateError, TypeError, ArithmeticError, ValueError) as error:
            raise ConfigError(f"cannot render {source!r}: {_one_line(error)}") from None

    return render
