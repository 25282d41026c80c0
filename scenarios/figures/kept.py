"""Which runs have ops to draw: those that were not streamed."""

from __future__ import annotations

from scenarios.report.ranking import Entry, rank
from scenarios.results import RunResult, ScenarioResult


def kept_entries(result: ScenarioResult) -> list[Entry]:
    """Runs whose ops were kept, in the order of the report."""
    return [entry for entry in rank(result.runs) if not entry.run.streamed] if result.runs else []


def kept_run(result: ScenarioResult, label: str | None) -> RunResult | None:
    """A strategy by its label, by default the best; None if its ops were not kept. InputError if there is none such."""
    if label is None:
        return next((entry.run for entry in kept_entries(result)), None)
    run = result[label]
    return None if run.streamed else run
