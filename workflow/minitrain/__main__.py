"""`python -m minitrain --num-layers 4 ...` runs one rank; the launcher's environment says how many there are.

`--local-ranks 8` needs no launcher: this process starts eight ranks on this machine by itself.
"""

import gc
import os
import sys

from minitrain.arguments import ArgumentError, local_ranks, read_arguments
from minitrain.launch import LaunchError, Place, RankError, is_rank_0, place_from_environment
from minitrain.local import run_ranks


def main() -> int:
    """Check everything that needs no torch, then load torch and train; returns the exit status."""
    try:
        count = local_ranks(sys.argv[1:])
        place = Place() if count else place_from_environment(os.environ)
        given = read_arguments(sys.argv[1:], count or place.world_size)
    except (ArgumentError, LaunchError) as error:
        if isinstance(error, RankError) or is_rank_0(os.environ):
            print(f"minitrain: error: {error}", file=sys.stderr)
        return 2

    gc.disable()  # a quarter of the time torch needs to load is the collector; train.run turns it on again
    from minitrain.train import load, run

    if count is None or count == 1:
        try:
            run(given, place)
        except LaunchError as error:
            print(f"minitrain: error: {error}", file=sys.stderr)
            return 2
        return 0
    load(given)
    return run_ranks(count, lambda place: run(given, place))


if __name__ == "__main__":
    sys.exit(main())
