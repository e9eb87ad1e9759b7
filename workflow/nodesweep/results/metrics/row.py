"""A row of results.csv with all that explains it, and the row its speed is compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from nodesweep.config.machine import Machine, PeakTflops, peak_of
from nodesweep.config.sweep import Sweep
from nodesweep.config.tidy_row import TidyRow
from nodesweep.config.workload import Workload
from nodesweep.performance.calibration import Calibration
from nodesweep.performance.calibration.memory_model import FittedPeak
from nodesweep.performance.calibration.observations import case_of
from nodesweep.performance.calibration.time_model import FittedRun, TimeEstimate
from nodesweep.performance.dimensions import Dimensions
from nodesweep.sweep.layout import Layout

_PROBLEM = (
    *("campaign", "variant", "model", "model_size", "layers", "hidden_size", "attention_heads", "vocab_size"),
    *("tensor", "global_batch_samples", "sequence_length_tokens", "frequency_ghz"),
)
"""What rows have in common whose speeds are compared over node counts."""


@dataclass(frozen=True)
class ExplainedFigure:
    """A value, None where there is none, and where it comes from or why there is none, one sentence a line."""

    value: float | None
    said: tuple[str, ...]

    @classmethod
    def worked_out(cls, value: float, formula: str, numbers: str, *more: str) -> "ExplainedFigure":
        """A value by a formula, with the numbers in it."""
        return cls(value, (formula, *more, f"= {numbers} = {value!r}"))


@dataclass(frozen=True)
class Basis:
    """What rows are explained by: settings and calibrations of a sweep, or nothing but themselves.

    `calibrations` by campaign, `layouts` by slug.
    """

    sweep: Sweep | None = None
    layouts: Mapping[str, Layout] = field(default_factory=dict)
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)

    @cached_property
    def runs(self) -> dict[str, dict[str, FittedRun]]:
        """Of each campaign the runs that its times were fitted to, by name."""
        return {name: {run.name: run for run in found.runs} for name, found in self.calibrations.items()}

    @cached_property
    def peaks(self) -> dict[str, dict[str, FittedPeak]]:
        """Those that its peaks of memory were fitted to."""
        return {name: {run.name: run for run in found.memory.runs} for name, found in self.calibrations.items()}


def bases(rows: Sequence[TidyRow]) -> list[TidyRow | None]:
    """For each row the fastest that ended well on the fewest nodes, of the same campaign, model, MP and global batch.

    None where no other node count was measured.
    """
    groups: dict[tuple[Any, ...], list[TidyRow]] = {}
    for row in rows:
        if row["iteration_seconds"] and row["nodes"] and row["outcome"] == "ok" and _comparable(row):
            groups.setdefault(_problem(row), []).append(row)
    found = {
        problem: min(group, key=lambda row: (row["nodes"], row["iteration_seconds"]))
        for problem, group in groups.items()
        if len({row["nodes"] for row in group}) > 1
    }
    return [found.get(_problem(row)) for row in rows]


def efficiency_percent(row: TidyRow, base: TidyRow | None) -> float | None:
    """Speed per node of a row against its base, for the same work an iteration.

    >>> efficiency_percent({"iteration_seconds": 60.0, "nodes": 4}, {"iteration_seconds": 100.0, "nodes": 2})
    83.33333333333333
    """
    if base is None or not row["iteration_seconds"] or not row["nodes"]:
        return None
    return 100 * base["iteration_seconds"] * base["nodes"] / (row["iteration_seconds"] * row["nodes"])


def _comparable(row: TidyRow) -> bool:
    """Whether it is known what the row computes."""
    work = ("tensor", "global_batch_samples", "sequence_length_tokens")
    return None not in [row[name] for name in work] and not (row["layers"] is None and row["model_size"] is None)


def _problem(row: TidyRow) -> tuple[Any, ...]:
    return tuple(row[name] for name in _PROBLEM)


@dataclass(frozen=True)
class RowContext:
    """A row with all that its figures follow from."""

    basis: Basis
    row: TidyRow
    base: TidyRow | None

    def __getitem__(self, name: str) -> Any:
        return self.row[name]

    @property
    def layout(self) -> Layout | None:
        """The layout it is a run of; None for rows from elsewhere."""
        return self.basis.layouts.get(self.row["slug"]) if self.row["source"] == "run" else None

    @cached_property
    def case(self) -> Dimensions | None:
        """Its sizes, where all are known."""
        sweep = self.basis.sweep
        if self.layout is not None:
            return Dimensions.of(self.layout)
        return case_of(self.row, sweep.workload, sweep.model.vocab_size) if sweep else None

    @property
    def workload(self) -> Workload | None:
        return self.layout.workload if self.layout else self.basis.sweep and self.basis.sweep.workload

    @property
    def machine(self) -> Machine | None:
        return self.layout.machine if self.layout else self.basis.sweep and self.basis.sweep.machine

    @property
    def calibration(self) -> Calibration | None:
        return self.basis.calibrations.get(self.row["campaign"] or "")

    @property
    def peak(self) -> PeakTflops | None:
        """What one of its nodes can do at best."""
        if self.machine is None or self.workload is None:
            return None
        return peak_of(self.machine, self.workload.precision, self.row["frequency_ghz"])

    @cached_property
    def estimate(self) -> TimeEstimate | None:
        """What the fit of its campaign says of its time."""
        return self.calibration.estimate(self.case) if self.calibration and self.case else None

    @property
    def no_estimate(self) -> str:
        """Why there is none."""
        if self.case is None:
            return "its layout is not wholly known, or does not add up"
        if self.calibration is None:
            return f"no run of campaign {self.row['campaign']} has been fitted"
        return f"{self.place}: {self.calibration.refusal(self.case)}"

    @property
    def place(self) -> str:
        """The file of its calibration."""
        return f"calibration/{self.row['campaign']}.yaml"

    @property
    def tokens(self) -> int | None:
        """Tokens of an iteration."""
        batch, sequence = self.row["global_batch_samples"], self.row["sequence_length_tokens"]
        return batch * sequence if batch and sequence else None
