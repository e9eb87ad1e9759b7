"""What a job found where it ran, as its script wrote it down: one fact a line."""

import re
from dataclasses import dataclass

MOST_FACTS = 2000
_ESCAPED = {"\\\\": "\\", "\\n": "\n", "\\t": "\t", "\\r": "\r"}


@dataclass(frozen=True)
class Fact:
    """One fact: its section (host, hardware, software, module, repository, environment), its name and its value."""

    section: str
    name: str
    value: str


def facts_of(text: str) -> tuple[Fact, ...]:
    """The facts of a file; lines that are none are left out.

    >>> facts_of("host\\tname\\tn1\\nhost\\tsaid\\ta\\\\tb\\n?\\n")[1]
    Fact(section='host', name='said', value='a\\tb')
    """
    found = []
    for line in text.split("\n"):
        parts = line.split("\t", 2)
        if len(parts) == 3 and len(found) < MOST_FACTS:
            found.append(Fact(*(re.sub(r"\\[\\ntr]", lambda match: _ESCAPED[match[0]], part) for part in parts)))
    return tuple(found)
