"""Two files of one job read as one log: training output in one, failures in the other."""

import re
from dataclasses import replace

from nodesweep.logs.reading import LogReading

_LINE = re.compile(r"(^|after the end: )line (\d{1,15}): ")


def leads(output: LogReading, error: LogReading) -> bool:
    """Whether standard output holds the training; trainers that log to standard error have it there."""
    return _weight(output) >= _weight(error)


def joined(first: LogReading, second: LogReading) -> LogReading:
    """A reading with the failures, successes and settings of a second file, as if its lines came after the first's.

    Memory is the second's only where the first has none.
    """
    offset = first.lines
    return replace(
        first,
        rank_memory=first.rank_memory or tuple(replace(row, line=row.line + offset) for row in second.rank_memory),
        node_memory=first.node_memory
        or (second.node_memory and replace(second.node_memory, line=second.node_memory.line + offset)),
        signatures=(*first.signatures, *(replace(found, line=found.line + offset) for found in second.signatures)),
        successes=(*first.successes, *(replace(seen, line=seen.line + offset) for seen in second.successes)),
        world_size=first.world_size or second.world_size,
        arguments=tuple(sorted((dict(second.arguments) | dict(first.arguments)).items())),
        argument_at={**{name: line + offset for name, line in second.argument_at.items()}, **first.argument_at},
        dump_is_whole=first.dump_is_whole or second.dump_is_whole,
        matched={**second.matched, **first.matched},
        last_text=first.last_text or second.last_text,
        last_text_line=first.last_text_line if first.last_text else second.last_text_line + offset,
        lines=first.lines + second.lines,
        size_bytes=first.size_bytes + second.size_bytes,
        modified_ns=max(first.modified_ns, second.modified_ns),
    )


def placed(text: str, first: LogReading, name: str) -> str:
    """Evidence from a joined reading, with the name of the second file where its line stands there."""

    def place(match: re.Match[str]) -> str:
        line = int(match[2])
        return match[0] if line <= first.lines else f"{match[1]}{name} line {line - first.lines}: "

    return _LINE.sub(place, text, count=1)


def _weight(reading: LogReading) -> tuple[int, bool]:
    return len(reading.iterations), reading.training_started_line is not None
