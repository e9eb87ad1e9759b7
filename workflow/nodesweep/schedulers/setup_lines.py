"""Set-up lines of a config as the commands that a job script runs one after the other, each with its place."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from nodesweep.common.errors import ConfigError
from nodesweep.common.text import plain
from nodesweep.config.loader import Key, dotted
from nodesweep.config.origins import Origins
from nodesweep.config.sweep import Sweep
from nodesweep.sweep.expand import conditions
from nodesweep.sweep.layout import Layout

_PARSE_SECONDS = 20.0


@dataclass(frozen=True)
class SetupLine:
    """A whole command of a set-up; `text` has several lines where it takes several lines of the config.

    `number`: of its first line, from 1, the machine's before the workload's. `place`: file and line of that.
    """

    number: int
    place: str
    text: str


def setup_places(sweep: Sweep, layout: Layout, origins: Origins) -> list[str]:
    """Where each set-up line of a layout stands, `file:line`, the machine's before the workload's."""
    return [origins.place(key) or dotted(key) for key in _keys(sweep, layout)]


def _keys(sweep: Sweep, layout: Layout) -> Iterator[Key]:
    """The keys of a layout's set-up lines: under `when` where that replaces those of the sweep."""
    for kind, lines in (("machine", layout.machine.setup), ("workload", layout.workload.setup)):
        above: Key = (kind,)
        if lines and any("setup" in getattr(entry, kind) for entry in sweep.when):
            for number in conditions(sweep, layout):
                if "setup" in getattr(sweep.when[number], kind):
                    above = ("when", number, kind)
        yield from ((*above, "setup", number) for number in range(len(lines)))


def setup_lines(lines: Sequence[str], places: Sequence[str] = ()) -> list[SetupLine]:
    """The commands that these lines make; raises ConfigError for what Bash cannot read."""
    found: list[SetupLine] = []
    places = places or ["config"] * len(lines)
    first, complaint = 0, ""
    for end in range(1, len(lines) + 1):
        text = "\n".join(lines[first:end])
        complaint = _unreadable(text)
        if not complaint:
            found.append(SetupLine(first + 1, places[first], text))
            first = end
    if first < len(lines):
        raise ConfigError(f"{places[first]}: set-up line {first + 1} is no shell code: {complaint}; mend it")
    return found


@cache
def _unreadable(text: str) -> str:
    """Why Bash does not take a text as whole commands; empty where it does, or where there is no Bash to ask."""
    bash = shutil.which("bash")
    if bash is None:
        return ""
    if (len(text) - len(text.rstrip("\\"))) % 2:
        return "it ends with a backslash, and no line follows"
    parsed = subprocess.run(
        [bash, "-O", "extglob", "-n"],
        input=text,
        env={"LC_ALL": "C"},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_PARSE_SECONDS,
    )
    return plain(parsed.stderr, 200) if parsed.returncode or "here-document" in parsed.stderr else ""
