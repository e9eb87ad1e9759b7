"""The layouts that wait for their submission, the first in rank first."""

import heapq
import threading
from collections.abc import Callable, Iterable

Rank = tuple[float, ...]
"""The place of a layout in the queue; the lowest comes first."""
_Heap = list[tuple[Rank, int, str]]


class WaitingLayouts:
    """A queue of slugs for several threads.

    `rank` says what comes before what, and is asked again by `rerank`. `lane` puts layouts together of which none can
    be submitted while one cannot.
    """

    def __init__(self, rank: Callable[[str], Rank], lane: Callable[[str], str]) -> None:
        self._rank = rank
        self._lane = lane
        self._heaps: dict[str, _Heap] = {}
        self._count = 0
        self._lock = threading.Lock()

    def add(self, slugs: Iterable[str]) -> None:
        """Let slugs wait; of those of one rank the first come is first served."""
        with self._lock:
            for slug in slugs:
                self._count += 1
                heapq.heappush(self._heaps.setdefault(self._lane(slug), []), (self._rank(slug), self._count, slug))

    def pop(self, closed: Callable[[str], bool] = lambda lane: False) -> str | None:
        """The first of all lanes that are not closed, which waits no longer; None where nobody can be had."""
        with self._lock:
            lanes = (lane for lane in self._heaps if not closed(lane))
            first = min(lanes, key=lambda lane: self._heaps[lane][0], default=None)
            if first is None:
                return None
            slug = heapq.heappop(self._heaps[first])[-1]
            if not self._heaps[first]:
                del self._heaps[first]
            return slug

    def __len__(self) -> int:
        with self._lock:
            return sum(map(len, self._heaps.values()))

    def rerank(self) -> None:
        """Ask anew what comes before what."""
        with self._lock:
            for lane, heap in self._heaps.items():
                self._heaps[lane] = [(self._rank(slug), count, slug) for _, count, slug in heap]
                heapq.heapify(self._heaps[lane])

    def clear(self) -> list[str]:
        """Let nobody wait; returns who did, in rank."""
        with self._lock:
            slugs = [slug for *_, slug in sorted(one for heap in self._heaps.values() for one in heap)]
            self._heaps.clear()
        return slugs
