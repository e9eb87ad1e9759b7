"""A stand-in for a trainer that prints the iterations of one line of times.csv, which it looks up by its flags."""

import csv
import sys
from pathlib import Path


def main() -> None:
    """Print a log in the form of Megatron-DeepSpeed's; the first iteration takes three times as long."""
    wanted = dict(word.split("=", 1) for word in sys.argv[1:])
    with (Path(__file__).parent / "times.csv").open() as table:
        rows = [row for row in csv.DictReader(table) if all(row[name] == wanted[name] for name in wanted)]
    (row,) = rows
    print("[before the start of training step] datetime: 2026-01-01 00:00:00 ")
    for number in range(1, 4):
        milliseconds = 1000 * float(row["seconds"]) * (3 if number == 1 else 1)
        print(
            f" iteration {number:8d}/{3:8d} | elapsed time per iteration (ms): {milliseconds:.1f} | lm loss: 9.0E+00 |"
        )
    print("[after training is done] datetime: 2026-01-01 00:00:10 ")


if __name__ == "__main__":
    main()
