from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scenarios.load import check_scenario
from scenarios.resolve import resolve_machines
from scenarios.sweeping.identity import scenario_hash
from scenarios.sweeping.shared import Shared
from scenarios.yaml_file import read_yaml
from tests.scenario_files import machine, write_files
from tests.sweeps import SCENARIO
from tests.traces import random_trace

BASE = SCENARIO | {"title": "a"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path)
    return tmp_path


def hashed(folder: Path, **fields: Any) -> str:
    file = check_scenario(read_yaml(folder / "scenario.yaml"), BASE | fields)
    shared = Shared()
    model, found = resolve_machines(file, shared)
    return scenario_hash(file.spec, model, found, shared.routing_key(file, model))


def test_names_titles_and_defaults_are_no_matter(folder: Path) -> None:
    base = hashed(folder)
    (folder / "other.yaml").write_text((folder / "tiny.yaml").read_text().replace("name: tiny", "name: other"))
    renamed = machine().model_copy(update={"name": "box", "description": "mine", "sources": {"a": "b"}})
    renamed.save(folder / "box.json")
    assert hashed(folder, title="b") == base
    assert hashed(folder, model="other.yaml", machine="box.json") == base
    assert hashed(folder, stack="ours") == base  # the machine's first
    assert hashed(folder, strategies=[{"name": "cache", "label": "x", "policy": "lru"}]) == base
    assert hashed(folder, precision={"experts": "fp32", "rest": "fp32", "kv": "fp32"}) == base
    assert hashed(folder, workload={"prompt": 6, "output": 4, "batch": 1, "sequences": 1}) == base


def test_contents_are(folder: Path) -> None:
    (folder / "wide.yaml").write_text((folder / "tiny.yaml").read_text().replace("hidden: 64", "hidden: 32"))
    machine(gpu_bytes=9_999_999).save(folder / "small.json")
    changes: list[dict[str, Any]] = [
        {},
        {"model": "wide.yaml"},
        {"machine": "small.json"},
        {"machine_with": {"link.gb_per_s": 3}},
        {"precision": "bf16"},
        {"cache": 5},
        {"seed": 1},
        {"predictor": {"recall": 0.6}},
        {"workload": {"prompt": 7, "output": 4}},
        {"workload": {"prompt": 6, "output": 4, "batch": 2}},
        {"workload": {"prompt": 6, "output": 4, "like": "mixtral-8x7b"}},
        {"workload": {"prompt": 6, "output": 4, "like": "olmoe-1b-7b"}},
        {"strategies": [{"name": "cache", "policy": "lfu"}]},
        {"strategies": [{"name": "cache", "cache": 4}]},
        {"strategies": ["cache", "on-demand"]},
    ]
    hashes = [hashed(folder, **each) for each in changes]
    mixtral = hashes.pop(10)
    assert mixtral == hashes[0]  # what a model of few experts is like by default
    assert len(set(hashes)) == len(hashes)


def test_a_recording_counts_by_its_bytes(folder: Path) -> None:
    def recorded(name: str, seed: int) -> str:
        random_trace([(3, 4)], n_experts=4, seed=seed).save(folder / name)
        return hashed(folder, workload=None, trace={"file": name})

    assert recorded("a.trace.arrow", 1) == recorded("b.trace.arrow", 1) != recorded("c.trace.arrow", 2)


def test_it_is_the_same_in_every_process(folder: Path) -> None:
    code = f"""
from pathlib import Path
from tests.test_sweep_identity import hashed
print(hashed(Path({str(folder)!r}), strategies=["cache", {{"name": "on-demand"}}]))
"""
    seed = "1" if os.environ.get("PYTHONHASHSEED") == "2" else "2"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == hashed(folder, strategies=["cache", {"name": "on-demand"}]) + "\n"
