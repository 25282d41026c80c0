from __future__ import annotations

import re
from pathlib import Path

from scenarios.datasheet import read_datasheet
from scenarios.datasheet_machine import machine_of
from scenarios.machine_presets import load_machine
from scenarios.machine_tables import tables

DOCUMENT = Path(__file__).parent.parent / "docs" / "machines.md"


def test_the_document_shows_the_tables_that_the_program_computes() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, table in tables().items():
        assert f"<!-- {name}:begin -->\n{table}\n<!-- {name}:end -->" in text, (
            f"{name}: paste scenarios.machine_tables.tables()"
        )


def test_the_documents_own_datasheet_is_accepted(tmp_path: Path) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    example = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert example is not None
    path = tmp_path / "my-box.yaml"
    path.write_text(example[1], encoding="utf-8")
    assert load_machine(path) == machine_of(read_datasheet(path))
