"""A layout that runs several times as a row that can be traced: each of its runs, and how figures follow from them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from nodesweep.common.numbers import four_figures
from nodesweep.results.combined_runs import MEDIANS, combined, results_of
from nodesweep.results.rows import LayoutRun
from nodesweep.results.table import build, to_csv

from .columns import COLUMNS, MEASURED, SAVED, axis
from .facts import LayoutFacts, Trace, cells_of
from .layout_row import TraceableLayout

_OF_ITS_JOB = ("state", "attempt", "job_id", "log", "allocated_nodes", "energy_joules", "power_watts")
_OF_THE_SHOWN = (*(name for name in MEASURED if name not in MEDIANS), *_OF_ITS_JOB)
_OVER_RUNS = {
    "runs": "how many of these runs did their work",
    "runs_ended": "how many of these runs have ended",
    "run_seconds_lowest": "the lowest of their seconds per iteration",
    "run_seconds_highest": "the highest of their seconds per iteration",
    "run_seconds_low": "by order statistics of their seconds per iteration (binomial; no distribution is assumed)",
    "run_seconds_high": "by order statistics of their seconds per iteration (binomial; no distribution is assumed)",
    "run_seconds_confidence_percent": "by the binomial distribution; of fewer than six runs that of all they span",
}


@dataclass(frozen=True)
class TraceableRepeats:
    """A layout of a sweep with its runs, in the order of their numbers."""

    runs: Sequence[TraceableLayout]

    @property
    def folder(self) -> Path:
        """The folder of the sweep's results."""
        return self.runs[0].folder

    @property
    def head(self) -> list[str]:
        """The folder of the layout, how many runs it has, and how each stands."""
        found = [f"{self.runs[0].study.directory(self.runs[0].slug)}/", f"{len(self.runs)} runs, each in its folder:"]
        for run in self._made:
            facts = self._facts_of(run)
            statistics = run.measurement.statistics if run.measurement else None
            time = f"; {four_figures(statistics.iteration_seconds)} s an iteration" if statistics else ""
            found.append(f"{run.layout.slug}: {facts.status}: {facts.outlook}{time}")
        return found

    def traces(self, columns: Iterable[str]) -> dict[str, Trace]:
        """Where the values of these columns come from."""
        return {name: self._trace(name) for name in columns}

    def values(self) -> dict[str, str]:
        """The cells of the row by column, by what is known now."""
        return cells_of(to_csv(build([self._combined])), self.runs[0].slug)

    def lines(self, numbers: set[int]) -> tuple[dict[int, str], list[str]]:
        """Lines of the log of the run that is shown as they are now."""
        return self._shown.lines(numbers)

    def _trace(self, name: str) -> Trace:
        if name in _OVER_RUNS:
            return Trace((_OVER_RUNS[name], *self._each("iteration_seconds")))
        if name in SAVED:
            notes = (f"{run.layout.slug}: {run.record.note or 'none'}" for run in results_of(self._made) if run.record)
            return Trace((f"sum over {len(results_of(self._made))} runs, whose notes are", *notes))
        if name == "shown_run":
            return Trace(("the run in the middle by its time; where none did its work, the first that has ended",))
        found = COLUMNS.get(name, axis(name))(self._facts)
        several = len(results_of(self._made)) > 1
        if name in MEDIANS and several:
            each = self._each(name)
            return Trace((f"median over {len(each)} runs of", *each)) if each else found
        if name.startswith("memory_") and several and (peaks := self._peaks()):
            return Trace(("the highest peak of", *peaks))
        if name in _OF_THE_SHOWN:
            return replace(found, sentences=(f"of {self._shown.slug}, the run that is shown", *found.sentences))
        return found

    def _each(self, name: str) -> list[str]:
        """The value of a statistic in each run that did its work, and where it was read."""
        told = []
        for run in results_of(self._made):
            assert run.measurement is not None and run.measurement.statistics is not None
            used = [run.measurement.series.line[place] for place in run.measurement.used]
            place = f"{run.layout.slug}/{run.measurement.log_name}:{used[0]}-{used[-1]}"
            value = getattr(run.measurement.statistics, name)
            told += [] if value is None else [f"{place}: {value!r}"]
        return told

    def _peaks(self) -> list[str]:
        runs = [(run.layout.slug, run.measurement.memory) for run in results_of(self._made) if run.measurement]
        return [f"{slug}: {peak.peak_mib!r} MiB ({peak.source})" for slug, peak in runs if peak is not None]

    @cached_property
    def _made(self) -> list[LayoutRun]:
        return [one.run for one in self.runs]

    @cached_property
    def _combined(self) -> LayoutRun:
        return combined(self._made)

    @property
    def _shown(self) -> TraceableLayout:
        """The run whose job, log and records stand in the row."""
        over = self._combined.over
        return next((one for one in self.runs if over and one.slug == over.shown), self.runs[0])

    def _facts_of(self, run: LayoutRun) -> LayoutFacts:
        return next(one.facts for one in self.runs if one.slug == run.layout.slug)

    @property
    def _facts(self) -> LayoutFacts:
        """What is known of the run that is shown, with the figures over all."""
        return replace(self._shown.facts, layout=self.runs[0].facts.layout, measurement=self._combined.measurement)
