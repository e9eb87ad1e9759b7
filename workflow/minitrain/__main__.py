"""`python -m minitrain --num-layers 4 ...`: one rank; how many there are is read from the launcher."""

import gc
import os
import sys

from minitrain.arguments import ArgumentError, read_arguments
from minitrain.launch import LaunchError, is_rank_0, place_from_environment


def main() -> int:
    """Check everything that can be checked before torch is loaded, then train; the exit status."""
    try:
        place = place_from_environment(os.environ)
        given = read_arguments(sys.argv[1:], place.world_size)
    except (ArgumentError, LaunchError) as error:
        if is_rank_0(os.environ):
            print(f"minitrain: {error}", file=sys.stderr)
        return 2

    gc.disable()  # a quarter of the time torch needs to load is the collector; train.run turns it on again
    from minitrain.train import run

    run(given, place)
    return 0


if __name__ == "__main__":
    sys.exit(main())
