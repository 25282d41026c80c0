"""The predictor that a scenario names."""

from __future__ import annotations

from scenarios.schema import PredictorSpec
from sim.errors import InputError
from sim.model import MoEModel
from sim.predict import (
    LastTokenPredictor,
    PerfectPredictor,
    PopularityPredictor,
    Predictor,
    RecallPredictor,
    RecordedPredictor,
)
from sim.predict_transitions import TransitionPredictor
from sim.trace import RoutingTrace


def make_predictor(spec: PredictorSpec, model: MoEModel, seed: int, calibration: RoutingTrace | None) -> Predictor:
    """A fresh predictor: it may learn while it serves.

    Raises InputError if it has to be trained and there are no calibration sequences.
    """
    match spec.kind:
        case "perfect":
            return PerfectPredictor()
        case "recorded":
            return RecordedPredictor(model.n_experts)
        case "transitions":
            return TransitionPredictor(_training(calibration))
        case "last-token":
            return LastTokenPredictor(model.n_experts)
        case "popularity":
            return PopularityPredictor(model.n_moe_layers, model.n_experts, size=model.top_k)
        case "next-layer":
            recall = 0.0 if spec.recall is None else spec.recall
            return RecallPredictor(model.n_moe_layers, model.n_experts, recall=recall, decay=spec.decay, seed=seed)


def _training(calibration: RoutingTrace | None) -> RoutingTrace:
    if calibration is None:
        raise InputError(
            "learns from calibration sequences, and there are none",
            field="predictor.kind",
            value="transitions",
            remedy="set `trace.calibrate_on` above 0, or record more sequences",
        )
    return calibration
