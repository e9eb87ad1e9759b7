"""The room that explains a log."""

import argparse
from itertools import islice

from ..errors import NodesweepError
from ..logs.explain import as_json, explanation, look_alikes
from ..logs.formats import Format
from ..logs.scan import scan

MOST_LINES, MOST_COLUMNS = 100_000, 10_000
"""Of a log that are looked at for what an unknown trainer may print."""


def explain_log(options: argparse.Namespace) -> None:
    """Say what is read of logs, which patterns matched how often, and how they ended."""
    form = _format(options) if options.configfile else None
    for path in options.file:
        if not path.is_file():
            raise NodesweepError(f"{path}: no such file; give the logs of jobs")
        reading = scan(path, form)
        if options.json:
            print(as_json(reading))
            continue
        with path.open(errors="replace") as stream:
            lines = islice(iter(lambda: stream.readline(MOST_COLUMNS), ""), MOST_LINES)
            alike = look_alikes(lines) if not reading.iterations else []
        print(explanation(str(path), reading, alike))


def _format(options: argparse.Namespace) -> Format | None:
    """The format of a sweep's workload; only where a sweep is named is its config worth the time to load."""
    from ..logs.custom import format_of
    from .common import study_of

    return format_of(study_of(options).sweep.workload.log_format)
