"""Which layers each chunk of a pipeline has, in the notation of Megatron-LM's --pipeline-model-parallel-layout."""

import re

_PLAIN = re.compile(r"[EtmL|,]{0,100000}")
_REPEATED = re.compile(r"(?:([EtmL|])|\(([EtmL|,]*)\))\*([1-9][0-9]{0,3})")
_MOST_CHARACTERS, _MOST_ROUNDS = 1000, 10


def chunks_of(layout: str) -> list[str]:
    """The parts of each chunk, in the order of the model; raises ValueError for what is no such layout.

    >>> chunks_of("Et*2|(tt|)*2,L")
    ['Ett', 'tt', 'tt', 'L']
    """
    text = "".join(layout.split())
    for _ in range(_MOST_ROUNDS):
        written = _REPEATED.sub(lambda found: (found[1] or found[2]) * int(found[3]), text)
        if written == text or len(written) > _MOST_CHARACTERS * 100:
            break
        text = written
    if len(layout) > _MOST_CHARACTERS or not _PLAIN.fullmatch(text):
        raise ValueError(
            f"{layout!r:.80} is no layout of a pipeline: write E, t, m and L, | between chunks, such as Et*3|(tt|)*6,L"
        )
    chunks = text.replace(",", "").split("|")
    if not chunks[0].startswith("E") or not chunks[-1].endswith("L") or text.count("E") + text.count("L") != 2:
        raise ValueError(f"{layout!r:.80} has not one E as its first part and one L as its last; add or remove them")
    return chunks


def check_layout(layout: str) -> str:
    """The layout, if it is one; raises ValueError."""
    chunks_of(layout)
    return layout
