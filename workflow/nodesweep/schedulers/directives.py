"""Words that the directives of several schedulers are made of."""

import re
from collections.abc import Mapping
from typing import Any

from nodesweep.common.errors import ConfigError
from nodesweep.config.expressions import filled as fill
from nodesweep.config.machine import Machine
from nodesweep.config.registries import option_refusal
from nodesweep.config.types import check_filled

from .base import Directive

_PLAIN = re.compile(r"[A-Za-z0-9_=:,./+@%\[\]-]+")


def quoted(value: str) -> str:
    """A value as one word of a directive line.

    >>> print(quoted("gpu:4"), quoted("two words"))
    gpu:4 "two words"
    """
    if _PLAIN.fullmatch(value):
        return value
    return in_quotes(value)


def clock(seconds: int) -> str:
    """A time limit as H:MM:SS.

    >>> clock(86400), clock(90)
    ('24:00:00', '0:01:30')
    """
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def options(machine: Machine, context: Mapping[str, Any]) -> list[Directive]:
    """A machine's options with their holes filled; raises ConfigError, also for what is nodesweep's own to say."""
    filled = [(name, _filled(name, one, context)) for name, values in machine.options.items() for one in values]
    for name, value in filled:
        if (refusal := option_refusal(machine.scheduler, name, (value,), machine.keys_given)) is not None:
            raise ConfigError(f"machine.options.{name}: {refusal}")
    return [(name, value or None) for name, value in filled]


def _filled(name: str, value: str, context: Mapping[str, Any]) -> str:
    try:
        return check_filled(fill(value, context))
    except (ConfigError, ValueError) as error:
        raise ConfigError(f"machine.options.{name}: {error}") from None


def in_quotes(value: str) -> str:
    """A value between double quotes.

    >>> print(in_quotes("node=8x12x32:torus"))
    "node=8x12x32:torus"
    """
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
