"""The predictor that a scenario names."""

from __future__ import annotations

from scenarios.schema import PredictorSpec
from sim.model import MoEModel
from sim.predict import LastTokenPredictor, PerfectPredictor, PopularityPredictor, Predictor, RecallPredictor


def make_predictor(spec: PredictorSpec, model: MoEModel, seed: int) -> Predictor:
    """A fresh predictor: it learns while it serves."""
    if spec.kind == "perfect":
        return PerfectPredictor()
    if spec.kind == "last-token":
        return LastTokenPredictor(model.n_experts)
    if spec.kind == "popularity":
        return PopularityPredictor(model.n_moe_layers, model.n_experts, size=model.top_k)
    recall = 0.0 if spec.recall is None else spec.recall
    return RecallPredictor(model.n_moe_layers, model.n_experts, recall=recall, decay=spec.decay, seed=seed)
