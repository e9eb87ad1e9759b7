"""Arguments that several commands take, and what may stand for them."""

import argparse
import json
from pathlib import Path
from typing import Any

_CONFIG_HELP = "keys over those of the files: one KEY=VALUE, or a JSON object"


def add_sweep_options(parser: argparse.ArgumentParser) -> None:
    """The options that name a sweep, behind a command; `add_default_sweep` adds those before it."""
    _add_sweep_options(parser, no_files=argparse.SUPPRESS, no_keys=argparse.SUPPRESS)


def add_default_sweep(parser: argparse.ArgumentParser) -> None:
    """The options that name a sweep, before a command, with what holds where they stand nowhere."""
    _add_sweep_options(parser, no_files=None, no_keys={})


def _add_sweep_options(parser: argparse.ArgumentParser, no_files: str | None, no_keys: str | dict[str, Any]) -> None:
    parser.add_argument(
        "--configfile",
        action="append",
        type=Path,
        metavar="FILE",
        default=no_files,
        help="the sweep; may be given several times, later files over earlier ones (default: the quickstart)",
    )
    parser.add_argument("--config", type=_mapping, metavar="KEY=VALUE|JSON", default=no_keys, help=_CONFIG_HELP)


def seconds(text: str) -> float:
    """A time between two looks."""
    if not 0.1 <= (value := _number(text)) <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r:.40} is no number of seconds from 0.1 to 86400")
    return value


def percent(text: str) -> float:
    """A share of no more than ten times the whole."""
    if not 0 <= (value := _number(text)) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r:.40} is no share in percent, such as 5")
    return value


def _number(text: str) -> float:
    """A number; one that is in no range for a text that is none."""
    try:
        return float(text)
    except ValueError:
        return -1.0


def _mapping(text: str) -> dict[str, Any]:
    """The keys of `--config`; raises ArgumentTypeError for what is neither a JSON object nor one KEY=VALUE."""
    try:
        value = json.loads(text)
    except ValueError:
        key, equals, value = text.partition("=")
        value = {key: value} if equals and key.isidentifier() else None
    if not isinstance(value, dict):
        examples = """machine=slurm, or '{"machine": "slurm", "iterations": {"total": 5}}'"""
        raise argparse.ArgumentTypeError(f"{text!r:.80} is neither KEY=VALUE nor a JSON object: write {examples}")
    return value
