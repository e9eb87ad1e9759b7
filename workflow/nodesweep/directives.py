"""Values and options in the words of each batch scheduler's directives."""

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from nodesweep.common.errors import ConfigError
from nodesweep.config.expressions import compile_template
from nodesweep.config.machine import Machine
from nodesweep.config.types import check_filled

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


def _pbs(name: str, value: str | None) -> str:
    """`-n value` for a name of one letter, else the resource `-l name=value`; in quotes where qsub would split it."""
    if len(name) == 1:
        return f"-{name}" if value is None else f"-{name} {shlex.quote(value)}"
    resource = "True" if value is None else f'"{value}"' if re.search(r"[,\s]", value) else value
    return f"-l {shlex.quote(f'{name}={resource}')}"


_CHUNK = {"ncpus", "ngpus", "naccelerators", "mem", "vmem", "ompthreads", "arch", "model", "vntype", "aoe"}


def with_select(pairs: list[tuple[str, str | None]], nodes: int, ranks_per_node: int) -> list[tuple[str, str | None]]:
    """PBS: a node's resources gathered into one `select`, and one job on a node, unless the options say otherwise.

    Raises ConfigError.

    >>> with_select([("mem", "180gb"), ("A", "lab")], nodes=4, ranks_per_node=2)
    [('select', '4:ncpus=2:mpiprocs=2:mem=180gb'), ('place', 'scatter:excl'), ('A', 'lab')]
    """
    names = {name for name, _ in pairs}
    if "select" in names and names & _CHUNK:
        both = ", ".join(sorted(names & _CHUNK))
        raise ConfigError(f"machine.options gives select whole and {both} beside it; put all into select")
    chunk = [f"{name}={'True' if value is None else value}" for name, value in pairs if name in _CHUNK - {"ncpus"}]
    cores = next((value for name, value in pairs if name == "ncpus"), ranks_per_node)
    select = ":".join([f"{nodes}:ncpus={cores}:mpiprocs={ranks_per_node}", *chunk])
    defaults: list[tuple[str, str | None]] = [("select", select), ("place", "scatter:excl")]
    rest = [(name, value) for name, value in pairs if name not in _CHUNK]
    return [(name, value) for name, value in defaults if name not in names] + rest


OPTION: dict[str, Callable[[str, str | None], str]] = {"slurm": _slurm, "pjm": _pjm, "pbs": _pbs}
"""Per scheduler: an option as it stands in a directive line."""
