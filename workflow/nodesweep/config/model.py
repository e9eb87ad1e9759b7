"""The model of a sweep: sizes of a transformer."""

from .types import Count, Name, StrictModel, Text


class Model(StrictModel):
    """A GPT-style decoder."""

    name: Name = "model"
    """Label; the file's name where the model has a file of its own."""
    size: Text | None = None
    """Label of the Size column, such as 30B; worked out from the parameters where left out."""
    layers: Count
    """Transformer layers."""
    hidden_size: Count
    """Width of the residual stream."""
    attention_heads: Count
    """Attention heads per layer; must divide hidden_size."""
    ffn_hidden_size: Count | None = None
    """Inner width of the feed-forward block; 4 x hidden_size where left out."""
    vocab_size: Count
    """Entries of the vocabulary, before any padding."""

    @property
    def ffn_width(self) -> int:
        """Inner width of the feed-forward block."""
        return self.ffn_hidden_size or 4 * self.hidden_size
