"""Causes of the critical path as the page shows them: a colour each, and what they mean in a sentence."""

from __future__ import annotations

from sim.critical_path import Cause

MEANINGS = {
    Cause.GPU: "The GPU computes attention, routers and experts.",
    Cause.CPU_EXPERT: "The CPU computes an expert that is not on the GPU.",
    Cause.DEMAND_LOAD: "Weights are fetched after the router has asked for them.",
    Cause.LATE_PREFETCH: "Weights that were fetched ahead are not there in time.",
    Cause.WASTED_PREFETCH: "The link is busy with weights that nobody used.",
    Cause.EXCHANGE: "Weights are moved to swap or to place experts, or back to the host.",
    Cause.ACTIVATIONS: "Hidden states go between GPU and host.",
    Cause.STORAGE: "Weights are read from storage.",
    Cause.SOFTWARE: "Predictors, searches and bookkeeping run on the host.",
    Cause.DISPATCH: "The host hands over operations one by one.",
    Cause.SYNCHRONISATION: "The host resumes after waiting for a result.",
    Cause.WAKE_UP: "A lane that was idle comes back to work.",
    Cause.SHARING: "Others draw on the same memory or link.",
    Cause.HELD_UP: "Work is ready, but something less urgent is ahead of it in the queue.",
    Cause.UNEXPLAINED: "Gaps of a measured run that no rule accounts for.",
}


def paint(cause: Cause) -> str:
    """Its CSS colour, `--p-<name>` of palette.py."""
    return f"var(--p-{cause.name.lower().replace('_', '-')})"
