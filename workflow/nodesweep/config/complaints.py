"""What is wrong with a value of a config, in words that a person can use."""

import re
from typing import Any

from pydantic import BaseModel

from nodesweep.common.text import did_you_mean

from .sweep import Sweep

Key = tuple[str | int, ...]

_PLAIN = {
    "missing": "is missing; it has no default",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text; put it in quotes",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of keys",
    "model_type": "must be a mapping of keys",
    "model_attributes_type": "must be a mapping of keys",
    "too_short": "is empty; give at least one value",
}


_OF_NUMBERS = ("int_type", "int_parsing", "float_type", "float_parsing")
_UNITS = {"mib": "MiB", "node_hours": "node-hours", "seconds": "seconds", "ghz": "GHz", "tflops": "10^12 FLOP/s"}


def complaint(item: Any, key: Key) -> str:
    """What is wrong with the value of a key of a sweep, as pydantic has it, in words that follow its name."""
    kind, given = item["type"], item.get("input")
    if kind == "extra_forbidden":
        known = sorted(_keys_at(key[:-1]))
        hint = did_you_mean(str(key[-1]), known)
        own = "; an axis of your own stands under parameters" if "parameters" in known else ""
        return f"is an unknown key; {hint}known here: {', '.join(known)}{own}"
    text = _PLAIN.get(kind)
    if text is not None and kind in _OF_NUMBERS:
        text += _unit_of(key)
    if text is None:
        text = str(item["msg"]).removeprefix("Value error, ").replace("Input should", "should")
    shows = kind not in ("missing", "value_error", "too_short") and isinstance(given, str | int | float | bool)
    return f"{text}, not {given!r:.80}{_as_list(kind, given)}" if shows else text


def _unit_of(key: Key) -> str:
    """The unit of the number that a key takes, as its name says; empty where it says none."""
    name = str(next((part for part in reversed(key) if isinstance(part, str)), ""))
    return next((f" of {unit}" for part, unit in _UNITS.items() if part in name), "")


def _as_list(kind: str, given: Any) -> str:
    """How several numbers are written that stand in one text; empty where there are no several."""
    numbers = re.findall(r"[0-9]+", given) if kind in _OF_NUMBERS and isinstance(given, str) else []
    if len(numbers) < 2 or not re.fullmatch(r"[0-9,;:. -]+", given):
        return ""
    return f"; write [{', '.join(numbers)}]" if re.fullmatch(r"[0-9, ]+", given) else "; write a list, as [4, 8, 16]"


def _keys_at(key: Key) -> list[str]:
    """The keys the type at a place of a sweep knows."""
    kind: Any = Sweep
    for part in key:
        if isinstance(part, int):
            continue
        annotation = kind.model_fields[part].annotation if part in kind.model_fields else None
        kind = _model_in(annotation) or kind
    return [info.alias or name for name, info in kind.model_fields.items()]


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(part) for part in getattr(annotation, "__args__", ()))
    return next((model for model in found if model), None)
