from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from sim.errors import InputError, ScheduleError
from sim.metrics import summarise
from sim.model import MoEModel
from sim.plan import plan
from sim.predict import Ids, Predictor, Sight
from sim.program import Program
from sim.schedule import Kind, Phase, Schedule
from sim.slots import Key
from sim.strategies.registry import make_strategy
from sim.strategy import LayerPass, Strategy, World, resident_expert
from sim.trace import ExpertIds, RoutingTrace
from tests.hand_work import Guess, ops_where, plan_tiny, timed
from tests.listing import trace_of
from tests.machines import BF16, tiny_model
from tests.traces import random_trace


class Diary(Strategy):
    """Keeps every expert on the GPU and notes what it is called with."""

    name = "diary"

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.passes: list[LayerPass] = []
        self.predictions: list[list[int]] = []

    def start(self, world: World) -> Sequence[Key]:
        super().start(world)
        return [(layer, expert) for layer in world.model.moe_layers for expert in range(world.model.n_experts)]

    def begin_sequences(self, p: Program) -> None:
        self.notes.append("begin")

    def end_sequences(self, p: Program) -> None:
        self.notes.append("end")

    def before_layer(self, p: Program, layer: int, moe: int) -> None:
        self.notes.append(f"layer {layer} moe {moe}")

    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        self.notes.append(f"experts of {now.layer}")
        self.passes.append(now)
        self.predictions.append(self.world.predict(now.moe + 1))
        return [resident_expert(p, now, expert, ready) for expert in now.tokens_of]


def kept(
    trace: RoutingTrace, *, batch: int = 1, model: MoEModel | None = None, predictor: Predictor | None = None
) -> tuple[Diary, Schedule]:
    """The plan of the diary, and what it noted."""
    diary, model = Diary(), model or tiny_model()
    schedule = plan(diary, model, BF16, trace, cached=model.n_slots_total, batch=batch, predictor=predictor)
    return diary, schedule


def test_hooks_are_called_in_order() -> None:
    model = tiny_model(moe_layers=(1,), dense_hidden=10)
    diary, _ = kept(trace_of([[0, 1]], [[2, 3]], prompts=[1, 0], lengths=[1, 1]), model=model)
    a_pass = ["layer 0 moe -1", "layer 1 moe 0", "experts of 1"]
    assert diary.notes == ["begin", *a_pass, "end", "begin", *a_pass, "end"]


def test_sequences_of_one_batch_begin_and_end_together() -> None:
    trace = random_trace([(2, 1), (1, 3), (2, 0)], 2, 4, 2)
    diary, schedule = kept(trace, batch=2)
    assert diary.notes.count("begin") == diary.notes.count("end") == 2
    assert [step.batch for step in schedule.steps] == [0, 0, 0, 0, 1]
    assert [step.sequences for step in schedule.steps] == [2, 2, 1, 1, 1]


def test_a_layer_pass_tells_the_routing_of_its_layer() -> None:
    weights = np.linspace(0, 1, 3 * 2 * 2, dtype=np.float32).reshape(3, 2, 2)
    trace = replace(trace_of([[3, 1], [0, 1]], [[3, 0], [2, 1]], [[0, 2], [1, 3]], prompts=[2]), weights=weights)
    diary, _ = kept(trace)
    prefill, second_block, decode, _ = diary.passes
    assert (prefill.phase, prefill.step, prefill.tokens, prefill.moe) == (Phase.PREFILL, 0, 2, 0)
    assert list(prefill.tokens_of.items()) == [(0, 1), (1, 1), (3, 2)]
    assert prefill.ids.tolist() == [[3, 1], [3, 0]]
    assert prefill.weights is not None
    assert np.array_equal(prefill.weights, weights[:2, 0])
    assert (second_block.layer, second_block.tokens_of) == (1, {0: 1, 1: 2, 2: 1})
    assert (decode.phase, decode.step, decode.tokens, decode.tokens_of) == (Phase.DECODE, 1, 1, {0: 1, 2: 1})


def test_ids_that_are_missing_are_nobodys_tokens() -> None:
    diary, schedule = kept(trace_of([[255, 1], [255, 255]], [[0, 255], [1, 2]], prompts=[2]))
    assert [now.tokens_of for now in diary.passes] == [{0: 1, 1: 1}, {1: 1, 2: 1}]
    nothing, _ = kept(trace_of([[255, 255], [255, 255]]))
    assert [now.tokens_of for now in nothing.passes] == [{}, {}]
    assert len(ops_where(schedule, kind=Kind.COMBINE)) == 2


def test_more_than_255_experts_keep_their_numbers() -> None:
    model = tiny_model(n_experts=300)
    trace = trace_of([[299, 256], [255, 0]], n_experts=300)
    diary, schedule = kept(trace, model=model)
    assert [list(now.tokens_of) for now in diary.passes] == [[256, 299], [0, 255]]
    assert schedule.ops.expert[ops_where(schedule, kind=Kind.EXPERT)].tolist() == [256, 299, 0, 255]


def test_context_grows_by_a_token_a_step_and_heads_count_sequences() -> None:
    _, schedule = kept(random_trace([(3, 2), (5, 2)], 2, 4, 2), batch=2)
    ops = schedule.ops
    attention = ops_where(schedule, kind=Kind.ATTENTION, layer=0)
    assert ops.context[attention].tolist() == [4, 5, 6]  # means of 3 and 5, 4 and 6, 5 and 7
    assert ops.tokens[attention].tolist() == [8, 2, 2]
    assert ops.tokens[ops_where(schedule, kind=Kind.HEAD)].tolist() == [2, 2, 2]


def test_sequences_without_prompt_start_with_an_empty_context() -> None:
    _, schedule = kept(random_trace([(0, 3)], 2, 4, 2))
    assert [step.phase for step in schedule.steps] == [Phase.DECODE] * 3
    assert schedule.ops.context[ops_where(schedule, kind=Kind.ATTENTION, layer=0)].tolist() == [1, 2, 3]


def test_a_decoded_token_runs_through_the_decoder_alone() -> None:
    model = tiny_model(n_layers=4, encoder_layers=2, moe_layers=(1, 3), dense_hidden=10, top_k=1)
    trace = trace_of([[0], [1]], [[2], [3]], [[255], [2]], prompts=[2])
    diary, schedule = kept(trace, model=model)
    assert [(now.step, now.layer, list(now.tokens_of)) for now in diary.passes] == [
        (0, 1, [0, 2]), (0, 3, [1, 3]), (1, 3, [2])
    ]  # fmt: skip
    attention = ops_where(schedule, kind=Kind.ATTENTION)
    assert schedule.ops.layer[attention].tolist() == [0, 1, 2, 3, 2, 3]


def test_the_predictor_is_told_only_the_layer_it_is_asked_about() -> None:
    class Told(Guess):
        sight = Sight.TRUTH

        def __init__(self) -> None:
            self.asked: list[tuple[int, int, object]] = []
            self.observed: list[tuple[int, object]] = []

        def predict(
            self, moe_layer: int, step: int, truth: Ids | None, *, ahead: int = 1, size: int | None = None
        ) -> ExpertIds:
            self.asked.append((moe_layer, step, None if truth is None else truth.tolist()))
            return np.array([[3]], np.uint8)

        def observe(self, moe_layer: int, ids: Ids) -> None:
            self.observed.append((moe_layer, ids.tolist()))

    predictor = Told()
    diary, _ = kept(trace_of([[0, 2], [3, 1]], [[255, 1], [2, 0]]), predictor=predictor)
    assert predictor.asked == [(1, 0, [[3, 1]]), (1, 1, [[2, 0]])]
    assert diary.predictions == [[3], [], [3], []], "there is no block after the last"
    assert predictor.observed == [(0, [[0, 2]]), (1, [[3, 1]]), (0, [[255, 1]]), (1, [[2, 0]])]


def test_a_predictor_that_needs_no_truth_gets_none_and_no_predictor_predicts_nothing() -> None:
    seen = []

    class Blind(Guess):
        def predict(
            self, moe_layer: int, step: int, truth: Ids | None, *, ahead: int = 1, size: int | None = None
        ) -> ExpertIds:
            seen.append(truth)
            return np.empty((1, 0), np.uint8)

    kept(trace_of([[0, 2], [3, 1]]), predictor=Blind())
    assert seen == [None]
    assert kept(trace_of([[0, 2], [3, 1]]))[0].predictions == [[], []]


def test_only_a_strategy_that_needs_the_future_gets_it() -> None:
    class Prophet(Diary):
        needs_future = True

    prophet = Prophet()
    trace = trace_of([[2, 0], [3, 1]], [[255, 1], [1, 0]])
    plan(prophet, tiny_model(), BF16, trace, cached=8)
    assert prophet.world.future == [[(0, 0), (0, 2)], [(1, 1), (1, 3)], [(0, 1)], [(1, 0), (1, 1)]]
    assert kept(trace)[0].world.future is None


@pytest.mark.parametrize(
    ("trace", "complaint"),
    [
        (random_trace([(1, 1)], 3, 4, 2), r"layers: the trace does not fit tiny, which has 2 MoE layers \(got 3\)"),
        (random_trace([(1, 1)], 2, 5, 2), r"experts: the trace does not fit tiny, which has 4 experts \(got 5\)"),
        (random_trace([(1, 1)], 2, 4, 3), r"top_k: the trace does not fit tiny, which has 2 experts a token \(got 3\)"),
    ],
)
def test_a_trace_of_another_model_is_one_clear_line(trace: RoutingTrace, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        plan_tiny("on-demand", trace, 2)


def test_a_batch_of_nobody_is_refused() -> None:
    with pytest.raises(InputError, match=r"batch: must be at least 1 \(got 0\)"):
        plan_tiny("on-demand", random_trace([(1, 1)], 2, 4, 2), 2, batch=0)


@pytest.mark.parametrize("name", ["all-resident", "layer-streaming", "on-demand", "cache", "fiddler", "oracle"])
@pytest.mark.parametrize("sequences", [[], [(0, 0)], [(0, 0), (0, 0)]])
def test_a_trace_without_tokens_gives_an_empty_schedule(name: str, sequences: list[tuple[int, int]]) -> None:
    schedule = plan_tiny(name, random_trace(sequences, 2, 4, 2), 8, batch=2)
    schedule.validate()
    timeline = timed(schedule)
    assert (len(schedule), schedule.steps, timeline.makespan_s) == (0, (), 0.0)
    assert summarise(timeline).output_tokens == 0


def test_the_schedule_says_what_it_was_planned_with() -> None:
    schedule = plan_tiny("on-demand", trace_of([[0, 2], [3, 1]]), 2, placeholders=3)
    assert schedule.meta == {"strategy": "on-demand", "seed": 0, "batch": 1, "cached": 2}
    assert (schedule.n_slots, schedule.start_slots) == (2 + 3, ((1, 3), (0, 0)))
    assert schedule.precisions == BF16


def test_without_popularity_all_experts_are_equally_popular() -> None:
    schedule = plan(make_strategy("on-demand"), tiny_model(), BF16, trace_of([[0, 2], [3, 1]]), cached=3)
    assert set(schedule.start_slots) == {(0, 0), (1, 0), (0, 1)}


def test_a_strategy_that_silently_leaves_experts_out_is_refused() -> None:
    class Lazy(Diary):
        def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
            return super().experts(p, now, ready)[:1] if now.moe == 0 else []

    with pytest.raises(ScheduleError, match=r"ran expert 1 of block 1 on 0 tokens .* chose it for 1; .* set `lossy`"):
        plan_tiny(Lazy(), trace_of([[0, 2], [3, 1]]), 8)
