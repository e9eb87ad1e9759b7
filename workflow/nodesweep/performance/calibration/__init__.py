"""What the runs of one campaign, one software stack, say of memory and time, and its file."""

from dataclasses import dataclass

import yaml
from pydantic import TypeAdapter, ValidationError

from nodesweep.common.errors import NodesweepError
from nodesweep.performance.dimensions import Dimensions

from .memory_model import MemoryFit
from .observations import LeftOut
from .probe import Probe
from .time_model import Estimate, Form, Run, TimeFit

SCHEMA = 2
_LOADER, _DUMPER = (yaml.CSafeLoader, yaml.CSafeDumper) if yaml.__with_libyaml__ else (yaml.SafeLoader, yaml.SafeDumper)
_HEAD = (
    "What the runs of campaign {campaign} say of memory and time.",
    "Written by `nodesweep measure`, read by every plan and launcher.",
)


@dataclass(frozen=True)
class Calibration:
    """What was fitted to the runs of a campaign. `probe`: the cheapest run that would tell what these do not."""

    campaign: str
    time: TimeFit
    memory: MemoryFit
    left_out: tuple[LeftOut, ...] = ()
    probe: Probe | None = None
    schema_version: int = SCHEMA

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs with a time, and how far predictions are off them."""
        return self.time.runs

    def refusal(self, case: Dimensions) -> str:
        """Why nothing is said of the time of a case; empty where `estimate` may be asked.

        Runs that do not tell everything may still tell all that matters to one case.
        """
        model = self.time.model
        if model is None or (self.time.refusal and model.rows == 1):
            return self.time.refusal
        return model.refusal(case)

    def estimate(self, case: Dimensions) -> Estimate | None:
        """What an iteration of a case takes; None where that is refused."""
        return self.time.model.estimate(case) if self.time.model and not self.refusal(case) else None

    def told(self) -> list[str]:
        """What it says, in lines for people."""
        return [
            *(line.format(campaign=self.campaign) for line in _HEAD),
            *_told_of_time(self.time),
            *([f"the cheapest run that would tell: {self.probe}"] if self.probe else []),
            *_told_of_memory(self.memory),
            *(f"left out: {one.name}: {one.reason}" for one in self.left_out),
        ]

    def to_yaml(self) -> str:
        """The text of its file."""
        values = _adapter.dump_python(self, mode="json", exclude_none=True)
        style = {"sort_keys": False, "allow_unicode": True, "width": 160, "default_flow_style": None}
        text = yaml.dump(values, Dumper=_DUMPER, **style)
        return "".join(f"# {line}".rstrip() + "\n" for line in self.told()) + text

    @classmethod
    def from_yaml(cls, text: str) -> "Calibration":
        """What `to_yaml` wrote; raises NodesweepError for any other text."""
        try:
            found = _adapter.validate_python(yaml.load(text, Loader=_LOADER))
        except (ValidationError, yaml.YAMLError) as error:
            kind = type(error).__name__
            raise NodesweepError(f"no calibration ({kind}); delete it, `nodesweep measure` makes it again") from None
        if found.schema_version != SCHEMA:
            raise NodesweepError("calibration of another version; `nodesweep measure` makes it again")
        return found


_adapter = TypeAdapter(Calibration)


def _told_of_time(found: TimeFit) -> list[str]:
    if found.model is None or (found.refusal and found.model.rows == 1):
        return [f"Time: no calibration: {found.refusal}"]
    unknown = [f"Time that hangs on the DP sync is not predicted: {found.refusal}"] if found.refusal else []
    errors = [100 * abs(run.left_out_error) for run in found.runs if run.left_out_error is not None]
    told = (
        f"each{f' of {len(errors)}' if len(errors) < len(found.runs) else ''} predicted by the others "
        f"{sum(errors) / len(errors):.2g} % off in the mean, {max(errors):.2g} % at worst"
        if errors
        else "none is told by the others"
    )
    best = max(found.model.forms, key=lambda form: form.weight)
    return [
        *unknown,
        f"Time: {len(found.runs)} runs; {told}. Seconds of a micro batch in a stage:",
        *(
            f"- {stage.kind}: {stage.micro_batch_seconds:.4g} s, give or take {100 * stage.variance**0.5:.2g} %"
            for stage in best.stages
        ),
        "DP sync: " + "; ".join(_told_of_form(form) for form in sorted(found.model.forms, key=lambda one: -one.weight)),
    ]


def _told_of_form(form: Form) -> str:
    shape = {"constant": "", "ring": " x 2 (d - 1) / d", "log2": " x log2(d)", "slowest": " x (H(d) - 1)"}[form.name]
    return f"{form.sync_seconds:.3g} s, give or take {form.sync_error:.2g},{shape} (weight {form.weight:.2f})"


def _told_of_memory(found: MemoryFit) -> list[str]:
    model = found.model
    if model is None:
        return [f"Memory: no calibration: {found.refusal}"]
    constants = model.constants
    factors = {"AC": constants.allocator_factor, "no AC": constants.allocator_factor_without_recomputation}
    told = ", ".join(f"{name}: {value:.3f}" for name, value in factors.items() if value is not None)
    return [
        f"Memory: {model.rows} runs, {100 * model.error:.2g} % off: a process takes {constants.process_mib:.0f} MiB, "
        f"an allocator this factor over tensors, {told}"
    ]
