"""Advice as JSON."""

from __future__ import annotations

import json
from typing import Any

from scenarios.advise.answer import Advice
from scenarios.advise.levers import FACTOR, first
from scenarios.advise.trial import Trial, Tried
from scenarios.report.verdict import bound


def to_json(advice: Advice) -> str:
    """The text; equal questions give equal text."""
    return json.dumps(plain(advice), indent=1, allow_nan=False)


def plain(advice: Advice) -> dict[str, Any]:
    """`scenario` asks `moesim run` for the same strategies, each with the cache that it had here."""
    ground, chosen = advice.ground, advice.chosen
    buy = first(advice.levers)
    return {
        "model": ground.model.name,
        "machine": ground.machine.name,
        "context": ground.context,
        "scenario": ground.scenario(chosen.weights) | {"strategies": _strategies(chosen)},
        "best": _tried(advice.best) | {"precision": chosen.weights, "bound_by": bound(advice.best.run)},
        "formats": [_trial(trial) for trial in (chosen, *advice.others)],
        "levers": {"factor": FACTOR, "gains": {lever.name: lever.gain for lever in advice.levers}},
        "buy_first": buy.name if buy else None,
    }


def _strategies(trial: Trial) -> list[dict[str, Any]]:
    return [
        {"label": f"{each.run.label}, {each.run.cached} experts", "name": each.run.strategy, **each.run.knobs}
        | ({"cache": each.run.cached} if each.contender.sized else {})
        for each in trial.ranked()
    ]


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "precision": trial.weights,
        "ranked": [_tried(each) for each in trial.ranked()],
        "lossy": [_tried(each) for each in trial.lossy()],
        "hypothetical": [_tried(each) for each in trial.hypothetical()],
        "does_not_fit": {label: str(error) for label, error in trial.refused.items()},
    }


def _tried(each: Tried) -> dict[str, Any]:
    data = each.run.to_dict()
    return {name: data[name] for name in data if name != "summary"} | {
        name: data["summary"][name]
        for name in ("decode_tokens_per_s", "tokens_per_s", "ttft_s", "tpot_p50_s", "tpot_p95_s", "hit_rate")
    }
