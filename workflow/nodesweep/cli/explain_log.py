"""Say what is read of a log, which patterns matched how often, how it ended."""

import argparse
from itertools import islice
from pathlib import Path

from nodesweep.common.errors import NodesweepError
from nodesweep.logs.packed import log_content
from nodesweep.logs.patterns.trainer import Format
from nodesweep.logs.rules import rules
from nodesweep.logs.search.parallel import open_log

from .arguments import add_sweep_options

MOST_LINES, MOST_COLUMNS = 100_000, 10_000
"""Of a log that are looked at for what an unknown trainer may print."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which logs, and for whom."""
    add_sweep_options(parser)
    parser.add_argument("file", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="one JSON object a file, for programs")


def run(options: argparse.Namespace) -> None:
    """Say what is read of logs, which patterns matched how often, and how they ended."""
    form = _format(options) if options.configfile else None
    for path in options.file:
        if not path.is_file():
            raise NodesweepError(f"{path}: no such file; give the logs of jobs")
        print(_explained(path, form, options.json))


def _explained(path: Path, form: Format | None, json: bool) -> str:
    with open_log(path, rules(form).search.texts) as log:
        # Loaded while other processes begin to search a huge log.
        from nodesweep.logs.reader import read_open_log
        from nodesweep.reports.log_explanation import as_json, explanation, look_alikes

        reading = read_open_log(log, form)
    if json:
        return as_json(reading)
    with log_content(path) as stream:
        lines = islice(iter(lambda: stream.readline(MOST_COLUMNS).decode(errors="replace"), ""), MOST_LINES)
        alike = look_alikes(lines, form) if not reading.iterations else []
    return explanation(str(path), reading, alike)


def _format(options: argparse.Namespace) -> Format | None:
    """The format of a sweep's workload; a config takes long to load, and most logs need none."""
    from nodesweep.logs.custom_format import format_of

    from .common import study_of

    return format_of(study_of(options).sweep.workload.log_format)
