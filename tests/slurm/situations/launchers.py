"""What happens to launchers: two at once, signals, and, on this machine, other hosts, containers and boots."""

import signal
import socket
from pathlib import Path

from slurm.situations.registry import once, situation
from slurm.stage import Stage

HERE = {"name": "here", "scheduler": "local", "elapse_limit_seconds": 3000}

# A host and a container of its own. Its first process stays when the launcher has gone, and with it the job. Without
# --uts the name would become that of this machine: then nothing is done at all.
ELSEWHERE = """\
[[ $(readlink /proc/self/ns/uts) != "$1" ]] || { echo "no host name of its own"; exit 1; }
hostname "$0"; shift; "$@"; sleep 600
"""


def elsewhere(host: str) -> tuple[str, ...]:
    """Words in front of a command that runs in a new container on a host of this name."""
    ours = str(Path("/proc/self/ns/uts").readlink())
    return ("unshare", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child", "bash", "-c", ELSEWHERE, host, ours)


@situation("two launchers where flock does nothing", slow=True)
def dead_flock(stage: Stage) -> None:
    config = stage.sweep()
    first = stage.launch(config, DEAD_FLOCK="yes")
    stage.started(config)
    second = stage.launch(config, DEAD_FLOCK="yes")
    stage.tells(second, "another launcher")
    stage.silence()
    stage.go(config)
    first.end()
    second.end()
    once(stage, config)


@situation("two launchers start in one moment where flock does nothing")
def dead_flock_at_once(stage: Stage) -> None:
    config = stage.sweep()
    both = [stage.launch(config, DEAD_FLOCK="yes") for _ in range(2)]
    stage.started(config)
    stage.silence()
    stage.go(config)
    for one in both:
        one.end()
    once(stage, config)


@situation("the terminal of the launcher goes (SIGHUP)")
def hung_up(stage: Stage) -> None:
    config = stage.sweep()
    first = stage.launch(config)
    stage.started(config)
    first.kill(signal.SIGHUP)
    first.end()
    stage.go(config)
    stage.launch(config).end()
    once(stage, config)


@situation("the launcher is stopped for a while (SIGSTOP), its job ends meanwhile", slow=True)
def stopped(stage: Stage) -> None:
    config = stage.sweep()
    launcher = stage.launch(config)
    stage.started(config)
    launcher.kill(signal.SIGSTOP)
    stage.go(config)
    stage.silence()
    launcher.kill(signal.SIGCONT)
    launcher.end()
    once(stage, config)


@situation("local job of another host of one home")
def other_host(stage: Stage) -> None:
    config = stage.sweep(machine=HERE)
    _continued_here(stage, config, elsewhere("other-login-node"))


@situation("local job of another container of one volume", slow=True)
def other_container(stage: Stage) -> None:
    config = stage.sweep(machine=HERE)
    _continued_here(stage, config, elsewhere(socket.gethostname()))


def _continued_here(stage: Stage, config: Path, where: tuple[str, ...]) -> None:
    """Start a local sweep elsewhere, kill its launcher, and launch it in a container while the job runs on there."""
    first = stage.launch(config, before=where)
    stage.started(config)
    stage.job(config)
    first.kill_inside()
    second = stage.launch(config, before=elsewhere(socket.gethostname()))
    stage.tells(second, "nobody knows")
    second.end_inside()
    stage.go(config)
    stage.ended(config)
    stage.launch(config).end()
    once(stage, config)


@situation("local job of another boot of this machine (the boot id in the journal is edited)")
def other_boot(stage: Stage) -> None:
    config = stage.sweep(machine=HERE)
    first = stage.launch(config)
    stage.started(config)
    stage.job(config)
    first.kill()
    (journal,) = config.parent.glob("results/*/layouts/*/journal.jsonl")
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert boot in journal.read_text()
    journal.write_text(journal.read_text().replace(boot, "00000000-0000-4000-8000-000000000000"))
    second = stage.launch(config)
    stage.silence()
    assert list(stage.starts(config).values()) == [1], second.said
    stage.go(config)
    stage.ended(config)
    second.end()  # by now it may have left the job to a later launcher, since nobody knows of it
    stage.launch(config).end()
    once(stage, config)
