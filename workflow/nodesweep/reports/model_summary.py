"""What a model is: parameters by part, FLOPs of a sample, bytes of its state; as text and as JSON."""

import json
import textwrap
from collections.abc import Sequence
from typing import Any

from nodesweep.common.text import plain
from nodesweep.common.units import GIB
from nodesweep.config.model import Model
from nodesweep.config.model_fields import is_plain
from nodesweep.performance.dimensions import Dimensions, UnknownSizeError
from nodesweep.performance.flops import CONVENTIONS
from nodesweep.performance.memory import state_bytes
from nodesweep.results.rows import size_label

PRECISIONS = ("fp32", "bf16", "fp16")
"""Precisions whose state is told; that of mixed precision holds for all formats of 16 and fewer bits."""


class ModelSummary:
    """The figures of a model at some sequence lengths in tokens; `not_understood`: of the config it was read from."""

    def __init__(self, model: Model, sequence_lengths: Sequence[int], not_understood: Sequence[str] = ()) -> None:
        self.model = model
        self.lengths = tuple(dict.fromkeys(sequence_lengths))
        self.not_understood = tuple(not_understood)
        self.case = Dimensions(**model.sizes)
        self.unknown = ""
        try:
            self.parts = self.case.parts
        except UnknownSizeError as error:
            self.unknown = str(error)

    def to_json(self) -> str:
        """The figures as a JSON object; docs/models.md explains its keys."""
        return json.dumps(self.data(), indent=2, ensure_ascii=False)

    def data(self) -> dict[str, Any]:
        """The figures by name, null where no formula gives them."""
        known = not self.unknown
        return {
            "model": self.model.name,
            "size": size_label(self.model) or None,
            "parameters": self.parts.parameters if known else None,
            "active_parameters": self.parts.active_parameters if known else None,
            "parameters_by_part": self.parts.by_group if known else None,
            "flops_per_sample": {str(length): self._flops(length) for length in self.lengths} if known else None,
            "flops_convention": self.case.flops_convention if known else None,
            "state_bytes_per_parameter": {name: sum(state_bytes(name)) for name in PRECISIONS},
            "keys": {name: value for name, value in self.model.sizes.items() if value is not None},
            "unknown": self.unknown or None,
            "remarks": self._remarks(),
            "not_understood": list(self.not_understood),
        }

    def _flops(self, length: int) -> dict[str, int]:
        conventions = CONVENTIONS if is_plain(self.case) else [name for name in CONVENTIONS if name != "narayanan"]
        one = self.case.changed(sequence_length=length, global_batch=1, tensor=1)
        return {name: one.changed(flops_convention=name).model_flops for name in conventions}

    def _remarks(self) -> list[str]:
        remarks = []
        if self.case.positions == "learned" and self.model.max_positions is None:
            width = self.model.hidden_size
            remarks.append(f"learned positions are not counted: {width} parameters each; max_positions says how many")
        if self.model.tied_embeddings is None:
            remarks.append("tied_embeddings is left out: counted as tied; a sweep takes what workload.training says")
        return remarks

    def text(self) -> str:
        """The figures for a terminal."""
        lines = [f"{self.model.name}: {self._headline()}", *self._shape()]
        if not self.unknown:
            lines += ["", *self._parameter_lines(), "", *self._flops_lines(), "", *self._state_lines()]
        lines += ["", *(f"  {remark}" for remark in self._remarks())] if self._remarks() else []
        if self.not_understood:
            lines += ["", "  Of the config:", *(f"    {plain(text)}" for text in self.not_understood)]
        return "\n".join(lines)

    def _headline(self) -> str:
        if self.unknown:
            return f"parameters, FLOPs and memory unknown: {self.unknown}"
        whole, active = self.parts.parameters, self.parts.active_parameters
        used = "" if active == whole else f", of which {active:,} work on a token"
        return f"{size_label(self.model)}, {whole:,} parameters{used}"

    def _shape(self) -> list[str]:
        """The sizes that are given, as they stand in a file."""
        given = [(name, value) for name, value in self.model.sizes.items() if value is not None]
        words = (f"{name} {str(value).lower() if isinstance(value, bool) else value}" for name, value in given)
        return textwrap.wrap(", ".join(words), 110, initial_indent="  ", subsequent_indent="  ")

    def _parameter_lines(self) -> list[str]:
        whole, found = self.parts.parameters, self.parts.by_group.items()
        return [
            "  Parameters",
            *(f"    {group:<16}{count:>20,}  {100 * count / whole:5.1f} %" for group, count in found),
        ]

    def _flops_lines(self) -> list[str]:
        found = {length: self._flops(length) for length in self.lengths}
        names = list(next(iter(found.values())))
        return [
            "  FLOPs of one sample, forward and backward, nothing recomputed",
            f"    {'tokens':>8}{''.join(f'{name:>26}' for name in names)}",
            *(f"    {length:>8}{''.join(f'{flops[name]:>26,}' for name in names)}" for length, flops in found.items()),
            *(f"    {name}: {CONVENTIONS[name]}{self._used(name)}" for name in names),
        ]

    def _used(self, convention: str) -> str:
        return "; what rates count" if convention == self.case.flops_convention else ""

    def _state_lines(self) -> list[str]:
        lines = ["  State (weights + gradients + Adam), over all ranks that share one copy"]
        for name, title in (("fp32", "fp32"), ("bf16", "bf16, fp16")):
            weights, gradients, optimizer = state_bytes(name)
            total = weights + gradients + optimizer
            gib = total * self.parts.parameters / GIB
            lines.append(
                f"    {title:<12}{weights} + {gradients} + {optimizer} = {total} bytes a parameter, {gib:,.1f} GiB"
            )
        return lines
