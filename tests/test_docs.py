from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scenarios.schema import PredictorSpec, Scenario, TraceSpec, WorkloadSpec
from sim.strategies.registry import strategies
from tests.hand_work import experts_on, plan_tiny
from tests.listing import trace_of

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_documents_are_current() -> None:
    checked = subprocess.run([sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, f"{checked.stdout}{checked.stderr}: run `make docs`"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8")):
        assert target.startswith("http") or (document.parent / target).exists(), target


def test_every_field_of_a_scenario_is_explained() -> None:
    text = read("docs/scenarios.md")
    fields = [name for spec in (Scenario, WorkloadSpec, TraceSpec, PredictorSpec) for name in spec.model_fields]
    assert [name for name in fields if f"`{name}`" not in text and f"{{{name}" not in text and name != "kind"] == []


def test_every_strategy_and_knob_is_explained() -> None:
    text = read("docs/strategies.md")
    for name, strategy in strategies().items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}`"))
        for knob in list(inspect.signature(strategy.__init__).parameters)[1:]:
            if knob not in ("args", "kwargs"):
                assert f"`{knob}`" in row


def test_every_module_of_the_simulator_has_a_place_in_the_design() -> None:
    text = read("docs/design.md")
    modules = [path.stem for path in (ROOT / "sim").glob("*.py") if path.stem != "__init__"]
    assert [name for name in modules if f"`{name}`" not in text] == []


def test_the_example_of_a_strategy_runs() -> None:
    example = re.search(r"```python\n(.*?)```", read("docs/strategies.md"), re.DOTALL)
    assert example is not None
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(example[1], "docs/strategies.md", "exec"), names)
    schedule = plan_tiny(names["MyIdea"](blocking=True), trace_of([[0, 2], [3, 1]], [[0, 1], [2, 3]]), 3)
    assert {reason for _, reason in experts_on(schedule, "gpu0")} == {"hit", "stream"}
