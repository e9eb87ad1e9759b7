"""Where each key of a sweep was set: file, line and key, or the command line."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .loader import KINDS, Key, Source, dotted, merge, merged, read_yaml, resolved, typed


@dataclass(frozen=True)
class Origins:
    """Where the keys of a sweep were set: its files, later ones over earlier, `overrides` over all, files of parts."""

    sources: tuple[Source, ...]
    overrides: Source
    parts: Mapping[str, Source]

    def where(self, key: Key) -> str | None:
        """`file:line: key` of a key, or the command line's; None where it was left out."""
        source, inside = self._source(key)
        if source is None:
            return None
        return source.where(inside) if source.lines else f"--config: {dotted(key)}"

    def place(self, key: Key) -> str | None:
        """`file:line` of a key, or that and its name for the command line's; None where it was left out."""
        source, inside = self._source(key)
        if source is None:
            return None
        return source.place(inside) if source.lines else f"--config: {dotted(key)}"

    def _source(self, key: Key) -> tuple[Source | None, Key]:
        """What sets a key, and the key as it stands there; None where it was left out."""
        for source in (self.overrides, *reversed(self.sources)):
            reach = _reach(source.values, key)
            if reach == "set":
                return source, key
            if reach == "replaced":
                break
        part = self.parts.get(str(key[0]))
        return (part if part and key[1:] in part.lines else None), key[1:]


def _reach(values: Any, key: Key) -> Literal["set", "replaced", "open"]:
    """Whether values set a key, set something above it to what has no such key, or leave it to earlier values."""
    within_list = False
    for part in key:
        if isinstance(values, Mapping) and part in values:
            values = values[part]
        elif isinstance(values, list) and isinstance(part, int) and part < len(values):
            values, within_list = values[part], True
        else:
            return "open" if isinstance(values, Mapping) and not within_list else "replaced"
    return "set"


def origins(paths: Iterable[Path], overrides: Mapping[str, Any] | None = None) -> Origins:
    """Where the keys of a sweep that can be loaded were set."""
    sources = tuple(read_yaml(Path(path)) for path in paths)
    changes = typed(overrides or {})
    files = merged(sources)
    whole = Source(sources[-1].path, merge(files.values, changes), files.lines)
    elsewhere = (kind for kind in KINDS if isinstance(value := whole.values.get(kind), str) or "from" in (value or ()))
    named = {kind: resolved(kind, whole) for kind in elsewhere}
    return Origins(sources, Source(Path(), changes), named)


def axis_keys(block: int, groups: int, name: str) -> Iterator[Key]:
    """Where a block may give an axis or parameter; `groups`: how many groups of its axes vary together."""
    whole: Key = ("layouts", block)
    for part in (whole, (*whole, "together"), *((*whole, "together", number) for number in range(groups))):
        yield from ((*part, name), (*part, "parameters", name))


def place_of(paths: Iterable[Path], text: str) -> str:
    """`file:line: key` of the first value in these files that is this text; empty where none is."""
    for path in paths:
        source = read_yaml(path)
        if (key := _key_of(source.values, text)) is not None:
            return source.where(key)
    return ""


def _key_of(values: Any, text: str) -> Key | None:
    parts = values.items() if isinstance(values, Mapping) else enumerate(values) if isinstance(values, list) else ()
    for name, value in parts:
        if value == text:
            return (name,)
        if (below := _key_of(value, text)) is not None:
            return (name, *below)
    return None
