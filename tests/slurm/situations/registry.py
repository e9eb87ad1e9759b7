"""The situations of real sites: each is a function that plays one on a stage and says by assertions how it must end."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from slurm.stage import Stage


@dataclass(frozen=True)
class Situation:
    """`words`: what happens; `slow`: not for every run of the tests; `alone`: it disturbs all others on its cluster."""

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


def play_all(play: Callable[[Situation], None], names: Iterable[str], at_once: int) -> dict[str, Future[None]]:
    """Play situations side by side; those that disturb others come afterwards, one by one."""
    chosen = [SITUATIONS[name] for name in names]
    together, pool = ThreadPoolExecutor(at_once), ThreadPoolExecutor(1)
    played = {one.name: together.submit(play, one) for one in chosen if not one.alone}

    def after_all(one: Situation) -> None:
        wait(others)
        play(one)

    others = list(played.values())
    return played | {one.name: pool.submit(after_all, one) for one in chosen if one.alone}


def once(stage: Stage, config: Path, *, layouts: int = 1, outcome: str = "ok") -> None:
    """Each layout has started once, by one submission, and has its row in the table."""
    starts, events = stage.starts(config), stage.events(config)
    assert list(starts.values()) == [1] * layouts, starts
    assert events.count("intent") - events.count("deferred") == layouts, events
    outcomes = stage.outcomes(config)
    assert outcomes == [outcome] * layouts, outcomes
