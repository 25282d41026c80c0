"""How a study is shown: its typical capacity, and the colours of policies."""

from __future__ import annotations

import numpy as np

from scenarios.report.palette import STRATEGIES
from sim.replay import REFERENCES
from sim.replay.study import Study

_QUARTER = 0.25
CAUSES = (("compulsory", "var(--bracket)"), ("capacity", "var(--s0)"), ("policy", "var(--c-demand)"))


def typical(study: Study) -> int:
    """The place of the capacity that is spoken of: nearest to a quarter of the experts, or the middle one."""
    if study.in_bytes:
        return len(study.capacities) // 2
    return int(np.abs(np.array(study.capacities) / study.cache_experts - _QUARTER).argmin())


def paint(policy: str, number: int) -> str:
    """The CSS colour of the `number`-th policy."""
    return "var(--bracket)" if policy in REFERENCES else f"var(--s{number % len(STRATEGIES)})"


def dashed(policy: str, number: int) -> bool:
    """Whether its line is, to tell it from another of its colour."""
    return policy == REFERENCES[1] or (policy not in REFERENCES and number >= len(STRATEGIES))
