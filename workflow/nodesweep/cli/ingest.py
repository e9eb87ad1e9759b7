"""Read the logs of old jobs into measurements, say what in them does not fit together."""

import argparse
from pathlib import Path

from nodesweep.common.files import write_atomic
from nodesweep.importers.job_logs import (
    IngestOptions,
    PathTemplate,
    find_logs,
    folder_name,
    ingest,
    values_of_settings,
)
from nodesweep.logs.custom_format import format_of
from nodesweep.reports.tables.document import document_of_logs, render
from nodesweep.results.metrics import Basis
from nodesweep.results.results_file import write_results
from nodesweep.results.table import build, explained

from .arguments import add_sweep_options
from .common import named_study, own_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which logs, what is known of their layouts, and whether findings are a failure."""
    add_sweep_options(parser)
    parser.add_argument("path", nargs="+", type=Path, metavar="DIR_OR_FILE")
    parser.add_argument("--name", help="name of the folder and file written (default: that of the first path)")
    for option, metavar, text in (
        ("--set", "NAME=VALUE", "a field of all these layouts, such as tensor=4, over what logs and paths say"),
        ("--pattern", "TEMPLATE", "fields in the paths of logs, such as 'n{nodes}-mp{tensor}/*'; * is any text"),
    ):
        parser.add_argument(option, action="append", default=[], metavar=metavar, help=text)
    parser.add_argument("--check", action="store_true", help="exit code 1 if anything is found")


def run(options: argparse.Namespace) -> int:
    """Ingest into the sweep's folder where one is named, else into a folder of their own."""
    study = named_study(options)
    name = folder_name(options.name or options.path[0].resolve().stem)
    statistic = study.sweep.statistic if study else "median"
    templates = tuple(map(PathTemplate.of, options.pattern))
    beside = IngestOptions(values_of_settings(options.set), templates, statistic)
    folder = study.folder if study else own_folder(name, "imported", "ingest into it, or give another --name")
    forms = (format_of(study.sweep.workload.log_format), None) if study else (None,)
    logs = find_logs(options.path)
    ingested = ingest(name, logs, ((job, job.readings(forms)) for job in logs.jobs), beside)
    target = folder / "ingested" / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, ingested.to_json())
    written = f"{target}: `nodesweep measure` and `nodesweep tables` now take these rows in"
    if study is None:
        frame = explained(build((), ingested.figures()), Basis())
        write_results(folder, frame)
        write_atomic(folder / "tables.md", render(document_of_logs(name, statistic, frame), frame))
        written = f"{folder / 'tables.md'}: the tables\n{folder / 'results.csv'}: the tidy table"
    print(f"{ingested.report()}\n{written}")
    return 1 if options.check and ingested.findings else 0
