"""A real sweep of 30 simulated layouts whose runs end early, against their full series: enough_sweep.py --seed 1."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from enough_iterations import FAMILIES
from sweeps import drained, runner_of, study_in

from nodesweep.sweep.study import Study

TOTAL, LAYOUTS, PERCENT, WARM_UP = 50, 30, 1.0, 1
TRAINER = """i=0; while read -r ms; do i=$((i+1)); sleep {pace}
printf ' iteration %8d/%8d | consumed samples: %12d | elapsed time per iteration (ms): %s |' $i {total} $((i*16)) $ms
printf ' learning rate: 1.000E-04 | global batch size: %5d | lm loss: %.6E |\\n' 16 9; done <"$SERIES"
echo '[after training is done] datetime: 2026-01-01 00:00:10 '
"""


def main() -> None:
    """Run the sweep and print a row a layout, then the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pace", type=float, default=0.12, help="seconds an iteration really takes")
    options = parser.parse_args()
    dice = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Path(folder) / "trainer.sh"
        head = "echo '[before the start of training step] datetime: 2026-01-01 00:00:00 '\n"
        trainer.write_text(head + TRAINER.replace("{pace}", str(options.pace)).replace("{total}", str(TOTAL)))
        study = study_in(
            Path(folder),
            workload={
                "name": "simulated",
                "command": ["bash", str(trainer)],
                "environment": {"SERIES": "{{ directory }}/series"},
                "log_format": "megatron-deepspeed",
            },
            iterations={"total": TOTAL, "warmup": WARM_UP, "enough": {"percent": PERCENT}},
            layouts=[{"nodes": 1, "global_batch": 16, "sequence_length": [128 * (n + 1) for n in range(LAYOUTS)]}],
        )
        series, names = {}, [*FAMILIES]
        for number, slug in enumerate(study.runs):
            noise = FAMILIES[names[number % len(names)]](dice, TOTAL, float(dice.choice([0.002, 0.005, 0.01])))
            series[slug] = np.round(1000 * np.maximum(1 + noise, 0.1), 1)
            text = "".join(f"{ms:.1f}\n" for ms in series[slug])
            (study.directory(slug) / "series").write_text(text)
        runner = runner_of(study, poll_seconds=0.1, jobs_at_once=6)
        runner.add([*study.runs])
        drained(runner, LAYOUTS, seconds=300)
        _tell(study, series, names)


def _tell(study: Study, series: dict[str, np.ndarray], names: list[str]) -> None:
    """Print what was measured of each run against its whole series, and the sums."""
    print("| layout | series | iterations | median error |\n|---|---|---|---|")
    spent, errors = [], []
    for number, (slug, values) in enumerate(series.items()):
        measured = json.loads((study.directory(slug) / "measurement.json").read_text())
        spent.append(len(measured["series"]["iteration"]))
        whole = float(np.median(values[WARM_UP:])) / 1000
        errors.append(abs(measured["statistics"]["iteration_seconds"] / whole - 1) * 100)
        print(f"| {slug} | {names[number % len(names)]} | {spent[-1]} | {errors[-1]:.2f} % |")
    early = [error for error, count in zip(errors, spent, strict=True) if count < TOTAL]
    held = sum(error <= PERCENT for error in errors)
    print(f"\n{sum(spent)} of {TOTAL * LAYOUTS} iterations ({100 * sum(spent) / TOTAL / LAYOUTS:.0f} %)", end="; ")
    print(f"{len(early)} of {LAYOUTS} stopped early; median error of those {np.median(early):.2f} %", end=", ")
    print(f"largest {max(errors):.2f} %; within {PERCENT:g} %: {held} of {LAYOUTS}")


if __name__ == "__main__":
    main()
