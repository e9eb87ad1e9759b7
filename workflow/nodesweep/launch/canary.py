"""The first runs of a sweep go ahead: where all of them fail in the same way at once, the others are not submitted."""

import re
from collections.abc import Iterable
from pathlib import Path

from nodesweep.common.outcomes import OUTCOMES, RETRIED
from nodesweep.common.text import plain
from nodesweep.logs.custom_format import format_of
from nodesweep.logs.tail import GrowingLog
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.schedulers.base import Scheduler
from nodesweep.sweep.study import Study

from .outputs import few_of
from .submission import Submission

NOT_SUBMITTED = "not submitted"
"""Where a layout stands that waits for the user to mend what made the first runs fail."""
_SAYS_NOTHING = (*RETRIED, "cancelled", "lost")
"""Outcomes that have their reasons outside the run."""


class Canary:
    """Lets `runs` jobs go ahead until one of them has done an iteration, or ended well; with 0, all go at once.

    `alarm`: why nothing more is to be submitted, empty until there is a reason. `is_over`: whether all may go.
    """

    def __init__(self, study: Study, scheduler: Scheduler, runs: int):
        self._study = study
        self._scheduler = scheduler
        self._runs = runs
        self._failures: list[str] = []
        self._logs: dict[Path, GrowingLog] = {}
        self.is_over = not runs
        self.alarm = ""

    def places(self, submissions: Iterable[Submission], free: int) -> int:
        """How many of so many free places may be filled, while these submissions are open."""
        if self.is_over:
            return free
        ahead = sum(not one.silent and not one.held for one in submissions)  # also those that are ending
        return min(free, self._runs - ahead - len(self._failures))

    def look(self, submissions: Iterable[Submission]) -> None:
        """Find out by the logs of running jobs whether one of them has done an iteration."""
        running = (one for one in submissions if not self.is_over and one.runs_since is not None)
        self.is_over = self.is_over or any(self._has_iterated(one) for one in running)

    def ended(self, record: TerminalRecord, earlier: bool = False) -> None:
        """Take in how a run ended; failures of an `earlier` launcher's runs may have been mended since."""
        outcome = OUTCOMES.get(record.outcome)
        if self.is_over or outcome is None or not outcome.ran or record.outcome in _SAYS_NOTHING:
            return
        if not outcome.runs_again or record.where.startswith("after iteration"):
            self.is_over = True
        elif not earlier:
            self._failures.append(_way_of_failing(record))
            if len(self._failures) == self._runs:
                self._judge(record)

    def _judge(self, last: TerminalRecord) -> None:
        """All that went ahead have failed: in one way, or each in its own."""
        self.is_over = True
        if len(set(self._failures)) == 1:
            first = "first run" if self._runs == 1 else f"first {self._runs} runs"
            reason = plain(last.evidence or last.scheduler_state, 200)
            self.alarm = f"the {first} failed in the same way, no iteration in the log ({last.outcome}: {reason})"

    def _has_iterated(self, submission: Submission) -> bool:
        layout = self._study.runs.get(submission.slug)
        form = format_of((layout or self._study.sweep).workload.log_format)
        paths = [path for path in few_of(self._scheduler.outputs(submission.job)) if path.is_file()]
        logs = [self._logs.setdefault(path, GrowingLog(path, form)) for path in paths]
        return any(log.look().iterations for log in logs)


def not_submitted_record(slug: str, alarm: str) -> TerminalRecord:
    """What is reported of a layout that waits; it goes into no file."""
    return TerminalRecord(slug=slug, attempt=0, outcome=NOT_SUBMITTED, evidence=alarm)


def _way_of_failing(record: TerminalRecord) -> str:
    """What is alike in two failures: outcome, exit code and evidence, but for numbers and what a layout is called."""
    evidence = record.evidence.replace(record.slug, "").replace(record.key, "")
    return f"{record.outcome} {record.exit_code} {re.sub(r'[0-9]+', '#', evidence)}"
