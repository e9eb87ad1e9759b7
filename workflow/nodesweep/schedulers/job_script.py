"""Layout + machine + workload → the text of one native batch script."""

import hashlib
import re
import shlex
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from nodesweep.common import secrets
from nodesweep.common.errors import ConfigError
from nodesweep.common.files import regular_head
from nodesweep.config.expressions import filled
from nodesweep.config.layout_fields import GIVEN, PARALLEL
from nodesweep.config.loader import REPOSITORY
from nodesweep.schedulers import SCHEDULERS, TEMPLATES
from nodesweep.sweep.constraints import product_in_words, with_defaults
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.template_values import context_of, environment_of

from .base import SchedulerRow
from .directives import clock, in_quotes, options, quoted
from .setup_lines import setup_lines

PROVENANCE = "provenance.sh"
"""The script that every job script of a sweep calls; it stands in the sweep's folder, where compute nodes find it."""
_KEY = re.compile(rb"^# key:     ([\w-]{1,80})$", re.MULTILINE)
_HEAD_BYTES = 2000
_OTHER_LINES = frozenset(
    (*PARALLEL, "nodes", "micro_batch", "global_batch", "sequence_length", "activation_checkpointing", "recomputation")
)
"""Fields of a layout that the head of a script names in the product of the ranks or in the line on batches."""
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


def key_in(script: Path) -> str:
    """What `key_of` was when a job script was made; empty where there is no script, or one that does not say."""
    try:
        found = _KEY.search(regular_head(script, _HEAD_BYTES))
    except OSError:
        return ""
    return found[1].decode() if found else ""


def render(layout: Layout, sweep: str, folder: Path, places: Sequence[str] = ()) -> str:
    """The batch script of a layout whose files live in `folder`/layouts/<slug>; raises ConfigError.

    `places`: where each set-up line stands, the machine's before the workload's; "config" where left out.
    """
    directory = (folder / "layouts" / layout.slug).absolute()
    if not str(directory).isprintable():
        raise ConfigError(f"{str(directory)!r} holds a character that cannot stand in a job script; rename the folder")
    machine, workload = layout.machine, layout.workload
    scheduler = SCHEDULERS[machine.scheduler]
    context = {
        **context_of(layout.values(), layout),
        "slug": layout.slug,
        "python": sys.executable,
        "repository": str(REPOSITORY),
        "directory": str(directory),
    }
    text = _template(f"{machine.scheduler}.sh.j2").render(
        sweep=sweep,
        layout=layout,
        split=_split_in_words(layout),
        recomputed={"none": "off", "full": "on"}.get(layout.recomputation, layout.recomputation),
        machine=machine,
        key=key_of(folder, layout.slug),
        directory=str(directory),
        provenance=str((folder / PROVENANCE).absolute()),
        working_directory=str(Path.cwd()),
        setup=setup_lines(
            [_shell_line(line, context) for line in (*machine.setup, *workload.setup)],
            places,
        ),
        environment={name: filled(value, context) for name, value in sorted(environment_of(layout).items())},
        command=_command(layout, scheduler, context),
        versions={
            name: _shell_line(line, context) for name, line in sorted((machine.versions | workload.versions).items())
        },
        repositories=[filled(path, context) for path in workload.repositories],
        job_id_variable=scheduler.job_id_variable,
        options=scheduler.arrange(options(machine, context), layout),
        directive=scheduler.directive,
        queue=layout.queue.name if layout.queue else None,
        elapse_limit_seconds=layout.elapse_limit_seconds,
    )
    scheduler.check_script(text)
    return text


def _split_in_words(layout: Layout) -> str:
    """How the model is split over the ranks: the product that these are, and all else that has no line of its own."""
    fields = layout.fields()
    others = (row for row in GIVEN if row.name not in _OTHER_LINES and not row.is_default(fields[row.name]))
    product = product_in_words(with_defaults(vars(layout)), tuple(PARALLEL))
    return ", ".join([product, *(row.phrase(fields[row.name]) for row in others)])


def provenance_script() -> str:
    """The text of the script PROVENANCE, which knows where each scheduler names a job's nodes."""
    rows = SCHEDULERS.values()
    return _template(f"{PROVENANCE}.j2").render(
        node_file_variables=[row.node_file_variable for row in rows if row.node_file_variable],
        nodes_variables=[row.nodes_variable for row in rows if row.nodes_variable],
        secret_names=secrets.NAMES,
        secret_look=secrets.LOOK,
        left_out=secrets.LEFT_OUT,
    )


def _command(layout: Layout, scheduler: SchedulerRow, context: dict[str, Any]) -> list[str]:
    """The words of the launch: time limit where no scheduler keeps one, launcher, memory limit, workload's command."""
    machine = layout.machine
    limits: list[str] = []
    each_rank: list[str] = []
    if scheduler.time_limit_command and layout.elapse_limit_seconds is not None:
        limits = [*scheduler.time_limit_command, str(layout.elapse_limit_seconds)]
    if machine.enforce_memory:  # around each rank: a launcher does not hand its own limits to other nodes
        each_rank = ["bash", "-c", 'ulimit -d "$0" && exec "$@"', str(rank_memory_kib(layout))]
    launcher, command = (
        [word for word in (filled(word, context) for word in words) if word]
        for words in (machine.launcher, layout.workload.command)
    )
    return [*limits, *launcher, *each_rank, *command]


def rank_memory_kib(layout: Layout) -> int | None:
    """A rank's share of its node's memory in KiB; None where the machine names no limit."""
    node = layout.machine.memory_mib_per_node
    return None if node is None else int(node * 1024 / layout.ranks_per_node)


def _shell_line(line: str, context: dict[str, Any]) -> str:
    """A set-up line with its holes filled by quoted words."""
    return filled(line, {name: _quoted(value) for name, value in context.items()})


def _quoted(value: Any) -> Any:
    return shlex.quote(value) if isinstance(value, str) else value


def job_templates() -> list[Path]:
    """Templates of all scripts that a sweep's folder gets."""
    return sorted(TEMPLATES.glob("*.j2"))


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        comment_start_string="{##",  # not {#, by which Bash asks for a length: ${#names[@]}
        comment_end_string="##}",
        autoescape=False,  # shell, not HTML: every value goes through quote or quote_word
    )
    environment.filters["quote"] = lambda value: shlex.quote(str(value))
    environment.filters["quote_word"] = quote_word
    environment.filters["directive"] = quoted
    environment.filters["in_quotes"] = in_quotes
    environment.filters["clock"] = clock
    return environment.get_template(name)
