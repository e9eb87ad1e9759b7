"""The commands are found by their modules, and each has the arguments that stand beside it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nodesweep import cli
from nodesweep.cli.main import commands, main

NAMES = [
    *(
        "compare",
        "diff",
        "explain",
        "explain-log",
        "figures",
        "forget",
        "import",
        "ingest",
        "measure",
        "model",
        "plan",
        "predict",
    ),
    *("report", "rerun", "schema", "scripts", "show", "status", "tables", "why"),
]


def test_commands_are_the_modules_that_run() -> None:
    """All commands of earlier versions are there, each with a line of help; helpers of commands are none."""
    assert list(commands()) == NAMES
    assert all(text and text[0].islower() and not text.endswith(".") for text in commands().values())
    assert commands()["plan"] == "write plan.csv and plan.md: what runs, and what does not and why"


def test_a_new_module_is_a_new_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """One file is enough: its name, its first line as help, its arguments, its exit code."""
    (tmp_path / "count_nodes.py").write_text(
        '"""Count nodes."""\n\n\ndef add_arguments(parser):\n    parser.add_argument("nodes", type=int)\n\n\n'
        "def run(options):\n    return options.nodes\n"
    )
    monkeypatch.setattr(cli, "__path__", [*cli.__path__, str(tmp_path)])
    assert commands()["count-nodes"] == "count nodes"
    assert main(["count-nodes", "7"]) == 7
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "count-nodes" in capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_each_command_says_what_it_takes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` ends well and shows the options that name a sweep; not for models and for the schemas of all sweeps."""
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert ("--configfile" in capsys.readouterr().out) is (name not in ("schema", "model"))


def test_a_file_that_is_named_as_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The word behind an option is no command."""
    assert main(["--configfile", "plan", "show"]) == 1
    assert "plan" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["model gpt-1.3b", "model gpt-1.3b --json"])
def test_a_closed_pipe_is_no_error(words: str) -> None:
    """Where nobody reads the output any more, as behind `| head`, a command ends without a word, like other tools."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "nodesweep", *words.split()]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")
