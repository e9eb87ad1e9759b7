"""JSON Schemas of the config files, for editors, and the reference of all keys; both generated from config.py."""

import json
from typing import Any, get_args

from pydantic import BaseModel

from .accelerators import ACCELERATORS, SOURCES
from .columns import TIDY
from .expressions import LAYOUT_NAMES, WORD_NAMES, WORKED_OUT
from .headings import HEADINGS
from .layout_words import Precision
from .loader import REPOSITORY
from .log_format import IterationLine, LogFigure, LogFigures, LogFormat, LogLine
from .machine import Machine, PeakTflops, Queue
from .model import Model
from .repeats import Repeats
from .sweep import NEEDED, Block, EnoughIterations, Iterations, Sweep, Together, Variant, When
from .tables import Annotation, Table, TableColumn
from .training import MemoryConstants, Search, Training
from .types import OTHER_SPELLINGS, OWN_WORDS
from .workload import Refusal, Workload

SCHEMAS = REPOSITORY / "workflow" / "schemas"
REFERENCE = REPOSITORY / "config" / "README.md"
_MOST_WORDS = 12
_BAR = "\\|"
_FILES: dict[str, type[BaseModel]] = {"sweep": Sweep, "model": Model, "machine": Machine, "workload": Workload}
_LAYOUT = ", ".join(f"`{name}`" for name in LAYOUT_NAMES)
_WORD = ", ".join(f"`{name}`" for name in WORD_NAMES if name not in (*LAYOUT_NAMES, *WORKED_OUT))
_WORKED_OUT = "\n".join(f"- `{name}`: {meaning}" for name, meaning in WORKED_OUT.items())
_INTRODUCTION = f"""\
# Config files

Every key of every file. A sweep names a model, a machine and a workload: a file under `models/`, `machines/` or
`workloads/` beside the sweep or here, or a mapping in place. Unknown keys are refused by name. Editors complete and
check these files by the JSON Schemas under `workflow/schemas`, which each file names in its first line. This page is
generated from the types (`make schemas`).

**Conditions** (`exclude`, `when.if`) are expressions over a layout's fields, such as `tensor == 4 and pipeline > 1`:
{_LAYOUT}.
Conditions in `tables` are expressions over the columns of results.csv, listed at the end of this page.

**Expressions in axes**: a value of an axis or parameter may have holes, such as `global_batch: "{{{{ 16 * ranks }}}}"`.
It knows what is known of the layout: the same fields, its parameters, and `model` and `machine` as `when` leaves them.
It is worked out after what it needs. A layout for which it gives 2.5 or 0 is rejected where a whole number is needed.

**Parameters** of a block are axes by names of your own. Where a block does not name one it is unknown: no comparison
with it holds, and in words `{{{{ name | default(1) }}}}` says what it is then. Yes/no is True and False in words: write
`{{{{ '--flag' if name }}}}`. One whose name has capital letters alone is an environment variable of the job too, over
`environment` of machine and workload. A layout is predicted by runs of the same parameters alone. In conditions of
`tables` a parameter whose values are all numbers is a number.

**Words** (`command`, `launcher`, values of `environment` and `env`) are templates: `{{{{ name }}}}` is filled in. They
know the same fields and {_WORD};
`model` and `machine` have the keys below. A word reaches the program as it is, whatever it holds; only `${{NAME}}` is
filled in by the job's shell. A word that renders to nothing is left out. `setup` lines alone are shell code, in which
holes are filled too: there `${{#NAME}}` is written `${{{{ '{{#' }}}}NAME}}`.
What follows from the others has a name, so that templates need no arithmetic:

{_WORKED_OUT}
- `model.ffn_width`, `model.expert_layer_pattern`, `model.shared_experts`: inner width of the feed-forward block; which
  layers have experts, as Megatron-LM writes it; how many experts the shared one is as wide as

A field that a block leaves to the workload (`sharding`, `precision`, ...) has no value when words are filled to find
out what the workload makes of it by itself: then `sharding is none` holds, and `sharding != 'none'`.
Values of `options` and `expected_seconds` have the same holes, but the shell fills in nothing there.
Templates are expressions and `{{% if %}}`: nothing is named, repeated or called; whole numbers have at most 30 digits.

Text may not hold quotes, `;`, `$`, backticks, backslashes, braces or `..` as a path: it reaches scripts and tables.
"""


def schemas() -> dict[str, str]:
    """File name → text of every schema."""
    return {f"{name}.schema.json": json.dumps(_schema(kind), indent=2) + "\n" for name, kind in _FILES.items()}


PARTS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("Sweep", Sweep),
    ("Sweep: a block of `layouts`", Block),
    ("Sweep: axes of a block that vary `together`", Together),
    ("Sweep: an entry of `when`", When),
    ("Sweep: an entry of `variants`", Variant),
    ("Sweep: `iterations`", Iterations),
    ("Sweep: `iterations.enough`", EnoughIterations),
    ("Sweep: `repeats`", Repeats),
    ("Sweep: `search`", Search),
    ("Sweep: an entry of `tables`", Table),
    ("Sweep: a column of a table", TableColumn),
    ("Sweep: an annotation of a column", Annotation),
    ("Model", Model),
    ("Machine", Machine),
    ("Machine: an entry of `queues`", Queue),
    ("Machine: an entry of `peak_tflops`", PeakTflops),
    ("Workload", Workload),
    ("Workload: an entry of `refuses`", Refusal),
    ("Workload: `training`", Training),
    ("Workload: `memory_constants`", MemoryConstants),
    ("Workload: `log_format`, where it describes a trainer's log", LogFormat),
    ("Workload: the line of an iteration in `log_format`", IterationLine),
    ("Workload: `started` and `finished` in `log_format`", LogLine),
    ("Workload: `figures` in `log_format`", LogFigures),
    ("Workload: a figure in `log_format`", LogFigure),
)
"""What config/README.md explains: headings and types."""


def reference() -> str:
    """The text of config/README.md."""
    parts = [_INTRODUCTION]
    for heading, kind in PARTS:
        rows = "".join(_row(name, schema, kind) for name, schema in _schema(kind)["properties"].items())
        parts.append(f"## {heading}\n\n| Key | Type | Default | Meaning |\n|---|---|---|---|\n{rows}")
    return "\n".join([*parts, _accelerators(), _results()])


def _accelerators() -> str:
    """What a machine may name as its gpu, with the peaks of one."""
    formats = get_args(Precision)
    tables = [(name, one, clock, table) for name, one in ACCELERATORS.items() for clock, table in one.tables]
    rows = ""
    for name, one, clock, table in tables:
        peaks = [f"{table[precision]:g}" if precision in table else "-" for precision in formats]
        title = f"{one.title}{f', at {clock:g} GHz' if clock else ''}"
        rows += _cells(f"`{name}`", title, *peaks, one.source)
    sources = "".join(f"- {name}: {where}\n" for name, where in SOURCES.items())
    return (
        "## Accelerators\n\nWhat a machine may name as its `gpu`: dense peaks of one, in 10^12 FLOP/s, each as read in "
        "the sources of its row. Yours may run at other clocks: look it up before you publish a utilization, and type "
        "`peak_tflops` where it differs.\n\n"
        f"| Name | What it is | {' | '.join(formats)} | Source |\n|---|---|{'---:|' * len(formats)}---|\n{rows}\n"
        f"Sources:\n\n{sources}"
    )


def _results() -> str:
    """What tables can show: the standard headings and the columns of results.csv."""
    headings = ", ".join(f"`{name}`" for name, row in HEADINGS.items() if not row.explains)
    more = ", ".join(f"`{name}`" for name, row in HEADINGS.items() if row.explains)
    rows = "".join(_cells(f"`{name}`", tidy.meaning) for name, tidy in TIDY.items())
    return (
        f"## Headings and columns\n\nStandard headings: {headings}.\n\nHeadings of what explains a row: {more}.\n\n"
        "Columns of `results.csv`, for `value`, `where`, `order` and annotations. In a condition, no comparison with a "
        "value that is not known holds; `memory_mib is none` asks for it.\n\n"
        f"| Column | Meaning |\n|---|---|\n{rows}"
    )


def _schema(kind: type[BaseModel]) -> dict[str, Any]:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **kind.model_json_schema(by_alias=True)}
    for part in ("model", "machine", "workload") if kind is Sweep else ():
        whole = schema["properties"][part]
        name_or_mapping = [{"type": "string"}, {"$ref": whole["$ref"]}]
        schema["properties"][part] = {"anyOf": name_or_mapping, "description": whole["description"]}
    return schema


def _row(name: str, schema: dict[str, Any], kind: type[BaseModel]) -> str:
    default = schema.get("default")
    if isinstance(default, list) and isinstance(next(iter(default), None), dict):
        default = [{key: value for key, value in one.items() if value not in (None, "", [], {})} for one in default]
    field = next(field for key, field in kind.model_fields.items() if name in (key, field.alias))
    required = field.is_required() or (kind is Block and name in NEEDED)
    text = "required" if required else "-" if default in (None, "", [], {}) else f"`{json.dumps(default)}`"
    meaning = " ".join((schema.get("description") or field.description or "").split())
    return _cells(f"`{name}`", _type(schema), text, meaning)


def _cells(*cells: str) -> str:
    """A row of a table; a bar within a cell would end it, in code too.

    >>> _cells("`a|b`", "c")
    '| `a\\\\|b` | c |\\n'
    """
    return f"| {' | '.join(cell.replace('|', _BAR) for cell in cells)} |\n"


def _type(schema: dict[str, Any]) -> str:
    """A JSON Schema type in words."""
    if "anyOf" in schema:
        left_out = {"type": ("null",), "pattern": OWN_WORDS, "title": (OTHER_SPELLINGS,)}
        shown = (one for one in schema["anyOf"] if not any(one.get(key) in values for key, values in left_out.items()))
        options = [_type(option) for option in shown]
        return " or ".join(dict.fromkeys(options))
    if len(schema.get("enum", ())) > _MOST_WORDS:
        return "name"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "$ref" in schema:
        return "mapping"
    names = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text"}
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return names.get(schema.get("type", ""), "mapping")
