"""Reads the environment of a run, what it ran on and with, from the `<key>.provenance` that its job script wrote.

One fact a line: `section<TAB>name<TAB>value`; backslash, newline, tab and carriage return stand in values as `\\`,
`\\n`, `\\t` and `\\r`. The sections are `host`, `hardware`, `software`, `module`, `repository` and `environment`.
"""

import re
from dataclasses import dataclass

from nodesweep.common.units import MIB

MOST_FACTS, MOST_CHARACTERS = 5000, 20_000
"""Facts of a file, and characters of a name or value, that are kept: whoever submits a job decides its environment."""
MOST_BYTES = 8 * MIB
SECTIONS = ("host", "hardware", "software", "module", "repository", "environment")
_ESCAPED = re.compile(r"\\([\\ntr])")
_MEANING = {"\\": "\\", "n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True)
class Fact:
    """One thing that a job script noted of a run; names and values are text from elsewhere, unchecked."""

    section: str
    name: str
    value: str


def facts_of(text: str) -> tuple[Fact, ...]:
    """The facts of a file, in its order; lines of another form, without an end, or beyond the bounds are passed over.

    >>> facts_of("host\\tname\\tn1\\nmodule\\tgcc\\t12.2\\nnonsense\\n")[1]
    Fact(section='module', name='gcc', value='12.2')
    """
    found = []
    for line in text[:MOST_BYTES].split("\n")[:-1]:
        section, _, rest = line.partition("\t")
        name, tab, value = rest.partition("\t")
        if section in SECTIONS and name and tab:
            value = _ESCAPED.sub(lambda match: _MEANING[match[1]], value)
            found.append(Fact(section, name[:MOST_CHARACTERS], value[:MOST_CHARACTERS]))
            if len(found) == MOST_FACTS:
                break
    return tuple(found)
