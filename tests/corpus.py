"""Logs with the readings a careful human made of them, and what the reader makes of them: one row a figure.

`python tests/corpus.py FOLDER...` prints the table; a folder holds NAME.log beside NAME.json.
"""

import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from paths import LOGS

from nodesweep.logs.reader import read_log
from nodesweep.logs.reading import LogReading
from nodesweep.logs.summary import Summary, summary
from nodesweep.results.outcome import decide_from_log

EXAMPLES = LOGS
FOLDERS = [EXAMPLES, *(Path(folder) for folder in [os.environ.get("NODESWEEP_LOG_CORPUS")] if folder)]
GB = 1e9 / 2**20

# Figures that readings give in another unit or under another name than the reader's.
SAME: dict[str, Callable[[LogReading, Summary], Any]] = {
    "median_elapsed_s_from_timestamps": lambda reading, short: short["median_elapsed_s"],
    "median_tps_per_device": lambda reading, short: short["median_tokens_per_s_per_gpu"],
    "median_tokens_per_s_per_device": lambda reading, short: short["median_tokens_per_s_per_gpu"],
    "tokens_per_s_per_gpu_last": lambda reading, short: reading.iterations[-1].tokens_per_second_per_rank,
    "median_ds_tflops_per_gpu": lambda reading, short: short["median_hardware_tflops_per_gpu"],
    "median_batches_per_s": lambda reading, short: 1 / short["median_elapsed_s"],
    "mean_elapsed_s": lambda reading, short: short["train_runtime_s"] / short["train_iters"],
    "total_batches": lambda reading, short: short["train_iters"],
    "n_loss_records": lambda reading, short: short["n_iteration_records"],
    "n_lines_raw": lambda reading, short: reading.lines,
    "runs_in_file": lambda reading, short: reading.restarts + 1,
    "throughput_fields": lambda reading, short: short["median_elapsed_s"] is not None,
    "peak_reserved_gib": lambda reading, short: short["peak_reserved_mib"] and short["peak_reserved_mib"] / 1024,
    "peak_reserved_gb": lambda reading, short: short["peak_reserved_mib"] / GB,
    "peak_allocated_gb": lambda reading, short: short["peak_allocated_mib"] / GB,
    "reserved_gb": lambda reading, short: short["peak_reserved_mib"] / GB,
    "reserved_mib": lambda reading, short: short["peak_reserved_mib"],
    "memory_reserved_gb": lambda reading, short: short["peak_reserved_mib"] / GB,
    "memory_reserved_mib": lambda reading, short: short["peak_reserved_mib"],
    "cpu_memory_used_mib_max": lambda reading, short: short["node_memory_mib"],
}
# Nothing the reader reads. n_args_lines counts lines that look like arguments outside the dump too, "training ..." one
# of them; params is a size of the model; the others are beside what a run's memory is.
NOT_READ = {"n_args_lines", "params", "cpu_memory_total_mib", "peak_reserved_gib_with_validation"}
NOT_READ |= {"iterations_without_real_loss"}
# Where a reading contradicts its log: what is read instead, and the text in the log that says so.
ERRATA = {("microsoft_megds_2022_randomltd_interrupted", "ds_max_mem_allocated_gb"): (7.15, "MaxMemAllocated=7.15GB")}


class Row(NamedTuple):
    """One figure of one log."""

    log: str
    key: str
    expected: Any
    read: Any
    equal: bool


def logs(folder: Path) -> list[Path]:
    """The logs of a folder that have readings."""
    return sorted(path for path in folder.rglob("*.log") if path.with_suffix(".json").exists())


def rows(log: Path) -> Iterator[Row]:
    """Compare what is read of a log with every figure of its reading that is read at all."""
    expected = json.loads(log.with_suffix(".json").read_text())["expected"]
    reading = read_log(log)
    short = summary(reading)
    cause = decide_from_log(reading).cause
    accepted = [expected["outcome"], *expected.get("acceptable_outcomes", ())]
    yield Row(log.stem, "outcome", expected["outcome"], cause, cause in accepted)
    for name, value in expected.get("args", {}).items():
        read = short["args"].get(name)
        yield Row(log.stem, f"args.{name}", value, read, str(value) == read)
    for key, value in expected.items():
        if key not in ("outcome", "acceptable_outcomes", "args", *NOT_READ) and _is_figure(key, value, short):
            read = SAME[key](reading, short) if key in SAME else short.get(key)
            if (log.stem, key) in ERRATA:
                value, proof = ERRATA[log.stem, key]
                assert proof in log.read_text(errors="replace")
            yield Row(log.stem, key, value, read, _equal(value, read))


def _is_figure(key: str, value: Any, short: Summary) -> bool:
    """Whether a value is a figure, and no remark in words."""
    return not isinstance(value, str) and (value is not None or key in short or key in SAME)


def _equal(expected: Any, read: Any) -> bool:
    """Whether two figures agree to the last digit that was written down."""
    if isinstance(expected, bool) or not isinstance(expected, int | float) or not isinstance(read, int | float):
        return bool(expected == read)
    digits = len(f"{expected!r}".partition(".")[2]) if "e" not in f"{expected!r}" else 17
    return math.isclose(expected, read, rel_tol=1e-9, abs_tol=0.501 * 10**-digits if digits else 0)


def main(folders: list[str]) -> int:
    """Print the table of all figures; 1 if some differ."""
    table = [row for folder in folders or FOLDERS for log in logs(Path(folder)) for row in rows(log)]
    print("| log | figure | expected | read | |\n|---|---|---|---|---|")
    for row in table:
        print(f"| {row.log} | {row.key} | {row.expected} | {row.read} | {'' if row.equal else 'DIFFERS'} |")
    differ = sum(not row.equal for row in table)
    print(f"\n{len(table)} figures of {len({row.log for row in table})} logs, {differ} differ")
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
