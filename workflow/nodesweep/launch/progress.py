"""How far a launcher is, and what it tells while it works: one line an event, a number for many alike."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from nodesweep.common.durations import in_words

MOST_TOLD = 10


@dataclass(frozen=True)
class LaunchProgress:
    """How far a launcher is: of `total` layouts so many are done with; `left_seconds` is an estimate.

    `outcomes`: how many ended how, and how many are left to the user, which are not done. `counted`: what is counted,
    where a sweep repeats its layouts `runs`. `may_end_early`: whether runs may take less than estimated, as their
    iterations may be enough before they are all done.
    """

    done: int
    total: int
    running: int
    queued: int
    outcomes: Mapping[str, int] = field(default_factory=dict)
    left_seconds: float | None = None
    counted: str = "layouts"
    may_end_early: bool = False

    @property
    def line(self) -> str:
        """How many are done, and the counts in words.

        >>> LaunchProgress(3, 4, 1, 0, {"ok": 3}, counted="runs").line
        '3 of 4 runs done: 1 running, 3 ok'
        """
        return f"{self.done} of {self.total} {self.counted} done: {self.words}"

    @property
    def words(self) -> str:
        """Counts in words, the estimate last.

        >>> LaunchProgress(3, 9, 2, 0, {"ok": 2, "oom": 1}, 130).words
        '2 running, 4 waiting, 2 ok, 1 oom, about 2 min left'
        >>> LaunchProgress(3, 9, 1, 0, {"ok": 8}, 130, may_end_early=True).words
        '1 running, 8 ok, about 2 min left, less where iterations are enough'
        """
        waiting = self.total - sum(self.outcomes.values()) - self.running - self.queued
        counts = {"running": self.running, "queued": self.queued, "waiting": waiting, **self.outcomes}
        words = [f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count > 0]
        if self.left_seconds is not None and self.done < self.total:
            words.append(f"about {in_words(self.left_seconds)} left")
            words += ["less where iterations are enough"] if self.may_end_early else []
        return ", ".join(words)


class EventLines:
    """Passes on one line an event; of many alike only their number, while each is noted.

    `tell` is for what a user should see, `note` for the full log alone.
    """

    def __init__(self, tell: Callable[[str], None], note: Callable[[str], None] | None = None):
        self._tell = tell
        self._note = note or (lambda line: None)
        self._counts: Counter[str] | None = None

    def __call__(self, line: str) -> None:
        """Tell an event."""
        self._tell(line)

    def one_of_many(self, kind: str, line: str) -> None:
        """Tell an event of which there may be many; `kind` in words behind a number of jobs."""
        if self._counts is None:
            self._tell(line)
        else:
            self._counts[kind] += 1
            self._note(line)

    @contextmanager
    def held_back(self) -> Iterator[list[str]]:
        """Keep the lines that are told meanwhile, for whoever tells them later."""
        lines: list[str] = []
        tell, self._tell = self._tell, lines.append
        try:
            yield lines
        finally:
            self._tell = tell

    @contextmanager
    def counted(self, expected: int) -> Iterator[None]:
        """Tell the number of what is alike, where up to so many events are expected and that is too many to tell."""
        self._counts = Counter() if expected > MOST_TOLD else None
        try:
            yield
        finally:
            counts, self._counts = self._counts, None
            for kind, count in (counts or {}).items():
                self._tell(f"{count} jobs {kind}")
