"""Two tidy tables -> which rows are of the same layout, which appeared, which vanished."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nodesweep.config.tidy_row import TidyRow

FIELDS = (
    *("nodes", "ranks_per_node", "ranks", "data", "tensor", "pipeline"),
    *("micro_batch_samples", "global_batch_samples", "sequence_length_tokens", "activation_checkpointing"),
    *("frequency_ghz", "variant", "layers", "hidden_size", "attention_heads", "vocab_size"),
)
"""What makes two rows one layout: not its slug, which also knows the machine and the length of the run."""


@dataclass(frozen=True)
class MatchedRows:
    """Rows of one layout before and after; what one side alone has; and rows alike that cannot be told apart."""

    pairs: tuple[tuple[TidyRow, TidyRow], ...]
    appeared: tuple[TidyRow, ...]
    vanished: tuple[TidyRow, ...]
    unclear: tuple[tuple[tuple[TidyRow, ...], tuple[TidyRow, ...]], ...]


def layout_of(row: TidyRow) -> tuple[Any, ...]:
    """The fields by which rows are matched."""
    return tuple(row[name] for name in FIELDS)


def match(before: Sequence[TidyRow], after: Sequence[TidyRow]) -> MatchedRows:
    """Match the rows of two tables; several rows of one layout by their slugs, and the last that is left by itself."""
    sides: dict[tuple[Any, ...], tuple[list[TidyRow], list[TidyRow]]] = defaultdict(lambda: ([], []))
    for number, rows in enumerate((before, after)):
        for row in rows:
            sides[layout_of(row)][number].append(row)
    pairs, appeared, vanished, unclear = [], [], [], []
    for old, new in sides.values():
        named = {row["slug"]: row for row in new}
        same = [(row, named[row["slug"]]) for row in old if row["slug"] in named]
        same = same if len({row["slug"] for row in old}) == len(old) and len(named) == len(new) else []
        pairs += same
        taken = {row["slug"] for row, _ in same}
        old, new = ([row for row in rows if row["slug"] not in taken] for rows in (old, new))
        if len(old) == len(new) == 1:
            pairs.append((old[0], new[0]))
        elif old and new:
            unclear.append((tuple(old), tuple(new)))
        else:
            vanished += old
            appeared += new
    return MatchedRows(tuple(pairs), tuple(appeared), tuple(vanished), tuple(unclear))
