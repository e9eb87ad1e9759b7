"""Free parameters of a sweep: their names, their values, and who knows them."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from sweeps import toy, write

from nodesweep.common.errors import ConfigError
from nodesweep.config import schema
from nodesweep.config.parameters import parameters_of, stack_of
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.study import Study


def layouts_of(folder: Path, block: dict[str, Any], **changes: Any) -> list[Layout]:
    """The layouts of the toy sweep with one block of one node."""
    whole = {"nodes": 1, "global_batch": 16, "sequence_length": 128, **block}
    return list(Study.load([write(folder / "sweep.yaml", toy(layouts=[whole], **changes))]).layouts.values())


def refusal(folder: Path, block: dict[str, Any], **changes: Any) -> str:
    """What is said of a sweep that cannot be used."""
    with pytest.raises(ConfigError) as caught:
        layouts_of(folder, block, **changes)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("tensor", "'tensor' is a field of a layout or a size of the model"),
        ("ffn_hidden_size", "is a field of a layout or a size of the model"),
        ("memory_mib", "is a column of results.csv"),
        ("python", "is a word that templates know"),
        ("together", "is a key of the block"),
        ("Mem", "is a heading of the tables"),
        ("and", "is a word that means something else here"),
        ("2nd", "names no parameter: write a letter"),
        ("a-b", "names no parameter: write a letter"),
    ],
)
def test_names_that_mean_something_else_are_refused(tmp_path: Path, name: str, says: str) -> None:
    """A parameter is called like nothing that nodesweep knows; the message says what has the name."""
    said = refusal(tmp_path, {"parameters": {name: [1, 2]}})
    assert f"layouts[0].parameters.{name}" in said and says in said


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (None, "is empty"),
        ("", "is empty"),
        ([True, "ring"], "holds yes/no beside others: to YAML no, off, yes and on are that"),
        (10**15, "is no number of at most 15 digits"),
        (float("inf"), "is no number"),
        ([[1]], "is to YAML no word, number or yes/no"),
        ("a  b", "has other than single blanks"),
        ("x; rm -rf /", "holds ';'"),
        ("{{ nodez }}", "unknown name 'nodez'"),
        ([4, "4"], "two identical layouts"),
    ],
)
def test_values_that_are_none_are_refused(tmp_path: Path, values: Any, says: str) -> None:
    """A value is a word, a number or yes/no; what else YAML may make of a text is refused by file and key."""
    said = refusal(tmp_path, {"parameters": {"backend": values}})
    assert "sweep.yaml:" in said and says in said


def test_an_environment_variable_holds_no_yes_or_no(tmp_path: Path) -> None:
    """What an environment variable is to be for yes is not nodesweep's to say."""
    said = refusal(tmp_path, {"parameters": {"NCCL_IB_DISABLE": [True, False]}})
    assert 'put into quotes what the variable is to be, such as "1" or "true"' in said


def test_a_variant_and_a_parameter_do_not_set_one_variable(tmp_path: Path) -> None:
    """A run has one value of a variable: a slug that names another would be wrong."""
    variants = [{"name": "tree", "env": {"NCCL_ALGO": "Tree"}}]
    said = refusal(tmp_path, {"parameters": {"NCCL_ALGO": ["Ring"]}}, variants=variants)
    assert "variants[0].env sets NCCL_ALGO, and so does a parameter" in said


def test_everything_that_takes_names_knows_parameters(tmp_path: Path) -> None:
    """Conditions, words, campaign, search and tables know a parameter; a misspelt one is refused with the right one."""
    block = {"parameters": {"backend": ["fused", "flash"], "depth": [1, 4]}}
    known: dict[str, Any] = {
        "exclude": ["backend == 'fused' and depth > 1"],
        "when": [{"if": "depth == 4", "workload": {"environment": {"DEPTH": "{{ depth * 2 }}"}}}],
        "campaign": "{{ backend }}",
        "search": {"for_each": ["backend"]},
        "tables": [{"columns": ["Nodes", "backend"], "where": "depth >= 1", "order": ["-depth"]}],
    }
    found = layouts_of(tmp_path, block, **known)
    assert [(one.parameters, one.campaign) for one in found] == [
        ({"backend": "fused", "depth": 1}, "fused"),
        ({"backend": "flash", "depth": 1}, "flash"),
        ({"backend": "flash", "depth": 4}, "flash"),
    ]
    assert found[2].workload.environment["DEPTH"] == "{{ depth * 2 }}"
    for key, wrong in (
        ("exclude", ["backand == 'fused'"]),
        ("when", [{"if": "nodes == 1", "workload": {"command": ["{{ backand }}"]}}]),
        ("search", {"for_each": ["backand"]}),
        ("tables", [{"order": ["backand"]}]),
        ("tables", [{"columns": ["backand"]}]),
    ):
        assert "backand" in refusal(tmp_path, block, **{key: wrong})


def test_editors_accept_what_is_read() -> None:
    """The schema takes parameters, expressions and groups wherever the config does."""
    block = {
        "together": {"nodes": [1, "{{ ranks }}"], "parameters": {"depth": [1, 2]}},
        "global_batch": "{{ 8 * nodes }}",
        "sequence_length": 128,
        "parameters": {"backend": ["fused", "flash"], "rope": True},
    }
    tables = [{"columns": ["Nodes", "backend", {"heading": "d", "value": "depth"}], "order": ["-depth", "backend"]}]
    sweep = toy(layouts=[block, {**block, "together": [block["together"]]}], tables=tables)
    jsonschema.validate(sweep, json.loads(schema.schemas()["sweep.schema.json"]))
    for wrong in ({"nodes": "two"}, {"parameters": {"depth": [[1]]}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(
                toy(layouts=[{**block, "together": [], **wrong}]), json.loads(schema.schemas()["sweep.schema.json"])
            )


def test_a_parameter_that_a_block_does_not_name_is_unknown(tmp_path: Path) -> None:
    """No comparison with it holds, a word says what it is then, and one that does not is refused."""
    blocks = [
        {"nodes": 1, "global_batch": 16, "sequence_length": 128, "parameters": {"depth": 4}},
        {"nodes": 2, "global_batch": 16, "sequence_length": 128},
    ]
    for condition in ("depth < 5", "not depth < 5"):
        write(tmp_path / "sweep.yaml", toy(layouts=blocks, exclude=[condition]))
        assert len(Study.load([tmp_path / "sweep.yaml"]).layouts) == 1
    write(tmp_path / "sweep.yaml", toy(layouts=blocks, campaign="depth{{ depth | default('-less') }}"))
    campaigns = [one.campaign for one in Study.load([tmp_path / "sweep.yaml"]).layouts.values()]
    assert campaigns == ["depth4", "depth-less"]
    write(tmp_path / "sweep.yaml", toy(layouts=blocks, campaign="depth{{ depth }}"))
    with pytest.raises(ConfigError, match=r"the layout's block gives no parameter depth.*depth \| default"):
        Study.load([tmp_path / "sweep.yaml"])


def test_slugs_are_short_and_tell_all_values_apart(tmp_path: Path) -> None:
    """Words stand alone, numbers with letters; case, long paths and equal words of two parameters are told apart."""
    parameters = {
        "NCCL_ALGO": ["Ring", "ring"],
        "preload": ["/opt/a-long-folder/lib-of-one.so", "/opt/b-long-folder/lib-of-one.so"],
        "attention_backend": "flash",
        "mlp_backend": "flash",
        "recompute_layers": 4,
    }
    slugs = [one.slug for one in layouts_of(tmp_path, {"parameters": parameters})]
    assert len({slug.casefold() for slug in slugs}) == 4
    assert slugs[0].startswith("n1-dp1-mp1-pp1-mbs1-gbs16-s128-Ring-ab_flash-mb_flash-lib_of_one.so-rl4-")
    assert max(map(len, slugs)) < 120


def test_a_slug_depends_on_the_values_alone(tmp_path: Path) -> None:
    """Neither the order of parameters nor quotes around a number nor another value of an axis renames a layout."""
    first = layouts_of(tmp_path, {"parameters": {"depth": 4, "backend": "flash"}})[0].slug
    others = layouts_of(tmp_path, {"parameters": {"backend": ["fused", "flash"], "depth": ["4"]}})
    assert first == others[1].slug


def test_old_sweeps_keep_their_slugs(tmp_path: Path) -> None:
    """The slug of a layout without parameters is what it was before there were any."""
    assert [one.slug for one in layouts_of(tmp_path, {})] == ["n1-dp1-mp1-pp1-mbs1-gbs16-s128-4613c4"]


def test_a_stack_is_the_name_of_a_file() -> None:
    """What may stand in a file's name only stands in the name of a stack, however long its parameters are."""
    stack = stack_of("june", {"preload": "/opt/x y.so", "depth": 4.0})
    assert stack == "june+depth=4+preload=%2Fopt%2Fx%20y.so"
    assert len(stack_of("june", {f"name{number}": "x" * 60 for number in range(9)})) == 200


def test_a_row_says_its_parameters_as_texts() -> None:
    """Columns that are no other's are parameters; unknown ones are left out."""
    assert parameters_of({"nodes": 2, "depth": 4, "backend": None, "rope": True}) == {"depth": "4", "rope": "True"}


def test_a_workload_serves_sweeps_without_its_parameter(tmp_path: Path) -> None:
    """A word with a default may name what no block of a sweep does; in a condition it is still a mistake."""
    words = {"command": ["train", "--backend={{ backend | default('auto') }}"], "log_format": "megatron-deepspeed"}
    assert len(layouts_of(tmp_path, {}, workload=words)) == 1
    for word in ("{{ backend }}", "{{ backend | default(1) }} {{ backend }}", "{{ backend | upper }}"):
        assert "unknown name 'backend'" in refusal(tmp_path, {}, workload=words | {"command": [word]})
    assert "unknown name 'backend'" in refusal(tmp_path, {}, exclude=["backend | default(1) == 1"])


@pytest.mark.parametrize("name", [True, 1, None])
def test_a_name_that_yaml_takes_for_something_else_is_refused(tmp_path: Path, name: object) -> None:
    """`on` as a key is yes to YAML."""
    assert "layouts[0].parameters" in refusal(tmp_path, {"parameters": {name: [1, 2]}})
