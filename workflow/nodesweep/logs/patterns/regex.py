"""Regular expressions that are compiled when they are first used: of all in the tables, a log needs few."""

import re
from collections.abc import Iterator
from functools import cached_property


class Pattern:
    """A regular expression of the reader's tables."""

    def __init__(self, source: str):
        self.source = source

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """The compiled expression."""
        return re.compile(self.source)

    def search(self, text: str, begin: int = 0) -> re.Match[str] | None:
        """The first match from a place on."""
        return self.compiled.search(text, begin)

    def match(self, text: str) -> re.Match[str] | None:
        """The match at the start."""
        return self.compiled.match(text)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """All matches in order."""
        return self.compiled.finditer(text)
