"""Conditions and templates over named values, in Jinja2's sandbox: hostile text can compute nothing harmful."""

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Set
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, TemplateError, meta, nodes
from jinja2.exceptions import SecurityError, UndefinedError
from jinja2.filters import do_round
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from nodesweep.common.errors import ConfigError, ExpressionError
from nodesweep.common.text import did_you_mean, plain

from .layout_fields import LAYOUT_FIELDS

LAYOUT_NAMES = tuple(LAYOUT_FIELDS)
"""What conditions and templates know of a layout."""
WORKED_OUT = {
    "uneven_stages": "whether the layers do not divide over the chunks of all stages, so that embedding and loss count "
    "as layers",
    "layers_per_chunk": "layers of each chunk, with those two where they count",
    "replica_batch": "samples of an iteration that one replica works through",
    "sharding_groups": "groups that hold a copy of the weights each, under hsdp",
    "group_data": "data-parallel ranks of such a group",
    "training": "keys of the workload's `training` that are given, none for the others",
    "environment": "variables of the command, as the config gives them",
}
"""What templates know of a layout beside its fields, and what it is."""
WORD_NAMES = (*LAYOUT_NAMES, *WORKED_OUT, "model", "machine", "iterations", "slug", "python", "repository", "directory")


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
    """The sandbox without what could eat the memory of the launcher: powers, huge numbers, texts made long."""

    intercepted_binops = frozenset(["**", "*", "%"])

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" or not all(isinstance(value, int | float | Unknown) for value in (left, right)):
            raise SecurityError(f"'{operator}' is not allowed between {left!r:.40} and {right!r:.40}")
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, int) and abs(result) > _HIGHEST:
            raise SecurityError(f"'{operator}' gives a number above {_HIGHEST:.0e}")
        return result


def _round(value: Any, precision: Any = 0, method: str = "common") -> Any:
    """Jinja's filter for a bearable number of digits: it computes a power of ten with as many."""
    if not isinstance(precision, int) or abs(precision) > _MOST_DIGITS:
        raise SecurityError(f"round takes a number of digits up to {_MOST_DIGITS}, not {precision!r:.40}")
    return do_round(value, precision, method)  # type: ignore[arg-type]  # it checks the method itself


_LONGEST_SOURCE, _LONGEST_RESULT = 1000, 100_000
"""Characters of an expression, and of what a template gives."""
_HIGHEST, _MOST_DIGITS, _DEEPEST = 10**30, 15, 100
_ALLOWED = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.Expr, nodes.Helper)
"""Nothing that gives a name to a value or repeats anything: so a result is no longer than its source times a value."""
_FAILURES = (TemplateError, TypeError, ArithmeticError, ValueError, LookupError, AttributeError, RecursionError)
"""What an expression can end with whose values are not as it takes them."""

_ENVIRONMENT = _Sandbox(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False, optimized=False)
_ENVIRONMENT.globals.clear()
_FILTERS = ("abs", "default", "float", "int", "length", "lower", "max", "min", "round", "string", "trim", "upper")
_ENVIRONMENT.filters = {name: _ENVIRONMENT.filters[name] for name in _FILTERS} | {"round": _round}
_ENVIRONMENT.tests["none"] = lambda value: value is None or value is UNKNOWN


_NOT_GIVEN = re.compile(r"'([A-Za-z_]\w*)' is undefined")
"""What Jinja says of a name that nothing has: of a parameter that the layout's block does not give."""
_WAYS_OUT = {
    "comment tag": ": {# begins a comment; for the shell's ${#NAME} write ${{ '{#' }}NAME}",
    "got '='": "; write == to compare",
    "unexpected '}'": "; a hole ends with }}",
}
"""What to write instead, by what Jinja says."""


def _one_line(error: BaseException) -> str:
    return plain(str(error))


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn what a parser or a compiler makes of a wrong or too deep text into a ConfigError."""
    try:
        yield
    except TemplateError as error:
        way_out = next((words for part, words in _WAYS_OUT.items() if part in str(error)), "")
        raise ConfigError(f"not a valid expression: {_one_line(error)}{way_out}") from None
    except (RecursionError, SyntaxError, MemoryError):  # of Python's own parser, which is given what Jinja makes of it
        raise ConfigError("an expression nests too deep; write it with fewer parentheses") from None


def _parsed(source: str) -> nodes.Template:
    if len(source) > _LONGEST_SOURCE:
        raise ConfigError(f"an expression is {len(source)} characters long; at most {_LONGEST_SOURCE} are allowed")
    with _refusing():
        return _ENVIRONMENT.parse(source)


def is_expression(value: object) -> bool:
    """Whether a value of a config is a text with holes.

    >>> is_expression("{{ 16 * ranks }}"), is_expression("flash"), is_expression(4)
    (True, False, False)
    """
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def _check_names(source: str, known: tuple[str, ...] | None, defaults: bool = False) -> nodes.Template:
    """Raise ConfigError for a Jinja2 source that does not parse, loops, or asks for unknown names; gives its tree.

    `defaults`: whether a name may be unknown that has a default.
    """
    tree = _parsed(source)
    with _refusing():
        _check_tree(tree, known, _with_default(tree) if defaults else frozenset())
    return tree


def check_expression(source: str, names: tuple[str, ...]) -> None:
    """Raise ConfigError for a template that does not parse, or asks for another name than these."""
    _check_names(source, names)


def _all_nodes(tree: nodes.Template) -> list[nodes.Node]:
    """The tree and all below it; raises RecursionError for one that is so deep that it takes seconds to compile."""
    found: list[nodes.Node] = []
    level: list[nodes.Node] = [tree]
    for _ in range(_DEEPEST):
        found += level
        level = [below for node in level for below in node.iter_child_nodes()]
        if not level:
            return found
    raise RecursionError


def _with_default(tree: nodes.Template) -> set[str]:
    """The names that stand nowhere but before `| default(...)`."""
    filters = [node.node for node in tree.find_all(nodes.Filter) if node.name == "default"]
    defaults = [node for node in filters if isinstance(node, nodes.Name)]
    others = {node.name for node in tree.find_all(nodes.Name) if not any(node is one for one in defaults)}
    return {node.name for node in defaults} - others


def _check_tree(tree: nodes.Template, known: tuple[str, ...] | None, lenient: Set[str] = frozenset()) -> None:
    for node in _all_nodes(tree):
        if not isinstance(node, _ALLOWED):
            name = type(node).__name__.lower().replace("assignblock", "set").replace("assign", "set")
            raise ConfigError(f"a '{name}' block is not allowed here; write an expression")
        if isinstance(node, nodes.Const) and node.value in (math.inf, -math.inf):
            raise ConfigError("a number is too large to compute with; write a smaller one")
        if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
            raise ConfigError(f"unknown filter '{node.name:.40}'; there are {', '.join(_FILTERS)}")
        if isinstance(node, nodes.Call):
            raise ConfigError(
                f"a template calls nothing; there are names, operators and the filters {', '.join(_FILTERS)}"
            )
    unknown = sorted(meta.find_undeclared_variables(tree) - set(known) - lenient) if known is not None else []
    if unknown and known is not None:
        hint = did_you_mean(unknown[0], known) or "put it in quotes if it is a word; "
        raise ConfigError(f"unknown name '{unknown[0]}'; {hint}known here: {', '.join(known)}")


@lru_cache(maxsize=1024)
def compile_condition(source: str, names: tuple[str, ...] | None = LAYOUT_NAMES) -> Callable[[Mapping[str, Any]], bool]:
    """A condition over `names`, by default the fields of a layout, e.g. `tensor == 4 and pipeline > 1`.

    `names`: None for a condition whose names were checked. A name without a value is UNKNOWN.

    Raises ConfigError when it does not parse, asks for unknown names, or cannot be evaluated.

    >>> compile_condition("tensor == 4 and pipeline > 1")({"tensor": 4, "pipeline": 2})
    True
    """
    wrapped = "{{ (" + source + ") }}"
    tree = _parsed(wrapped)
    if next(tree.find_all((nodes.Getattr, nodes.Getitem, nodes.Call)), None) is not None:
        raise ConfigError("a condition compares fields; it calls and looks into nothing")
    asked = meta.find_undeclared_variables(_check_names(wrapped, names))
    with _refusing():
        evaluate = _ENVIRONMENT.compile_expression(source, undefined_to_none=False)

    def condition(fields: Mapping[str, Any]) -> bool:
        try:
            return bool(evaluate(**{name: fields.get(name, UNKNOWN) for name in asked}))
        except _FAILURES as error:
            raise ExpressionError(source, f"cannot evaluate {source!r}: {_one_line(error)}") from None

    return condition


@lru_cache(maxsize=4096)
def names_in(source: str) -> frozenset[str]:
    """What a template asks for: names, and with a dot what it looks up in one of them.

    >>> sorted(names_in("--layers={{ model.layers if pipeline > 1 else model.layers // 2 }}"))
    ['model.layers', 'pipeline']
    """
    tree = _parsed(source)
    looked_up = [node for node in tree.find_all(nodes.Getattr) if isinstance(node.node, nodes.Name)]
    inside = {f"{node.node.name}.{node.attr}" for node in looked_up if isinstance(node.node, nodes.Name)}
    whole = {id(node.node) for node in looked_up}
    return frozenset(inside | {node.name for node in tree.find_all(nodes.Name) if id(node) not in whole})


@lru_cache(maxsize=4096)
def looked_up_in(source: str) -> tuple[tuple[str, str], ...]:
    """What a template looks up in named values and cannot do without: names, and the parts of them.

    >>> looked_up_in("{{ model.layers * 2 }}{{ model.depth | default(1) }}{{ ranks }}")
    (('model', 'layers'),)
    """
    tree = _parsed(source)
    filtered = [node.node for node in tree.find_all(nodes.Filter) if node.name == "default"]
    spared = {id(node) for node in (*filtered, *(node.node for node in tree.find_all(nodes.Test)))}
    found = (node for node in tree.find_all(nodes.Getattr) if id(node) not in spared)
    pairs = {(node.node.name, node.attr): None for node in found if isinstance(node.node, nodes.Name)}
    return tuple(pairs)


def check_looked_up(source: str, known: Mapping[str, Collection[str]], written: str = "") -> None:
    """Raise ExpressionError for a template that looks up what a named value does not have; `known`: what each has.

    `written`: how it stands in the file, where the template was made of that.
    """
    for name, part in looked_up_in(source):
        if part not in known.get(name, (part,)):
            hint = did_you_mean(part, known[name])
            has = f"it has {', '.join(sorted(known[name]))}"
            written = written or source
            raise ExpressionError(written, f"{written:.80}: {name} has no {part:.40}; {hint}{has}")


@lru_cache(maxsize=4096)
def compile_template(source: str, names: tuple[str, ...] | None = WORD_NAMES) -> Callable[[Mapping[str, Any]], str]:
    """A text with `{{ }}` holes over `names`, by default of a layout, its model and machine; None: they were checked.

    A name that has a default may be unknown: the parameter of another sweep that runs the same workload.

    Raises ConfigError when it does not parse, asks for unknown names, or cannot be rendered.

    >>> compile_template("--nproc-per-node={{ ranks }}")({"ranks": 8})
    '--nproc-per-node=8'
    """
    _check_names(source, names, defaults=True)
    with _refusing():
        template = _ENVIRONMENT.from_string(source)

    def render(context: Mapping[str, Any]) -> str:
        try:
            text = template.render(**context)
        except _FAILURES as error:
            raise ExpressionError(source, f"cannot render {source!r}: {_reason(error)}") from None
        if len(text) > _LONGEST_RESULT:
            raise ExpressionError(
                source, f"cannot render {source!r}: it gives {len(text)} characters; at most {_LONGEST_RESULT}"
            )
        return text

    return render


def filled(source: str, context: Mapping[str, Any]) -> str:
    """A text whose names were checked, with its holes filled; raises ConfigError where one has no value."""
    return compile_template(source, None)(context)


def _reason(error: BaseException) -> str:
    """What a template failed with; of a name without a value, what to write."""
    found = _NOT_GIVEN.fullmatch(str(error)) if isinstance(error, UndefinedError) else None
    if found is None or found[1] in WORD_NAMES:
        return _one_line(error)
    name = found[1]
    return f"the layout's block gives no parameter {name}; give it there, or write {{{{ {name} | default(...) }}}}"
