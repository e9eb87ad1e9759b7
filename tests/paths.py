"""Where the repository and the files of its tests are."""

from pathlib import Path

TESTS = Path(__file__).resolve().parent
REPOSITORY = TESTS.parent
GOLDEN = TESTS / "golden"
LOGS = TESTS / "logs" / "examples"
"""Example logs, a folder a trainer."""
EXAMPLES = sorted(LOGS.glob("*/*.log"))


def examples_of(table: str) -> list[list[str]]:
    """Kind and line of each example in the tables of a name, those of single trainers among them; see their README."""
    return [line.split("\t", 1) for path in sorted(LOGS.rglob(table)) for line in path.read_text().splitlines()]


def name_of_example(path: Path) -> str:
    """Folder and name of an example log, without the suffix."""
    return f"{path.parent.name}/{path.stem}"
