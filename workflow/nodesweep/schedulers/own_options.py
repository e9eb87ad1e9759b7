"""Options of a scheduler that nodesweep's own directives say already, so that no machine may say them too."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

_NAME_IN_VALUE = re.compile(r"(?:^|,)\s*([A-Za-z][\w-]{0,63})")


@dataclass(frozen=True)
class OwnOptions:
    """The options of a scheduler that are nodesweep's own.

    `reasons`: why each is, and the way out, by its names in one text, such as "output o". `beside`: names that are
    nodesweep's own where a machine gives a key that says the same, by that key. `holders`: options whose value names
    options itself, as `-l walltime=1:00:00` does. `shortened`: whether the scheduler takes the beginning of a long name
    for it.
    """

    reasons: Mapping[str, str] = field(default_factory=dict)
    beside: Mapping[str, str] = field(default_factory=dict)
    holders: tuple[str, ...] = ()
    shortened: bool = False

    def refusal(self, name: str, values: tuple[str, ...], given: Collection[str]) -> str | None:
        """Why a machine that gives these keys may not have an option with these values; None where it may."""
        for said in self._names(name, values):
            for names, reason in self._rules(given):
                owned = next((one for one in names.split() if self._means(said, one)), None)
                if owned is not None:
                    meant = "" if owned == name else f"{said}: " if owned == said else f"it may be taken for {owned}: "
                    return meant + reason
        return None

    def _rules(self, given: Collection[str]) -> Iterator[tuple[str, str]]:
        yield from self.reasons.items()
        for key, names in self.beside.items():
            if key in given:
                yield names, f"the machine says it by `{key}`; take this out, or leave {key} out"

    def _means(self, said: str, owned: str) -> bool:
        return said == owned or (self.shortened and len(said) > 1 and owned.startswith(said))

    def _names(self, name: str, values: tuple[str, ...]) -> Iterator[str]:
        yield name
        if name in self.holders:
            for value in values:
                yield from _NAME_IN_VALUE.findall(value)
