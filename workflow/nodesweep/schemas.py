"""JSON Schemas of the config files, for editors; generated from config.py."""

import json
from typing import Any

from .config import Machine, Model, Sweep, Workload
from .sources import REPOSITORY

SCHEMAS = REPOSITORY / "workflow" / "schemas"


def schemas() -> dict[str, str]:
    """File name → text of every schema."""
    texts = {}
    for name, kind in (("sweep", Sweep), ("model", Model), ("machine", Machine), ("workload", Workload)):
        schema: dict[str, Any] = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **kind.model_json_schema(by_alias=True),
        }
        if kind is Sweep:
            for part in ("model", "machine", "workload"):
                schema["properties"][part] = _name_or_mapping(schema["properties"][part])
        texts[f"{name}.schema.json"] = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    return texts


def _name_or_mapping(schema: dict[str, Any]) -> dict[str, Any]:
    """A part of a sweep: the name of a file, or its mapping in place."""
    reference = {"$ref": schema["$ref"]}
    return {"anyOf": [{"type": "string"}, reference], "description": schema.get("description", "")}
