"""The runs of each layout: in which order they come, and which of them need not be."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from nodesweep.common.outcomes import OUTCOMES, RETRIED, is_result
from nodesweep.config.repeats import Repeats
from nodesweep.results.times_of_runs import TimesOfRuns
from nodesweep.sweep.layout import Layout

_SAYS_NOTHING = (*RETRIED, "cancelled", "lost", "unread")
"""Outcomes after which another run of the layout may well go otherwise."""


def round_places(runs: Mapping[str, Layout], seed: int) -> dict[str, float]:
    """The places of the second and later runs: round by round, each in an order of its own that the seed decides.

    The order of a round does not depend on what other layouts the sweep has.
    """

    def drawn(run: Layout) -> tuple[int, str]:
        return run.repeat, hashlib.sha256(f"{seed} {run.repeat} {run.row}".encode()).hexdigest()

    later = sorted((run for run in runs.values() if run.repeat > 1), key=drawn)
    return {run.slug: float(place) for place, run in enumerate(later)}


@dataclass
class RepeatsProgress:
    """What the runs of each layout have come to, by which later ones are judged."""

    repeats: Repeats
    runs: Mapping[str, Layout]
    _outcomes: dict[str, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    _seconds: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))

    def ended(self, slug: str, outcome: str, seconds: float | None) -> None:
        """Take in how a run ended, and its seconds per iteration where they are known."""
        run = self.runs[slug]
        self._outcomes[run.row][run.repeat] = outcome
        self._seconds[run.row].pop(run.repeat, None)
        if seconds is not None and is_result(outcome):
            self._seconds[run.row][run.repeat] = seconds

    def reopened(self, slug: str) -> None:
        """Take in that a run is made again, so that its end tells nothing."""
        run = self.runs[slug]
        self._outcomes[run.row].pop(run.repeat, None)
        self._seconds[run.row].pop(run.repeat, None)

    def typical_seconds(self, slug: str) -> float | None:
        """The median of the times of a layout's runs; None before one is known."""
        seconds = self._seconds[self.runs[slug].row].values()
        return median(seconds) if seconds else None

    def needless(self, slug: str) -> str:
        """Why a run need not be: an earlier one failed, or they agree well enough; empty where it is to be."""
        run = self.runs[slug]
        outcomes = self._outcomes[run.row]
        for number in range(1, run.repeat):
            outcome = outcomes.get(number, "ok")
            if not is_result(outcome) and outcome in OUTCOMES and outcome not in _SAYS_NOTHING:
                return f"{run.repeated(number).slug} ended {outcome}; a run that fails is not repeated"
        seconds, wanted = self._seconds[run.row].values(), self.repeats.until_percent
        if wanted is None or run.repeat <= self.repeats.at_least or len(seconds) < self.repeats.at_least:
            return ""
        found = TimesOfRuns.of(list(seconds))
        if found.reach_percent > wanted:
            return ""
        return f"until_percent {wanted:g} is reached: {found.words}"

    def waits(self, slug: str) -> str:
        """What a run waits for that may turn out to be needless; empty where it need not wait."""
        run = self.runs[slug]
        if self.repeats.until_percent is None or run.repeat <= self.repeats.at_least:
            return ""
        missing = [number for number in range(1, run.repeat) if number not in self._outcomes[run.row]]
        return f"waits for the end of {run.repeated(missing[0]).slug}" if missing else ""
