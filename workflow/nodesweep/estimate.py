"""How long a launcher will still take, by what its runs took and what is foreseen of the others."""

from collections.abc import Collection, Mapping
from typing import Any

from nodesweep.sweep.layout import Layout

from .decisions import Decisions
from .pace import Foreseen, Pace, foreseen, seconds_left
from .progress import Progress
from .records import seconds_of


class Estimate:
    """Learns from each run that went well, and says what is left."""

    def __init__(self, layouts: Mapping[str, Layout], decisions: Decisions | None):
        self._layouts = layouts
        self._decisions = decisions
        self._pace = Pace()

    def ended(self, slug: str, record: Mapping[str, Any]) -> None:
        """Take in how a run ended."""
        if record["outcome"] == "ok" and (seconds := seconds_of(record)) is not None:
            self._pace.ended(seconds, self._foreseen(slug))

    def progress(
        self, running: Mapping[str, float], opened: int, left: Collection[str], outcomes: dict[str, int], total: int
    ) -> Progress:
        """How far a launcher is that has so many jobs open, of which some run, for so many seconds.

        `left`: the layouts that were handed over and are not done with. `total`: how many will be handed over.
        """
        done = sum(outcomes.values())
        total = max(total, done + len(left))
        seconds = self._seconds_left(running, left, total - done - len(left)) if running and done < total else None
        return Progress(done, total, len(running), opened - len(running), outcomes, seconds)

    def _seconds_left(self, running: Mapping[str, float], left: Collection[str], unheard: int) -> float | None:
        """As many run at once as now; of `unheard` layouts nothing is known but their number."""
        runs = []
        for slug, seconds in running.items():
            expected = self._expected(slug)
            runs.append(None if expected is None else max(expected - seconds, 0.0))
        waits = [self._expected(slug) for slug in left if slug not in running]
        return seconds_left(runs, [*waits, *[None] * unheard], len(running))

    def _expected(self, slug: str) -> float | None:
        return self._pace.expected(self._foreseen(slug))

    def _foreseen(self, slug: str) -> Foreseen | None:
        layout = self._layouts.get(slug)
        if layout is None or self._decisions is None:
            return None
        return foreseen(layout, self._decisions.forecast(slug))
