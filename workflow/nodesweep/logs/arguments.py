"""The dump of its arguments that a trainer prints when it starts."""

import re
from dataclasses import dataclass, field

from nodesweep.common.text import plain
from nodesweep.logs.patterns.prefixes import Peeled
from nodesweep.logs.patterns.regex import Pattern

ARGUMENT = Pattern(r"^ {0,4}(?P<name>[A-Za-z_]\w{0,80}) (?P<dots>\.{0,60}) (?P<value>[^\n]{0,4000})")
BARE_NAME = 24
"""Names at least so long may stand in a dump without dots: they leave no room for any."""
MOST_LINES = 4000
MOST_OTHER_LINES = 40
_NEOX_END = re.compile(r"\.{0,60}(?:updated|default)$")


def _continues(before: Peeled, line: Peeled) -> bool:
    """Whether two lines may be one that srun tore, with nothing but its label in the middle."""
    if not line.body.strip() or line.body.startswith("----"):
        return False
    return not line.body.startswith(" ") or (len(line.prefix) < len(before.prefix))


@dataclass
class ArgumentDump:
    """Arguments so far. While `open`, every line may be one; a dump closes at its last line or after many other lines.

    `count`: lines read as arguments, of the last dump. `lines`: where each argument stands.
    `whole`: whether its first and its last line were seen.
    """

    arguments: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    open: bool = False
    whole: bool = False
    count: int = 0
    _has_begun: bool = False
    _other_lines: int = 0
    _before: dict[str, Peeled] = field(default_factory=dict)

    def begin(self) -> None:
        """Begin a dump; arguments of an earlier run in the file no longer count."""
        self.arguments.clear()
        self.lines.clear()
        self.count, self._other_lines, self.open, self._before = 0, 0, True, {}
        self.whole, self._has_begun = False, True

    def end(self) -> None:
        """Come to the last line of a dump."""
        self.open, self.whole = False, self._has_begun and self.count > 0

    def resume(self) -> None:
        """Go on with a dump whose first line is missing."""
        self.open = True
        self._other_lines = 0

    def take(self, line: Peeled, number: int) -> bool:
        """Read a line; whether it is an argument. One that srun tore in two is joined with its other half."""
        if line.label is not None:
            before, self._before[line.label] = self._before.get(line.label), line
            if before is not None and _continues(before, line) and self._argument(before.body + line.body, number):
                self._before[line.label] = before._replace(body=before.body + line.body)
                return True
        if self._argument(line.body, number):
            return True
        self._other_lines += 1
        self.open = self._other_lines < MOST_OTHER_LINES and self.count < MOST_LINES
        return False

    def _argument(self, text: str, number: int) -> bool:
        match = ARGUMENT.match(text)
        if match is None or not (match["dots"] or len(match["name"]) >= BARE_NAME):
            return False
        self.arguments[match["name"]] = plain(_NEOX_END.sub("", match["value"].rstrip()))
        self.lines[match["name"]] = number
        self.count += 1
        self._other_lines = 0
        return True
