"""A process that searches every n-th block of a huge log; texts come, and results go, as lines of JSON."""

import json
import sys
from itertools import islice

from .search import BlockBuffer, BlockSearcher, block_spans, compiled_texts


def main(descriptor: int, size: int, first: int, step: int) -> None:
    """Search blocks `first`, `first + step`, ... of an open file of so many bytes."""
    texts: list[str] = json.loads(sys.stdin.readline())
    searcher = BlockSearcher(compiled_texts(texts), len(texts), BlockBuffer(descriptor))
    for span in islice(block_spans(size), first, None, step):
        block = searcher.block(span, size)
        hits = [(hit.begin, hit.end, hit.newlines_before, [*hit.texts], hit.line, hit.label) for hit in block.hits]
        print(json.dumps((block.begin, block.end, block.newlines, hits)), flush=True)
