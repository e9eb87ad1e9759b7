"""The layouts that wait for their submission, the first in rank first."""

import heapq
import threading
from collections.abc import Callable, Iterable

Rank = tuple[float, ...]
"""The place of a layout in the queue; the lowest comes first."""


class WaitingLayouts:
    """A queue of slugs; `rank` says what comes before what, and is asked again by `rerank`. For several threads."""

    def __init__(self, rank: Callable[[str], Rank]) -> None:
        self._rank = rank
        self._heap: list[tuple[Rank, int, str]] = []
        self._count = 0
        self._lock = threading.Lock()

    def add(self, slugs: Iterable[str]) -> None:
        """Let slugs wait; of those of one rank the first come is first served."""
        with self._lock:
            for slug in slugs:
                self._count += 1
                heapq.heappush(self._heap, (self._rank(slug), self._count, slug))

    def pop(self) -> str | None:
        """The first, which waits no longer; None where nobody waits."""
        with self._lock:
            return heapq.heappop(self._heap)[-1] if self._heap else None

    def __len__(self) -> int:
        return len(self._heap)

    def rerank(self) -> None:
        """Ask anew what comes before what."""
        with self._lock:
            self._heap = [(self._rank(slug), count, slug) for _, count, slug in self._heap]
            heapq.heapify(self._heap)

    def clear(self) -> list[str]:
        """Let nobody wait; returns who did, in rank."""
        with self._lock:
            slugs = [slug for *_, slug in sorted(self._heap)]
            self._heap.clear()
        return slugs
