"""`<key>.provenance`: what a run ran on and with, as its job script wrote it down.

One fact a line: `section<TAB>name<TAB>value`; backslash, newline, tab and carriage return stand in values as `\\`,
`\\n`, `\\t` and `\\r`. The sections are `host`, `hardware`, `software`, `module`, `repository` and `environment`.
"""

import re
from dataclasses import dataclass

MOST_FACTS, MOST_CHARACTERS = 5000, 20_000
"""Of a file that are kept: a job's environment is in the hands of whoever submits it."""
MOST_BYTES = 8 * 2**20
SECTIONS = ("host", "hardware", "software", "module", "repository", "environment")
LEFT_OUT = "(left out)"
"""What stands for the value of an environment variable that may be a secret."""
_ESCAPED = re.compile(r"\\([\\ntr])")
_MEANING = {"\\": "\\", "n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True)
class Fact:
    """One thing that is known of a run: as hostile as the machine it comes from."""

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
