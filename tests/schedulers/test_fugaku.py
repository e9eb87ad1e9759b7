"""Fugaku: the sweep of the 30B study asks PJM for what the study ran on, and its scripts hold nothing unquoted."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from fakes.pjm import FakePjm
from sweeps import REPOSITORY, toy, write

from nodesweep.common.errors import ConfigError
from nodesweep.schedulers.job_script import key_of, render
from nodesweep.schedulers.pjm import Pjm
from nodesweep.sweep.study import Study

# The rows of the study, top to bottom: nodes, MP, AC, month; then what follows from them by hand: DP = nodes / (48 MP),
# the resource group (small up to 384 nodes), the shape, and the time: 1.5 x (1800 s + 3 x (900000 / nodes + 120) s),
# which is 3240 s + 4050000 s / nodes, in whole minutes.
STUDY = [
    (48, 1, True, "april", 1, "small", "48:torus", "24:21:00"),  # 87615 s
    (192, 4, True, "april", 1, "small", "192:torus", "6:46:00"),  # 24334 s
    (384, 8, True, "april", 1, "small", "384:torus", "3:50:00"),  # 13787 s
    (384, 8, False, "april", 1, "small", "384:torus", "3:50:00"),
    (3072, 4, True, "april", 16, "large", "16x12x16:torus", "1:16:00"),  # 4559 s
    (192, 4, True, "june", 1, "small", "192:torus", "2:46:00"),  # one iteration: 9911.25 s
    (384, 4, True, "june", 2, "small", "384:torus", "3:50:00"),
    (768, 4, True, "june", 4, "large", "8x12x8:torus", "2:22:00"),  # 8514 s
    (1152, 4, True, "june", 6, "large", "8x9x16:torus", "1:53:00"),  # 6756 s
    (1536, 4, True, "june", 8, "large", "8x12x16:torus", "1:38:00"),  # 5877 s
    (3072, 4, True, "june", 16, "large", "16x12x16:torus", "1:16:00"),
    (6144, 4, True, "june", 32, "large", "16x24x16:torus", "1:05:00"),  # 3900 s, less 0.8
    (576, 6, True, "june", 2, "large", "8x9x8:torus", "2:52:00"),  # 10272 s
    (1152, 6, True, "june", 4, "large", "8x9x16:torus", "1:53:00"),
    (2304, 6, True, "june", 8, "large", "12x12x16:torus", "1:24:00"),  # 4998 s
    (4608, 6, True, "june", 16, "large", "16x18x16:torus", "1:09:00"),  # 4119 s
]


@pytest.fixture(scope="module")
def study() -> Study:
    """The shipped sweep."""
    return Study.load([REPOSITORY / "config" / "fugaku-30b.yaml"])


def rendered(study: Study, slug: str) -> str:
    """The script of one layout."""
    return render(study.layouts[slug], study.sweep.sweep, study.folder)


def test_the_sweep_is_the_study(study: Study) -> None:
    """Sixteen layouts, one a row, and nothing else is rejected than what the other month ran."""
    layouts = [
        (one.nodes, one.tensor, one.activation_checkpointing, one.variant.name if one.variant else "")
        for one in study.layouts.values()
    ]
    assert sorted(layouts) == sorted(row[:4] for row in STUDY)
    assert {one.law for one in study.expansion.rejected} == {"excluded"}
    for one in study.layouts.values():
        assert (one.pipeline, one.micro_batch, one.global_batch, one.sequence_length) == (48, 1, 1536, 2048)
        assert one.frequency_ghz == 2.0
        width, heads = (7176, 78) if one.tensor == 6 else (7168, 56)
        assert (one.model.layers, one.model.hidden_size, one.model.attention_heads) == (48, width, heads)


@pytest.mark.parametrize("row", STUDY, ids=lambda row: f"{row[0]}-mp{row[1]}-{'ac' if row[2] else 'no-ac'}-{row[3]}")
def test_what_each_job_asks_for(study: Study, row: Any) -> None:
    """Nodes, resource group, time, ranks and clock of each row, and every power knob."""
    nodes, tensor, checkpointing, month, data, group, shape, elapse = row
    slug, layout = next(
        (slug, one)
        for slug, one in study.layouts.items()
        if (one.nodes, one.tensor, one.activation_checkpointing) == (nodes, tensor, checkpointing)
        and one.variant is not None
        and one.variant.name == month
    )
    assert layout.data == data
    text = rendered(study, slug)
    lines = [line for line in text.splitlines() if line.startswith("#PJM")]
    for resource in (
        *(f"rscgrp={group}", f"node={shape}", f"elapse={elapse}", "freq=2000", "proc-openfd=65536"),
        *("eco_state=0", "throttling_state=0", "issue_state=0", "ex_pipe_state=0", "retention_state=0"),
    ):
        assert lines.count(f'#PJM -L "{resource}"') == 1, resource
    assert [line for line in lines if "--mpi" in line] == [
        f'#PJM --mpi "proc={nodes}"',
        '#PJM --mpi "max-proc-per-node=1"',
    ]
    for option in ("-g CHANGE-ME", '-x "PJM_LLIO_GFSCACHE=/vol0004"', "-j", "-s", "--norestart"):
        assert lines.count(f"#PJM {option}") == 1, option
    words = re.findall(r"^        (\S+)", text.partition("    builtin set -- \\\n")[2], re.MULTILINE)
    assert words[:5] == ["mpiexec", "-n", str(nodes), "-std-proc", words[4]]
    assert words[4].endswith('/"${NODESWEEP_KEY}".ranks/%/1000r/std')
    assert (f"--tensor-model-parallel-size={tensor}" in words) and ("--pipeline-model-parallel-size=48" in words)
    assert ("--checkpoint-activations" in words) is checkpointing
    assert f"--train-iters={1 if (nodes, month) == (192, 'june') else 3}" in words
    assert f"export WORLD_SIZE={nodes}" in text
    assert f"export DEEPSPEED_FUGAKU=/path/to/DeepSpeedFugaku-{month}" in text


def test_directives_stand_together_at_the_head(study: Study) -> None:
    """PJM reads up to the first line that is no comment: no #PJM line comes after it."""
    for slug in study.layouts:
        lines = rendered(study, slug).splitlines()
        first = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
        directives = [number for number, line in enumerate(lines) if line.startswith("#PJM")]
        assert directives == list(range(first - len(directives), first))
        assert len(directives) <= 64 and all(len(line) <= 4096 for line in lines)


def hostile(**options: Any) -> dict[str, Any]:
    """A sweep for PJM with everything a name or an option may hold."""
    machine = {
        "name": "fugaku",
        "scheduler": "pjm",
        "ranks_per_node": 4,
        "frequencies_ghz": [2.2],
        "queues": [{"name": "small-s2.x", "elapse_limit_seconds": 90061}],
        "node_allocation": "noncont",
        "launcher": ["mpiexec", "-std-proc", "{{ directory }}/${NODESWEEP_KEY}.ranks/%/1000r/std"],
        "options": {
            "g": "hp000001",
            "x": ["PJM_LLIO_GFSCACHE=/vol0003:/vol0004", "A=1,B=two words"],
            "comment": "50 % of #3, then (a|b) & *",
            "node-mem": "28Gi",
            "mpi": "rank-map-bychip",
            "llio": ["localtmp-size=30Gi", "sio-read-cache=off,cn-cache-size=128Mi"],
            "net-route": "static",
            "eco_state": 0,
            "S": True,
            "X": True,
            **options,
        },
        "environment": {"QUOTED": "a, b # c % d {{ nodes }}"},
    }
    layouts = [{"nodes": 6, "tensor": 2, "global_batch": 24, "sequence_length": 128, "frequency_ghz": 2.2}]
    return toy(sweep="pjm-2.x", machine=machine, layouts=layouts)


def load(folder: Path, sweep: dict[str, Any]) -> Study:
    """A sweep of one layout, its results below `folder`."""
    return Study.load([write(folder / "sweep.yaml", sweep)], results=folder / "results")


def test_script_with_everything_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Any) -> None:
    """Spaces, commas, # and % in options and names stand quoted; paths of this machine replaced by their meaning."""
    folder = tmp_path / "with space, # and comma"
    folder.mkdir()
    monkeypatch.chdir(folder)
    study = load(folder, hostile())
    slug = next(iter(study.layouts))
    text = rendered(study, slug)
    for path, name in ((str(tmp_path), "/WORK"), (sys.executable, "/VENV/bin/python"), (str(REPOSITORY), "/NODESWEEP")):
        text = text.replace(path, name)
    golden("job.pjm.sh", text.replace(key_of(study.folder, slug), "pjm-2_x-0123456789ab"))


def test_directives_are_read_as_they_were_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the #PJM lines say with all their quotes, and what the command line says over them."""
    fake = FakePjm(tmp_path / "pjm")
    fake.set(queue_seconds=60)
    for name, value in fake.environment().items():
        monkeypatch.setenv(name, value)
    study = load(tmp_path, hostile())
    path = study.script(next(iter(study.layouts)))
    path.parent.mkdir(parents=True)
    path.write_text(rendered(study, path.parent.name))
    Pjm().submit(path, "k-a1")
    job = fake.jobs()[0]
    fake.close()
    assert (job["name"], job["directory"], job["options"]["-o"]) == ("k-a1", str(path.parent), "k-a1.out")
    assert job["options"]["--comment"] == "50 % of #3, then (a|b) & *"
    assert job["options"]["-x"] == "A=1,B=two words"
    assert job["options"]["--mpi"] == {"proc": "24", "max-proc-per-node": "4", "rank-map-bychip": ""}
    expected = {"rscgrp": "small-s2.x", "node": "6:noncont", "elapse": "25:01:01", "freq": "2200"}
    assert job["options"]["-L"] == {**expected, "node-mem": "28Gi", "eco_state": "0"}


def test_a_folder_whose_name_pjm_would_fill_in(tmp_path: Path) -> None:
    """A % would be taken for %j and the like: such a folder stands in no #PJM line."""
    folder = tmp_path / "50%j"
    folder.mkdir()
    study = load(folder, hostile())
    directives = [line for line in rendered(study, next(iter(study.layouts))).splitlines() if line.startswith("#PJM")]
    assert not [line for line in directives if "50%j" in line or "--spath" in line]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"no-check-directory": True}, "no-check-directory: pjsub takes it on its command line only"),
        ({"llio": [f"a{number}=1" for number in range(60)]}, "#PJM lines with nodesweep's own; pjsub reads 64"),
        ({"comment": "{{ '\"' }}"}, "machine.options.comment: holds"),
    ],
)
def test_options_that_pjsub_would_lose_or_misread(tmp_path: Path, options: dict[str, Any], says: str) -> None:
    """Options that would be lost are refused by name before anything is submitted."""
    study = load(tmp_path, hostile(**options))
    with pytest.raises(ConfigError, match=re.escape(says)):
        rendered(study, next(iter(study.layouts)))


def test_statistics_are_asked_for_once(tmp_path: Path) -> None:
    """pjsub refuses -s together with -S."""
    study = load(tmp_path, hostile())
    lines = rendered(study, next(iter(study.layouts))).splitlines()
    assert "#PJM -S" in lines and "#PJM -s" not in lines
