"""The quickstart, predicted and measured on this machine: time by half of its layouts, memory before any has run.

`python tests/bench/predictions.py [FOLDER]`: runs it in a new folder, or takes what lies in a folder it ran in.
Prints what `plan` foresaw of memory beside what was measured, then each time as the others predict it, halved in every
way that is: fitted to five of the nine layouts that have a time, asked for the other four. A half that has no run of a
layout's CP or sharding tells nothing of it: such are counted as refused.
"""

import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from itertools import combinations
from pathlib import Path
from statistics import fmean

from nodesweep.common.units import MIB
from nodesweep.performance.calibration.observations import Observation
from nodesweep.performance.calibration.time_fit import fit
from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.forecast import forecast
from nodesweep.results.table import from_csv, records
from nodesweep.sweep.study import DEFAULT_SWEEP, REPOSITORY, Study


def run() -> None:
    """The quickstart in the working directory, as `make quickstart` runs it."""
    command = ["snakemake", "--snakefile", REPOSITORY / "Snakefile", "--profile", REPOSITORY / "profiles" / "local"]
    subprocess.run([*map(str, command), "--configfile", str(DEFAULT_SWEEP)], check=True, capture_output=True)


def show_memory(study: Study, rows: dict[str, dict]) -> None:
    """What is foreseen before a run, by the constants of the workload alone."""
    print("memory, MiB of the rank that needs most, as foreseen before anything ran:")
    for slug, layout in study.layouts.items():
        memory, row = forecast(layout).memory, rows[slug]
        measured, outcome = row["memory_mib"], row["outcome"]
        error = f"{100 * (memory.bytes / MIB / measured - 1):+5.1f} %" if outcome == "ok" else "        "
        print(f"  {slug:50} {memory.bytes / MIB:7.1f} {memory.verdict:12} {measured or 0:7.1f} {error} {outcome}")


def show_times(study: Study, rows: dict[str, dict]) -> None:
    """Each layout as all halves without it predict it."""
    seconds = {slug: row["iteration_seconds"] for slug, row in rows.items() if row["outcome"] == "ok"}
    scatter = {slug: rows[slug]["iteration_seconds_half_interquartile_range"] / seconds[slug] for slug in seconds}
    cases = {slug: Dimensions.of(study.layouts[slug]) for slug in seconds}
    predicted, inside, refused = defaultdict(list), [], defaultdict(int)
    for half in combinations(seconds, (len(seconds) + 1) // 2):
        model = fit([Observation(slug, cases[slug], seconds[slug], None, scatter=scatter[slug]) for slug in half]).model
        for slug in set(seconds) - set(half):
            if model is None or model.refusal(cases[slug]):
                refused[slug] += 1
                continue
            found = model.estimate(cases[slug])
            predicted[slug].append(found.seconds)
            inside.append(found.low_seconds <= seconds[slug] <= found.high_seconds)
    print("\nseconds of an iteration: measured; predicted by halves of the others; mean error, worst; refused:")
    errors = []
    for slug in seconds:
        off = [100 * abs(value / seconds[slug] - 1) for value in predicted[slug]]
        errors += off
        told = f"{fmean(predicted[slug]):6.3f} {fmean(off):5.1f} % {max(off):5.1f} %" if off else "none" + 19 * " "
        print(f"  {slug:50} {seconds[slug]:6.3f} {told} {refused[slug]:4d}")
    held = 100 * fmean(inside)
    print(
        f"of {len(errors)} predictions: {fmean(errors):.1f} % off in the mean, {max(errors):.0f} % at worst; ", end=""
    )
    print(f"{held:.0f} % of the intervals hold what was measured")


def main() -> None:
    """Run or read, then compare."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(sys.argv[1] if sys.argv[1:] else folder)
        if not Path("results/quickstart/results.csv").exists():
            run()
        study = Study.load([DEFAULT_SWEEP])
        rows = {row["slug"]: row for row in records(from_csv((study.folder / "results.csv").read_text()))}
        unfinished = [slug for slug in study.layouts if not rows[slug]["outcome"]]
        if unfinished:
            sys.exit(f"not ended: {', '.join(unfinished)}")
        show_memory(study, rows)
        show_times(study, rows)
        os.chdir("/")


if __name__ == "__main__":
    main()
