"""The dump of its arguments that a trainer prints when it starts."""

import re
from dataclasses import dataclass, field

from ..text import plain
from .megatron import ARGUMENT, BARE_NAME
from .prefixes import Peeled

MOST_LINES = 4000
STRANGERS = 40
_NEOX_END = re.compile(r"\.{0,60}(?:updated|default)$")
_SETTING = re.compile(r"\| (\w{1,80}): ([\w.+-]{1,80})(?=\s|$)")
_CUT = re.compile(r" {0,4}\w{0,80}(?: \.{0,60})?$")


@dataclass
class ArgumentDump:
    """Arguments so far. While `open`, every line may be one; a dump closes at its end or after many other lines.

    `count`: lines read as arguments, of the last dump.
    """

    arguments: dict[str, str] = field(default_factory=dict)
    open: bool = False
    count: int = 0
    _strangers: int = 0
    _cut: Peeled | None = None

    def begin(self) -> None:
        """A dump starts here; what an earlier run in the file printed no longer holds."""
        self.arguments.clear()
        self.count, self._strangers, self.open, self._cut = 0, 0, True, None

    def resume(self) -> None:
        """Lines of a dump without its beginning."""
        self.open = True
        self._strangers = 0

    def take_settings(self, text: str) -> None:
        """Read the settings that a trainer prints between bars in the line in which it says that it starts."""
        self.arguments |= {match[1]: match[2] for match in _SETTING.finditer(text)}

    def take(self, line: Peeled) -> bool:
        """Read one line; whether it is an argument. One that srun tore in two is joined with its other half."""
        halves = self._cut
        self._cut = None
        if halves is not None and halves.label == line.label and self._argument(halves.body + line.body):
            return True
        if self._argument(line.body):
            return True
        if line.label is not None and _CUT.match(line.body) and line.body.strip():
            self._cut = line
        self._strangers += 1
        self.open = self._strangers < STRANGERS and self.count < MOST_LINES
        return False

    def _argument(self, text: str) -> bool:
        match = ARGUMENT.match(text)
        if match is None or not (match["dots"] or len(match["name"]) >= BARE_NAME):
            return False
        self.arguments[match["name"]] = plain(_NEOX_END.sub("", match["value"].rstrip()))
        self.count += 1
        self._strangers = 0
        return True
