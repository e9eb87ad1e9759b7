"""Rows of results.csv -> series over nodes, each of the kind in which it scales: strong, weak, or of a free batch."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nodesweep.config.tidy_row import TidyRow, TidyValue, required_count
from nodesweep.results.scaling_kinds import BATCH, KINDS, STRONG, Scaling, ScalingKind

from .series import series_key, series_of

NODES = "nodes"
_FREE = {"strong": (), "weak": (BATCH,), "throughput": (BATCH, "micro_batch_samples")}
"""Columns of the batch in which the points of one line differ, by kind."""


@dataclass(frozen=True)
class KindSeries:
    """Rows that differ only in nodes, DP and what their kind leaves free of the batch, by rising nodes.

    `batch`: what they have in common of the batch, as a name has it behind "GBS".
    """

    kind: ScalingKind
    batch: str
    rows: tuple[TidyRow, ...]

    @property
    def counts(self) -> set[int]:
        """The numbers of nodes it stands on."""
        return {required_count(row, NODES) for row in self.rows}

    @property
    def stand_ins(self) -> Mapping[str, TidyValue]:
        """What its name says of the batch, instead of what its first row has; by column."""
        free = dict.fromkeys(_FREE[self.kind.name])
        return free | {BATCH: self.batch} if free else {}


def series_of_kinds(rows: Sequence[TidyRow], kinds: Iterable[ScalingKind] = KINDS) -> list[KindSeries]:
    """The series of these kinds; a row that is in no series of any kind counts among the strong ones, alone."""
    scaling = Scaling.of(rows)
    kinds_of_rows = [scaling.bases(row).keys() for row in rows]
    found: list[KindSeries] = []
    for kind in kinds:
        if kind is STRONG:
            chosen = [row for row, of in zip(rows, kinds_of_rows, strict=True) if not of or kind.name in of]
            found += [KindSeries(kind, str(group[0][BATCH]), tuple(group)) for group in series_of(chosen, NODES)]
            continue
        groups: dict[tuple[TidyValue, ...], list[TidyRow]] = {}
        for row, of in zip(rows, kinds_of_rows, strict=True):
            if kind.name in of and (series := scaling.of_row(kind, row)):
                key = series.batch, *series_key(row, (NODES, *_FREE[kind.name]))
                groups.setdefault(key, []).append(row)
        found += [
            KindSeries(kind, str(batch), tuple(sorted(group, key=lambda row: required_count(row, NODES))))
            for (batch, *_), group in groups.items()
        ]
    return found
