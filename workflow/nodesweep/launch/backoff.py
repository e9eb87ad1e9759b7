"""Clocks of the queue: when to ask again, and for how long a job has said nothing. Both run on monotonic time."""

import time

LONGEST_BACKOFF_SECONDS = 600.0


class Backoff:
    """When something may be tried again: `seconds` after a success, twice as long after each failure in a row."""

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._next = 0.0
        self.failures = 0

    @property
    def due(self) -> bool:
        """Whether it is time."""
        return time.monotonic() >= self._next

    def succeeded(self) -> None:
        """Note a success."""
        self.failures = 0
        self._next = time.monotonic() + self._seconds

    def failed(self) -> None:
        """Note a failure."""
        self._next = time.monotonic() + min(self._seconds * 2**self.failures, LONGEST_BACKOFF_SECONDS)
        self.failures = min(self.failures + 1, 30)
