"""Every file a user may write is read as meant, or refused with file, line, key and way out."""

import copy
import json
import types
import typing
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from sweeps import REPOSITORY, run_snakemake, toy, write

from nodesweep.cli.main import main
from nodesweep.common.errors import ConfigError
from nodesweep.config import log_format, schema
from nodesweep.config.loader import load_sweep
from nodesweep.config.sweep import Sweep
from nodesweep.config.types import StrictModel
from nodesweep.schedulers.job_script import render
from nodesweep.sweep.study import Study

HOSTILE = ["; rm -rf x", "$(id)", "a\nb", 'it\'s "quoted"', "../..", "{{ }}"]

# Every place of a sweep that takes text. Set-up lines are shell code by nature and have a test of their own.
TEXT_FIELDS = {
    "sweep": ["sweep"],
    "title": ["title"],
    "model": ["model"],
    "model.name": ["model", "name"],
    "model.size": ["model", "size"],
    "model.from": ["model", "from"],
    **{f"model.{name}": ["model", name] for name in ("biases", "norm", "qk_norm", "positions", "flops_convention")},
    "model.extras": ["model", "extras", 0],
    "model.other_parts": ["model", "other_parts", 0],
    "machine": ["machine"],
    "machine.name": ["machine", "name"],
    "machine.description": ["machine", "description"],
    "machine.scheduler": ["machine", "scheduler"],
    "machine.shared_cores": ["machine", "shared_cores"],
    "machine.launcher": ["machine", "launcher", 0],
    "machine.environment": ["machine", "environment", "NAME"],
    "machine.environment key": ["machine", "environment", "<key>"],
    "machine.queues.name": ["machine", "queues", 0, "name"],
    "machine.node_shapes": ["machine", "node_shapes", 2],
    "machine.node_allocation": ["machine", "node_allocation"],
    "machine.versions key": ["machine", "versions", "<key>"],
    "machine.secrets": ["machine", "secrets", 0],
    "machine.options": ["machine", "options", "partition"],
    "machine.options key": ["machine", "options", "<key>"],
    "machine.gpu": ["machine", "gpu"],
    "machine.peak_tflops.precision": ["machine", "peak_tflops", 0, "precision"],
    "workload": ["workload"],
    "workload.name": ["workload", "name"],
    "workload.command": ["workload", "command", 0],
    "workload.environment": ["workload", "environment", "NAME"],
    "workload.environment key": ["workload", "environment", "<key>"],
    "workload.versions key": ["workload", "versions", "<key>"],
    "workload.repositories": ["workload", "repositories", 0],
    "workload.log_format": ["workload", "log_format"],
    "workload.log_format.name": ["workload", "log_format", "name"],
    **{
        f"workload.log_format.figures.{name}.unit": ["workload", "log_format", "figures", name, "unit"]
        for name in log_format.LogFigures.model_fields
    },
    "workload.memory_source": ["workload", "memory_source"],
    "workload.passes": ["workload", "passes", 0],
    "workload.refuses.if": ["workload", "refuses", 0, "if"],
    "workload.refuses.because": ["workload", "refuses", 0, "because"],
    "workload.training.pipeline_schedule": ["workload", "training", "pipeline_schedule"],
    "workload.training.recomputation": ["workload", "training", "recomputation"],
    "workload.training.pipeline_layout": ["workload", "training", "pipeline_layout"],
    "workload.precision": ["workload", "precision"],
    "iterations.expected_seconds": ["iterations", "expected_seconds"],
    "layouts.note": ["layouts", 0, "note"],
    "layouts.parameters": ["layouts", 0, "parameters", "backend"],
    "layouts.parameters key": ["layouts", 0, "parameters", "<key>"],
    "layouts.together.parameters": ["layouts", 0, "together", "parameters", "mode"],
    "layouts.together.parameters key": ["layouts", 0, "together", "parameters", "<key>"],
    **{f"layouts.{name}": ["layouts", 0, name] for name in ("sharding", "recomputation", "precision", "offload")},
    **{
        f"layouts.together.{name}": ["layouts", 0, "together", name]
        for name in ("sharding", "recomputation", "precision", "offload")
    },
    "exclude": ["exclude", 0],
    "when.if": ["when", 0, "if"],
    "when.model": ["when", 0, "model", "size"],
    "when.model key": ["when", 0, "model", "<key>"],
    "when.machine": ["when", 0, "machine", "name"],
    "when.workload": ["when", 0, "workload", "name"],
    "when.iterations key": ["when", 0, "iterations", "<key>"],
    "when.note": ["when", 0, "note"],
    "variants.name": ["variants", 0, "name"],
    "variants.env": ["variants", 0, "env", "NAME"],
    "variants.env key": ["variants", 0, "env", "<key>"],
    "rerun": ["rerun", 0],
    "statistic": ["statistic"],
    "campaign": ["campaign"],
    "prune": ["prune"],
    "search.best": ["search", "best"],
    "search.for_each": ["search", "for_each", 0],
    "tables.heading": ["tables", 0, "heading"],
    "tables.text": ["tables", 0, "text"],
    "tables.statistic": ["tables", 0, "statistic"],
    "tables.where": ["tables", 0, "where"],
    "tables.order": ["tables", 0, "order", 0],
    "tables.columns.heading": ["tables", 0, "columns", 0, "heading"],
    "tables.columns.value": ["tables", 0, "columns", 0, "value"],
    "tables.columns.format": ["tables", 0, "columns", 0, "format"],
    "tables.columns.annotations.if": ["tables", 0, "columns", 0, "annotations", 0, "if"],
    "tables.columns.annotations.text": ["tables", 0, "columns", 0, "annotations", 0, "text"],
}
SHELL_FIELDS = {"machine.setup", "workload.setup", "machine.versions", "workload.versions"}
# Patterns and what they are looked for by stay in the reader: quotes and dollars are theirs to hold.
FIGURES = list(log_format.LogFigures.model_fields)
PATTERN_FIELDS = {
    f"workload.log_format.{part}.{name}"
    for part in (
        "iteration",
        "started",
        "finished",
        *(f"figures.{name}" for name in log_format.LogFigures.model_fields),
    )
    for name in ("pattern", "contains")
}


def full_table() -> dict[str, Any]:
    """A table in which every optional text stands."""
    annotation = {"if": "records_used == 1", "text": "(1 iteration only)"}
    column = {"heading": "s", "value": "iteration_seconds", "format": ".2f", "annotations": [annotation]}
    rows = {"where": "nodes > 1", "order": ["-nodes"], "statistic": "median"}
    return {"heading": "All", "text": "All of them.", "columns": [column, "Nodes"], **rows}


def full_sweep() -> dict[str, Any]:
    """A sweep in which every optional text stands."""
    sweep = toy(
        exclude=["tensor == 4"],
        when=[{"if": "tensor == 2", "model": {"layers": 8}, "machine": {}, "workload": {}, "iterations": {"total": 4}}],
        variants=[{"name": "plain", "env": {"NAME": "value"}}],
        rerun=["crash"],
        statistic="mean",
        campaign="first",
        prune="never",
        search={"best": "fastest", "for_each": ["nodes"]},
        tables=[full_table()],
    )
    sweep["model"] |= {"size": "1M", "extras": ["output_bias"], "other_parts": ["Mamba layers"]}
    sweep["machine"] |= {
        "description": "this machine",
        "scheduler": "slurm",
        "queues": [{"name": "small"}],
        "node_shapes": {},
        "launcher": ["env"],
        "environment": {"NAME": "value"},
        "versions": {"bash": "bash --version"},
        "secrets": ["ACME"],
        "options": {},
        "peak_tflops": [{"precision": "fp32", "tflops_per_node": 1}],
    }
    sweep["workload"] |= {
        "versions": {"bash": "bash --version"},
        "repositories": ["{{ repository }}"],
        "memory_source": "none",
        "passes": ["context"],
        "refuses": [{"if": "tensor == 64", "because": "it has 63 ranks at most"}],
        "training": {"pipeline_schedule": "1f1b", "recomputation": "full"},
        "precision": "fp32",
        "log_format": {
            "name": "own",
            "iteration": {"contains": "step ", "pattern": r"step (?P<number>\d+)"},
            "figures": {
                name: {"pattern": rf"{name} (\S+)", "unit": (log_format.UNITS.get(name) or [None])[0]}
                for name in log_format.LogFigures.model_fields
            },
        },
    }
    sweep["layouts"][0] |= {
        "note": "a note",
        "parameters": {"backend": "flash"},
        "together": {"parameters": {"mode": "eager"}},
    }
    return sweep


def placed(sweep: dict[str, Any], key: list[str | int], text: str) -> dict[str, Any]:
    """The sweep with `text` at a place, or as a key where the place says so."""
    sweep = copy.deepcopy(sweep)
    target: Any = sweep
    for step in key[:-1]:
        target = target[step]
    if key[-1] == "<key>":
        target[text] = "value"
    else:
        target[key[-1]] = text
    return sweep


def refusal(tmp_path: Path, sweep: Any) -> str:
    """The one message a sweep is refused with."""
    path = write(tmp_path / "sweep.yaml", sweep)
    with pytest.raises(ConfigError) as caught:
        Study.load([path])
    return str(caught.value)


def test_full_sweep_is_accepted(tmp_path: Path) -> None:
    """The sweep the hostile tests start from is itself in order."""
    sweep, files = load_sweep([write(tmp_path / "sweep.yaml", full_sweep())])
    assert (sweep.title, sweep.layouts[0].note, files) == ("Toy sweep", "a note", (tmp_path / "sweep.yaml",))


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", TEXT_FIELDS)
def test_hostile_text_is_refused_everywhere(tmp_path: Path, field: str, text: str) -> None:
    """Shell, template and path tricks are refused in every field of text, by file and key."""
    message = refusal(tmp_path, placed(full_sweep(), TEXT_FIELDS[field], text))
    assert "sweep.yaml" in message
    assert str(next(step for step in TEXT_FIELDS[field])) in message
    assert len(message.splitlines()) == 1


def test_no_text_field_is_forgotten() -> None:
    """The list of text fields above is that of the types."""
    listed = {name.removesuffix(" key") for name in TEXT_FIELDS} - {"model", "machine", "workload"}
    assert listed | SHELL_FIELDS | PATTERN_FIELDS == set(text_fields(Sweep, ""))


def text_fields(kind: type[BaseModel], above: str) -> list[str]:
    """Dotted names of all fields below a type that hold text."""
    names = []
    for name, info in kind.model_fields.items():
        here = f"{above}{info.alias or name}"
        for part in parts(info.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                names += text_fields(part, f"{here}.")
            elif part is str:
                names.append(here)
    return names


def parts(annotation: Any) -> set[Any]:
    """The plain types an annotation is made of; a choice of words counts as text."""
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return {str}
    if origin is typing.Annotated or origin is types.UnionType or typing.get_args(annotation):
        found = set()
        for part in typing.get_args(annotation):
            found |= parts(part) if not isinstance(part, str) else set()
        return found
    return {annotation} if isinstance(annotation, type) else set()


def test_setup_lines_are_shell_but_one_line_each(tmp_path: Path) -> None:
    """A set-up line may hold shell code; a newline or an unknown template name in it is refused."""
    sweep = full_sweep()
    sweep["workload"]["setup"] = ["module load lang; export HOST=$(hostname)"]
    write(tmp_path / "sweep.yaml", sweep)
    assert load_sweep([tmp_path / "sweep.yaml"])[0].workload.setup == tuple(sweep["workload"]["setup"])
    for text, reason in (
        ("a\nb", "make each an item of the list"),
        ("a\x07b", "control character"),
        ("echo ${#LIST[@]}", "write ${{ '{#' }}NAME}"),
        ("echo {{ user }}", "unknown name 'user'"),
    ):
        assert reason in refusal(tmp_path, placed(sweep, ["workload", "setup", 0], text))


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        (["layuots"], [], "layuots is an unknown key; did you mean 'layouts'?"),
        (["layouts", 0, "tensro"], 2, "layouts[0].tensro is an unknown key; did you mean 'tensor'?"),
        (["iterations", "total"], "6", "iterations.total must be a whole number, not '6'"),
        (["layouts", 0, "nodes"], [], "layouts[0].nodes is empty; give at least one value"),
        (["layouts", 0, "nodes"], [1, "two"], "layouts[0].nodes[1] must be a whole number, not 'two'"),
        (["layouts", 0, "nodes"], 0, "layouts[0].nodes[0] should be greater than or equal to 1, not 0"),
        (["layouts", 0, "activation_checkpointing"], "yes", "must be true or false, not 'yes'"),
        (["layouts"], [], "layouts is empty; give at least one value"),
        (["iterations", "warmup"], 3, "iterations warmup 3 leaves none of 3 iterations"),
        (["model"], "gpt-unheard-of", "model: there is no model file gpt-unheard-of.yaml; known: "),
        (["machine", "enforce_memory"], True, "enforce_memory needs memory_mib_per_node"),
        (["machine", "shared_cores"], 0, "machine.shared_cores"),
        (["machine", "options"], {"partition": "debug"}, "'local' takes none"),
        (["machine", "gpu"], "H100", "'h100' is no accelerator; did you mean 'h100-sxm' or 'h100-pcie' or 'h100-nvl'?"),
        (["machine", "gpu"], "mi250x", "'mi250x' is no accelerator; did you mean 'mi250x-gcd'?"),
        (["exclude"], ["tensor =="], "exclude[0] not a valid expression"),
        (["exclude"], ["tensors > 1"], "exclude[0] unknown name 'tensors'; did you mean 'tensor'? known here: nodes"),
        (["exclude"], ["tensor.__class__"], "exclude[0] a condition compares fields"),
        (["exclude"], ["tensor.__class__.__mro__[1].__subclasses__()"], "exclude[0] a condition compares fields"),
        (["when"], [{"if": "tensor == 2"}], "when[0] changes nothing"),
        (
            ["when"],
            [{"if": "tensor == 2", "iterations": {"total": 1}}],
            "when[0].iterations warmup 1 leaves none of 1",
        ),
        (["when"], [{"if": "tensor == 2", "iterations": {"totl": 1}}], "when[0].iterations.totl is an unknown key"),
        (["table"], {"statistic": "mean"}, "table is an unknown key; did you mean 'tables'?"),
        (["tables"], [], "tables is empty; give at least one value"),
        (
            ["tables"],
            [{"columns": ["Node"]}],
            "'Node' is no standard heading and has no value; did you mean 'Nodes'?",
        ),
        (["tables"], [{"columns": ["Nodes", "DP", "Nodes"]}], "columns has two headed 'Nodes'"),
        (
            ["tables"],
            [{"columns": [{"heading": "s", "value": "seconds"}]}],
            "[0].value 'seconds' is no standard heading or",
        ),
        (
            ["tables"],
            [{"columns": [{"heading": "Notes", "format": ".2f"}]}],
            "format .2f is for numbers; Notes shows none",
        ),
        (["tables"], [{"columns": [{"heading": "DP", "format": "999d"}]}], "[0].format '999d' is not a number format"),
        (["tables"], [{"order": ["-node"]}], "order[0] 'node' is no column of results.csv; did you mean 'nodes'?"),
        (
            ["tables"],
            [{"where": "tensors > 1"}],
            "where unknown name 'tensors'; did you mean 'tensor'? known here: slug, nodes,",
        ),
        (["tables"], [{"where": "slug.upper()"}], "tables[0].where a condition compares fields"),
        (["variants"], [{"name": "a"}, {"name": "a"}], "variants has two named 'a'"),
    ],
)
def test_complaints_name_the_key_and_the_way_out(tmp_path: Path, key: list[Any], value: Any, says: str) -> None:
    """Each kind of mistake has a message a user can act on."""
    sweep: Any = toy()
    target = sweep
    for step in key[:-1]:
        target = target[step]
    target[key[-1]] = value
    assert says in refusal(tmp_path, sweep)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sweep: [1\nx: 2\n", "sweep.yaml:2: is not valid YAML"),
        ("- 1\n", "sweep.yaml: holds no mapping"),
        ("", "sweep.yaml: holds no mapping"),
        ("sweep: a\nsweep: b\n", "sweep.yaml:2: sweep stands twice"),
        ("a: &a [*a]\n", "refers to itself"),
        ("__use_yte__: true\n?print(1): 2\n", "sweep.yaml:1: __use_yte__ would run code"),
        ("sweep: !!python/object/apply:os.system ['id']\n", "is not valid YAML: could not determine a constructor"),
        ("a: 2026-99-99\n", "cannot be read"),
        ("b: \x00\n", "is not valid YAML"),
    ],
)
def test_unusable_files(tmp_path: Path, text: str, says: str) -> None:
    """A file that is no plain YAML mapping is refused with its line."""
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_sweep([path])
    assert says in str(caught.value)


def test_exploding_aliases_are_refused(tmp_path: Path) -> None:
    """Nine aliases of ten aliases each do not fill the memory."""
    lines = ["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (tmp_path / "sweep.yaml").write_text("\n".join(lines) + "\n")
    with pytest.raises(ConfigError, match="stands for over"):
        load_sweep([tmp_path / "sweep.yaml"])


def test_an_expression_that_gives_nothing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """What can be seen only with the numbers of a layout is told with file, line, key and layout."""
    monkeypatch.chdir(tmp_path)
    sweep = toy()
    sweep["workload"]["command"].append("{{ " + " * ".join(["global_batch"] * 40) + " }}")
    write(tmp_path / "sweep.yaml", sweep)
    assert main(["scripts", "--configfile", "sweep.yaml"]) == 1
    said = capsys.readouterr().err
    line = 1 + next(n for n, text in enumerate(Path("sweep.yaml").read_text().splitlines()) if "global_batch *" in text)
    assert f"sweep.yaml:{line}: workload.command[5] cannot render" in said and "gives a number above 1e+30" in said
    assert "it is needed for n1-dp1-mp1" in said


def test_complaint_about_a_named_part_names_its_file_and_line(tmp_path: Path) -> None:
    """A mistake in a model's own file is reported there, not in the sweep."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.yaml").write_text("layers: 4\nhidden_size: wide\nattention_heads: 4\nvocab_size: 9\n")
    message = refusal(tmp_path, toy(model="mine"))
    assert "models/mine.yaml:2: hidden_size must be a whole number, not 'wide'" in message


def test_overrides_go_over_the_file(tmp_path: Path) -> None:
    """`--config` values, which Snakemake gives as text inside mappings, win and keep their types."""
    path = write(tmp_path / "sweep.yaml", toy())
    sweep, _ = load_sweep([path], {"iterations": {"total": "5"}, "title": "Other"})
    assert (sweep.iterations.total, sweep.iterations.warmup, sweep.title) == (5, 1, "Other")


def test_schemas_are_those_of_the_types() -> None:
    """The JSON Schemas and the reference on disk are generated; `make schemas` writes them anew."""
    for name, text in schema.schemas().items():
        assert (schema.SCHEMAS / name).read_text() == text
    assert schema.REFERENCE.read_text() == schema.reference()


def test_the_reference_leaves_no_type_out() -> None:
    """Every mapping a config may hold has a table of its keys."""
    kinds = set(StrictModel.__subclasses__())
    kinds |= {below for kind in kinds for below in kind.__subclasses__()}
    assert {kind for _, kind in schema.PARTS} == kinds


@pytest.mark.parametrize("path", sorted((REPOSITORY / "config").rglob("*.yaml")), ids=lambda path: path.name)
def test_shipped_configs_obey_the_schema_they_name(path: Path) -> None:
    """Every shipped file names its schema for editors and obeys it."""
    name = path.read_text().splitlines()[0].partition("$schema=")[2]
    found = json.loads((path.parent / name).read_text())
    jsonschema.validate(yaml.safe_load(path.read_text()), found)


@pytest.mark.parametrize(
    ("sweep", "says"),
    [
        (toy(sweep="$(touch pwned)"), "sweep.yaml:1: sweep"),
        (toy(model="no-such-model"), "sweep.yaml:3: model: there is no model file"),
        (
            toy(layouts=[{"nodes": 3, "tensor": 2, "global_batch": 16, "sequence_length": 1}]),
            "none of 1 points can run",
        ),
        (toy(layouts=toy()["layouts"] * 2), "layouts[1] and layouts[0]: two identical layouts"),
    ],
    ids=["hostile name", "missing model", "impossible law", "identical layouts"],
)
def test_snakemake_refuses_with_one_message_and_writes_nothing(tmp_path: Path, sweep: Any, says: str) -> None:
    """Bad input ends the real command at once: exit code not 0, no traceback, no file, nothing run."""
    path = write(tmp_path / "sweep.yaml", sweep)
    run = run_snakemake(tmp_path, path)
    assert run.returncode != 0
    assert says in run.stdout
    assert "Traceback" not in run.stdout and 'File "' not in run.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sweep.yaml"]


ANY_VALUE = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**20), 10**20),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["gpt-tiny", "tensor == 2", "{{ nodes }}", "2026-01-01", "1e3", "..", "*"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)


def places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The keys of all values inside a sweep."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [key for name, item in items for key in ((*above, name), *places(item, (*above, name)))]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_value_anywhere_is_accepted_or_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever stands at whatever place of a sweep: it is read, or refused by one ConfigError; nothing else happens."""
    sweep: Any = full_sweep()
    for key in data.draw(st.lists(st.sampled_from(places(sweep)), min_size=1, max_size=3)):
        target = sweep
        try:
            for step in key[:-1]:
                target = target[step]
            target[key[-1]] = data.draw(ANY_VALUE)
        except (KeyError, IndexError, TypeError):  # an earlier change took the place away
            continue
    path = write(tmp_path_factory.getbasetemp() / "any.yaml", sweep)
    try:
        study = Study.load([path])
    except ConfigError as error:
        assert ("any.yaml" in str(error) and str(error).isprintable()) or "\n" in str(error)
    else:
        slug, layout = next(iter(study.layouts.items()))
        text = render(layout, study.sweep.sweep, study.folder)
        assert slug in text


@example(content="! :")
@settings(max_examples=200, deadline=None)
@given(content=st.one_of(st.binary(max_size=200), st.text(alphabet="ab:-[]{}#&*!|>'\"\n \t%@,?0.", max_size=60)))
def test_any_file_is_read_or_refused_in_words(tmp_path_factory: pytest.TempPathFactory, content: bytes | str) -> None:
    """Whatever bytes a sweep's file holds: one ConfigError that names the file, never a traceback."""
    path = tmp_path_factory.getbasetemp() / "bytes.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=r"bytes\.yaml"):
        Study.load([path])


def test_examples_of_the_readme(tmp_path: Path) -> None:
    """The sweep, workload, machines and log format of README and docs are accepted as they stand there."""
    text = "".join((REPOSITORY / name).read_text() for name in ("README.md", "docs/logs.md"))
    blocks = [block.partition("```")[0] for block in text.split("```yaml\n")[1:]]
    sweep, axes, workload, machine, cluster, of_gpus, own_format = (yaml.safe_load(block) for block in blocks)
    study = Study.load([write(tmp_path / "sweep.yaml", sweep)])
    assert len(study.layouts) > 10
    own_axes = Study.load([write(tmp_path / "axes.yaml", sweep | axes)])
    assert {layout.parameters["recompute_layers"] for layout in own_axes.layouts.values()} == {1, 4}
    assert all(layout.global_batch == 16 * layout.ranks for layout in own_axes.layouts.values())
    mine = Study.load([write(tmp_path / "mine.yaml", sweep | {"workload": workload, "machine": machine})])
    assert mine.sweep.machine.launcher[0] == "torchrun"
    described = Study.load([write(tmp_path / "own.yaml", sweep | {"workload": workload | own_format})])
    assert described.sweep.workload.log_format.name == "mine"
    ours = Study.load([write(tmp_path / "ours.yaml", sweep | {"machine": cluster})])
    assert {layout.queue.name for layout in ours.layouts.values() if layout.queue} == {"short"}
    llama = Study.load([write(tmp_path / "llama.yaml", of_gpus | {"machine": cluster})])
    assert {layout.elapse_limit_seconds for layout in llama.layouts.values()} == {2700}
    assert not llama.expansion.rejected


@pytest.mark.parametrize(("profile", "scheduler"), [("slurm", "slurm"), ("fugaku", "pjm"), ("pbs", "pbs")])
def test_a_cluster_profile_brings_a_machine_of_its_scheduler(profile: str, scheduler: str) -> None:
    """A sweep for this machine never runs here under a cluster's profile, which would start all of its jobs at once."""
    settings = yaml.safe_load((REPOSITORY / "profiles" / profile / "config.yaml").read_text())
    changes = {"machine": settings["nodesweep-machine"]}
    sweep, _ = load_sweep([REPOSITORY / "config" / "quickstart.yaml"], changes)
    assert sweep.machine.scheduler == scheduler
