"""Ranks of one machine without a launcher: torch is loaded once, then each rank is a fork of this process."""

import ctypes
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable

from minitrain.launch import Place

END_SECONDS = 5.0
PR_SET_PDEATHSIG = 1
"""What Linux' prctl calls the signal that a process gets once its parent has died."""


def run_ranks(count: int, run: Callable[[Place], None]) -> int:
    """Run each rank in a process of its own and end the others when one fails; returns the first failure's exit status.

    The caller runs no thread and uses no CUDA device yet: neither lives on in a fork.
    """
    port, parent = free_port(), os.getpid()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    ranks: dict[int, int] = {}
    try:
        for rank in range(count):
            place = Place(rank=rank, world_size=count, local_rank=rank, address="127.0.0.1", port=port)
            process = os.fork()
            if process == 0:
                _be_rank(place, run, parent)
            ranks[process] = rank
        return _watch(ranks)
    finally:
        _end(ranks)


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _be_rank(place: Place, run: Callable[[Place], None], parent: int) -> None:
    """The life of a fork, which ends with its parent's; it never returns into the parent's code."""
    status = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before it was asked for
            os._exit(1)
        run(place)
        status = 0
    except Exception:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _watch(ranks: dict[int, int]) -> int:
    """Wait until all ranks have ended well or one has failed; returns the exit status.

    Removes ranks that have ended from `ranks`, which holds the rank of each process id.
    """
    while ranks:
        process, ending = os.wait()
        rank, status = ranks.pop(process), os.waitstatus_to_exitcode(ending)
        if status:
            how = f"exit code {status}" if status > 0 else f"signal {-status} ({signal.Signals(-status).name})"
            print(f"minitrain: rank {rank} ended with {how}; ending the others", file=sys.stderr)
            return status if status > 0 else 128 - status
    return 0


def _end(ranks: dict[int, int]) -> None:
    """End the ranks that are left: ask them first (SIGTERM), kill them after `END_SECONDS`."""
    for process in ranks:
        os.kill(process, signal.SIGTERM)
    limit = time.monotonic() + END_SECONDS
    while ranks:
        process, _ = os.waitpid(-1, os.WNOHANG)
        if process:
            ranks.pop(process, None)
        elif time.monotonic() > limit:
            for left in ranks:
                os.kill(left, signal.SIGKILL)
            limit = float("inf")
        else:
            time.sleep(0.05)
