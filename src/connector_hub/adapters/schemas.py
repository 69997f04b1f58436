"""JSON Schemas (2020-12) for editors, generated from the models that read the files."""

from __future__ import annotations

from pathlib import Path

import orjson

from connector_hub.adapters.config import SCHEMAS

FOLDER = ".connector-hub/schemas"


def write(project: Path) -> list[Path]:
    """Write a schema for each kind of file below the project's folder."""
    folder = project / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, model in SCHEMAS.items():
        path = folder / f"{name}.schema.json"
        schema = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **model.model_json_schema(),
        }
        path.write_bytes(orjson.dumps(schema, option=orjson.OPT_INDENT_2))
        written.append(path)
    return written
