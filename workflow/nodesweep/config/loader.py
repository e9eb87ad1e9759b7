"""YAML files → checked config: references resolved, overrides merged, every complaint with file, line and key."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from nodesweep.common.errors import ConfigError
from nodesweep.common.files import read_head
from nodesweep.common.text import did_you_mean, plain

from .complaints import complaint
from .hugging_face import read_hugging_face
from .machine import Machine
from .model import Model
from .parameters import parameter_names
from .sweep import Sweep
from .workload import Workload

REPOSITORY = Path(__file__).resolve().parents[3]
KINDS: dict[str, type[BaseModel]] = {"model": Model, "machine": Machine, "workload": Workload}
_MOST_BYTES = 4 * 2**20
_MOST_VALUES = 500_000
_MOST_COMPLAINTS = 20
_LONGEST_PATH = 1000
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.-]{1,80}")

Key = tuple[str | int, ...]


@dataclass
class Source:
    """A mapping read from a file: its values, and the line each key stands on.

    `beside`: another file that the values of the keys `taken` come from. `not_understood`: what of it was not.
    """

    path: Path
    values: dict[str, Any]
    lines: dict[Key, int] = field(default_factory=dict)
    beside: tuple[Path, ...] = ()
    taken: frozenset[str] = frozenset()
    not_understood: tuple[str, ...] = ()

    def where(self, key: Key) -> str:
        """`file:line: key` of a key, or of the nearest key above it that stands in the file."""
        if key and key[0] in self.taken:
            return f"{self.place(key)}: from: {shown(self.beside[0])}: {dotted(key)}"
        return f"{self.place(key)}: {dotted(key)}" if key else f"{shown(self.path)}"

    def place(self, key: Key) -> str:
        """`file:line` of a key, or of the nearest key above it that stands in the file."""
        above = key
        while above and above not in self.lines:
            above = above[:-1]
        return f"{shown(self.path)}:{self.lines[above]}" if above in self.lines else f"{shown(self.path)}"


def shown(path: Path) -> str:
    """A path as a user would type it: relative to the working directory where it lies below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def dotted(key: Key) -> str:
    """A key as people write it; what is no plain name is quoted.

    >>> dotted(("layouts", 0, "nodes"))
    'layouts[0].nodes'
    """
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _PLAIN_KEY.fullmatch(part) else f"{part!r:.80}")
    return text


def read_yaml(path: Path) -> Source:
    """Read one YAML mapping; raises ConfigError for anything else, with the line."""
    try:
        data = read_head(path, _MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"{shown(path)}: cannot be read ({error.strerror}); check the name, and put targets before --configfile"
        ) from None
    if len(data) > _MOST_BYTES:
        raise ConfigError(f"{shown(path)}: is over {_MOST_BYTES} bytes; no more is read as a config")
    return parsed_yaml(path, data)


def parsed_yaml(path: Path, data: bytes) -> Source:
    """The mapping in the content of a file, within bounds; raises ConfigError for anything else, with the line."""
    try:
        root = yaml.compose(data.decode("utf-8"), Loader=yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{shown(path)}: is not UTF-8 text ({error.reason} at byte {error.start}); save it so"
        ) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{shown(path)}{_mark(error)}: is not valid YAML: {_problem(error, data)}") from None
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{shown(path)}: holds no mapping of keys; see config/README.md for its keys")
    source = Source(path, {})
    try:
        _check_size(root, path, {}, ())
        _index(root, source, (), {})
        source.values = yaml.constructor.SafeConstructor().construct_document(root)
    except yaml.YAMLError as error:
        raise ConfigError(f"{shown(path)}{_mark(error)}: is not valid YAML: {_problem(error, data)}") from None
    except (ValueError, OverflowError, RecursionError) as error:
        raise ConfigError(f"{shown(path)}: holds a value that cannot be read: {error}") from None
    return source


def _mark(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}" if mark is not None else ""


def _problem(error: yaml.YAMLError, data: bytes) -> str:
    """What is not valid, and what to write where that is plain."""
    problem = " ".join(str(getattr(error, "problem", None) or error).split())
    mark = getattr(error, "problem_mark", None)
    if problem == "found unhashable key":
        return f'{problem}; put a value that begins with {{{{ in quotes: "{{{{ 4 * ranks }}}}"'
    if mark is None or "cannot start any token" not in problem:
        return problem
    line = data.decode(errors="replace").split("\n")[mark.line]
    return f"{problem}: a tab; indent with blanks" if line[mark.column : mark.column + 1] == "\t" else problem


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _check_size(node: yaml.Node, path: Path, sizes: dict[int, int], above: tuple[int, ...]) -> int:
    """How many values a node stands for with its aliases written out; refuses endless and explosive ones."""
    if id(node) in above or len(above) > 100:
        raise ConfigError(f"{shown(path)}:{node.start_mark.line + 1}: refers to itself or nests too deep; write it out")
    if id(node) not in sizes:
        size = 1 + sum(_check_size(child, path, sizes, (*above, id(node))) for child in _children(node))
        if size > _MOST_VALUES:
            line = node.start_mark.line + 1
            raise ConfigError(f"{shown(path)}:{line}: stands for over {_MOST_VALUES} values; make it smaller")
        sizes[id(node)] = size
    return sizes[id(node)]


def _index(node: yaml.Node, source: Source, key: Key, seen: dict[int, Key]) -> None:
    """Note the line of every key; refuse a key written twice."""
    source.lines[key] = node.start_mark.line + 1
    if id(node) in seen:
        return
    seen[id(node)] = key
    if isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            _index(item, source, (*key, position), seen)
    elif isinstance(node, yaml.MappingNode):
        names: set[str] = set()
        for name_node, value in node.value:
            name = str(name_node.value)
            line = name_node.start_mark.line + 1
            if name == "__use_yte__":
                raise ConfigError(f"{shown(source.path)}:{line}: {name} would run code; a sweep is plain YAML")
            if name in names:
                raise ConfigError(f"{shown(source.path)}:{line}: {dotted((*key, name))} stands twice; keep one")
            names.add(name)
            _index(value, source, (*key, name), seen)
            source.lines[(*key, name)] = name_node.start_mark.line + 1


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes` over it, mappings inside merged key by key, everything else replaced.

    >>> merge({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": 4}})
    {'a': 1, 'b': {'c': 4, 'd': 3}}
    """
    merged = dict(base)
    for name, value in changes.items():
        below = merged.get(name)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            value = merge(below, value)
        merged[name] = value
    return merged


def merged(sources: Sequence[Source]) -> Source:
    """The values of all files, later ones over earlier."""
    source = sources[0]
    for later in sources[1:]:
        source = Source(later.path, merge(source.values, later.values), {**source.lines, **later.lines})
    return source


def load_sweep(paths: Iterable[Path], overrides: Mapping[str, Any] | None = None) -> tuple[Sweep, tuple[Path, ...]]:
    """Read a sweep from its files, later ones over earlier ones, and `overrides` over all; gives all files read.

    Raises ConfigError with file, line and key for anything that cannot be used.
    """
    sources = [read_yaml(Path(path)) for path in paths]
    if not sources:
        raise ConfigError("no sweep was named: give --configfile config/quickstart.yaml or another sweep")
    source = merged(sources)
    source.values = merge(source.values, typed(overrides or {}))
    parts = {kind: resolved(kind, source) for kind in KINDS if kind in source.values}
    for kind, part in parts.items():
        source.values[kind] = part.values
    files = [one.path for one in sources] + [part.path for part in parts.values() if part.path != source.path]
    files += [path for part in parts.values() for path in part.beside]
    return _validate(source, parts), tuple(files)


def typed(value: Any) -> Any:
    """An override with its types: Snakemake gives the scalars inside `--config key={...}` as text."""
    if isinstance(value, Mapping):
        return {name: typed(item) for name, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    if isinstance(value, str):
        try:
            scalar = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError):
            return value
        return scalar if isinstance(scalar, bool | int | float) else value
    return value


def resolved(kind: str, source: Source) -> Source:
    """The mapping a sweep means by its `model`, `machine` or `workload`: in place, or a named file's."""
    value = source.values[kind]
    if isinstance(value, Mapping):
        lines = {key[1:]: line for key, line in source.lines.items() if key[:1] == (kind,)}
        return completed_part(Source(source.path, {"name": "in-place", **value}, lines))
    folder = source.path.resolve().parent
    try:
        return read_part(part_file(kind, value, folder))
    except NoSuchPartError as error:
        config = next((one for one in _configs_at(value) if kind == "model" and (folder / one).is_file()), None)
        way_out = f"a Hugging Face config is given as model: {{from: {config}}}; " if config else error.known
        raise ConfigError(f"{source.where((kind,))}: {error}; {way_out}or write the mapping in place") from None


class NoSuchPartError(ConfigError):
    """A model, machine or workload that no file describes; `known`: words that name those there are."""

    def __init__(self, message: str, known: str):
        super().__init__(message)
        self.known = known


def part_file(kind: str, name: Any, folder: Path) -> Path:
    """The file of a model, machine or workload beside a sweep in `folder`, or here; raises NoSuchPartError."""
    folders = [folder / f"{kind}s", REPOSITORY / "config" / f"{kind}s"]
    names = sorted({path.stem for one in folders for path in one.glob("*.yaml")})
    known = f"{did_you_mean(str(name), names)}known: {', '.join(names) or 'none'}; "
    if not isinstance(name, str) or not name or not set(name) <= _NAME_CHARACTERS or ".." in name:
        raise NoSuchPartError(f"{name!r:.80} is not the name of a {kind}", known)
    found = next((path for one in folders if (path := one / f"{name}.yaml").is_file()), None)
    if found is None:
        raise NoSuchPartError(f"there is no {kind} file {name}.yaml", known)
    return found


def _configs_at(named: Any) -> tuple[str, ...]:
    """Where the Hugging Face config may be that a text names: a path, or the folder of one."""
    return (named, f"{named.rstrip('/')}/config.json") if isinstance(named, str) and len(named) < _LONGEST_PATH else ()


def read_part(path: Path) -> Source:
    """A model, machine or workload in a file of its own, named as the file is."""
    part = read_yaml(path)
    part.values = {"name": path.stem, **part.values}
    return completed_part(part)


def completed_part(part: Source) -> Source:
    """A part with what it takes `from` another file below its own keys; a key from there has the line of `from`."""
    named = part.values.get("from")
    if not isinstance(named, str):
        return part
    path = part.path.resolve().parent / named
    try:
        read = read_hugging_face(path, plain(shown(path)), part.values)
    except ConfigError as error:
        if path == part.path.resolve():
            raise
        raise ConfigError(f"{part.place(('from',))}: model.from: {error}") from None
    line = part.lines.get(("from",), 1)
    lines: dict[Key, int] = {**{(name,): line for name in read.values}, **part.lines}
    taken = frozenset(read.values.keys() - part.values.keys())
    return Source(part.path, {**read.values, **part.values}, lines, (path,), taken, read.not_understood)


_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


def _validate(source: Source, parts: Mapping[str, Source]) -> Sweep:
    """Check the whole; complaints about a part name the part's own file."""
    try:
        return Sweep.model_validate(source.values, context={"parameters": parameter_names(source.values)})
    except ValidationError as error:
        complaints = []
        items = _without_echoes(error.errors(include_url=False))
        for item in items[:_MOST_COMPLAINTS]:
            key = key_of(item)
            part = parts.get(str(key[0])) if key else None
            where = part.where(key[1:]) if part and part.path != source.path else source.where(key)
            complaints.append(f"{where} {complaint(item, key)}")
        left = len(items) - len(complaints)
        more = [f"... and {left} more"] if left > 0 else []
        raise ConfigError("\n".join(complaints + more)) from None


def key_of(item: Any) -> Key:
    """Where a complaint is: without the names of types, which stand in brackets; an unknown key may look like one."""
    *above, last = item["loc"] or ("",)
    key = tuple(part for part in above if not (isinstance(part, str) and "[" in part))
    hidden = item["type"] != "extra_forbidden" and isinstance(last, str) and (not last or "[" in last)
    return key if hidden else (*key, last)


def _without_echoes(items: list[Any]) -> list[Any]:
    """Complaints without the "is empty" of a list whose items are what is wrong."""
    keys = [item["loc"] for item in items]

    def echo(item: Any) -> bool:
        above = item["loc"]
        return item["type"] == "too_short" and any(key != above and key[: len(above)] == above for key in keys)

    return [item for item in items if not echo(item)]
