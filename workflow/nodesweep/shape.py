"""What the rates of a run follow from, as far as it is known."""

from dataclasses import dataclass

from nodesweep.sweep.layout import Layout

from . import flops


@dataclass(frozen=True)
class Shape:
    """Sizes of a run that its rates depend on; None is unknown. Batch in samples, sequence and vocabulary in tokens.

    `selective`: checkpointing recomputes the core of attention alone.
    """

    nodes: int | None
    ranks_per_node: int | None
    tensor: int | None
    global_batch: int | None
    sequence_length: int | None
    activation_checkpointing: bool | None
    layers: int | None
    hidden_size: int | None
    vocab_size: int | None
    selective: bool = False

    @classmethod
    def of(cls, layout: Layout) -> "Shape":
        """That of a layout, all known."""
        return cls(
            nodes=layout.nodes,
            ranks_per_node=layout.ranks_per_node,
            tensor=layout.tensor,
            global_batch=layout.global_batch,
            sequence_length=layout.sequence_length,
            activation_checkpointing=layout.activation_checkpointing,
            layers=layout.model.layers,
            hidden_size=layout.model.hidden_size,
            vocab_size=layout.model.vocab_size,
            selective=layout.workload.training.recomputation == "selective",
        )

    @property
    def ranks(self) -> int | None:
        """Ranks of the whole run."""
        return self.nodes * self.ranks_per_node if self.nodes and self.ranks_per_node else None

    @property
    def tokens(self) -> int | None:
        """Tokens of one iteration."""
        return self.global_batch * self.sequence_length if self.global_batch and self.sequence_length else None

    @property
    def model_flops(self) -> int | None:
        """Operations one iteration needs, recomputation not counted."""
        return self._flops(False)

    @property
    def hardware_flops(self) -> int | None:
        """Operations the machine does in one iteration."""
        return None if self.activation_checkpointing is None else self._flops(self.activation_checkpointing)

    def _flops(self, activation_checkpointing: bool) -> int | None:
        sizes = {
            name: getattr(self, name)
            for name in ("layers", "hidden_size", "sequence_length", "vocab_size", "global_batch", "tensor")
        }
        if None in sizes.values():
            return None
        return flops.hardware_flops(
            **sizes, activation_checkpointing=activation_checkpointing, selective=self.selective
        )
