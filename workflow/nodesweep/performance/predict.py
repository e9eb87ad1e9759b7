"""Predictions of layouts that are in no sweep yet: what they would take, how surely, and by which assumption."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from nodesweep.common.errors import ConfigError, NodesweepError
from nodesweep.config.layout_fields import LAYOUT_FIELDS
from nodesweep.config.machine import peak_of
from nodesweep.config.parameters import stack_of
from nodesweep.config.sweep import Block, Sweep
from nodesweep.sweep.expand import Expansion, expand
from nodesweep.sweep.layout import Layout

from .calibration import Calibration
from .cost import node_hours_per_billion_tokens, training_days
from .forecast import Forecast, forecast

AXES = tuple(name for name, row in LAYOUT_FIELDS.items() if row.axis)
"""Fields of a layout that can be asked about; those that follow from others are worked out where not given."""


@dataclass(frozen=True)
class WhatIf:
    """A layout, its forecast, and the tokens the model is to be trained on."""

    layout: Layout
    forecast: Forecast
    training_tokens: float | None = None

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens per second of all nodes together."""
        time = self.forecast.time
        return self.forecast.case.tokens / time.seconds if time else None

    @property
    def node_hours_per_billion_tokens(self) -> float | None:
        """Node-hours to train on 1e9 tokens."""
        case, time = self.forecast.case, self.forecast.time
        return node_hours_per_billion_tokens(time.seconds, case.nodes, case.tokens) if time else None

    @property
    def training_days(self) -> float | None:
        """Days to train on all tokens."""
        case, time, wanted = self.forecast.case, self.forecast.time, self.training_tokens
        return training_days(time.seconds, case.tokens, wanted) if time and wanted else None

    @property
    def mfu_percent(self) -> float | None:
        """Model FLOPs utilization: recomputation not counted, of the peak of a node, in percent."""
        case, time = self.forecast.case, self.forecast.time
        peak = peak_of(self.layout.machine, self.layout.precision, self.layout.frequency_ghz)
        if peak is None or time is None or not case.knows("model_flops"):
            return None
        return 100 * case.tflops_per_node(time.seconds, recomputation=False) / peak.tflops_per_node


def layouts_like(
    sweep: Sweep,
    like: Layout,
    axes: Mapping[str, Sequence[Any]],
    parameters: Mapping[str, Sequence[Any]] = MappingProxyType({}),
) -> Expansion:
    """The layouts that are like one, but for these axes and parameters; raises NodesweepError where none can be.

    A field that follows from the others, such as DP, is worked out unless it is given. Layouts that the sweep excludes
    may be asked about too, and those that its command would first have to be taught.
    """
    given = {name: list(values) for name, values in axes.items() if values}
    fields, contradicted = like.fields(), {row.same_fact for name in given if (row := LAYOUT_FIELDS[name]).same_fact}
    contradicted |= {name for name, row in LAYOUT_FIELDS.items() if row.same_fact in given}
    kept = {
        name: [fields[name]]
        for name in AXES
        if not LAYOUT_FIELDS[name].follows and fields[name] is not None and name not in like.unsaid | contradicted
    }
    block = Block.model_validate(kept | given | {"parameters": {**like.parameters, **parameters}})
    as_passed_on = sweep.workload.model_copy(update={"passes": ("model", *AXES), "refuses": ()})
    changes = {
        "layouts": (block,),
        "exclude": (),
        "variants": (like.variant,) if like.variant else (),
        "workload": as_passed_on,
    }
    try:
        return expand(sweep.model_copy(update=changes))
    except ConfigError as error:
        reason = str(error).removeprefix("layouts: ").removesuffix("; change the axes or exclude")
        raise NodesweepError(reason) from None


def predict_layouts(
    sweep: Sweep, layouts: Sequence[Layout], calibrations: Mapping[str, Calibration], campaign: str | None
) -> list[WhatIf]:
    """What layouts would take by the calibration of their stack, or of the campaign or stack that is named."""
    return [
        WhatIf(layout, forecast(layout, _calibration(layout, calibrations, campaign)), sweep.training_tokens)
        for layout in layouts
    ]


def _calibration(layout: Layout, calibrations: Mapping[str, Calibration], campaign: str | None) -> Calibration | None:
    stack = layout.stack if campaign is None else stack_of(campaign, layout.parameters)
    return calibrations.get(stack, calibrations.get(campaign or ""))
