"""Conditions and templates of a config: they compute with names and numbers, and cannot be made to eat the machine."""

import doctest
import time

import pytest

from nodesweep.common.errors import ConfigError
from nodesweep.config import expressions
from nodesweep.config.expressions import compile_condition, compile_template

FIELDS = {"nodes": 4, "tensor": 2, "pipeline": 1, "variant": "april"}


def test_doctests():
    """The examples hold."""
    assert doctest.testmod(expressions).failed == 0


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("nodes == 4 and tensor in [1, 2]", True),
        ("variant == 'june'", False),
        ("nodes % 3 == 1", True),
        ("(nodes / 3) | round(1) == 1.3", True),
        ("variant | upper == 'APRIL'", True),
    ],
)
def test_conditions(condition, holds):
    """Comparison, arithmetic, membership and the few filters."""
    assert compile_condition(condition)(FIELDS) is holds


def test_templates():
    """Names, arithmetic and choices fill a word; attributes of the model are reached."""
    assert compile_template("--n={{ nodes * 2 }}{{ '-mp' ~ tensor if tensor > 1 }}")(FIELDS) == "--n=8-mp2"
    assert compile_template("{{ model.layers }}")({"model": {"layers": 48}}) == "48"


@pytest.mark.parametrize(
    "text",
    [
        "'a' | center(1000000000)",
        "'a' | replace('a', 'aaaaaaaa') | replace('a', 'aaaaaaaa')",
        "'%1000000000d' % nodes",
        "'a' * 1000000000",
        "[0] * 1000000000",
        "nodes ** nodes ** nodes ** nodes",
        "'a'.ljust(1000000000)",
        "('a' | format)",
        "nodes.__class__",
        "cycler",
        "1 | round(999999999)",
        "1 | round(-999999999)",
        "nodes * 1000000000000000000000000000000",
        "*".join(["nodes"] * 100),
        "1e999 | int",
        "(" * 400 + "nodes" + ")" * 400,
        "[" * 400 + "nodes" + "]" * 400,
        "-" * 800 + "nodes",
        "variant" + " | upper" * 110,
        "+".join(["nodes"] * 400),
    ],
)
def test_what_could_eat_the_machine_is_refused(text):
    """In no time, as a condition and as a template, with words."""
    started = time.process_time()
    for compiled in (compile_condition, lambda source: compile_template("{{ " + source + " }}")):
        with pytest.raises(ConfigError):
            compiled(text)(FIELDS)
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "text",
    [
        "{% set a = 'aaaa' %}" + "{% set a = a ~ a %}" * 30 + "{{ a }}",
        "{% set a %}b{% endset %}",
        "{% for a in [1] %}{{ a }}{% endfor %}",
        "{% macro a() %}{% endmacro %}",
        "{% filter upper %}a{% endfilter %}",
        "{% with a = 1 %}{% endwith %}",
        "{% block a %}{% endblock %}",
        "{% extends 'a' %}",
        "{% if nodes %}" * 40 + "a" + "{% endif %}" * 40,
        "{{ " + " ~ ".join(["directory"] * 80) + " }}",
    ],
)
def test_what_repeats_or_names_is_refused(text):
    """Only expressions and `if` are left, whose result is no longer than the source times a value; that is bounded."""
    started = time.process_time()
    with pytest.raises(ConfigError):
        compile_template(text)({**FIELDS, "directory": "/long" * 1000})
    assert time.process_time() - started < 1


def test_an_if_in_a_template():
    """What is left of statements is a choice."""
    assert compile_template("{% if nodes > 2 %}many{% else %}few{% endif %}")(FIELDS) == "many"
