"""The command line of a layout's trainer before any job script is written: what it says, and what it depends on.

The words of a workload are templates. They are filled here to read the trainer's settings off them, so that a workload
need not say again under `training` what its command passes on.
"""

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, TypeVar

from nodesweep.common.errors import ConfigError
from nodesweep.config.expressions import filled, names_in
from nodesweep.config.layout_fields import LAYOUT_FIELDS
from nodesweep.config.loader import Key
from nodesweep.config.parameters import ParameterValue
from nodesweep.config.sweep import Sweep
from nodesweep.config.trainer_settings import ALSO_READ, SaidSetting, fields_said
from nodesweep.config.trainer_settings import SETTINGS as READ
from nodesweep.config.training import Training
from nodesweep.config.workload import Refusal, Workload

from .constraints import completed
from .settings import SETTINGS, STAGE_OF, left_to_workload, settled
from .template_values import Context, HasParts, Parts, context_of

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_OPTION = re.compile(r"(?:--?|\+\+?)?(?P<name>[A-Za-z_][\w.-]*)(?:=(?P<value>.*))?", re.DOTALL)
_NUMBER = re.compile(r"[+-]?[0-9.]+")
_MOST_DEPTH = 20
_PARTS_OF_NAMES = [name.split(".") for name in dict.fromkeys([*(row.name for row in READ), *ALSO_READ])]
"""The names of settings that are read, each in its parts."""
_OF_LAYOUT = {
    "num_layers": "model.layers",
    "pipeline_model_parallel_size": "pipeline",
    "data_parallel_size": "data",
    "context_parallel_size": "context",
}
"""Settings that others are understood by, and the names of what they are where the command does not say it."""


def told_by(workload: Workload) -> tuple[str, ...]:
    """All templates of a workload that reach its trainer."""
    return (*workload.command, *workload.setup, *workload.environment.values())


def templates_of(workload: Workload) -> tuple[str, ...]:
    """All templates that reach the trainer of a workload, and those that say what it does not take."""
    return (*told_by(workload), *map(condition_of, workload.refuses))


def condition_of(entry: Refusal) -> str:
    """The condition of a refusal as a template, which gives True or False."""
    return "{{ (" + entry.if_ + ") and true or false }}"


def rendered(source: str, context: Context) -> str:
    """A template, filled; kept for the next layout that is the same in all that the template asks for."""
    return _kept(_rendered, (source,), _asked((source,)), context)


def said_by(workload: Workload, context: Context) -> Mapping[str, SaidSetting]:
    """The fields that the command and the configs written by `setup` speak of, by name.

    >>> words = ("train", "--zero-stage=1", "--sequence-parallel", "{{ '--fp16' if tensor > 1 }}")
    >>> {name: str(said) for name, said in said_by(Workload(command=words), {"tensor": 2}).items()}
    {'sharding': '--zero-stage=1', 'sequence_parallel': '--sequence-parallel', 'precision': '--fp16'}
    """
    words, lines = _speaking(workload.command), tuple(line if _speaks(line) else "" for line in workload.setup)
    written = context.get("environment", workload.environment)
    environment = tuple(written.items()) if any("${" in word for word in words) else ()
    asked = _asked((*words, *lines, *(value for _, value in environment)))
    known = {name for name in _OF_LAYOUT.values() if name.partition(".")[0] in context}
    return _kept(_said, (words, lines, environment), tuple(sorted({*asked, *known})), context)


Known = tuple[tuple[str, Any], ...]
"""What templates ask for, by name, and its value."""
Kept = TypeVar("Kept")


def _kept(work: Callable[..., Kept], of: tuple[Any, ...], asked: tuple[str, ...], context: Context) -> Kept:
    """What a cached function makes of `of` and of what is asked for."""
    known = tuple((name, _looked_up(context, name)) for name in asked if name.partition(".")[0] in context)
    try:
        return work(*of, known)
    except TypeError:  # a value that cannot be kept
        uncached: Callable[..., Kept] = work.__wrapped__  # type: ignore[attr-defined]
        return uncached(*of, known)


@lru_cache(maxsize=4096)
def _asked(sources: tuple[str, ...]) -> tuple[str, ...]:
    """All that templates ask for."""
    return tuple(sorted(frozenset().union(*map(names_in, sources))))


def _looked_up(context: Context, name: str) -> Any:
    whole, dot, part = name.partition(".")
    value = context[whole]
    if not dot:
        return value
    return value.get(part) if isinstance(value, Mapping) else getattr(value, part, None)


def _context(known: Known) -> dict[str, Any]:
    """What is known as templates look it up."""
    context: dict[str, Any] = {}
    for name, value in known:
        whole, dot, part = name.partition(".")
        if dot:
            context.setdefault(whole, {})[part] = value
        else:
            context[whole] = value
    return context


@lru_cache(maxsize=65536)
def _rendered(source: str, known: Known) -> str:
    return filled(source, _context(known))


@lru_cache(maxsize=4096)
def _speaks(source: str) -> bool:
    """Whether a template may name a setting that is read; a variable of the environment may hold any."""
    text = source.replace("-", "_").casefold()
    return "${" in source or any(all(part in text for part in parts) for parts in _PARTS_OF_NAMES)


@lru_cache(maxsize=256)
def _speaking(command: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a command, those left empty that neither name a setting nor are its value."""
    speak = [_speaks(word) for word in command]
    follows = [False, *(before and "=" not in word for before, word in zip(speak, command, strict=True))][:-1]
    return tuple(word if one or other else "--" for word, one, other in zip(command, speak, follows, strict=True))


@lru_cache(maxsize=16384)
def _said(
    words: tuple[str, ...], lines: tuple[str, ...], environment: tuple[tuple[str, str], ...], known: Known
) -> Mapping[str, SaidSetting]:
    context, shown = _context(known), dict[str, tuple[str, Key]]()
    settings = {setting: str(value) for setting, name in _OF_LAYOUT.items() for asked, value in known if asked == name}
    for number, line in enumerate(lines):
        for name, value in _written(rendered(line, context)):
            settings[name], shown[name] = value, (f"{name} {value} in workload.setup", ("setup", number))
    variables = {name: rendered(value, context) for name, value in environment}
    given = [rendered(word, context) for word in words]
    for name, value, text, key in _options(list(_parts(given, variables))):
        settings[name], shown[name] = value, (text, key)
    said = {field: one for field, one in fields_said(settings).items() if one.name in shown}
    return {
        field: SaidSetting(one.value, shown[one.name][0], "true", shown[one.name][1]) for field, one in said.items()
    }


def _parts(words: Sequence[str], variables: Mapping[str, str]) -> Iterator[tuple[str, Key]]:
    """The words of a command with the values of its variables, each with the key of the workload that it stands at."""
    for number, word in enumerate(words):
        if not word:
            continue
        variable = _REFERENCE.fullmatch(word)
        key: Key = ("environment", variable[1]) if variable and variable[1] in variables else ("command", number)
        whole = _REFERENCE.sub(lambda found: variables.get(found[1], found[0]), word)
        yield from ((part, key) for part in (_split(whole) if " " in whole else [whole]))


def _split(word: str) -> list[str]:
    try:
        return shlex.split(word)
    except ValueError:
        return [word]


def _options(words: list[tuple[str, Key]]) -> Iterator[tuple[str, str, str, Key]]:
    """Options by the names that dumps of arguments have for them, with their values, as and where they are written."""
    for (word, key), (following, _) in zip(words, [*words[1:], ("--", ())], strict=True):
        found = _OPTION.fullmatch(word)
        if found is None or (found["value"] is None and not word.startswith("-")):
            continue
        name = found["name"].replace("-", "_").casefold()
        if found["value"] is not None:
            yield name, found["value"], word, key
        elif following.startswith(("-", "+")) and not _NUMBER.fullmatch(following):
            yield name, "true", word, key
            section, dot, last = name.rpartition(".")
            if last.startswith("no_"):
                yield f"{section}{dot}{last[3:]}", "false", word, key
        else:
            yield name, following, f"{word} {following}", key


def _written(line: str) -> Iterator[tuple[str, str]]:
    """The settings of a JSON object that a line of shell code writes, by names with dots."""
    start = line.find('{"')
    if start < 0:
        return
    try:
        value, _ = json.JSONDecoder().raw_decode(line, start)
    except (ValueError, RecursionError):
        return
    yield from _flat(value, ())


def _flat(value: Any, above: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and len(above) < _MOST_DEPTH:
        for name, below in value.items():
            yield from _flat(below, (*above, str(name)))
    elif not isinstance(value, dict | list):
        yield ".".join(above), str(value).casefold()


def workload_as_run(values: Mapping[str, Any], parts: Parts) -> Workload:
    """The workload of a layout, whose `training` and `precision` hold what its command says where they are left out.

    `values`: fields of a layout, None for those that its block leaves to the workload. What these are by themselves is
    read off the command as it is without them, all other settings off the command as the layout has it.
    """

    workload = parts.workload
    try:
        alone = _with(workload, said_by_itself(values, parts), of_layout=True)
        whole = context_of(settled(values, alone), replace(parts, workload=alone))
        return _with(alone, said_by(alone, whole), of_layout=False)
    except ConfigError:  # a template that does not know what to make of None: the job script tells of what is wrong
        return workload


def said_by_itself(values: Mapping[str, Any], parts: HasParts) -> Mapping[str, SaidSetting]:
    """What the command of a layout says without the fields that a block may leave to the workload, by field."""
    workload = parts.workload
    return said_by(workload, context_of({**values, **left_to_workload(values, workload)}, parts))


def workload_by_command(
    values: Mapping[str, Any], sweep: Sweep, parameters: Mapping[str, ParameterValue] = MappingProxyType({})
) -> Workload:
    """The workload of a sweep as its command says for a run from elsewhere, of which values and parameters are known.

    The workload as it is where they are too few.
    """
    known = completed({"ranks_per_node": sweep.machine.ranks_per_node, **values})
    fields = {name: known.get(name, row.default) for name, row in LAYOUT_FIELDS.items()}
    if None in [fields[name] for name in ("nodes", "data", "global_batch", "sequence_length")]:
        return sweep.workload
    return workload_as_run(
        {**fields, **{name: values.get(name) for name in SETTINGS}, "variant": ""},
        Parts(sweep.model, sweep.machine, sweep.workload, None, sweep.iterations, parameters),
    )


def _with(workload: Workload, said: Mapping[str, SaidSetting], of_layout: bool) -> Workload:
    """A workload with what is said where its keys leave it out; `of_layout`: of fields of SETTINGS, or the others."""
    wanted = {name: one.value for name, one in said.items() if (name in SETTINGS) == of_layout}
    training = {
        name: value for name, value in _training(wanted).items() if name not in workload.training.model_fields_set
    }
    changes: dict[str, Any] = {}
    if training:
        kept = workload.training.model_fields_set
        changes["training"] = Training.model_construct(_fields_set=kept, **{**dict(workload.training), **training})
    if "precision" in wanted and "precision" not in workload.model_fields_set:
        changes["precision"] = wanted["precision"]
    if not changes:
        return workload
    return Workload.model_construct(_fields_set=workload.model_fields_set, **{**dict(workload), **changes})


def _training(said: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of `training` by what the fields say."""
    found = {name: value for name, value in said.items() if name in Training.model_fields and name != "recomputation"}
    if said.get("recomputation") not in (None, "none"):
        found["recomputation"] = said["recomputation"]
    if "sharding" in said:
        found["zero_stage"] = STAGE_OF[said["sharding"]]
    if said.get("virtual_pipeline", 1) > 1:
        found |= {"pipeline_schedule": "interleaved", "chunks_per_stage": said["virtual_pipeline"]}
    return found
