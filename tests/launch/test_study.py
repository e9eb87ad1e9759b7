"""The two tables of the 30B study on Fugaku, cell for cell, from what its jobs left: logs, statistics, journals."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sweeps import REPOSITORY

from nodesweep.cli.main import main
from nodesweep.launch import journal
from nodesweep.launch.journal_events import Ended, Intent, Submitted
from nodesweep.launch.records import terminal_record
from nodesweep.logs.custom_format import format_of
from nodesweep.logs.reader import read_log
from nodesweep.results.outcome import decide
from nodesweep.schedulers.base import End, Job
from nodesweep.schedulers.job_script import key_of
from nodesweep.schedulers.pjm.files import gather, read_statistics
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.study import Study

CONFIG = REPOSITORY / "config" / "fugaku-30b.yaml"
STUDY = """
| Nodes | Freq | Size | DP | MP | PP | MBS | GBS | AC | Mem | Sec/it | TFLOPs | Est. Aggr. PetaFLOPs | Notes |
| 48 | 2.0GHz | 30B | 1 | 1 | 48 | 1 | 1536 | Yes | 29138.6 MiB (OOM after first epoch) | 17212.8 | 0.95 | 0.04 | 4/22 |
| 192 | 2.0GHz | 30B | 1 | 4 | 48 | 1 | 1536 | Yes | 16622.7 MiB | 3720.0 | 1.10 | 0.2 | 4/23 |
| 384 | 2.0GHz | 30B | 1 | 8 | 48 | 1 | 1536 | Yes | 14356.7 MiB | 2338.8 | 0.88 | 0.3 | 4/23 |
| 384 | 2.0GHz | 30B | 1 | 8 | 48 | 1 | 1536 | No | 29087.7 MiB (OOM) | - | - | - | 4/23 |
| 3072 | 2.0GHz | 30B | 16 | 4 | 48 | 1 | 1536 | Yes | 16632.9 MiB | 313.6 | 0.82 | 2.5 | 4/23 |

| Nodes | DP | MP | PP | MBS | GBS | Sec/it | TFLOPs | hidden-size | num-attention-heads | Notes |
| 192 | 1 | 4 | 48 | 1 | 1536 | 3534.8833 (1 iteration only) | 1.16 | 7168 | 56 | 6/27 |
| 384 | 2 | 4 | 48 | 1 | 1536 | 1841.59885 | 1.115 | 7168 | 56 | 6/27 |
| 768 | 4 | 4 | 48 | 1 | 1536 | 982.7666 | 1.045 | 7168 | 56 | 6/27 |
| 1152 | 6 | 4 | 48 | 1 | 1536 | 701.6585 | 0.975 | 7168 | 56 | 6/27 |
| 1536 | 8 | 4 | 48 | 1 | 1536 | 558.6969 | 0.92 | 7168 | 56 | 6/27 |
| 3072 | 16 | 4 | 48 | 1 | 1536 | 353.8192 | 0.725 | 7168 | 56 | 6/27 |
| 6144 | 32 | 4 | 48 | 1 | 1536 | 252.05295 | 0.505 | 7168 | 56 | 6/27 |
| 576 | 2 | 6 | 48 | 1 | 1536 | 1516.9546 | 0.905 | 7176 | 78 | 6/27 |
| 1152 | 4 | 6 | 48 | 1 | 1536 | 806.28395 | 0.85 | 7176 | 78 | 6/27 |
| 2304 | 8 | 6 | 48 | 1 | 1536 | 465.1534 | 0.735 | 7176 | 78 | 6/27 |
| 4608 | 16 | 6 | 48 | 1 | 1536 | 297.1933 | 0.58 | 7176 | 78 | 6/27 |
"""
"""The study as it was typed by hand, but for seconds that stood there in milliseconds, and four DP that were wrong."""


class Left(NamedTuple):
    """What a job left: its peak in MiB, and the times in ms and TFLOPs its log has, the warm-up first."""

    peak_mib: float
    milliseconds: tuple[float, ...] = ()
    tflops: tuple[float, ...] = ()


JOBS = {
    ("april", 48, 1, True): Left(29138.6, (17212800.0,), (0.95,)),
    ("april", 192, 4, True): Left(16622.7, (3901234.5, 3719000.0, 3721000.0), (1.05, 1.10, 1.10)),
    ("april", 384, 8, True): Left(14356.7, (2401234.5, 2338300.0, 2339300.0), (0.86, 0.88, 0.88)),
    ("april", 384, 8, False): Left(29087.7),
    ("april", 3072, 4, True): Left(16632.9, (331234.5, 313600.0, 313600.0), (0.77, 0.82, 0.82)),
    ("june", 192, 4, True): Left(16600.0, (3534883.3,), (1.16,)),
    ("june", 384, 4, True): Left(16600.0, (1901234.5, 1841598.8, 1841598.9), (1.08, 1.11, 1.12)),
    ("june", 768, 4, True): Left(16600.0, (1001234.5, 982766.5, 982766.7), (1.02, 1.04, 1.05)),
    ("june", 1152, 4, True): Left(16600.0, (731234.5, 701658.4, 701658.6), (0.93, 0.97, 0.98)),
    ("june", 1536, 4, True): Left(16600.0, (571234.5, 558696.8, 558697.0), (0.90, 0.92, 0.92)),
    ("june", 3072, 4, True): Left(16600.0, (361234.5, 353819.1, 353819.3), (0.71, 0.72, 0.73)),
    ("june", 6144, 4, True): Left(16600.0, (261234.5, 252052.9, 252053.0), (0.49, 0.50, 0.51)),
    ("june", 576, 6, True): Left(16600.0, (1531234.5, 1516954.5, 1516954.7), (0.89, 0.90, 0.91)),
    ("june", 1152, 6, True): Left(16600.0, (821234.5, 806283.9, 806284.0), (0.83, 0.85, 0.85)),
    ("june", 2304, 6, True): Left(16600.0, (471234.5, 465153.3, 465153.5), (0.73, 0.73, 0.74)),
    ("june", 4608, 6, True): Left(16600.0, (301234.5, 297193.2, 297193.4), (0.57, 0.58, 0.58)),
}
"""Month, nodes, MP and AC -> what such a job left; the log's figures are rounded as the trainer rounds them."""


def iteration_line(layout: Layout, number: int, milliseconds: float, tflops: float) -> str:
    """An iteration as DeepSpeedFugaku prints it."""
    samples = number * layout.global_batch
    fields = (
        f"iteration {number:8d}/{layout.iterations.total:8d}",
        f"consumed samples: {samples:12d}",
        f"consumed tokens: {samples * layout.sequence_length:12d}",
        f"elapsed time per iteration (ms): {milliseconds:.1f}",
        f"learning rate: {1.5e-4:.3E}",
        f"global batch size: {layout.global_batch:5d}",
        f"lm loss: {11.0 - number / 10:.6E}",
        f"loss scale: {1.0:.1f}",
        f"grad norm: {10.0:.3f}",
        f"actual seqlen: {layout.sequence_length:5d}",
        f"number of skipped iterations: {0:3d}",
        f"number of nan iterations: {0:3d}",
        f"samples per second: {layout.global_batch * 1000 / milliseconds:.3f}",
        f"TFLOPs: {tflops:.2f}",
    )
    return f" {' | '.join(fields)} |\n"


def statistics(peak_mib: float) -> str:
    """The statistics PJM leaves of a job, as far as they are read."""
    items = {
        "JOB START DATE": "2026/04/22 10:00:00",
        "JOB END DATE": "2026/04/22 16:00:00",
        "MAX MEMORY SIZE (USE)": f"{peak_mib} MiB ({round(peak_mib * 2**20)})",
    }
    return "Job Statistical Information\n\n" + "".join(f" {name:<26}: {value}\n" for name, value in items.items())


def leave(study: Study, layout: Layout, left: Left) -> None:
    """Put into a layout's folder what its job left, and record its end."""
    folder, key = study.directory(layout.slug), f"{key_of(study.folder, layout.slug)}-a1"
    job = Job(key, "1234567", folder)
    last = folder / f"{key}.ranks" / str((layout.ranks - 1) // 1000) / f"std.1.{layout.ranks - 1}"
    last.parent.mkdir(parents=True)
    done = list(zip(left.milliseconds, left.tflops, strict=True))
    start = "[before the start of training step] datetime: 2026-04-22 10:20:00 \n"
    last.write_text(start + "".join(iteration_line(layout, number, *row) for number, row in enumerate(done, start=1)))
    complete = len(done) == layout.iterations.total
    killed = "[WARN] PLE 0610 plexec The process terminated with the signal.(rank=2)(nid=0x01)(sig=9)\n"
    (folder / f"{key}.out").write_text("" if complete else killed)
    (folder / f"{key}.stats").write_text(statistics(left.peak_mib))
    gather(folder, key)
    read = read_statistics(folder / f"{key}.stats")
    assert read is not None
    end = End(0, None, "EXT") if complete else End(None, "out_of_memory", "EXT, PJM code 23")
    end = End(end.exit_code, end.cause, end.state, read.started, read.ended, read.usage)
    path = study.journal(layout.slug)
    journal.append(path, Intent(key=key, attempt=1, script_sha256="", scheduler="pjm", elapse_limit_seconds=None))
    journal.append(path, Submitted(key=key, job_id=job.id))
    reading = read_log(folder / f"{key}.log", format_of(layout.workload.log_format))
    verdict = decide(end, reading, layout.iterations.total)
    record = terminal_record(layout.slug, job, journal.state(path), end, verdict)
    journal.append(path, Ended(record=record))
    study.record(layout.slug).write_text(record.to_json())


def identity(layout: Layout) -> tuple[str, int, int, bool]:
    """What tells the layouts of the study apart."""
    assert layout.variant is not None
    return layout.variant.name, layout.nodes, layout.tensor, layout.activation_checkpointing


def cells(line: str) -> list[str]:
    """The cells of a row."""
    return [cell.strip() for cell in line.strip()[1:-1].split("|")]


def tables(markdown: str) -> list[list[list[str]]]:
    """All tables of the experiments: headings, then rows; the lines under the headings left out."""
    blocks = re.findall(r"(?:^\|.*\n)+", markdown.partition("## Where the time goes")[0], re.MULTILINE)
    return [[cells(line) for line in block.splitlines() if not set(line) <= set("|-: ")] for block in blocks]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """tables.md as the commands write it in a folder where these jobs have run; all of the study's by default."""
    monkeypatch.chdir(tmp_path)

    def write(jobs: dict[Any, Left] = JOBS, config: Path = CONFIG) -> str:
        shutil.rmtree("results", ignore_errors=True)
        study = Study.load([config])
        for layout in study.layouts.values():
            if identity(layout) in jobs:
                leave(study, layout, jobs[identity(layout)])
        for room in ("measure", "tables"):
            assert main([room, "--configfile", str(config)]) == 0
        return (study.folder / "tables.md").read_text()

    return write


def test_the_two_tables_of_the_study(written: Callable[..., str]) -> None:
    """Every cell of both tables, in the study's columns, headings, order and formats, from what the jobs left."""
    assert tables(written()) == tables(STUDY)


def test_the_whole_document(written: Callable[..., str], golden: Any) -> None:
    """The document around them says what each heading means in which table."""
    golden("fugaku-30b.tables.md", written())


def test_what_has_not_gone_well_says_so(written: Callable[..., str]) -> None:
    """Rows of jobs that have not run, or ran out of memory where no cell has their memory, say so in their notes."""
    _, june = tables(written({("june", 384, 4, True): Left(29138.6, (1841598.8,), (1.11,))}))
    assert june[1][-1] == "6/27; pending"
    assert june[2][-5:] == ["1841.5988 (1 iteration only)", "1.11", "7168", "56", "6/27; oom after iteration 1"]
