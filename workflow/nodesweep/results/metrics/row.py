"""A row of results.csv with all that explains it, and the rows its speed is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from nodesweep.config.machine import Machine, PeakTflops, peak_of
from nodesweep.config.parameters import parameters_of, stack_of
from nodesweep.config.sweep import Sweep
from nodesweep.config.tidy_row import (
    TidyRow,
    count_of,
    number_of,
    text_of,
)
from nodesweep.config.workload import Workload
from nodesweep.performance.calibration import Calibration
from nodesweep.performance.calibration.memory_model import FittedPeak
from nodesweep.performance.calibration.observations import case_of, workload_of_row
from nodesweep.performance.calibration.time_model import FittedRun, TimeEstimate
from nodesweep.performance.dimensions import Dimensions
from nodesweep.results.scaling_kinds import KindName
from nodesweep.sweep.layout import Layout


@dataclass(frozen=True)
class ExplainedFigure:
    """A value, None where there is none, and where it comes from or why there is none, one sentence a line."""

    value: float | None
    sentences: tuple[str, ...]

    @classmethod
    def none(cls, reason: str) -> "ExplainedFigure":
        """No value, and the reason."""
        return cls(None, (reason,))

    @classmethod
    def by_formula(cls, value: float, formula: str, numbers: str, *more: str) -> "ExplainedFigure":
        """A value by a formula, with the numbers in it."""
        return cls(value, (formula, *more, f"= {numbers} = {value!r}"))


@dataclass(frozen=True)
class Basis:
    """What rows are explained by: settings and calibrations of a sweep, or nothing but themselves.

    `calibrations` by stack, a campaign and parameters; `layouts` by slug.
    """

    sweep: Sweep | None = None
    layouts: Mapping[str, Layout] = field(default_factory=dict)
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)

    @cached_property
    def runs(self) -> dict[str, dict[str, FittedRun]]:
        """Runs that the times of each campaign were fitted to, by name."""
        return {name: {run.name: run for run in found.runs} for name, found in self.calibrations.items()}

    @cached_property
    def peaks(self) -> dict[str, dict[str, FittedPeak]]:
        """Runs that the memory of each campaign was fitted to, by name."""
        return {name: {run.name: run for run in found.memory.runs} for name, found in self.calibrations.items()}


@dataclass(frozen=True)
class RowContext:
    """A row with all that its figures follow from; `bases`: those that its speed is compared with, by kind."""

    basis: Basis
    row: TidyRow
    bases: Mapping[KindName, TidyRow] = field(default_factory=dict)

    def number(self, column: str) -> float | None:
        """The number in a column of the row, None where it is not known."""
        return number_of(self.row, column)

    def count(self, column: str) -> int | None:
        """The whole number in a column of the row, None where it is not known."""
        return count_of(self.row, column)

    @property
    def seconds(self) -> float | None:
        """Seconds of an iteration."""
        return self.number("iteration_seconds")

    @property
    def layout(self) -> Layout | None:
        """The layout that the row is a run of; None for rows from elsewhere."""
        return self.basis.layouts.get(text_of(self.row, "slug") or "") if self.row["source"] == "run" else None

    @cached_property
    def case(self) -> Dimensions | None:
        """The sizes of the run, where all are known."""
        sweep = self.basis.sweep
        if self.layout is not None:
            return Dimensions.of(self.layout)
        return case_of(self.row, self.workload, sweep.model) if sweep and self.workload else None

    @cached_property
    def workload(self) -> Workload | None:
        """The workload of the run: of its layout, else of the sweep, with what its command says."""
        if self.layout is not None:
            return self.layout.workload
        return workload_of_row(self.row, self.basis.sweep) if self.basis.sweep else None

    @property
    def machine(self) -> Machine | None:
        """The machine of the run: of its layout, else of the sweep."""
        source = self.layout or self.basis.sweep
        return source.machine if source else None

    @property
    def stack(self) -> str:
        """The campaign and parameters of the row, empty where no campaign is known."""
        campaign = text_of(self.row, "campaign")
        return stack_of(campaign, parameters_of(self.row)) if campaign else ""

    @property
    def calibration(self) -> Calibration | None:
        """What was fitted to the runs of its campaign and parameters."""
        return self.basis.calibrations.get(self.stack)

    @property
    def peak(self) -> PeakTflops | None:
        """What one node of the run can do at best."""
        if self.machine is None or self.workload is None:
            return None
        precision = text_of(self.row, "precision") or self.workload.precision
        return peak_of(self.machine, precision, self.number("frequency_ghz"))

    @property
    def source_of_peak(self) -> str:
        """Which key of the machine gives that."""
        return self.machine.source_of_peaks if self.machine else "no machine"

    @cached_property
    def estimate(self) -> TimeEstimate | None:
        """The time by the fit of its campaign."""
        return self.calibration.estimate(self.case) if self.calibration and self.case else None

    @property
    def no_estimate(self) -> str:
        """Why there is no estimate."""
        if self.case is None:
            return "its layout is not wholly known, or does not add up"
        if self.calibration is None:
            return f"no run of campaign {self.stack} has been fitted"
        return f"{self.place}: {self.calibration.refusal(self.case)}"

    @property
    def place(self) -> str:
        """The file of its calibration."""
        return f"calibration/{self.stack}.yaml"

    @property
    def tokens(self) -> int | None:
        """Tokens of an iteration."""
        batch, sequence = self.count("global_batch_samples"), self.count("sequence_length_tokens")
        return batch * sequence if batch and sequence else None
