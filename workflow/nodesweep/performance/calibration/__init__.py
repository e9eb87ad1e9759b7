"""What the runs of one campaign, one software stack, determine of memory and time, and the file that keeps it."""

import math
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import TypeAdapter

from nodesweep.common.errors import ConfigError, NodesweepError
from nodesweep.config.layout_fields import LAYOUT_FIELDS
from nodesweep.config.loader import parsed_yaml
from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.timing import no_time_formula

from .memory_model import MemoryFit
from .observations import ExcludedRun
from .probe import Probe
from .time_model import FittedRun, SyncForm, TimeEstimate, TimeFit

SCHEMA = 2
_DUMPER = yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper
_HEAD = (
    "What the runs of campaign {campaign} say of memory and time.",
    "Written by `nodesweep measure`, read by every plan and launcher.",
)
_RECOMPUTATION = LAYOUT_FIELDS["activation_checkpointing"]


@dataclass(frozen=True)
class Calibration:
    """What was fitted to the runs of a campaign; its attributes are the keys of its file.

    `left_out`: runs that could not be used. `probe`: the cheapest run that would determine what these do not.
    """

    campaign: str
    time: TimeFit
    memory: MemoryFit
    left_out: tuple[ExcludedRun, ...] = ()
    probe: Probe | None = None
    schema_version: int = SCHEMA

    @property
    def runs(self) -> tuple[FittedRun, ...]:
        """The runs with a time, and how far predictions are off them."""
        return self.time.runs

    def refusal(self, case: Dimensions) -> str:
        """Why the time of a case is not predicted; empty where `estimate` may be asked.

        Runs that do not determine everything may still determine all that matters to one case.
        """
        if reason := no_time_formula(case):
            return reason
        model = self.time.model
        if model is None or (self.time.refusal and model.rows == 1):
            return self.time.refusal
        return model.refusal(case)

    def estimate(self, case: Dimensions) -> TimeEstimate | None:
        """What an iteration of a case takes; None where that is refused."""
        return self.time.model.estimate(case) if self.time.model and not self.refusal(case) else None

    def summary(self) -> list[str]:
        """What the runs determine, in lines for people."""
        return [
            *(line.format(campaign=self.campaign) for line in _HEAD),
            *_summary_of_time(self.time),
            *([f"the cheapest run that would tell: {self.probe}"] if self.probe else []),
            *_summary_of_memory(self.memory),
            *(f"left out: {one.name}: {one.reason}" for one in self.left_out),
        ]

    def to_yaml(self) -> str:
        """The text of its file."""
        values = _adapter.dump_python(self, mode="json", exclude_none=True)
        text = yaml.dump(
            values, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=160, default_flow_style=None
        )
        return "".join(f"# {line}".rstrip() + "\n" for line in self.summary()) + text

    @classmethod
    def from_yaml(cls, text: str | bytes) -> "Calibration":
        """The calibration in the text of a file; raises NodesweepError for any text that `to_yaml` did not write."""
        try:
            values = parsed_yaml(Path("it"), text.encode() if isinstance(text, str) else text).values
            _check_finite(values)
            found = _adapter.validate_python(values)
        except (ConfigError, ValueError, OverflowError) as error:
            kind = type(error).__name__
            raise NodesweepError(f"no calibration ({kind}); delete it, `nodesweep measure` makes it again") from None
        if found.schema_version != SCHEMA:
            raise NodesweepError("calibration of another version; `nodesweep measure` makes it again")
        return found


_adapter = TypeAdapter(Calibration)


def _check_finite(value: object) -> None:
    """Raise ValueError, or OverflowError, where a number of a file is none to compute with."""
    if isinstance(value, int | float):
        if not math.isfinite(float(value)):
            raise ValueError(f"{value} is no number")
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            _check_finite(part)


def _summary_of_time(found: TimeFit) -> list[str]:
    if found.model is None or (found.refusal and found.model.rows == 1):
        return [f"Time: no calibration: {found.refusal}"]
    unknown = [f"Time that depends on the DP sync is not predicted: {found.refusal}"] if found.refusal else []
    best = max(found.model.forms, key=lambda form: form.weight)
    by_weight = sorted(found.model.forms, key=lambda form: -form.weight)
    return [
        *unknown,
        f"Time: {len(found.runs)} runs; {_accuracy(found)}. Seconds of a micro batch in a stage:",
        *(
            f"- {stage.kind}: {stage.micro_batch_seconds:.4g} s, give or take {_percent(stage.variance**0.5)}"
            for stage in best.stages
        ),
        "DP sync with d = DP, the mean of forms that count by how well they foresee left out runs: "
        + "; ".join(_summary_of_form(form) for form in by_weight),
    ]


def _accuracy(found: TimeFit) -> str:
    """How far the runs are off what the others predict of them, in words."""
    errors = [abs(run.left_out_error) for run in found.runs if run.left_out_error is not None]
    if not errors:
        return "none is told by the others"
    some = f" of {len(errors)}" if len(errors) < len(found.runs) else ""
    mean = f"{_percent(sum(errors) / len(errors))} off in the mean"
    return f"each{some} predicted by the others {mean}, {_percent(max(errors))} at worst"


_SHAPES = {
    "constant": "at any d",
    "ring": "x 2 (d - 1) / d, the bytes of a ring",
    "log2": "x log2(d), the steps of a tree",
    "slowest": "x (1/2 + 1/3 + ... + 1/d), the wait for the slowest",
}
"""What the sync over d replicas grows with, in words, by the names of its forms."""


def _summary_of_form(form: SyncForm) -> str:
    sync = f"{form.sync_seconds:.3g} s, give or take {form.sync_error:.2g},"
    return f"{sync} {_SHAPES[form.name]} ({100 * form.weight:.0f} % of the mean)"


def _summary_of_memory(found: MemoryFit) -> list[str]:
    model = found.model
    if model is None:
        return [f"Memory: no calibration: {found.refusal}"]
    constants = model.constants
    factors = {True: constants.allocator_factor, False: constants.allocator_factor_without_recomputation}
    words = (f"{_RECOMPUTATION.phrase(key)}: {value:.3f}" for key, value in factors.items() if value is not None)
    return [
        f"Memory: {model.rows} runs, {_percent(model.error)} off: a process takes {constants.process_mib:.0f} MiB, "
        f"an allocator this factor over tensors, {', '.join(words)}"
    ]


def _percent(share: float) -> str:
    """A share in percent by two figures, whole from 100 on.

    >>> _percent(0.0123), _percent(1.0732)
    ('1.2 %', '107 %')
    """
    return f"{100 * share:.0f} %" if share >= 0.995 else f"{100 * share:.2g} %"
