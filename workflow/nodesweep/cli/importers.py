"""Commands that take in results from elsewhere: hand-kept tables and the logs of old jobs."""

import argparse
from pathlib import Path

from nodesweep.common.errors import NodesweepError
from nodesweep.common.files import write_atomic
from nodesweep.importers.job_logs import (
    IngestOptions,
    PathTemplate,
    find_logs,
    folder_name,
    ingest,
    values_of_settings,
)
from nodesweep.importers.markdown import import_markdown
from nodesweep.logs.custom_format import format_of
from nodesweep.reports.tables.document import document_of_logs, render
from nodesweep.results.metrics import Basis
from nodesweep.results.table import build, explained, to_csv

from .common import named_study

MOST_BYTES = 4_000_000
"""Size that a markdown file to import may have."""


def import_tables(options: argparse.Namespace) -> int:
    """Import hand-kept tables: into the sweep's folder where one is named, else into a folder for each file."""
    stems = [path.stem for path in options.file]
    if twice := next((stem for stem in stems if stems.count(stem) > 1), None):
        raise NodesweepError(f"two files named {twice}: they would share a folder; rename one")
    study = named_study(options)
    found = 0
    for path in options.file:
        folder = study.folder if study else _own_folder(path.stem, "ingested", f"import into it, or rename {path}")
        try:
            imported = import_markdown(_markdown(path), path.name)
        except NodesweepError as error:
            raise NodesweepError(f"{path}: {error}") from None
        target = folder / "imported" / f"{path.stem}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, imported.to_json())
        written = f"{target}: `nodesweep measure` and `nodesweep tables` now take these rows in"
        if study is None:
            write_atomic(folder / "results.csv", to_csv(explained(build((), imported.figures()), Basis())))
            write_atomic(folder / "tables.md", imported.document())
            written = f"{folder / 'tables.md'}: the corrected tables\n{folder / 'results.csv'}: the tidy table"
        print(f"{imported.report()}\n{written}")
        found += len(imported.findings)
    return 1 if options.check and found else 0


def ingest_logs(options: argparse.Namespace) -> int:
    """Ingest logs of old jobs: into the sweep's folder where one is named, else into a folder of their own."""
    study = named_study(options)
    name = folder_name(options.name or options.path[0].resolve().stem)
    statistic = study.sweep.statistic if study else "median"
    templates = tuple(map(PathTemplate.of, options.pattern))
    beside = IngestOptions(values_of_settings(options.set), templates, statistic)
    folder = study.folder if study else _own_folder(name, "imported", "ingest into it, or give another --name")
    forms = (format_of(study.sweep.workload.log_format), None) if study else (None,)
    logs = find_logs(options.path)
    ingested = ingest(name, logs, ((job, job.readings(forms)) for job in logs.jobs), beside)
    target = folder / "ingested" / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, ingested.to_json())
    written = f"{target}: `nodesweep measure` and `nodesweep tables` now take these rows in"
    if study is None:
        frame = explained(build((), ingested.figures()), Basis())
        write_atomic(folder / "results.csv", to_csv(frame))
        write_atomic(folder / "tables.md", render(document_of_logs(name, statistic, frame), frame))
        written = f"{folder / 'tables.md'}: the tables\n{folder / 'results.csv'}: the tidy table"
    print(f"{ingested.report()}\n{written}")
    return 1 if options.check and ingested.findings else 0


def _own_folder(name: str, other: str, way_out: str) -> Path:
    """A folder below results for what belongs to no sweep; raises NodesweepError where other results lie."""
    folder = Path("results") / name
    if any((folder / made).exists() for made in ("plan.csv", "layouts")):
        raise NodesweepError(f"{folder} holds the results of a sweep; name the sweep with --configfile to {way_out}")
    if (folder / other).exists():
        raise NodesweepError(f"{folder} holds what was {other}; rename, or give --name: its tables would be lost")
    return folder


def _markdown(path: Path) -> str:
    """The text of a markdown file; raises NodesweepError where it is none."""
    if path.stat().st_size > MOST_BYTES:
        raise NodesweepError(f"over {MOST_BYTES} bytes, too large for tables kept by hand; give it in parts")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise NodesweepError(f"not UTF-8 text (byte {error.start}); save it as UTF-8") from None
