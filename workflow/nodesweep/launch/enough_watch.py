"""Running jobs whose iterations are enough: their logs are read as they grow, and the jobs ended."""

from pathlib import Path

from nodesweep.common.errors import SchedulerAway
from nodesweep.config.sweep import EnoughIterations
from nodesweep.logs.custom_format import format_of
from nodesweep.logs.finest import with_finest_seconds
from nodesweep.logs.tail import GrowingLog
from nodesweep.performance.dimensions import Dimensions
from nodesweep.results.checks import amounts_of
from nodesweep.results.enough import done_enough, uncertainty
from nodesweep.schedulers.base import Job, Scheduler
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.study import Study

from . import journal
from .journal_events import Enough
from .outputs import few_of
from .progress import EventLines
from .submission import Submission


class EnoughWatch:
    """Ends running jobs that have done enough iterations, where the config says how many those are.

    The journal says so before a job is cancelled, so that a later launcher knows why it was. A cancel that the
    scheduler did not hear is given again at the next look. Of a log that is not read with certainty it is told, once,
    why its job goes on.
    """

    def __init__(self, study: Study, scheduler: Scheduler, tell: EventLines):
        self._study, self._scheduler, self._tell = study, scheduler, tell
        self._logs: dict[str, dict[Path, GrowingLog]] = {}
        self._told: set[str] = set()

    def look(self, submission: Submission) -> None:
        """End a running job if it has done enough. Raises DamagedFileError where the journal cannot be written."""
        slug, job, layout = submission.slug, submission.job, self._study.runs.get(submission.slug)
        if not submission.enough and layout is not None and (asked := layout.iterations.enough) is not None:
            submission.enough = self._enough_at(slug, job, layout, asked)
            if submission.enough:
                journal.append(self._study.journal(slug), Enough(key=job.key, iteration=submission.enough))
                self._tell(f"{slug}: {submission.enough} of {layout.iterations.total} iterations are enough; ending it")
        if submission.enough:
            self.end(submission)

    def end(self, submission: Submission) -> None:
        """Ask for the end of a job that has done enough."""
        try:
            self._scheduler.cancel([submission.job])
        except SchedulerAway as error:
            self._tell(f"{submission.slug}: job {submission.job.id} could not be ended: {error}; asking again")

    def forget(self, job: Job) -> None:
        """Drop what is known of the logs of a job that has ended."""
        self._logs.pop(job.key, None)
        self._told.discard(job.key)

    def _enough_at(self, slug: str, job: Job, layout: Layout, asked: EnoughIterations) -> int:
        """The number of iterations, counted from 1, that are enough; 0 where they are not, or nobody can tell."""
        form, logs = format_of(layout.workload.log_format), self._logs.setdefault(job.key, {})
        total, warmup, doubts = layout.iterations.total, layout.iterations.warmup, []
        for path in few_of(self._scheduler.outputs(job)):
            log = logs.setdefault(path, GrowingLog(path, form, whole=True))
            try:
                reading = log.look()
            except OSError:
                continue
            if not log.is_read:
                continue
            finest = with_finest_seconds(reading, amounts_of(Dimensions.of(layout)))
            if done_enough(finest, total, warmup, asked):
                return reading.iterations_done
            if len(reading.iterations) > asked.least and (doubt := uncertainty(finest, total)):
                doubts.append(f"{slug}: nobody can tell whether its iterations are enough: {doubt} [{path.name}]")
        if doubts and job.key not in self._told:
            self._told.add(job.key)
            self._tell(doubts[0])
        return 0
