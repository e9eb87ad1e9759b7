"""The iterations of a log as they are printed: twice, by all ranks, again after restarts, or by several runs."""

from dataclasses import dataclass, field

from nodesweep.logs.patterns.lines import IterationPattern

from .reading import Iteration

NEAR = 2


@dataclass
class RecordSeries:
    """Records of one kind of line so far, by number; where a number is repeated the last record counts.

    `sample`: the line of the first. `is_counted`: numbers count the records, because nothing better numbers them.
    """

    kind: IterationPattern
    sample: str
    records: dict[int, Iteration] = field(default_factory=dict)
    latest: Iteration | None = None
    restarts: int = 0
    repeats: int = 0
    is_counted: bool = False

    @property
    def next_number(self) -> int:
        """The number of a record that does not say its own."""
        return self.kind.first_number if self.latest is None else self.latest.number + 1

    def starts_over(self, record: Iteration) -> bool:
        """Whether another run begins with this record: numbers start again from the first."""
        return self.latest is not None and record.number <= self.kind.first_number and not self._printed_again(record)

    def add(self, record: Iteration) -> bool:
        """Take a record; False where it was printed before."""
        if self.latest is not None and record.number <= self.latest.number:
            if self._printed_again(record):
                self.repeats += 1
                return False
            if self.starts_over(record):
                self.records.clear()
            self.restarts += 1
        self.records[record.number] = self.latest = record
        return True

    def replace_latest(self, record: Iteration) -> None:
        """Replace the last record by one with more quantities."""
        self.records[record.number] = self.latest = record

    def renumber(self, record: Iteration) -> None:
        """Replace the only record by one with another number."""
        self.records = {record.number: record}
        self.latest = record

    def count(self) -> None:
        """Number the records by counting them: the bars before them belonged to others."""
        rows = [row._replace(total=None, seconds=None) for row in self.records.values()]
        self.records = {number: row._replace(number=number) for number, row in enumerate(rows, self.kind.first_number)}
        self.latest = self.records[max(self.records)]
        self.is_counted = True

    @property
    def duration(self) -> float:
        """Seconds of all records."""
        return sum(record.seconds or 0 for record in self.records.values())

    def rising(self) -> tuple[Iteration, ...]:
        """All records in the order of their numbers."""
        return tuple(self.records[number] for number in sorted(self.records))

    def _printed_again(self, record: Iteration) -> bool:
        """Whether another rank, or the same one, printed the record a little before: same number, loss and time."""
        earlier = self.records.get(record.number)
        if earlier is None or self.latest is None:
            return False
        if self.kind.is_bar or (self.kind.rank and record.number == self.latest.number):
            return True  # drawn again, or by another rank, with another rate; or numbers rounded, such as 1e+3
        if record.number < self.latest.number - NEAR:
            return False
        return (earlier.loss, earlier.seconds) == (record.loss, record.seconds)
