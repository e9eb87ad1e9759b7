"""The house keeps its shape: imports go one way, modules stay small, nothing names the machine it was built on."""

import ast
from pathlib import Path

from sweeps import REPOSITORY

from nodesweep.log_config import BuiltInFormat
from nodesweep.logs.formats import FORMATS

PACKAGE = REPOSITORY / "workflow" / "nodesweep"
# Top to bottom: a module imports only from those above it.
ROOMS = [
    "errors text markdown files expressions columns cells fields log_config table_config training_config config "
    "sources origins layout expand",
    "study flops cost shape peaks case memory timing calibration.observations calibration.time_model "
    "calibration.memory_model calibration.probes calibration forecast "
    "explanation.known explanation.predictions explanation.figures explanation",
    "directives script schemas",
    "schedulers.base schedulers.commands schedulers.marks schedulers.local schedulers.slurm "
    "schedulers.pjm_listing schedulers.pjm_files schedulers.pjm schedulers.pbs schedulers",
    "journal provenance_file lock",
    "logs logs.lazy logs.patterns logs.prefixes logs.search logs.searcher logs.helper logs.memory logs.causes "
    "logs.job_ends logs.signatures logs.successes logs.starts logs.megatron logs.trainers logs.totals logs.settings "
    "logs.formats logs.custom logs.leads logs.rules logs.reading logs.warmup logs.summary logs.lines logs.series "
    "logs.bars logs.extract logs.arguments logs.collect logs.scan logs.growing "
    "logs.ending logs.explain outcome",
    "steady plausible measure measured calibration.form_fit calibration.times calibration.memories calibration.fitting",
    "search decisions plan whatif records pace progress estimate watch waiting submission recording runner",
    "legacy.document legacy.cells legacy.columns legacy.hyperparameters legacy.reading legacy.findings legacy.rates "
    "legacy.models legacy.world legacy.speeds legacy.checks legacy.measurements legacy.corrected legacy "
    "legacy.tracing",
    "results ingest.fields ingest.laws ingest.files ingest.template ingest.joined ingest.job ingest",
    "campaigns tables conclusions explained figures.figure figures.axes figures.series figures.curves figures.chosen "
    "figures.scaling figures.shares figures.limits figures.batches figures.links figures figures.style figures.marks "
    "figures.lines figures.bars figures.drawing figures.export formulas traces provenance ingest.tracing why workflow",
    "report.packing report.grids report.findings report.panels report",
    "matching noise comparing compare differing",
    "standings looks status_page",
    "rooms rooms.common rooms.comparison rooms.sweep rooms.sight rooms.page rooms.foresight rooms.foreign rooms.log "
    "rooms.status garbage __main__",
]
ORDER = [name for line in ROOMS for name in line.split()]
# Rooms that are functions of values: they neither open files nor start processes.
PURE = set(ORDER[ORDER.index("text") : ORDER.index("explanation") + 1]) | {
    "logs.ending",
    "outcome",
    "provenance_file",
    "matching",
    "noise",
    "comparing",
    "compare",
    "differing",
    "steady",
    "plausible",
    "measure",
    "results",
    "tables",
    "conclusions",
    "explained",
    "pace",
    "progress",
    "estimate",
    "standings",
    "status_page",
}
PURE |= {name for name in ORDER if name.split(".")[0] in ("legacy", "ingest", "figures", "report")}
PURE -= {"files", "sources", "origins", "study", "ingest.files"}


def modules() -> dict[str, Path]:
    """Dotted name below the package → file."""
    names = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if name:
            names[name] = path
    return names


def imported(name: str, path: Path) -> set[str]:
    """Modules of the package that one of them imports."""
    known = set(modules())
    level_zero = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = level_zero[: len(level_zero) - (node.level - 1)] + (node.module or "").split(".")
            base = [part for part in base if part]
            candidates = {".".join([*base, alias.name]) for alias in node.names} | {".".join(base)}
            found |= candidates & known
    return found - {name}


def test_every_module_has_its_place() -> None:
    """The list above names all modules of the package, and no others."""
    assert set(modules()) == set(ORDER)


def test_no_back_arrows() -> None:
    """A module imports only from modules above it."""
    for name, path in modules().items():
        below = {other for other in imported(name, path) if ORDER.index(other) >= ORDER.index(name)}
        assert not below, f"{name} imports {below} from below"


def test_pandas_stays_in_its_rooms() -> None:
    """Only results and tables import pandas, which costs every process that does 0.4 s."""
    users = {name for name, path in modules().items() if "pandas" in path.read_text().replace("pandas takes", "")}
    assert users <= {"results", "tables", "explained"}


def test_rooms_are_functions_of_values() -> None:
    """Rooms that compute do not open files or start processes."""
    for name in PURE:
        calls = {
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            for node in ast.walk(ast.parse(modules()[name].read_text()))
            if isinstance(node, ast.Call)
        }
        assert not calls & {"open", "write_text", "write_bytes", "Popen", "run", "system"}, name


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


def test_config_offers_the_formats_there_are() -> None:
    """A workload may name exactly the log formats that can be read."""
    assert set(BuiltInFormat.__args__) == {"auto", *FORMATS}
