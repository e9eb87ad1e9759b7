"""Limits on how many jobs may be submitted: which layouts the scheduler takes now, and which only later, if ever."""

import re
from collections import Counter, defaultdict

from nodesweep.common.files import regular_head
from nodesweep.schedulers import SCHEDULERS
from nodesweep.schedulers.base import SCRIPT_BYTES
from nodesweep.sweep.study import Study

from .backoff import Backoff

_IN_A_ROW = 3
"""Layouts refused one after the other without a clear reason, until that is taken for a limit on all of their kind."""
_ALONE = 6
"""Refusals of a layout without a clear reason, no job of the sweep being there, that are taken to be for ever."""


class SubmitLimits:
    """Which layouts of one study the scheduler takes, by what it said when it took none.

    Layouts whose scripts name one partition, QOS, account and the like share their limits: where one of them finds the
    queue full the others wait with it, and no others. A layout that was refused without a clear reason waits for itself
    alone.
    """

    def __init__(self, study: Study, seconds: float) -> None:
        self._study = study
        self._backoffs: defaultdict[str, Backoff] = defaultdict(lambda: Backoff(seconds))
        self._shared: dict[str, str] = {}
        self._doubtful: Counter[str] = Counter()
        self._in_a_row: Counter[str] = Counter()

    def of(self, slug: str) -> str:
        """A name for the limits that hold for a layout."""
        return slug if slug in self._doubtful else self._shared_by(slug)

    def is_full(self, limits: str) -> bool:
        """Whether no job under these limits can be submitted for now."""
        return limits in self._backoffs and self._backoffs[limits].failures > 0 and not self._backoffs[limits].due

    def accepted(self, slug: str) -> None:
        """Note that a layout was submitted."""
        self._doubtful.pop(slug, None)
        self._in_a_row.pop(self._shared_by(slug), None)
        self._backoffs[self._shared_by(slug)].succeeded()

    def crowded(self, slug: str) -> bool:
        """Note that too many jobs are queued for a layout to be submitted; whether that is news."""
        for limits in {self._shared_by(slug), self.of(slug)}:
            self._backoffs[limits].failed()
        return self._backoffs[self._shared_by(slug)].failures == 1

    def doubtful(self, slug: str, queue_is_empty: bool) -> bool:
        """Note that a layout was refused, for now or for ever; whether it is to be taken for ever."""
        shared = self._shared_by(slug)
        if slug not in self._doubtful:
            self._in_a_row[shared] += 1
            if self._in_a_row[shared] >= _IN_A_ROW:
                self._backoffs[shared].failed()
        self._doubtful[slug] += queue_is_empty
        self._backoffs[slug].failed()
        return self._doubtful[slug] >= _ALONE

    def _shared_by(self, slug: str) -> str:
        if slug not in self._shared:
            self._shared[slug] = self._read(slug)
        return self._shared[slug]

    def _read(self, slug: str) -> str:
        """The directives of a layout's script that choose whose limits hold for it."""
        pattern = SCHEDULERS[self._study.sweep.machine.scheduler].limited_by
        try:
            script = regular_head(self._study.script(slug), SCRIPT_BYTES).decode(errors="replace") if pattern else ""
        except OSError:
            return ""  # submitting it will tell
        return "".join(re.findall(pattern, script))
