"""Job scripts are complete, runnable by hand, and hold nothing unquoted."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from job_scripts import marker, run, script, submitted
from sweeps import REPOSITORY, toy, write

from nodesweep.common.errors import ConfigError
from nodesweep.schedulers.job_script import key_of, quote_word, render
from nodesweep.sweep.study import Study


def test_script_of_the_quickstart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Any) -> None:
    """The rendered script of a layout of two ranks, paths of this machine replaced by their meaning."""
    monkeypatch.chdir(tmp_path)
    study = Study.load([REPOSITORY / "config" / "quickstart.yaml"])
    layout = next(layout for layout in study.layouts.values() if layout.context == 2)
    text = render(layout, "quickstart", study.folder)
    for path, name in ((str(tmp_path), "/WORK"), (sys.executable, "/VENV/bin/python"), (str(REPOSITORY), "/NODESWEEP")):
        text = text.replace(path, name)
    key = key_of(study.folder, layout.slug)
    golden("job.local.sh", text.replace(key, "quickstart-0123456789ab"))


def test_slurm_takes_no_folder_with_a_backslash(tmp_path: Path) -> None:
    """It would look for the log's folder without it, and the job would fail; braces are no matter."""
    machine = {"name": "c", "scheduler": "slurm"}
    for name in ("a{b}c", "a\\b"):
        (tmp_path / name).mkdir()
    script(tmp_path / "a{b}c", toy(machine=machine))
    with pytest.raises(ConfigError, match="has a backslash in its path, which Slurm drops from the log's; rename it"):
        script(tmp_path / "a\\b", toy(machine=machine))


def test_script_for_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Any) -> None:
    """Directives with blanks, commas, # and % in paths and values stand quoted at the head of the script."""
    folder = tmp_path / '50% of #1, a "b" & c'
    folder.mkdir()
    monkeypatch.chdir(folder)
    machine = {
        "name": "cluster",
        "scheduler": "slurm",
        "ranks_per_node": 4,
        "memory_mib_per_node": 2048,
        "enforce_memory": True,
        "queues": [{"name": "gpu-s.1", "elapse_limit_seconds": 90061}],
        "launcher": ["srun", "--ntasks={{ ranks }}", "--kill-on-bad-exit=1"],
        "environment": {"QUOTED": "a, b # c % d {{ nodes }}", "HOST": "${SLURMD_NODENAME}"},
        "options": {
            "A": "my project",
            "comment": "50 % of #3, then (a|b) & *",
            "constraint": "[a100&nvlink]",
            "exclusive": True,
            "gpus-per-node": "{{ ranks_per_node }}",
            "mail-type": ["END", "FAIL"],
            "mem": 0,
        },
    }
    layouts = [{"nodes": 3, "global_batch": 24, "sequence_length": 128}]
    study = Study.load([write(folder / "sweep.yaml", toy(sweep="s.1", machine=machine, layouts=layouts))])
    ((slug, layout),) = study.layouts.items()
    text = render(layout, "s.1", study.folder)
    for path, name in ((str(tmp_path), "/WORK"), (sys.executable, "/VENV/bin/python"), (str(REPOSITORY), "/NODESWEEP")):
        text = text.replace(path, name)
    golden("job.slurm.sh", text.replace(key_of(study.folder, slug), "s_1-0123456789ab"))


def test_by_hand(tmp_path: Path) -> None:
    """`bash job.sh` makes a key, puts all output into one log, and leaves an exit marker."""
    path = script(tmp_path, toy(seconds=0.01))
    shown = run(path).stdout
    log = Path(shown.removeprefix("output goes to ").strip())
    assert log.parent == path.parent and "-byhand-" in log.name
    assert log.read_text().count("elapsed time per iteration") == 3
    end = marker(path, log.stem)
    assert (end["exit_code"], end["cause"]) == (0, None)
    assert end["started"] <= end["launched"] <= end["returned"] <= end["ended"]


def test_failure_is_passed_on_and_marked(tmp_path: Path) -> None:
    """The launch's exit code is the script's; a failing set-up line ends it before the launch."""
    path = script(tmp_path, toy(seconds=0.01, ending="crash"))
    assert run(path, key="k").returncode == 1
    assert marker(path, "k")["exit_code"] == 1
    sweep = toy(sweep="second")
    sweep["workload"]["setup"] = ["false"]
    path = script(tmp_path, sweep)
    assert run(path, key="k").returncode == 1
    assert marker(path, "k")["launched"] is None


def test_time_limit_is_marked(tmp_path: Path) -> None:
    """A launch over the machine's limit is ended and the marker says why."""
    sweep = toy(seconds=30)
    sweep["machine"]["elapse_limit_seconds"] = 1
    path = script(tmp_path, sweep)
    assert run(path, key="k").returncode == 124
    assert marker(path, "k")["cause"] == "time_limit"


def test_terminated_script_ends_its_launch_and_leaves_a_marker(tmp_path: Path) -> None:
    """SIGTERM to the script reaches the trainer, and the marker says 143."""
    path = script(tmp_path, toy(seconds=30))
    process = subprocess.Popen(["bash", str(path)], env=submitted(path, "k"), stdout=subprocess.PIPE)
    while not (path.parent / "starts").exists() or not (path.parent / "starts").read_text().endswith("\n"):
        time.sleep(0.02)
    trainer = int((path.parent / "starts").read_text().split()[-1])
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 143
    assert marker(path, "k")["exit_code"] == 143
    with pytest.raises(ProcessLookupError):
        os.kill(trainer, 0)


def test_memory_share_is_enforced(tmp_path: Path) -> None:
    """Each process may use its share of the node: 600 MiB over 2 ranks is 307200 KiB each."""
    sweep = toy()
    sweep["machine"] |= {"ranks_per_node": 2, "memory_mib_per_node": 600, "enforce_memory": True}
    sweep["workload"]["command"] = ["bash", "-c", "ulimit -d"]
    path = script(tmp_path, sweep)
    assert "\n307200\n" in run(path, key="k").stdout


def test_environment_and_references(tmp_path: Path) -> None:
    """Values are exported as they are; the job's shell fills in ${NAME}, and the word stays one word."""
    sweep = toy(variants=[{"name": "v", "env": {"FROM_VARIANT": "{{ nodes }} nodes"}}])
    sweep["machine"]["environment"] = {"FROM_MACHINE": "a  b", "FROM_VARIANT": "machine"}
    sweep["workload"]["setup"] = ["export MASTER='two words'"]
    sweep["workload"]["command"] = ["printf", "[%s]", "host=${MASTER}:1", "{{ '' }}", "a  b"]
    path = script(tmp_path, sweep)
    assert "[host=two words:1][a  b]" in run(path, key="k").stdout
    text = path.read_text()
    assert "export FROM_MACHINE='a  b'" in text and "export FROM_VARIANT='1 nodes'" in text


@settings(max_examples=100, deadline=None)
@given(
    words=st.lists(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])), min_size=1, max_size=4)
)
def test_any_word_reaches_the_program_as_it_is(words: list[str]) -> None:
    """Whatever text a word holds, the shell hands over exactly it and runs nothing of it."""
    words = [word.replace("${", "$ {") for word in words]
    line = "printf '%s\\0' " + " ".join(quote_word(word) for word in words)
    shown = subprocess.run(["bash", "-c", line], capture_output=True, timeout=20).stdout
    assert shown.decode(errors="surrogateescape").split("\0")[:-1] == words


def test_keys_differ_by_folder_and_layout_and_keep_to_the_schedulers_limits() -> None:
    """A key is at most 33 characters, starts with a letter, and tells folders and layouts apart."""
    keys = {key_of(Path(folder), slug) for folder in ("/a/30b", "/b/30b", "/a/" + "x" * 60) for slug in ("n1", "n2")}
    assert len(keys) == 6
    assert all(len(key) <= 33 and key[0].isalpha() and key.replace("-", "").replace("_", "").isalnum() for key in keys)


def test_a_batch_job_over_its_limit_says_so_however_long_its_setup_took(tmp_path: Path) -> None:
    """SIGTERM after the limit less 5 s marks a time limit, SIGTERM before it does not; set-up counts too."""
    for limit, expected in ((6, "time_limit"), (600, None)):
        sweep = toy(sweep=f"limit{limit}", seconds=30)
        sweep["machine"] = {"name": "c", "scheduler": "slurm", "elapse_limit_seconds": limit, "setup": ["sleep 1.2"]}
        path = script(tmp_path, sweep)
        process = subprocess.Popen(["bash", str(path)], env=submitted(path, "a1"), stdout=subprocess.PIPE)
        while not (path.parent / "starts").exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 143
        assert marker(path, "a1")["cause"] == expected


def test_the_head_of_a_script_names_all_that_is_not_at_its_default(tmp_path: Path) -> None:
    """How it is split beyond DP, MP and PP stands in the head, and what is recomputed."""
    workload = toy()["workload"] | {"passes": ["model", "context", "expert", "sharding", "sharding_group"]}
    model = toy()["model"] | {"experts": 4, "experts_per_token": 2, "expert_ffn_hidden_size": 64}
    block = {"nodes": 8, "context": 2, "expert": 4, "sharding": "hsdp", "sharding_group": 4, "global_batch": 16}
    block |= {"sequence_length": 128, "recomputation": "selective"}
    lines = script(tmp_path, toy(model=model, workload=workload, layouts=[block])).read_text().splitlines()
    assert "# layout:  8 nodes x 1 ranks = DP 4 x MP 1 x PP 1 x CP 2, EP 4, hsdp, Shard group 4" in lines
    assert "# batch:   MBS 1, GBS 16, 128 tokens a sample, AC selective" in lines
