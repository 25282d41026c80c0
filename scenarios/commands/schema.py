"""`moesim schema`: JSON Schemas for editors."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class File(StrEnum):
    """The kinds of file that have a schema."""

    SCENARIO = "scenario"
    SUITE = "suite"
    SWEEP = "sweep"
    MACHINE = "machine"


def schema(file: Annotated[File, typer.Argument(help="Of which file.")] = File.SCENARIO) -> None:
    """Print the JSON Schema of a file, for editors that check and complete YAML."""
    import json

    from scenarios import json_schema

    schemas = {
        File.SCENARIO: json_schema.scenario_schema,
        File.SUITE: json_schema.suite_schema,
        File.SWEEP: json_schema.sweep_schema,
        File.MACHINE: json_schema.machine_schema,
    }
    typer.echo(json.dumps(schemas[file](), indent=1))
