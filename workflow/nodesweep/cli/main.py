"""The `nodesweep` command: each module of this package that has a function `run` is a subcommand.

The subcommand has the module's name, with `-` for `_`, and the first line of the module's docstring as its help. The
module's `add_arguments` adds its arguments, `run` runs it and returns the exit code, None for 0. Only the module of the
subcommand that is asked for is imported.
"""

import argparse
import importlib
import keyword
import os
import signal
import sys
from pathlib import Path
from types import ModuleType

from nodesweep.common.errors import NodesweepError
from nodesweep.common.files import file_error_message
from nodesweep.common.gc import search_seldom
from nodesweep.common.text import visible

from .arguments import add_default_sweep

CLOSED_PIPE = 128 + signal.SIGPIPE
"""The exit code of a command whose output nobody reads any more, as a shell has it of other tools."""


def command() -> int:
    """The command as a process of its own; ends without a word where its output is closed, as `| head` does."""
    search_seldom()
    try:
        try:
            return main()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left in the buffer goes there when Python ends
        return CLOSED_PIPE


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand; a NodesweepError is printed as one message, exit code 1.

    Raises BrokenPipeError where nobody reads the output any more.
    """
    words = sys.argv[1:] if arguments is None else arguments
    options = _parser(words).parse_args(words)
    try:
        return _module(options.command).run(options) or 0
    except NodesweepError as error:
        print(f"nodesweep: {visible(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("nodesweep: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"nodesweep: {visible(file_error_message(error))}", file=sys.stderr)
        return 1


def commands() -> dict[str, str]:
    """All subcommands and what each does, in the order of their names; no module is imported for it."""
    package = importlib.import_module(__package__)
    found = {}
    for path in (path for folder in package.__path__ for path in Path(folder).glob("*.py")):
        source = path.read_text()
        if "\ndef run(" in source:
            text = source.partition("\n")[0].strip('"')
            found[path.stem.rstrip("_").replace("_", "-")] = text[:1].lower() + text[1:].rstrip(".")
    return dict(sorted(found.items()))


def _parser(words: list[str]) -> argparse.ArgumentParser:
    """The parser of these words: of the subcommands that are not among them it knows no more than their names."""
    parser = argparse.ArgumentParser(prog="nodesweep", description="Run node-scaling studies, and tabulate them.")
    add_default_sweep(parser)
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in commands().items():
        subparser = subparsers.add_parser(name, help=text, description=text)
        if name in words:
            _module(name).add_arguments(subparser)
    return parser


def _module(name: str) -> ModuleType:
    """The module of a subcommand; one whose name is a word of Python, such as `import`, ends in `_`."""
    stem = name.replace("-", "_")
    return importlib.import_module(f".{stem}_" if keyword.iskeyword(stem) else f".{stem}", __package__)
