"""Fields of a layout that stand in the names of files and folders: `n{nodes}-mp{tensor}`."""

import re
from dataclasses import dataclass
from typing import Any

from nodesweep.common.errors import NodesweepError
from nodesweep.config.log_format import compiled
from nodesweep.importers.layout_values import TOLD_FIELDS

from .fields import JobValues, parsed

LONGEST = 200
_HOLE = re.compile(r"\{([a-z_]{0,40})\}")
_OF_KIND = {
    "count": r"[0-9]{1,10}",
    "number": r"[0-9]{1,4}(?:\.[0-9]{1,4})?",
    "yes_no": r"[A-Za-z]{1,5}|[01]",
    "word": r"[A-Za-z0-9]{1,80}",
}


@dataclass(frozen=True)
class PathTemplate:
    """A pattern of paths with holes for fields; searches take time linear in a path's length.

    `pattern`: a compiled pattern of re2, which has no types.
    """

    text: str
    pattern: Any

    @classmethod
    def of(cls, text: str) -> "PathTemplate":
        """Read a template: names in braces are fields, `*` stands for any text; raises NodesweepError."""
        names = _HOLE.findall(text)
        unknown = [name for name in names if name not in TOLD_FIELDS]
        if len(text) > LONGEST or not names or unknown or len(set(names)) < len(names):
            fault = f"unknown field {unknown[0]!r}" if unknown else "each field once, one at least"
            raise NodesweepError(f"--pattern {text!r:.80}: {fault}; fields: {', '.join(TOLD_FIELDS)}")
        parts = _HOLE.split(text)
        pieces = [
            f"(?P<{part}>{_OF_KIND[TOLD_FIELDS[part].kind]})"
            if number % 2
            else "[^/]*".join(map(re.escape, part.split("*")))
            for number, part in enumerate(parts)
        ]
        begin = "(?:^|[^A-Za-z0-9])" if text[0].isalnum() else ""
        end = "(?:[^0-9]|$)" if text.endswith("}") else ""
        try:
            return cls(text, compiled(begin + "".join(pieces) + end))
        except ValueError:
            raise NodesweepError(f"--pattern {text!r:.80}: holds characters that no path has") from None

    def fields(self, path: str) -> JobValues | None:
        """The fields in a path, None where it does not fit; raises NodesweepError for a value that cannot be."""
        match = self.pattern.search(path)
        if match is None:
            return None
        return {name: parsed(name, value, path) for name, value in match.groupdict().items()}
