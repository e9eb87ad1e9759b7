"""Set-up lines run as in their user's shell, and nothing they do takes the marker, the log or the signals away."""

import json
import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from job_scripts import full_key, marker, noted, script
from set_ups import KINDS, failing, set_up
from sweeps import drained, runner_of, study_in, toy, write

from nodesweep.common.errors import ConfigError
from nodesweep.config.origins import origins
from nodesweep.schedulers.job_script import render
from nodesweep.schedulers.setup_lines import SetupLine, setup_lines, setup_places
from nodesweep.sweep.study import Study

FAILING_LAST = "export X=sourced\nfalse\n"


@dataclass(frozen=True)
class Ran:
    """How a job ended: exit code, exit marker, and its log without the first line."""

    code: int
    marker: dict[str, Any]
    log: str


def job(folder: Path, *setup: str, command: tuple[str, ...] = ("printenv", "X"), program: str = "") -> Path:
    """The script of a job with these set-up lines and this command or program, noted as about to be submitted."""
    sweep = toy(machine={"name": "here", "scheduler": "local"})
    if program:
        (folder / "program.sh").write_text(program)
        command = ("/bin/bash", str(folder / "program.sh"))
    sweep["workload"] |= {"command": list(command), "environment": {}, "setup": list(setup)}
    path = script(folder, sweep)
    noted(path, "a1")
    return path


def started(path: Path, **environment: str) -> subprocess.Popen[bytes]:
    """A job as its launcher starts it: output appended to its log."""
    key = full_key(path, "a1")
    with (path.parent / f"{key}.log").open("ab") as log:
        variables = {**os.environ, "X": "unset", "NODESWEEP_KEY": key, **environment}
        return subprocess.Popen(["bash", str(path)], env=variables, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def ended(path: Path, process: subprocess.Popen[bytes]) -> Ran:
    """What is there of a job after its end."""
    code = process.wait(timeout=30)
    log = (path.parent / f"{full_key(path, 'a1')}.log").read_text()
    return Ran(code, marker(path, "a1"), log.partition("\n")[2])


def ran(folder: Path, *setup: str, **launch: Any) -> Ran:
    """A job with these set-up lines, run to its end."""
    path = job(folder, *setup, **launch)
    return ended(path, started(path))


@pytest.mark.parametrize(
    ("setup", "printed"),
    [
        ("source /etc/bash.bashrc; export X=$PS1$NOBODY_SET_THIS.", "."),
        ("false; export X=5", "5"),
        ("false | true; export X=$?", "0"),
        (". ./last-fails.sh", "sourced"),
        ("true && source ./last-fails.sh 2>/dev/null", "sourced"),
        ('eval "export X=evaluated; false"', "evaluated"),
        ("[ -f ./not-there.sh ] && . ./not-there.sh", "unset"),
        ("set -euo pipefail\n[ -f ./not-there.sh ] && . ./not-there.sh", "unset"),
        ("f() { local y=1; return 0; }; f; cd /; export X=$PWD", "/"),
    ],
)
def test_lines_that_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setup: str, printed: str) -> None:
    """No option of ours is over them; what a sourced file ends with is no failure, nor the answer no to a question."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "last-fails.sh").write_text(FAILING_LAST)
    lines = setup.split("\n")
    done = ran(tmp_path, *lines)
    assert (done.code, done.marker["cause"]) == (0, None), done.log
    assert f"\n{printed}\n" in f"\n{done.log}"
    assert (f"set-up line {len(lines)} (config) goes on after exit code 1 of: " in done.log) == (
        "./" in setup or "eval" in setup
    )


@pytest.mark.parametrize(
    ("setup", "said"),
    [
        ("module load cuda/12.4", "ended with exit code 127: module: command not found"),
        ("source /no/env.sh", "ended with exit code 1: /no/env.sh: No such file or directory"),
        ("cd /no/such/dir", "ended with exit code 1: cd: /no/such/dir: No such file or directory"),
        ("cd /no && . ./last-fails.sh", "ended with exit code 1: cd: /no: No such file or directory"),
        (". ./last-fails.sh; false", "ended with exit code 1"),
        ('eval "$(echo true)" && no-such-command', "ended with exit code 127: no-such-command: command not found"),
        ("[ -d /no/such/dir ]", "ended with exit code 1"),
        ("fails", "ended with exit code 1"),
        ("echo why; false", "ended with exit code 1: why"),
        ("printf why; false", "ended with exit code 1: why"),
        ("trap 'echo bye' EXIT; echo why; false", "ended with exit code 1: why"),
        ("exit 0", "ended the shell with exit code 0"),
        ("echo so; exit 3", "ended the shell with exit code 3: so"),
        ("exec bash", "ended the shell with exit code 0"),
        ("kill -9 $BASHPID", "ended the shell with exit code 137"),
    ],
)
def test_lines_that_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setup: str, said: str) -> None:
    """The launch is not begun, and the last line of the log says which line failed, and its last output."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "last-fails.sh").write_text(FAILING_LAST)
    done = ran(tmp_path, "echo before; fails() { eval false; }", setup)
    assert done.log.splitlines()[-1] == f"nodesweep: not launched: set-up line 2 (config) {said}"
    assert (done.marker["launched"], done.marker["cause"]) == (None, "setup_failed")
    code = int(re.findall(r"exit code (\d+)", said)[0]) or 1
    assert done.code == done.marker["exit_code"] == code and "unset" not in done.log


@pytest.mark.parametrize(
    "setup",
    [
        "trap - EXIT; trap '' TERM INT; umask 777; ulimit -c 0 -n 300",
        "readonly exit_code=1 directory=x launch=2; unset NODESWEEP_KEY; key=x",
        "now() { :; }; finish() { :; }; printf() { :; }; echo() { :; }; exit() { :; }; trap() { :; }; eval() { :; }",
        "exec >/dev/null 2>&1",
        "exec 1>&- 2>&- 250>&-",
        "cd /; set -eCfux; IFS=:; PATH=; hash -r",
        "sleep 60 & disown",
        "shopt -s nocasematch failglob; set -o noglob; unset EPOCHREALTIME SECONDS",
        "readonly NODESWEEP_KEY",
    ],
)
def test_what_a_set_up_may_break(tmp_path: Path, setup: str) -> None:
    """Names, traps, options, limits, the working folder, its output: marker, log and the times in it are there."""
    done = ran(tmp_path, setup, "export X=3", program="echo ran; echo $X; exit 4")
    assert done.log.endswith("ran\n3\nnodesweep: the launch ended with exit code 4\n"), done.log
    times = [done.marker[name] for name in ("started", "launched", "returned", "ended")]
    assert done.code == done.marker["exit_code"] == 4 and times == sorted(times)


def test_the_trap_of_a_set_up_runs_after_the_launch(tmp_path: Path) -> None:
    """In its user's shell it would run there too; the launch is over before, by the marker."""
    done = ran(tmp_path, "trap 'echo bye; sleep 0.3' EXIT", program="echo ran; exit 5")
    assert done.log.endswith("ran\nbye\nnodesweep: the launch ended with exit code 5\n")
    assert done.code == 5 and done.marker["ended"] - done.marker["returned"] > 0.25


@pytest.mark.parametrize("setup", ["true", "trap 'echo bye' EXIT", "trap '' TERM; trap 'echo bye' EXIT"])
def test_signals_reach_the_launch(tmp_path: Path, setup: str) -> None:
    """SIGUSR1 is passed on and ends nothing; SIGTERM ends the launch, whatever traps the set-up has made."""
    program = "trap 'echo told' USR1; trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    path = job(tmp_path, setup, program=program)
    process = started(path)
    log = path.parent / f"{full_key(path, 'a1')}.log"
    signals = [signal.SIGTERM] if "EXIT" in setup else [signal.SIGUSR1, signal.SIGTERM]
    for word, number in zip(("ready", "told"), signals, strict=False):
        limit = time.monotonic() + 20
        while f"\n{word}\n" not in log.read_text():
            assert time.monotonic() < limit
            time.sleep(0.02)
        process.send_signal(number)
    done = ended(path, process)
    assert done.code == done.marker["exit_code"] == 143
    assert "\nasked\n" in done.log and ("bye" in done.log) == ("bye" in setup)


def test_a_set_up_that_hangs_is_told_when_its_job_is_ended(tmp_path: Path) -> None:
    """SIGTERM ends it at once; marker and log say where the job was, and it has not launched anything."""
    path = job(tmp_path, "true", f"touch {tmp_path}/hangs; sleep 60")
    process = started(path)
    while not (tmp_path / "hangs").exists():
        time.sleep(0.02)
    process.terminate()
    done = ended(path, process)
    assert "not launched: set-up line 2 (config) had not ended when the job was ended\n" in done.log
    assert (done.code, done.marker["launched"]) == (143, None)


def test_an_environment_that_cannot_be_made(tmp_path: Path) -> None:
    """The launch itself is strict: a variable that nothing has set is no empty word."""
    done = ran(tmp_path, command=("echo", "${NOBODY_SET_THIS}"))
    assert "environment of the launch cannot be made, exit code 1: NOBODY_SET_THIS: unbound variable\n" in done.log
    assert done.marker["cause"] == "setup_failed"


def test_variables_of_the_script_are_not_the_launch_s(tmp_path: Path) -> None:
    """What the submitter exported under any name comes to the launch as it was, and no more than that."""
    path = job(tmp_path, command=("env",))
    names = ("host", "key", "name", "directory", "started", "text", "seconds", "lines", "job_id", "script", "cause")
    done = ended(path, started(path, **dict.fromkeys(names, "mine")))
    found = dict(line.split("=", 1) for line in done.log.splitlines() if "=" in line)
    assert {found[name] for name in names} == {"mine"}
    assert not [name for name in found if name.startswith("nodesweep_")]


@pytest.mark.parametrize("kind", KINDS)
def test_set_ups_of_clusters(tmp_path: Path, kind: str) -> None:
    """Modules by both programs, a virtual environment, and conda's manner work, and each fails with its line."""
    lines = set_up(kind, tmp_path)
    done = ran(tmp_path, *lines, command=("lab-stack",))
    assert done.code == 0 and "stack 7.1\n" in done.log, done.log
    (tmp_path / "again").mkdir()
    line, words = failing(kind)
    done = ran(tmp_path / "again", *lines, line, command=("lab-stack",))
    assert f"not launched: set-up line {len(lines) + 1} (config) ended with exit code 1" in done.log
    assert words in done.log and "stack" not in done.log.replace(str(tmp_path), "")


def test_lines_that_make_one_command(tmp_path: Path) -> None:
    """Lines of a list that go together run together; what Bash cannot read is refused with its place."""
    lines = [
        "if true; then",
        "  export X=1",
        "fi",
        "cat >/dev/null <<END",
        "it's $HOME",
        "END",
        "echo one \\",
        "two",
    ]
    texts = ["\n".join(lines[:3]), "\n".join(lines[3:6]), "\n".join(lines[6:])]
    places = [f"a.yaml:{number}" for number in range(1, 9)]
    assert setup_lines(lines, places) == [
        SetupLine(number, f"a.yaml:{number}", text) for number, text in zip((1, 4, 7), texts, strict=True)
    ]
    assert ran(tmp_path, *lines).log == "one two\n1\nnodesweep: the launch ended with exit code 0\n"
    assert len(setup_lines(["shopt -s extglob", "ls !(a|b)", "x=${y@Q} # it's"])) == 3
    for wrong in (["true", "echo 'a"], ["true", "(", "false"], ["true", "cat <<END", "x"], ["true", "echo \\"]):
        with pytest.raises(ConfigError, match=r"^b.yaml:4: set-up line 2 is no shell code: "):
            setup_lines(wrong, ["b.yaml:3", "b.yaml:4", "b.yaml:5"])


def test_the_place_of_a_line_is_that_of_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own file, the sweep, an entry under `when`, or the command line."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "machines").mkdir()
    (tmp_path / "machines" / "lab.yaml").write_text("scheduler: local\nsetup:\n  - 'true'\n  - export A=1\n")
    sweep = toy(machine="lab", when=[{"if": "nodes == 2", "workload": {"setup": ["export C=3"]}}])
    sweep["workload"]["setup"] = ["export B=2"]
    path = write(tmp_path / "sweep.yaml", sweep)
    lines = path.read_text().splitlines()
    places = [f"sweep.yaml:{lines.index(line) + 1}" for line in ("  - export B=2", "    - export C=3")]
    for changes, workload in (
        ({}, places),
        ({"workload": {"setup": [":"]}}, ["--config: workload.setup[0]", places[1]]),
    ):
        study = Study.load([path], changes)
        named = origins([path], changes)
        found = [setup_places(study.sweep, layout, named) for layout in study.layouts.values()]
        assert found == [["machines/lab.yaml:3", "machines/lab.yaml:4", place] for place in workload]
    layout = next(iter(study.layouts.values()))
    assert "nodesweep_begins 3 '--config: workload.setup[0]'\n" in render(layout, "toy", tmp_path, found[0])


def test_a_failed_set_up_is_an_outcome_of_its_own(tmp_path: Path) -> None:
    """It is told with its line, is tried again by the next invocation, and not by this one."""
    machine = {"name": "here", "scheduler": "local", "setup": ["true", "echo the reason >&2; exit 7"]}
    study = study_in(tmp_path, machine=machine, layouts=[{"nodes": 1, "global_batch": 16, "sequence_length": 128}])
    runner = runner_of(study, retries=2)
    runner.add(list(study.layouts))
    (done,) = drained(runner, 1)
    assert (done.record.outcome, done.final, done.record.attempt) == ("setup_failed", False, 1)
    assert done.record.verdict == "setup_failed"
    assert done.record.evidence == "line 3: set-up line 2 (config) ended the shell with exit code 7: the reason"
    assert json.loads((study.directory(done.slug) / f"{done.record.key}.exit").read_text())["cause"] == "setup_failed"
