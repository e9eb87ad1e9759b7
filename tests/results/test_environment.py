"""What a job script notes of where and with what it runs, and how the note is read again."""

import doctest
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from job_scripts import full_key, marker, run, script, submitted
from sweeps import toy, write

from nodesweep.common import secrets
from nodesweep.results.environment import MOST_CHARACTERS, SECTIONS, Fact, facts_of
from nodesweep.schedulers import SCHEDULERS
from nodesweep.sweep.study import Study

LEFT_OUT = "(left out)"
"""What stands for the value of an environment variable that may be a secret."""


def noting(**workload: Any) -> dict[str, Any]:
    """A sweep that runs `true`, with more keys of its workload."""
    sweep = toy()
    sweep["workload"] |= {"command": ["true"], "environment": {}, **workload}
    return sweep


def noted(path: Path, section: str, key: str = "k") -> dict[str, str]:
    """The facts of a section that a script has noted, by name."""
    text = (path.parent / f"{full_key(path, key)}.provenance").read_text(errors="replace")
    return {fact.name: fact.value for fact in facts_of(text) if fact.section == section}


def test_host_and_hardware(tmp_path: Path) -> None:
    """Host, kernel and system are this machine's, processors and memory are named, and nothing half-written is left."""
    path = script(tmp_path, noting())
    assert run(path, key="k", HOSTNAME="login-node").returncode == 0
    host, hardware = noted(path, "host"), noted(path, "hardware")
    assert host["name"] == os.uname().nodename
    assert os.uname().release in host["kernel"] and os.uname().machine in host["kernel"]
    assert len(host["load"].split()) == 5
    assert hardware["cpu sockets"].isdigit() and hardware["memory"].endswith(" kB")
    assert {"cpu model", "cpu implementer"} & set(hardware)
    assert not list(path.parent.glob("*.tmp"))


def test_nodes_are_those_of_the_scheduler(tmp_path: Path) -> None:
    """A list such as Slurm's as it is; of a file such as that of PBS the first word of each line, each once."""
    names = tmp_path / "names"
    names.write_text("a01\na01 4 all.q\na02\t4\n$(touch${IFS}here)]\n")
    path = script(tmp_path, noting())
    rows = SCHEDULERS.values()
    lists = [(row.nodes_variable, "n[1-3] (x)", "n[1-3] (x)") for row in rows if row.nodes_variable]
    in_file = "a01 a02 $(touch${IFS}here)]"
    files = [(row.node_file_variable, str(names), in_file) for row in rows if row.node_file_variable]
    assert len(lists) >= 1 and len(files) >= 2
    for variable, value, nodes in lists + files:
        assert run(path, key=variable, **{variable: value}).returncode == 0
        assert noted(path, "host", variable)["nodes"] == nodes


def test_gpus_by_what_nvidia_smi_says(tmp_path: Path) -> None:
    """Each GPU's model, driver and clocks under the names nvidia-smi gives them."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        "#!/bin/sh\necho 'name, driver_version, clocks.max.sm [MHz]'\necho 'NVIDIA H100, 550.54, 1980 MHz'\n"
    )
    tool.chmod(0o755)
    path = script(tmp_path, noting())
    assert run(path, key="k", PATH=f"{tmp_path}:{os.environ['PATH']}").returncode == 0
    found = {name: value for name, value in noted(path, "hardware").items() if name.startswith("gpu")}
    assert found == {
        "gpu 0 name": "NVIDIA H100",
        "gpu 0 driver_version": "550.54",
        "gpu 0 clocks.max.sm [MHz]": "1980 MHz",
    }


def test_versions_are_asked_for_after_the_setup(tmp_path: Path) -> None:
    """First lines of output, the workload's over the machine's; what fails or says nothing is noted as that."""
    sweep = noting(
        setup=["export STACK='seven  1'"],
        versions={
            "stack": "echo $STACK; echo second",
            "nodes": "echo {{ nodes }} '{{ slug }}'",
            "gone": "no-such-tool",
        },
    )
    sweep["machine"]["versions"] = {"stack": "echo of the machine", "mpi": "printf '%s' 4.1"}
    path = script(tmp_path, sweep)
    assert run(path, key="k").returncode == 0
    software = noted(path, "software")
    assert software.pop("bash").startswith(tuple("456789"))
    slug = path.parent.name
    assert software == {"gone": "(no answer)", "mpi": "4.1", "nodes": f"1 {slug}", "stack": "seven 1"}


def test_modules_and_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loaded modules by name, and the commits of the working directory and of the checkouts that are named.

    The index of a checkout is not touched: a job that is killed would leave it locked.
    """
    commits = {}
    for name in ("work", "trainer's"):
        folder = tmp_path / name
        git = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@t"]
        subprocess.run(["git", "init", "-q", str(folder)], check=True)
        (folder / "file").write_text("one")
        subprocess.run([*git, "add", "file"], check=True)
        subprocess.run([*git, "commit", "-qm", "first"], check=True)
        head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
        commits[str(folder)] = head.stdout.strip()
    (tmp_path / "trainer's" / "file").write_text("two")
    (tmp_path / "work" / "file").touch()  # which git would note in its index
    index = (tmp_path / "work" / ".git" / "index").stat()
    monkeypatch.chdir(tmp_path / "work")
    sweep = noting(environment={"TRAINER": f"{tmp_path}/trainer_s/src"}, repositories=["${TRAINER}", "/no/such/folder"])
    sweep["workload"]["setup"] = [f'ln -s "{tmp_path}/trainer\'s" {tmp_path}/trainer_s; mkdir {tmp_path}/trainer_s/src']
    path = script(tmp_path, sweep)
    modules = "compiler/gcc/12.2:openmpi"
    assert run(path, key="k", LOADEDMODULES=modules).returncode == 0
    assert (tmp_path / "work" / ".git" / "index").stat().st_ino == index.st_ino
    assert noted(path, "module") == {"compiler/gcc": "12.2", "openmpi": "loaded"}
    assert noted(path, "repository") == {
        str(tmp_path / "work"): commits[str(tmp_path / "work")],
        str(tmp_path / "trainer_s"): commits[str(tmp_path / "trainer's")] + "-dirty",
    }


def test_hostile_values_come_back_as_they_were(tmp_path: Path) -> None:
    """Newlines, tabs, backslashes, escape sequences, shell code and what is no UTF-8 stay values of their variable."""
    hostile = {
        "PLAIN": "a  b",
        "LINES": "one\nhost\tname\tforged\r\n\n",
        "ESCAPES": "\\n \\t \\\\ \x1b[31mred",
        "CODE": "$(touch /tmp/never) `id` ${HOME} '\" * [a-z] & \\&",
        "BYTES": "\udcff\udcfe",
        "LC_ALL": "C.UTF-8",
        "LONG": "x" * 100_000,
    }
    path = script(tmp_path, noting())
    assert run(path, key="k", **hostile).returncode == 0
    found = noted(path, "environment")
    hostile |= {"BYTES": "\N{REPLACEMENT CHARACTER}" * 2, "LONG": "x" * 4000, "NODESWEEP_KEY": full_key(path, "k")}
    assert {name: found[name] for name in hostile} == hostile
    assert noted(path, "host")["name"] == os.uname().nodename


def test_secrets_are_left_out(tmp_path: Path) -> None:
    """Values are kept out by the variable's name, by their look, and where they stand in a URL."""
    by_name = ("HF_TOKEN", "wandb_api_key", "MY_SECRET", "DB_PASSWORD", "MYSQL_PWD", "AWS_CREDENTIALS", "ACME_LICENCE")
    by_name += ("SLURM_JWT", "SITE_CRED", "MY_LOGIN", "DB_PASSPHRASE", "X_COOKIE", "PRIVATE_PART")
    by_look = {
        "OPTIONS": "--level 3 --api-key=b --password=hunter2secret",
        "HEADER": "Authorization: Bearer hunter2secret",
        "STORE": "DefaultProtocol=https;AccountKey=hunter2secret==",
        "GIVEN": "ghp_hunter2secretABCDEF",
        "WEB": "eyJhunter2secretAB.eyJhunter2.c",
        "CLOUD": "id AKIAHUNTER2HUNTER2",
        "CHAT": "xoxb-hunter2secret",
        "CODE": "x=glpat-hunter2secret",
        "MODELS": "hf_hunter2secretABCDEF,sk-hunter2-secretAB",
        "BESIDE": "login: hunter2secrethunter2secret",
    }
    kept = {"TOKENIZER": "/data/gpt2", "OMP_NUM_THREADS": "4", "SITE": "https://site/a@b"}
    in_urls = {"INDEX": "https://me:hunter2secret@host/x git+ssh://hunter2secret@other:22/y"}
    sweep = noting()
    sweep["machine"]["secrets"] = ["acme"]
    path = script(tmp_path, sweep)
    given_all = dict.fromkeys(by_name, "hunter2secret") | by_look | kept | in_urls
    assert run(path, key="k", **given_all).returncode == 0
    found = noted(path, "environment")
    assert {name: found[name] for name in (*by_name, *by_look)} == dict.fromkeys((*by_name, *by_look), LEFT_OUT)
    assert found["TOKENIZER"] == "/data/gpt2" and found["OMP_NUM_THREADS"] == "4"
    assert found["INDEX"] == f"https://{LEFT_OUT}@host/x git+ssh://{LEFT_OUT}@other:22/y"
    assert "hunter2" not in (path.parent / f"{full_key(path, 'k')}.provenance").read_text()


def test_a_version_shows_no_secret(tmp_path: Path) -> None:
    """What a command prints for a version is kept out where it looks like a secret."""
    versions = {"index": "echo 1.0 of https://me:hunter2secret@host/x", "token": "echo hf_hunter2secretABCDEF"}
    path = script(tmp_path, noting(versions=versions))
    assert run(path, key="k").returncode == 0
    assert noted(path, "software")["index"] == f"1.0 of https://{LEFT_OUT}@host/x"
    assert noted(path, "software")["token"] == LEFT_OUT


def test_secrets_in_a_text() -> None:
    """A script or a log on the page says that there was a secret, and keeps what is none."""
    assert doctest.testmod(secrets).failed == 0
    text = (
        "export HF_TOKEN=hf_hunter2secretABCDEF\ncurl -H 'x: eyJhunter2secretAB.b.c' --token=$TOKEN task-a-b-c-d-e-f-g"
    )
    shown = "export HF_TOKEN=(left out)\ncurl -H 'x: (left out)' --token=$TOKEN task-a-b-c-d-e-f-g"
    assert secrets.without_secrets(text) == shown


def test_a_note_that_cannot_be_written_does_not_fail_the_job(tmp_path: Path) -> None:
    """Where no file can be made for the facts, the run goes on without."""
    path = script(tmp_path, noting(command=["echo", "ran"]))
    (path.parent / f"{full_key(path, 'k')}.provenance").symlink_to("/no/such/folder/file")
    done = run(path, key="k")
    assert (done.returncode, "ran" in done.stdout, done.stderr) == (0, True, "")
    assert not (path.parent / f"{full_key(path, 'k')}.provenance").exists()


@pytest.mark.parametrize("more", ["true", "readonly line=x values=y", "set -CE; trap 'exit 3' ERR"])
def test_setup_that_changes_the_shell_does_no_harm(tmp_path: Path, more: str) -> None:
    """Options, functions and variables of the set-up are those of the launch, and facts are noted all the same."""
    setup = ["set -f; IFS=:; shopt -s nocasematch; fact() { echo mine; }; export -f fact; export -n LANG", more]
    path = script(tmp_path, noting(setup=setup, command=["bash", "-c", "fact"]))
    done = run(path, key="k", LOADEDMODULES="gcc/12")
    assert (done.returncode, "\nmine\n" in done.stdout) == (0, True)
    assert noted(path, "module") == {"gcc": "12"} and noted(path, "hardware")["cpu sockets"].isdigit()
    assert "PATH" in noted(path, "environment")


def test_a_signal_is_dealt_with_while_versions_are_asked_for(tmp_path: Path) -> None:
    """SIGTERM ends a script at once whose version command hangs, and the marker says so."""
    path = script(tmp_path, noting(versions={"slow": f"touch {tmp_path}/asked; sleep 15"}))
    process = subprocess.Popen(["bash", str(path)], env=submitted(path, "k"), stdout=subprocess.PIPE)
    end = time.monotonic() + 30
    while not (tmp_path / "asked").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 143
    end = marker(path, "k")
    assert (end["exit_code"], end["launched"]) == (143, None)


def test_bash_4_has_no_clock_of_its_own(tmp_path: Path) -> None:
    """Without the variables that came with bash 5 a script runs and marks its times."""
    before = tmp_path / "before.sh"
    before.write_text("unset EPOCHREALTIME EPOCHSECONDS\n")
    path = script(tmp_path, noting())
    now = time.time()
    assert run(path, key="k", BASH_ENV=str(before)).returncode == 0
    end = marker(path, "k")
    assert now - 1 < end["started"] <= end["launched"] <= end["ended"] < now + 60
    assert noted(path, "host")["name"]


def test_what_is_noted_does_not_change_which_layout_it_is(tmp_path: Path) -> None:
    """A finished layout keeps its slug, and is not run again, when one more version is asked for."""
    when = {"if": "nodes == 2", "workload": {"setup": ["true"]}}
    before = Study.load([write(tmp_path / "a.yaml", toy(when=[when]))])
    sweep = toy(
        when=[when, {"if": "nodes == 2", "machine": {"secrets": ["ACME"]}, "workload": {"versions": {"a": "b"}}}]
    )
    sweep["workload"] |= {"versions": {"torch": "x"}, "repositories": ["/data"]}
    after = Study.load([write(tmp_path / "b.yaml", sweep)])
    assert list(before.layouts) == list(after.layouts)
    assert after.sweep.workload.versions and list(after.layouts.values())[1].workload.versions == {
        "torch": "x",
        "a": "b",
    }


@given(st.text())
@example("host\tname\t" + "\\" * 50_000 + "\n")
@example("environment\ta\tb\\")
@example("host\tname\tone\rtwo\u2028three\n\thost\t\t\n")
def test_any_text_is_read(text: str) -> None:
    """Whatever a file holds, its facts are bounded and of known sections; a value may hold any text."""
    for fact in facts_of(text):
        assert fact.section in SECTIONS and fact.name and len(fact.value) <= MOST_CHARACTERS
    written = text[:100].replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    assert facts_of(f"host\tname\t{written}\n") == (Fact("host", "name", text[:100]),)
