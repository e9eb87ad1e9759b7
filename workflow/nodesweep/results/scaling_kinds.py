"""Rows of results.csv -> the series that scale strongly, weakly or with a free batch, and what each row compares with.

Whatever speaks of scaling asks this module: columns of efficiency, sentences, tables of the best, figures, predictions.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Literal, Protocol, TypeVar

from nodesweep.common.outcomes import is_result
from nodesweep.config.tidy_row import TidyRow, TidyValue, count_of, number_of, required_count, required_number, text_of

from .comparable import PROBLEM_COLUMNS, has_known_problem, problem_of

BATCH = "global_batch_samples"
_PLACE = PROBLEM_COLUMNS.index(BATCH)
KindName = Literal["strong", "weak", "throughput"]


@dataclass(frozen=True)
class ScalingKind:
    """A way in which rows on several numbers of nodes belong together.

    `column`: of results.csv, for the speed per node that is left. `meaning`: what it is, in words. `same`: what they
    have in common beside the problem. `batch_of`: how much that is of a row, as a name has it behind "GBS"; None where
    it is not known. `any_batch`: they share none of it. `grows`: the global batch grows with the ranks.
    """

    name: KindName
    column: str
    meaning: str
    same: str
    batch_of: Callable[[TidyRow], str | None]
    any_batch: bool = False
    grows: bool = False

    def words(self, batch: str) -> str:
        """A series of this kind in words.

        >>> STRONG.words("16"), WEAK.words("8 a rank"), THROUGHPUT.words("any")
        ('strong, GBS 16', 'weak, GBS 8 a rank', 'any GBS')
        """
        return f"{batch} GBS" if self.any_batch else f"{self.name}, GBS {batch}"


def _batch_of_iteration(row: TidyRow) -> str | None:
    batch = count_of(row, BATCH)
    return str(batch) if batch else None


def batch_of_rank(row: TidyRow) -> str | None:
    """The samples of an iteration for each rank; for each node where ranks are not known.

    >>> batch_of_rank({"global_batch_samples": 12, "nodes": 2, "ranks": 8, "ranks_per_node": None})
    '3/2 a rank'
    """
    batch, nodes, ranks = (count_of(row, name) for name in (BATCH, "nodes", "ranks"))
    ranks = ranks or (nodes or 0) * (count_of(row, "ranks_per_node") or 0)
    if batch and (ranks or nodes):
        return f"{Fraction(batch, ranks)} a rank" if ranks else f"{Fraction(batch, nodes)} a node"
    return None


STRONG = ScalingKind(
    "strong",
    column="scaling_efficiency_percent",
    meaning="more nodes share one global batch",
    same="global batch",
    batch_of=_batch_of_iteration,
)
WEAK = ScalingKind(
    "weak",
    column="weak_efficiency_percent",
    meaning="the global batch grows with the ranks",
    same="batch per rank",
    batch_of=batch_of_rank,
    grows=True,
)
THROUGHPUT = ScalingKind(
    "throughput",
    column="throughput_efficiency_percent",
    meaning="numbers of nodes have batches of their own",
    same="free batch",
    batch_of=lambda row: "any",
    any_batch=True,
)
KINDS = (STRONG, WEAK, THROUGHPUT)
SeriesKey = tuple[KindName, Hashable, str]
"""A kind, what rows of it have in common but for the batch, and what they have in common of the batch."""


@dataclass(frozen=True)
class ScalingSeries:
    """Measured rows on several numbers of nodes that belong together; `batch`: what they have in common of it."""

    kind: ScalingKind
    batch: str
    rows: tuple[TidyRow, ...]

    @cached_property
    def base(self) -> TidyRow:
        """The fastest on the fewest nodes: all others are compared with it."""
        return min(self.rows, key=lambda row: (required_count(row, "nodes"), seconds_of_sample(row)))

    @property
    def last(self) -> TidyRow:
        """The fastest on the most nodes."""
        return min(self.rows, key=lambda row: (-required_count(row, "nodes"), seconds_of_sample(row)))

    @property
    def counts(self) -> tuple[int, ...]:
        """The numbers of nodes it stands on, in rising order."""
        return tuple(sorted({required_count(row, "nodes") for row in self.rows}))

    @property
    def words(self) -> str:
        """The series in words, such as `weak, GBS 8 a rank`."""
        return self.kind.words(self.batch)


def series_over_nodes(
    rows: Iterable[TidyRow], problem: Callable[[TidyRow], Hashable]
) -> dict[SeriesKey, ScalingSeries]:
    """Strong, then weak, then throughput series of these rows, problem by problem.

    A batch is free, and its series of the throughput, only where a number of nodes of the problem is in no other
    series: else strong and weak series tell it all.
    """
    known = [row for row in rows if row["nodes"] and row[BATCH]]
    problems = [problem(row) for row in known]
    found: dict[SeriesKey, ScalingSeries] = {}
    told: dict[Hashable, set[int]] = {}
    for kind in KINDS:
        groups: dict[SeriesKey, list[TidyRow]] = {}
        for row, one in zip(known, problems, strict=True):
            if batch := kind.batch_of(row):
                groups.setdefault((kind.name, one, batch), []).append(row)
        for key, group in groups.items():
            counts = {required_count(row, "nodes") for row in group}
            stays = kind.grows and len({row[BATCH] for row in group}) == 1
            if len(counts) > 1 and not stays and not (kind.any_batch and counts <= told.get(key[1], set())):
                told.setdefault(key[1], set()).update(counts)
                found[key] = ScalingSeries(kind, key[2], tuple(group))
    return found


class HasRows(Protocol):
    """Whatever holds rows of results.csv."""

    @property
    def rows(self) -> tuple[TidyRow, ...]:
        """The rows."""


AnySeries = TypeVar("AnySeries", bound=HasRows)


def with_own_rows(series: Iterable[AnySeries]) -> list[AnySeries]:
    """The series that have a row which none before them has: the others show nothing new."""
    seen: set[TidyValue] = set()
    found: list[AnySeries] = []
    for one in series:
        slugs = {row["slug"] for row in one.rows}
        if not slugs <= seen:
            found.append(one)
        seen |= slugs
    return found


@dataclass(frozen=True)
class Scaling:
    """The series of rows that share campaign, model, MP and all else but nodes, their splits and the batch."""

    of_key: Mapping[SeriesKey, ScalingSeries]

    @classmethod
    def of(cls, rows: Iterable[TidyRow]) -> "Scaling":
        """What scales how, by the measured rows."""
        return cls.planned(row for row in rows if is_timed(row))

    @classmethod
    def planned(cls, rows: Iterable[TidyRow]) -> "Scaling":
        """What scales how once all of these rows are measured; their series have no fastest row yet."""
        return cls(series_over_nodes((row for row in rows if has_known_problem(row)), problem_but_batch))

    @property
    def series(self) -> tuple[ScalingSeries, ...]:
        """All of them: strong, then weak, then those of the throughput."""
        return tuple(self.of_key.values())

    def of_row(self, kind: ScalingKind, row: TidyRow) -> ScalingSeries | None:
        """The series of a kind to which a row belongs, measured or not; None where there is none."""
        batch = kind.batch_of(row)
        return self.of_key.get((kind.name, problem_but_batch(row), batch)) if batch else None

    def bases(self, row: TidyRow) -> dict[KindName, TidyRow]:
        """The rows that the speed of a row is compared with, by kind."""
        problem = problem_but_batch(row)
        found = ((kind.name, self.of_key.get((kind.name, problem, kind.batch_of(row) or ""))) for kind in KINDS)
        return {name: series.base for name, series in found if series is not None}


def bases(rows: Sequence[TidyRow]) -> list[dict[KindName, TidyRow]]:
    """For each row those that its speed is compared with, by kind: the fastest on the fewest nodes of its series."""
    scaling = Scaling.of(rows)
    return [scaling.bases(row) for row in rows]


def efficiency_percent(row: TidyRow, base: TidyRow | None) -> float | None:
    """Speed per node of a row against its base, in percent: samples per second and node.

    >>> base = {"iteration_seconds": 100.0, "nodes": 2, "global_batch_samples": 16}
    >>> efficiency_percent({"iteration_seconds": 60.0, "nodes": 4, "global_batch_samples": 16}, base)
    83.33333333333333
    >>> efficiency_percent({"iteration_seconds": 125.0, "nodes": 4, "global_batch_samples": 32}, base)
    80.0
    """
    seconds, nodes, batch = number_of(row, "iteration_seconds"), count_of(row, "nodes"), count_of(row, BATCH)
    if base is None or not seconds or not nodes or not batch:
        return None
    work = batch / required_count(base, BATCH)
    return 100 * required_number(base, "iteration_seconds") * required_count(base, "nodes") / (seconds * nodes) * work


def efficiency_interval(row: TidyRow, base: TidyRow | None) -> tuple[float, float] | None:
    """The percents between which the efficiency lies while both times lie within the intervals of their runs.

    None where either has no such interval, and of the base itself.

    >>> base = {"slug": "n1", "iteration_seconds": 100.0, "nodes": 1, "global_batch_samples": 16}
    >>> base |= {"run_seconds_low": 90.0, "run_seconds_high": 110.0}
    >>> row = base | {"slug": "n2", "iteration_seconds": 60.0, "nodes": 2}
    >>> row |= {"run_seconds_low": 50.0, "run_seconds_high": 75.0}
    >>> efficiency_percent(row, base), efficiency_interval(row, base)
    (83.33333333333333, (60.0, 110.0))
    """
    percent = efficiency_percent(row, base)
    if base is None or percent is None or row["slug"] == base["slug"]:
        return None
    (slow, fast), (base_slow, base_fast) = _factors_of_runs(row), _factors_of_runs(base)
    if not slow or not fast or not base_slow or not base_fast:
        return None
    return percent * base_fast / slow, percent * base_slow / fast


def _factors_of_runs(row: TidyRow) -> tuple[float | None, float | None]:
    """The ends of the interval of a row's runs over its time, the slower first; None where there is none."""
    seconds, low, high = (number_of(row, name) for name in ("iteration_seconds", "run_seconds_low", "run_seconds_high"))
    return (high / seconds, low / seconds) if seconds and low and high else (None, None)


def is_timed(row: TidyRow) -> bool:
    """Whether the time of a row stands for its layout."""
    return is_result(text_of(row, "outcome")) and bool(row["iteration_seconds"])


def seconds_of_sample(row: TidyRow) -> float:
    """Seconds of an iteration for each sample of it; of a row whose batch is not known as if it were of one sample."""
    return required_number(row, "iteration_seconds") / (count_of(row, BATCH) or 1)


def problem_but_batch(row: TidyRow) -> Hashable:
    """What rows have in common that may stand in one series, whatever their batch."""
    problem = problem_of(row)
    return problem[:_PLACE] + problem[_PLACE + 1 :]
