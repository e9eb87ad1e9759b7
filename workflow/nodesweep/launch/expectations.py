"""What a launcher expects of the runs that are not over: how long they take, learned from those that are."""

import time
from collections.abc import Iterable, Mapping

from nodesweep.common.outcomes import is_result
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.sweep.study import Study

from .decisions import Decisions
from .eta import OpenRun, RunTimes, time_left
from .forecasts import ExpectedRun


class Expectations:
    """Time left of a sweep's runs; `decisions` has the forecasts, without which every run is like the others."""

    def __init__(self, study: Study, decisions: Decisions | None):
        self._study = study
        self._decisions = decisions
        self._times = RunTimes()

    def expected(self, slug: str) -> ExpectedRun | None:
        """What the run of a layout is foreseen to take; None for one that the sweep no longer holds."""
        if self._decisions is None or slug not in self._study.runs:
            return None
        return self._decisions.forecasts.expected_run(slug)

    def ended(self, slug: str, record: TerminalRecord) -> None:
        """Learn from how long a run that did its work took."""
        if self._decisions is not None and is_result(record.outcome) and (seconds := record.run_seconds) is not None:
            self._times.add(seconds, self.expected(slug))

    def seconds_left(self, running: Mapping[str, float], left: Iterable[str], others: int) -> float | None:
        """An estimate of the seconds until all are done; None while nothing runs, or nothing is known.

        `running`: since when which layouts run, by the monotonic clock; `left`: all that are not done; `others`: how
        many more there will be.
        """
        if not running:
            return None
        now = time.monotonic()
        runs = {slug: OpenRun(now - since) for slug, since in running.items()}
        return time_left(self._times, self.expected, runs, [slug for slug in left if slug not in runs], others).seconds
