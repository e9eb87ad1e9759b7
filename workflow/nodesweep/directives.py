"""Values and options in the words of each batch scheduler's directives."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from .config import Machine
from .errors import ConfigError
from .expressions import compile_template
from .fields import check_filled

_PLAIN = re.compile(r"[A-Za-z0-9_=:,./+@%\[\]-]+")
_PJM_PLAIN = re.compile(r"[A-Za-z0-9_:./+@%-]+")
_PJM_MOST_OPTIONS = 64
_PJSUB_OPTIONS = {"appname", "at", "comment", "llio", "mail-list", "mpi", "net-route", "rsc-list", "sparam", "spath"}
_PJSUB_COMMAND_LINE = {"all-mount-gfscache", "dir-prefix", "no-check-directory", "no-check-gfscache"}


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


def options(machine: Machine, context: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """A machine's options as pairs of name and value, None for a bare flag, holes filled; raises ConfigError."""
    return [(name, _filled(name, one, context) or None) for name, values in machine.options.items() for one in values]


def _filled(name: str, value: str, context: Mapping[str, Any]) -> str:
    try:
        return check_filled(compile_template(value)(context))
    except (ConfigError, ValueError) as error:
        raise ConfigError(f"machine.options.{name}: {error}") from None


def _slurm(name: str, value: str | None) -> str:
    """`--name=value`, or `-n value` for a name of one letter."""
    if len(name) == 1:
        return f"-{name}" if value is None else f"-{name} {quoted(value)}"
    return f"--{name}" if value is None else f"--{name}={quoted(value)}"


def _pjm(name: str, value: str | None) -> str:
    """`-n value`, `--name value` for the long options of pjsub, `-L "name=value"` for everything else, resources."""
    if name in _PJSUB_COMMAND_LINE:
        raise ConfigError(f"machine.options.{name}: pjsub takes it on its command line only; leave it out")
    dashed = f"-{name}" if len(name) == 1 else f"--{name}"
    if value is None:
        return dashed
    if len(name) > 1 and name not in _PJSUB_OPTIONS:
        return f"-L {in_quotes(f'{name}={value}')}"
    return f"{dashed} {value if _PJM_PLAIN.fullmatch(value) else in_quotes(value)}"


def in_quotes(value: str) -> str:
    """A value between double quotes.

    >>> print(in_quotes("node=8x12x32:torus"))
    "node=8x12x32:torus"
    """
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def check_directives(scheduler: str, script: str) -> None:
    """Raise ConfigError where a script holds more than its scheduler reads, which would be lost without a word."""
    lines = [line for line in script.splitlines() if line.startswith("#PJM")] if scheduler == "pjm" else []
    if len(lines) > _PJM_MOST_OPTIONS:
        raise ConfigError(
            f"machine.options: make {len(lines)} #PJM lines with nodesweep's own; pjsub reads {_PJM_MOST_OPTIONS}: "
            "take some out"
        )


OPTION: dict[str, Callable[[str, str | None], str]] = {"slurm": _slurm, "pjm": _pjm}
"""Per scheduler: an option as it stands in a directive line."""
