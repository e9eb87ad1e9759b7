"""Two runs and the facts their jobs noted -> what differs: script, versions, commits, hardware, hosts, environment.

Folders, keys and slugs differ in any two runs and are taken out first. What belongs to the job itself, such as its
number, comes last; what is equal is only counted.
"""

import difflib
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nodesweep.common.markdown import inert, pipe_table
from nodesweep.common.numbers import UNKNOWN
from nodesweep.common.text import without_escapes
from nodesweep.config.parameters import parameter_fields
from nodesweep.config.tidy_row import TidyRow, TidyValue
from nodesweep.results.comparable import LAYOUT_COLUMNS
from nodesweep.results.environment import SECTIONS, Fact
from nodesweep.schedulers import SCHEDULERS

MOST_SCRIPT_LINES, MOST_ROWS, MOST_COLUMNS = 200, 100, 200
_OF_ROW = (
    "model",
    "campaign",
    "iterations_requested",
    "warmup_iterations",
    "outcome",
    "where",
    "allocated_nodes",
)
_TITLES = {
    "software": "Versions",
    "module": "Modules",
    "repository": "Commits",
    "hardware": "Hardware and clocks",
    "host": "Hosts",
    "environment": "Environment",
}
"""Headings of the sections of facts, in their order in a document."""
_SCHEDULER_VARIABLES = "|".join(
    f"{name}.*" if name.endswith("_") else name for row in SCHEDULERS.values() for name in row.variables
)
_OF_THE_JOB = re.compile(
    rf"environment\t({_SCHEDULER_VARIABLES}|(PMI|PMIX|OMPI|SSH|XDG)_.*|NODESWEEP_KEY|SHLVL|TMPDIR|OLDPWD|_)"
    r"|host\tload|hardware\t(clock MHz of thread 0|clock cur_kHz|gpu \d+ clocks.current.*)"
)
_LONG, _KEPT = 60, 20
"""Characters of a value that is shown whole, and those kept before the place where two long values part."""


@dataclass(frozen=True)
class NotedRun:
    """One run: its name, its row, its job script, empty where there is none, and the facts its job noted."""

    name: str
    row: TidyRow
    script: str
    facts: Sequence[Fact]


@dataclass(frozen=True)
class Difference:
    """One thing that is not equal in two runs; None where one of them does not have it."""

    name: str
    before: str | None
    after: str | None


def document(before: NotedRun, after: NotedRun) -> str:
    """All differences of two runs as markdown, what matters first."""
    sections, job, equal = _facts(before, after)
    layout = _rows(before, after)
    script = _script(before, after)
    parts = [f"# What differs between {inert(before.name)} and {inert(after.name)}"]
    unknown = [run.name for run in (before, after) if not run.facts]
    parts += [
        f"Nothing was noted of {inert(name)}: it ran before runs were noted, or left no file." for name in unknown
    ]
    parts += _section("Layout and end", layout)
    if script:
        parts += ["## Script", "\n".join(f"    {line}" for line in script)]
    for section, title in _TITLES.items() if not unknown else ():
        parts += _section(title, sections[section])
    parts += _section("Of the jobs themselves", job) if not unknown else []
    same = [f"{number} of {section}" for section, number in equal.items() if number] if not unknown else []
    parts.append(
        f"Equal: {'the script' if not script else ''}{', ' if not script and same else ''}{', '.join(same) or ''}."
    )
    if parts[-1] == "Equal: .":
        parts.pop()
    return "\n\n".join(parts) + "\n"


def _section(title: str, found: Sequence[Difference]) -> list[str]:
    if not found:
        return []
    rows = [[inert(_cut(one.name)), *_apart(one)] for one in found[:MOST_ROWS]]
    more = [f"{len(found) - MOST_ROWS} more."] if len(found) > MOST_ROWS else []
    return [f"## {title}", pipe_table(["", "Before", "After"], rows, frozenset({"", "Before", "After"})), *more]


def _apart(one: Difference) -> list[str]:
    """Both values as cells; long ones begin a little before the place where they part."""
    before, after = one.before, one.after
    if before is not None and after is not None and max(len(before), len(after)) > _LONG:
        differs = (at for at, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1])
        start = max(next(differs, min(len(before), len(after))) - _KEPT, 0)
        before, after = (("…" if start else "") + value[start:] for value in (before, after))
    return [UNKNOWN if value is None else inert(_cut(value)) or '""' for value in (before, after)]


def _cut(text: str) -> str:
    return text if len(text) <= MOST_COLUMNS else text[: MOST_COLUMNS - 1] + "…"


def _rows(before: NotedRun, after: NotedRun) -> list[Difference]:
    """What the rows of results.csv say of the layouts, and of how the runs ended."""
    return [
        Difference(name, _text(before.row.get(name)), _text(after.row.get(name)))
        for name in (*LAYOUT_COLUMNS, *parameter_fields([before.row, after.row]), *_OF_ROW)
        if before.row.get(name) != after.row.get(name)
    ]


def _text(value: TidyValue) -> str | None:
    return None if value is None else str(value)


def _facts(before: NotedRun, after: NotedRun) -> tuple[dict[str, list[Difference]], list[Difference], dict[str, int]]:
    """Differing facts by section, facts of the jobs themselves, and the number of equal facts by section."""
    old, new = ({(f.section, f.name): hidden(run, f.value) for f in run.facts} for run in (before, after))
    sections: dict[str, list[Difference]] = {section: [] for section in SECTIONS}
    job, equal = [], dict.fromkeys(_TITLES, 0)
    for section, name in sorted({*old, *new}):
        values = old.get((section, name)), new.get((section, name))
        if values[0] == values[1]:
            equal[section] += 1
        elif _OF_THE_JOB.fullmatch(f"{section}\t{name}"):
            job.append(Difference(name, values[0], values[1]))
        else:
            sections[section].append(Difference(name, values[0], values[1]))
    return sections, job, equal


def _script(before: NotedRun, after: NotedRun) -> list[str]:
    """The unified diff of the job scripts, inert; empty where they are equal or one is not known."""
    if not before.script or not after.script:
        return []
    old, new = (hidden(run, run.script).splitlines() for run in (before, after))
    lines = list(difflib.unified_diff(old, new, "before", "after", lineterm="", n=2))
    more = [f"... {len(lines) - MOST_SCRIPT_LINES} more lines"] if len(lines) > MOST_SCRIPT_LINES else []
    return [_inert_line(line) for line in lines[:MOST_SCRIPT_LINES]] + more


def _inert_line(line: str) -> str:
    """A line of code that is safe to show in a terminal."""
    line = without_escapes(line).expandtabs(4)
    return _cut("".join(character if character.isprintable() else "?" for character in line))


def hidden(run: NotedRun, text: str) -> str:
    """A text with placeholders for what differs in every run: folder and slug of the layout, key, folder of the start.

    The values are read from the script; a copied folder has a script with the paths of the original.
    """
    for value, word in _own_words(run):
        text = text.replace(value, word)
    return text


def _own_words(run: NotedRun) -> Iterable[tuple[str, str]]:
    found = []
    for pattern, word in (
        (r"^directory=(.+)$", "{directory}"),
        (r"^# key: +(\S+)$", "{key}"),
        (r"^cd -- (.+)$", "{started in}"),
    ):
        match = re.search(pattern, run.script, re.MULTILINE)
        try:
            value = shlex.split(match[1])[0] if match else ""
        except (ValueError, IndexError):
            value = ""
        if len(value) > 3:
            found.append((value, word))
    if slug := run.row.get("slug"):
        found.append((str(slug), "{slug}"))
    return found
