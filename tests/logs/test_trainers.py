"""The registry of trainers: a new module is all it takes, and formats of one line are tried in the right order."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from paths import REPOSITORY

from nodesweep.config.registries import log_format_names
from nodesweep.logs.patterns.lines import IterationPattern, line_with
from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.trainer import FIRST, Format
from nodesweep.logs.trainers import FORMATS, TRAINERS, ordered_formats

MODULE = """
from nodesweep.logs.patterns.endings import ROOT, Success, signature
from nodesweep.logs.patterns.lines import IterationPattern, LinePattern, line_with, settings_line
from nodesweep.logs.patterns.quantities import quantity
from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.trainer import FIRST, Format, Trainer

TRAINER = Trainer(
    formats=(
        Format(
            "basalt",
            IterationPattern(
                name="basalt",
                head=LinePattern(("basalt tick ",), Pattern(r"basalt tick (?P<number>\\d+) of (?P<total>\\d+):")),
                quantities=(quantity("seconds", "secs", r" LABEL VALUE\\s"),),
            ),
            FIRST,
        ),
    ),
    settings=(settings_line("basalt layout ", r" (?P<name>tp)=VALUE"),),
    successes=(Success("basalt", "trainer", ("basalt has cooled",), Pattern("basalt has cooled")),),
    signatures=(signature("basalt_melted", "oom_gpu", ROOT, "basalt melted: "),),
)
"""
TICKS = "basalt layout tp=2\nbasalt tick 1 of 9: secs 9.0\nbasalt tick 2 of 9: secs 1.5\n"


def test_a_new_trainer_is_a_new_module(tmp_path: Path) -> None:
    """In a copy of the program with one more module, iterations, settings, success and failure are read by it."""
    shutil.copytree(REPOSITORY / "workflow", tmp_path / "workflow", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "workflow/nodesweep/logs/trainers/basalt.py").write_text(MODULE)
    (tmp_path / "cooled.log").write_text(f"{TICKS}basalt has cooled\n")
    (tmp_path / "melted.log").write_text(f"{TICKS}basalt melted: no memory\n")
    command = [sys.executable, "-m", "nodesweep", "explain-log", "cooled.log", "melted.log"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "workflow")}
    text = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    assert text.count("format: basalt: 2 records") == text.count("  1.5 s per iteration") == 2
    assert text.count("arguments: 1") == 2
    assert "outcome: ok (iteration 2 of 9 is the last in the log)\n  line 4: basalt has cooled" in text
    assert "outcome: oom_gpu after iteration 2\n  line 4: basalt melted: no memory" in text


def test_each_format_of_a_trainer_may_be_named() -> None:
    """A workload may name the formats of all trainers, or auto; two formats of one name cannot be."""
    names = [form.name for trainer in TRAINERS.values() for form in trainer.formats]
    assert sorted(names) == sorted(FORMATS) == list(log_format_names()[1:])
    assert log_format_names()[0] == "auto"


def formats(*rows: tuple[str, bool, str]) -> list[Format]:
    """Formats of one kind of line: name, whether it has evidence, and the format it comes before."""
    line = IterationPattern("line", line_with("iteration "))
    return [
        Format(name, line, FIRST, evidence=Pattern(name) if evidence else None, before=before)
        for name, evidence, before in rows
    ]


def test_formats_of_one_line_are_tried_in_order() -> None:
    """The one without evidence comes last, and each before the one that it names, whatever the order of modules."""
    rows = formats(("any", False, ""), ("common", True, ""), ("fork", True, "common"), ("fork-2026", True, "fork"))
    assert list(ordered_formats(rows)) == ["fork-2026", "fork", "common", "any"]
    assert list(ordered_formats(rows[::-1])) == ["fork-2026", "fork", "common", "any"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((("a", True, "b"),), "format a comes before 'b', which is no format"),
        ((("a", True, ""), ("a", False, "")), "two formats have one name among a, a"),
        ((("a", True, "b"), ("b", True, "a")), "a"),
    ],
)
def test_an_impossible_order_is_refused(rows: tuple[tuple[str, bool, str], ...], message: str) -> None:
    """A name that is no format, a name given twice, and a circle are errors of the program's own tables."""
    with pytest.raises(ValueError, match=message):
        ordered_formats(formats(*rows))


def test_a_fork_is_recognised_before_what_it_was_forked_from() -> None:
    """Formats of Megatron-LM's line: Primus, GPT-NeoX and Megatron-DeepSpeed come before the one for all others."""
    order = [name for name, form in FORMATS.items() if form.iteration is FORMATS["megatron-lm"].iteration]
    tried = ["primus", "gpt-neox", "megatron-core-2026", "megatron-core", "megatron-deepspeed", "megatron-lm"]
    assert [name for name in order if name in tried] == tried
    assert order[-1] == "megatron-lm"
