"""Options of a scheduler that nodesweep's own directives say already, so that no machine may say them too."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_NAME_IN_VALUE = re.compile(r"(?:^|,)\s*([A-Za-z][\w-]{0,63})")


@dataclass(frozen=True)
class OwnOptions:
    """The options of a scheduler that are nodesweep's own.

    `reasons`: why each is, and the way out, by its names in one text, such as "output o". `with_queues`: names that a
    machine may give only where it has no `queues`. `holders`: options whose value names options itself, as `-l
    walltime=1:00:00` does. `shortened`: whether the scheduler takes the beginning of a long name for it.
    """

    reasons: Mapping[str, str] = field(default_factory=dict)
    with_queues: str = ""
    holders: tuple[str, ...] = ()
    shortened: bool = False

    def refusal(self, name: str, values: tuple[str, ...], has_queues: bool) -> str | None:
        """Why a machine may not have an option with these values; None where it may."""
        for said in self._names(name, values):
            for names, reason in self._rules(has_queues):
                owned = next((one for one in names.split() if self._means(said, one)), None)
                if owned is not None:
                    meant = "" if owned == name else f"{said}: " if owned == said else f"it may be taken for {owned}: "
                    return meant + reason
        return None

    def _rules(self, has_queues: bool) -> Iterator[tuple[str, str]]:
        yield from self.reasons.items()
        if has_queues:
            yield self.with_queues, "`queues` of the machine say it; take this out, or leave queues out"

    def _means(self, said: str, owned: str) -> bool:
        return said == owned or (self.shortened and len(said) > 1 and owned.startswith(said))

    def _names(self, name: str, values: tuple[str, ...]) -> Iterator[str]:
        yield name
        if name in self.holders:
            for value in values:
                yield from _NAME_IN_VALUE.findall(value)
