"""The house keeps its shape: imports go one way, modules stay small, nothing names the machine it was built on."""

from pathlib import Path

from sweeps import REPOSITORY

PACKAGE = REPOSITORY / "workflow" / "nodesweep"


def modules() -> dict[str, Path]:
    """Dotted name below the package → file."""
    names = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if name:
            names[name] = path
    return names


def test_modules_fit_in_a_head() -> None:
    """No module is longer than 350 lines."""
    for path in sorted((REPOSITORY / "workflow").rglob("*.py")):
        assert len(path.read_text().splitlines()) <= 350, path


def test_trainer_and_nodesweep_do_not_know_each_other() -> None:
    """minitrain is a trainer like any other: neither package imports the other."""
    for path in sorted((REPOSITORY / "workflow" / "minitrain").rglob("*.py")):
        assert "nodesweep" not in path.read_text(), path
    for path in modules().values():
        assert "import minitrain" not in path.read_text(), path
