"""Read hand-kept markdown tables of results, say what cannot be right in them."""

import argparse
from pathlib import Path

from nodesweep.common.errors import NodesweepError
from nodesweep.common.files import write_atomic
from nodesweep.importers.markdown import import_markdown
from nodesweep.results.metrics import Basis
from nodesweep.results.results_file import write_results
from nodesweep.results.table import build, explained

from .arguments import add_sweep_options
from .common import named_study, own_folder

MOST_BYTES = 4_000_000
"""Size that a markdown file to import may have."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which files, and whether findings are a failure."""
    add_sweep_options(parser)
    parser.add_argument("file", nargs="+", type=Path, metavar="FILE.md")
    parser.add_argument("--check", action="store_true", help="exit code 1 if anything is found")


def run(options: argparse.Namespace) -> int:
    """Import into the sweep's folder where one is named, else into a folder for each file."""
    stems = [path.stem for path in options.file]
    if twice := next((stem for stem in stems if stems.count(stem) > 1), None):
        raise NodesweepError(f"two files named {twice}: they would share a folder; rename one")
    study = named_study(options)
    found = 0
    for path in options.file:
        folder = study.folder if study else own_folder(path.stem, "ingested", f"import into it, or rename {path}")
        try:
            imported = import_markdown(_markdown(path), path.name)
        except NodesweepError as error:
            raise NodesweepError(f"{path}: {error}") from None
        target = folder / "imported" / f"{path.stem}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, imported.to_json())
        written = f"{target}: `nodesweep measure` and `nodesweep tables` now take these rows in"
        if study is None:
            write_results(folder, explained(build((), imported.figures()), Basis()))
            write_atomic(folder / "tables.md", imported.document())
            written = f"{folder / 'tables.md'}: the corrected tables\n{folder / 'results.csv'}: the tidy table"
        print(f"{imported.report()}\n{written}")
        found += len(imported.findings)
    return 1 if options.check and found else 0


def _markdown(path: Path) -> str:
    """The text of a markdown file; raises NodesweepError where it is none."""
    if path.stat().st_size > MOST_BYTES:
        raise NodesweepError(f"over {MOST_BYTES} bytes, too large for tables kept by hand; give it in parts")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise NodesweepError(f"not UTF-8 text (byte {error.start}); save it as UTF-8") from None
