"""The room that explains a log."""

import argparse
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from nodesweep.common.errors import NodesweepError
from nodesweep.logs.search.parallel import open_log
from nodesweep.logs.search.prefilter import LEADS

if TYPE_CHECKING:
    from nodesweep.logs.trainers.formats import Format

MOST_LINES, MOST_COLUMNS = 100_000, 10_000
"""Of a log that are looked at for what an unknown trainer may print."""


def explain_log(options: argparse.Namespace) -> None:
    """Say what is read of logs, which patterns matched how often, and how they ended."""
    form = _format(options) if options.configfile else None
    for path in options.file:
        if not path.is_file():
            raise NodesweepError(f"{path}: no such file; give the logs of jobs")
        print(_explained(path, form, options.json))


def _explained(path: Path, form: "Format | None", json: bool) -> str:
    with open_log(path, _texts(form)) as log:
        from nodesweep.logs.explain import as_json, explanation, look_alikes
        from nodesweep.logs.reader import read

        reading = read(log, form)
    if json:
        return as_json(reading)
    with path.open(errors="replace") as stream:
        lines = islice(iter(lambda: stream.readline(MOST_COLUMNS), ""), MOST_LINES)
        alike = look_alikes(lines, form) if not reading.iterations else []
    return explanation(str(path), reading, alike)


def _texts(form: "Format | None") -> Sequence[str]:
    """What to search a log for; without a format that is known before all that reads it is loaded."""
    if form is None:
        return LEADS
    from nodesweep.logs.rules import rules

    return rules(form).search.texts


def _format(options: argparse.Namespace) -> "Format | None":
    """The format of a sweep's workload; only where a sweep is named is its config worth the time to load."""
    from nodesweep.logs.trainers.custom import format_of

    from .common import study_of

    return format_of(study_of(options).sweep.workload.log_format)
