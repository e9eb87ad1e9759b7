"""The situations of real sites: each is a function that plays one on a stage and says by assertions how it must end."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slurm.stage import Stage


@dataclass(frozen=True)
class Situation:
    """What happens, in words; `slow`: not for every run of the tests; `alone`: it disturbs all others on its cluster."""

    name: str
    words: str
    play: Callable[[Stage], None]
    slow: bool
    alone: bool


SITUATIONS: dict[str, Situation] = {}


def situation(words: str, *, slow: bool = False, alone: bool = False) -> Callable[[Callable[[Stage], None]], None]:
    """Enter a function under its name."""

    def enter(play: Callable[[Stage], None]) -> None:
        SITUATIONS[play.__name__] = Situation(play.__name__, words, play, slow, alone)

    return enter


def once(stage: Stage, config: Path, *, layouts: int = 1, outcome: str = "ok") -> None:
    """Each layout has started once, by one submission, and has its row in the table."""
    assert list(stage.starts(config).values()) == [1] * layouts, stage.starts(config)
    assert stage.events(config).count("intent") - stage.events(config).count("deferred") == layouts, stage.events(config)
    assert stage.outcomes(config) == [outcome] * layouts, stage.rows(config)
