"""What a config says of a trainer, and the trainer's command otherwise."""

from collections import Counter
from collections.abc import Callable, Iterable

from nodesweep.config.loader import Key
from nodesweep.sweep.command_checks import contradictions
from nodesweep.sweep.layout import Layout


def contradictory_settings(layouts: Iterable[Layout], where: Callable[[Key], str | None]) -> list[str]:
    """A sentence for each setting that the commands of layouts contradict, with how many; `where`: places of keys."""
    found = Counter(
        one.sentence(where(one.key) if one.key else None) for layout in layouts for one in contradictions(layout)
    )
    return [f"{sentence} ({count} layout{'' if count == 1 else 's'})" for sentence, count in found.items()]
