"""The fields of a layout as options of a command, one option a row of config/layout_fields.py."""

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

from nodesweep.config.layout_field import Kind, LayoutField


def add_axis(command: argparse.ArgumentParser, row: LayoutField) -> None:
    """An option with one value or several of a field, such as `--tensor 1 2 4`."""
    parse, metavar = _OPTION_OF_KIND[row.kind]
    if row.words:
        parse, metavar = partial(_word, row), "|".join(row.words)
    text = f"{row.meaning}{' (default: what follows from the others)' if row.follows else ''}"
    option = f"--{row.name.replace('_', '-')}"
    command.add_argument(option, nargs="+", type=parse, metavar=row.unit.upper() or metavar, help=text)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:11]) <= 10**9:
        raise argparse.ArgumentTypeError(f"{text!r:.40} is no number from 1 to 1000000000")
    return int(text)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r:.40} is no number above 0 and up to 100, such as 2.2")
    return value


def _word(row: LayoutField, text: str) -> str:
    word = row.word(text)
    if word is None:
        raise argparse.ArgumentTypeError(f"{text!r:.40} is none of {', '.join(row.words)}")
    return word


def _yes_or_no(text: str) -> bool:
    if text.lower() not in ("yes", "no"):
        raise argparse.ArgumentTypeError(f"{text!r:.40} is neither yes nor no")
    return text.lower() == "yes"


_OPTION_OF_KIND: dict[Kind, tuple[Callable[[str], Any], str]] = {
    "count": (_count, "N"),
    "number": (_number, "X"),
    "yes_no": (_yes_or_no, "yes|no"),
    "word": (str, "NAME"),
}
"""How the values of an option are read, and what stands for one in the help."""
