"""The house keeps its shape: small modules and functions, names that exist once, docstrings that are read alone."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from paths import REPOSITORY

WORKFLOW = REPOSITORY / "workflow"
PACKAGE = WORKFLOW / "nodesweep"
MODULES = sorted(path for path in WORKFLOW.rglob("*.py") if "egg-info" not in str(path))
MOST_LINES_OF_A_MODULE, MOST_LINES_OF_A_FUNCTION = 350, 50
# What opens files to write, or starts processes, beside cli, launch, schedulers and the search of huge logs.
OPENING = {"common/files.py", "common/lock.py"}
IMPURE_PACKAGES = {"cli", "launch", "logs", "schedulers"}
# Of those packages too: what is worked out there is a function of values.
PURE = {"logs/root_cause.py", "logs/completion.py", "launch/eta.py", "launch/forecasts.py", "launch/progress.py"}
PURE |= {"launch/status.py", "launch/sweep_status.py"}
OPENS = {"open", "write_text", "write_bytes", "Popen", "run", "system"}
BACK_REFERENCE = re.compile(r"(?:Its|The same|Those|These|Them|They|That of|All of (?:these|those)|It|And|But)\b[ ,.]")


def trees() -> Iterator[tuple[Path, ast.Module]]:
    """Every module of workflow/ with its syntax tree."""
    for path in MODULES:
        yield path.relative_to(WORKFLOW), ast.parse(path.read_text())


def documented(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of every docstring, those after assignments included."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        for statement in body:
            value = getattr(getattr(statement, "value", None), "value", None)
            if isinstance(statement, ast.Expr) and isinstance(value, str):
                yield statement.lineno, value.strip()


def test_the_top_holds_packages_alone() -> None:
    """Beside the ten packages there are only __init__ and __main__."""
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py"}


def test_modules_fit_in_a_head() -> None:
    """No module is longer than 350 lines."""
    lines = {path: len(path.read_text().splitlines()) for path in MODULES}
    assert {path: count for path, count in lines.items() if count > MOST_LINES_OF_A_MODULE} == {}


def test_functions_fit_on_a_screen() -> None:
    """No function is longer than 50 lines."""
    long = {
        f"{path}:{node.name}": node.end_lineno - node.lineno + 1
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None
    }
    assert {name: lines for name, lines in long.items() if lines > MOST_LINES_OF_A_FUNCTION} == {}


def test_class_names_exist_once() -> None:
    """A name means one class in the whole of nodesweep; a class for the type checker alone stands for the real one."""
    names = Counter(node.name for path, tree in trees() if path.parts[0] == "nodesweep" for node in _classes(tree))
    assert {name for name, count in names.items() if count > 1} == set()


def _classes(tree: ast.Module) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def test_docstrings_are_read_alone() -> None:
    """No docstring starts by pointing back at the one above it."""
    pointing = [
        f"{path}:{line}: {text.splitlines()[0]}"
        for path, tree in trees()
        for line, text in documented(tree)
        if BACK_REFERENCE.match(text)
    ]
    assert pointing == []


def test_what_computes_changes_nothing() -> None:
    """Packages that compute write no files and start no processes; what they read is handed to them or looked up."""
    found = set()
    assert all((PACKAGE / name).exists() for name in OPENING | PURE)
    for path, tree in trees():
        inside = path.relative_to("nodesweep") if path.parts[0] == "nodesweep" else None
        if inside is None or str(inside) in OPENING:
            continue
        if inside.parts[0] in IMPURE_PACKAGES and str(inside) not in PURE:
            continue
        calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
        names = {call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls}
        found |= {f"{inside}: {name}" for name in names & OPENS}
    assert found == set()


def test_trainer_and_nodesweep_do_not_know_each_other() -> None:
    """minitrain is a trainer like any other: neither package imports the other."""
    for path in sorted((WORKFLOW / "minitrain").rglob("*.py")):
        assert "nodesweep" not in path.read_text(), path
    for path in sorted(PACKAGE.rglob("*.py")):
        assert "import minitrain" not in path.read_text(), path
