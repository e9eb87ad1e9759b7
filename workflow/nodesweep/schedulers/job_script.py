"""Layout + machine + workload → the text of one native batch script."""

import hashlib
import re
import shlex
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nodesweep.common.errors import ConfigError
from nodesweep.config.expressions import compile_template
from nodesweep.config.loader import REPOSITORY
from nodesweep.sweep.layout import Layout

from . import OPTION
from .directives import clock, in_quotes, options, quoted
from .pbs import with_select
from .pjm import check_directives

TEMPLATES = Path(__file__).parent / "templates"
PROVENANCE = TEMPLATES / "provenance.sh"
"""What every job script of a sweep calls; it stands in the sweep's folder, where compute nodes find it."""
_REFERENCE = re.compile(r"(\$\{[A-Za-z_][A-Za-z0-9_]*\})")


def quote_word(word: str) -> str:
    """One shell word meaning exactly `word`, but for `${NAME}`, which the job's shell fills in.

    >>> print(quote_word("a b"), quote_word("host=${MASTER_ADDR}:29500"), quote_word("$(id)"))
    'a b' host="${MASTER_ADDR}":29500 '$(id)'
    """
    parts = _REFERENCE.split(word)
    quoted = [f'"{part}"' if _REFERENCE.fullmatch(part) else shlex.quote(part) if part else "" for part in parts]
    return "".join(quoted) or "''"


def key_of(folder: Path, slug: str) -> str:
    """What all submissions of one layout in one results folder are called: a letter first, at most 33 characters.

    >>> key_of(Path("/data/results/quickstart"), "n1-dp1")
    'quickstart-ef601c70dadc'
    """
    name = re.sub(r"[^A-Za-z0-9_-]", "_", folder.name)[:18]
    digest = hashlib.sha256(f"{folder.absolute()}\0{slug}".encode()).hexdigest()[:12]
    return f"{name if name[0].isalpha() else 's' + name}-{digest}"


def render(layout: Layout, sweep: str, folder: Path) -> str:
    """The batch script of a layout whose files live in `folder`/layouts/<slug>; raises ConfigError."""
    directory = (folder / "layouts" / layout.slug).absolute()
    if not str(directory).isprintable():
        raise ConfigError(f"{str(directory)!r} holds a character that cannot stand in a job script; rename the folder")
    machine, workload = layout.machine, layout.workload
    context = {
        **layout.fields(),
        "model": layout.model,
        "machine": machine,
        "iterations": layout.iterations.total,
        "slug": layout.slug,
        "python": sys.executable,
        "repository": str(REPOSITORY),
        "directory": str(directory),
    }
    environment = machine.environment | workload.environment | (layout.variant.env if layout.variant else {})
    text = _template(machine.scheduler).render(
        sweep=sweep,
        layout=layout,
        machine=machine,
        key=key_of(folder, layout.slug),
        directory=str(directory),
        provenance=str((folder / PROVENANCE.name).absolute()),
        working_directory=str(Path.cwd()),
        setup=[_shell_line(line, context) for line in (*machine.setup, *workload.setup)],
        environment={name: compile_template(value)(context) for name, value in sorted(environment.items())},
        command=_command(layout, context),
        versions={
            name: _shell_line(line, context) for name, line in sorted((machine.versions | workload.versions).items())
        },
        repositories=[compile_template(path)(context) for path in workload.repositories],
        options=options(machine, context),
        queue=layout.queue.name if layout.queue else None,
        elapse_limit_seconds=layout.elapse_limit_seconds,
    )
    check_directives(machine.scheduler, text)
    return text


def _command(layout: Layout, context: dict[str, Any]) -> list[str]:
    """The words of the launch: time limit where no scheduler keeps one, launcher, memory limit, workload's command."""
    machine = layout.machine
    limits, each_rank = [], []
    if machine.scheduler == "local" and layout.elapse_limit_seconds is not None:
        limits = ["timeout", "--kill-after=10", str(layout.elapse_limit_seconds)]
    if machine.enforce_memory:  # around each rank: a launcher does not hand its own limits to other nodes
        each_rank = ["bash", "-c", 'ulimit -d "$0" && exec "$@"', str(rank_memory_kib(layout))]
    launcher, command = (
        [word for word in (compile_template(word)(context) for word in words) if word]
        for words in (machine.launcher, layout.workload.command)
    )
    return [*limits, *launcher, *each_rank, *command]


def rank_memory_kib(layout: Layout) -> int | None:
    """A rank's share of its node's memory in KiB; None where the machine names no limit."""
    node = layout.machine.memory_mib_per_node
    return None if node is None else int(node * 1024 / layout.ranks_per_node)


def _shell_line(line: str, context: dict[str, Any]) -> str:
    """A set-up line with its holes filled by quoted words."""
    return compile_template(line)({name: _quoted(value) for name, value in context.items()})


def _quoted(value: Any) -> Any:
    return shlex.quote(value) if isinstance(value, str) else value


def job_templates() -> list[Path]:
    """What scripts are rendered from, and what they call."""
    return [*sorted(TEMPLATES.glob("*.j2")), PROVENANCE]


@lru_cache
def _template(scheduler: str) -> Any:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # shell, not HTML: every value goes through quote or quote_word
    )
    environment.filters["quote"] = lambda value: shlex.quote(str(value))
    environment.filters["quote_word"] = quote_word
    environment.filters["directive"] = quoted
    environment.filters["in_quotes"] = in_quotes
    environment.filters["clock"] = clock
    environment.filters["with_select"] = with_select
    environment.filters["option"] = lambda pair: OPTION[scheduler](*pair)
    return environment.get_template(f"{scheduler}.sh.j2")
