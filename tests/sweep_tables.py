"""Tables as `moesim sweep` writes them, of a made-up machine whose figures can be reckoned by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

CACHES = (20, 40, 80, 120, 160, 200, 240)
LINKS = (3.0, 6.0, 12.0, 25.0, 50.0, 100.0)
POLICIES = ("lru", "lfu")
OBJECTIVES = [{"figure": "decode_tokens_per_s", "better": "higher"}, {"figure": "gpu_gb", "better": "lower"}]
SCENARIO = {
    "model": "mixtral-8x7b",
    "precision": "bf16",
    "machine": "a6000-i9-10980xe",
    "workload": {"prompt": 16, "output": 4},
    "predictor": {"recall": 0.85},
    "strategies": [{"label": "fetch", "name": "cache", "policy": "lru"}, {"label": "cpu", "name": "fiddler"}],
}
Row = dict[str, Any]


def rates(cache: float, link: float, policy: str) -> dict[str, float]:
    """Tokens a second when misses are fetched, and when the CPU computes them."""
    missing = (1 - cache / 256) * (0.8 if policy == "lfu" else 1.0)
    return {"fetch": 1 / (0.02 + missing * 20 / link), "cpu": 1 / (0.02 + missing * 1.0)}


def grid_rows(caches: Iterable[float] = CACHES, links: Iterable[float] = LINKS) -> list[Row]:
    """Every cache, link and policy, two strategies each; one policy fails at the largest cache."""
    found: list[Row] = []
    for point, (cache, link, policy) in enumerate(product(caches, links, POLICIES)):
        at = {"cache": cache, "machine_with.link.gb_per_s": link, "strategies.0.policy": policy}
        for strategy, rate in rates(cache, link, policy).items():
            fails = cache == CACHES[-1] and policy == "lfu"
            figures = {} if fails else {"decode_tokens_per_s": rate, "gpu_gb": 3 + 0.35 * cache, "ttft_s": 30 / rate}
            found.append(at | figures | {
                "point": point, "strategy": strategy, "status": "failed" if fails else "done",
                "reason": "cache does not fit: 90 GB > 50 GB usable" if fails else None,
                "feasible": not fails and 3 + 0.35 * cache <= 60, "pareto": False,
            })  # fmt: skip
    return found


def write_sweep(
    folder: Path, rows: Sequence[Row] | None = None, *, axes: Sequence[str] | None = None,
    scenario: Mapping[str, Any] | None = SCENARIO, constraints: Sequence[Mapping[str, Any]] = (),
) -> Path:  # fmt: skip
    """Write DIR/sweep.parquet; returns the folder."""
    rows = grid_rows() if rows is None else rows
    said = {
        "spec": {"title": "made up", "method": "grid", "constraints": list(constraints)},
        "scenario": scenario,
        "axes": list(axes or ["cache", "machine_with.link.gb_per_s", "strategies.0.policy"]),
        "objectives": OBJECTIVES,
    }
    names = dict.fromkeys(name for row in rows for name in row)
    table = pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows])
    folder.mkdir(parents=True, exist_ok=True)
    parquet.write_table(
        table.replace_schema_metadata({b"moesim.sweep": json.dumps(said).encode()}), folder / "sweep.parquet"
    )
    return folder
