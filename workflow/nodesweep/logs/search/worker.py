"""A process that searches every so manieth block of a huge log: texts come as a line of JSON, one goes for a block."""

import json
import sys
from itertools import islice

from .search import Finder, Window, database, places


def main(descriptor: int, size: int, first: int, step: int) -> None:
    """Search an open file of so many bytes from its block `first` on."""
    finder = Finder(database(json.loads(sys.stdin.readline())), Window(descriptor))
    for place in islice(places(size), first, None, step):
        block = finder.block(place, size)
        hits = [hit._replace(texts=list(hit.texts)) for hit in block.hits]
        print(json.dumps((block.begin, block.end, block.newlines, hits)), flush=True)
