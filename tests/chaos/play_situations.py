"""Plays the situations of real sites at full length on two real clusters, and prints what became of each as a table.

python tests/chaos/play_situations.py [--silent-seconds 900] [--product REPOSITORY] [NAME ...]
"""

import argparse
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from paths import REPOSITORY
from slurm.situations import SITUATIONS, Situation, play_all
from slurm.stage import Site, Stage, site

HEADINGS = ("situation", "starts per layout", "journal", "results.csv", "said", "as it must be")


def row(place: Site, one: Situation, options: argparse.Namespace) -> str:
    """Play a situation; what became of it as a row of the table."""
    folder = Path(tempfile.mkdtemp(prefix=f"stage-{one.name[:20]}-"))
    stage = Stage(place, folder, options.product, options.silent_seconds, quick=options.quick)
    verdict = "yes"
    try:
        one.play(stage)
    except Exception as error:  # whatever goes wrong is a row of the table
        verdict = f"NO: {_cell(str(error))[:200]}"
    cells = [one.words, *_seen(stage), " / ".join(map(_cell, stage.told)), verdict]
    stage.close()
    return f"| {' | '.join(cells)} |"


def _seen(stage: Stage) -> list[str]:
    """Starts, events and outcomes of all sweeps of a stage; of many layouts that fared alike, their number."""
    starts, journals, outcomes = [], [], []
    for config in sorted(stage.folder.glob("*/sweep.yaml")):
        if (config.parent / "starts").exists():
            starts += [str(count) for count in stage.starts(config).values()]
        if (config.parent / "results").exists():
            journals += [", ".join(event["event"] for event in events) for events in stage.journals(config).values()]
            for one in stage.rows(config):
                words = (one["outcome"] or one["state"], one["outcome_note"], one["flags"])
                outcomes.append(_cell("; ".join(filter(None, words))))
    return [_counted(texts) for texts in (starts, journals, outcomes)]


def _counted(texts: list[str]) -> str:
    return "<br>".join(f"{count} x {text}" if count > 1 else text for text, count in Counter(texts).items())


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> int:
    """Play from the command line; 1 where one ended otherwise than it must."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="situations, by default all")
    parser.add_argument("--silent-seconds", type=float, help="shortens the patience of the scheduler, 900 s")
    parser.add_argument("--quick", action="store_true", help="launchers without Snakemake")
    parser.add_argument("--product", type=Path, default=REPOSITORY, help="another repository whose nodesweep is used")
    parser.add_argument("--at-once", type=int, default=6)
    options = parser.parse_args()
    rows: list[str] = []
    printing = threading.Lock()
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}", flush=True)
    with site(nodes=8) as place:

        def play(one: Situation) -> None:
            line = row(place, one, options)
            with printing:
                rows.append(line)
                print(line, flush=True)

        for future in play_all(play, options.names or SITUATIONS, options.at_once).values():
            future.result()
    return 1 if any("| NO: " in line for line in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
