from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sim.errors import InputError
from sim.metrics import hit_rate, moved_bytes, summarise
from sim.schedule import Kind, Reason, Schedule
from tests.conservation import computed, differing, routed
from tests.hand_work import Guess, experts_on, loaded, ops_where, plan_tiny, timed
from tests.listing import lines, listing, trace_of
from tests.machines import EXPERT_BYTES, busy_machine, slow_gpu, tiny_model
from tests.occupancy import slot_faults
from tests.runs import Setting, planned
from tests.runs import timed as timed_on
from tests.traces import random_trace

NAME = "mixtral-offloading"
ONE_TOKEN = trace_of([[0, 2], [3, 1]])  # a miss and a hit in either block: 2 and 3 of both are on the GPU
VARIANTS = pytest.mark.parametrize("variant", ["code", "paper"])


def unloaded(schedule: Schedule) -> list[int]:
    """The expert of every unload, in order."""
    experts: list[int] = schedule.ops.expert[ops_where(schedule, kind=Kind.UNLOAD)].tolist()
    return experts


def one_block(*tokens: int, cached: int, n_experts: int = 4, **knobs: Any) -> Schedule:
    """Single tokens of a block that routes to one expert each."""
    model = tiny_model(n_layers=1, top_k=1, n_experts=n_experts)
    trace = trace_of(*[[[expert]] for expert in tokens], n_experts=n_experts)
    return plan_tiny(NAME, trace, cached, model=model, **knobs)


def test_in_the_code_copies_and_kernels_follow_each_other_in_one_stream() -> None:
    """0/2 is the least recently used, but all that is needed counts as used before another is chosen to leave: 0/3."""
    assert listing(plan_tiny(NAME, ONE_TOKEN, 4)) == lines("""
        0 attention gpu0 0 1t
        1 gate gpu0 0 1t after 0
        2 wait host after 1
        3 load gpu0.h2d 0/0 demand slot4 400B after 1
        4 unload gpu0.d2h 0/3 swap slot1 400B after 3
        5 wait host after 4                               # to find the expert's tokens, the host waits for the stream
        6 expert gpu0 0/2 hit slot0 1t after 4            # so that even the hit follows both copies
        7 wait host after 6
        8 expert gpu0 0/0 demand slot4 1t after 3 6
        9 combine gpu0 0 1t after 6 8
        10 attention gpu0 1 1t after 9
        11 gate gpu0 1 1t after 10
        12 wait host after 11
        13 load gpu0.h2d 1/1 demand slot5 400B after 11
        14 unload gpu0.d2h 1/2 swap slot2 400B after 13
        15 wait host after 14
        16 expert gpu0 1/3 hit slot3 1t after 14
        17 wait host after 16
        18 expert gpu0 1/1 demand slot5 1t after 13 16
        19 combine gpu0 1 1t after 16 18
        20 head gpu0 1 1t after 19
        21 wait host after 20
    """)


def test_in_the_paper_both_copies_run_beside_the_hits() -> None:
    assert listing(plan_tiny(NAME, ONE_TOKEN, 4, variant="paper"))[3:8] == lines("""
        3 load gpu0.h2d 0/0 demand slot4 400B after 1
        4 unload gpu0.d2h 0/3 swap slot1 400B
        5 expert gpu0 0/2 hit slot0 1t after 1
        6 expert gpu0 0/0 demand slot4 1t after 1 3
        7 combine gpu0 0 1t after 5 6
    """)


def test_the_times_are_worked_out_by_hand() -> None:
    """A copy takes 10 s, all else 1 s: in the code a block is attention, gate, two copies, two experts, combination."""
    code, paper = (timed(plan_tiny(NAME, ONE_TOKEN, 4, variant=v)).makespan_s for v in ("code", "paper"))
    assert code == 2 * (1 + 1 + 10 + 10 + 1 + 1 + 1) + 1
    assert paper == 2 * (1 + 1 + 10 + 1 + 1) + 1


@VARIANTS
@pytest.mark.parametrize("policy", ["lru", "lfu"])
def test_a_miss_moves_exactly_two_experts(variant: str, policy: str) -> None:
    trace = random_trace([(5, 9), (3, 4)], n_experts=4)
    schedule = plan_tiny(NAME, trace, 4, variant=variant, policy=policy)
    misses = len(ops_where(schedule, kind=Kind.EXPERT, reason=Reason.DEMAND))
    assert misses > 5
    assert moved_bytes(schedule, Kind.LOAD) == moved_bytes(schedule, Kind.UNLOAD) == misses * EXPERT_BYTES


@VARIANTS
@pytest.mark.parametrize(("spare", "share", "window"), [(4, 4, 3), (4, 2, 2), (4, 6, 2), (2, 4, 1), (6, 4, 4)])
def test_swaps_run_ahead_of_the_compute_by_a_window(variant: str, spare: int, share: int, window: int) -> None:
    """A prompt needs all eight experts; all but one spare buffer, the slots of a layer and the misses bound it."""
    trace = trace_of(*[[[2 * i, 2 * i + 1]] for i in range(4)], prompts=[4], n_experts=8)
    model = tiny_model(n_layers=1, n_experts=8)
    schedule = plan_tiny(NAME, trace, share, model=model, variant=variant, spare=spare)
    copies_and_experts = [op for op in ops_where(schedule) if schedule.ops.kind[op] in (Kind.LOAD, Kind.EXPERT)]
    kinds = "".join("L" if schedule.ops.kind[op] == Kind.LOAD else "E" for op in copies_and_experts)
    misses = 8 - share
    assert kinds == "L" * window + "E" * share + "EL" * (misses - window) + "E" * window
    assert [e for e, _ in experts_on(schedule, "gpu0")] == [*range(misses, 8), *range(misses)], "hits first"


def test_an_expert_that_has_to_leave_before_it_has_run_is_run_from_its_buffer() -> None:
    """All four experts are needed and two have slots: both leave, and run, before their buffers are written again."""
    prompt = trace_of([[0, 1], [3, 2]], [[2, 3], [3, 2]], prompts=[2])
    assert listing(plan_tiny(NAME, prompt, 4))[3:16] == lines("""
        3 load gpu0.h2d 0/0 demand slot4 400B after 1
        4 unload gpu0.d2h 0/2 swap slot0 400B after 3
        5 load gpu0.h2d 0/1 demand slot5 400B after 4
        6 unload gpu0.d2h 0/3 swap slot1 400B after 5
        7 wait host after 6
        8 expert gpu0 0/2 hit slot0 1t after 6
        9 wait host after 8
        10 expert gpu0 0/3 hit slot1 1t after 8
        11 wait host after 10
        12 expert gpu0 0/0 demand slot4 1t after 3 10
        13 wait host after 12
        14 expert gpu0 0/1 demand slot5 1t after 5 12
        15 combine gpu0 0 2t after 8 10 12 14
    """)


@VARIANTS
def test_the_four_spare_buffers_rotate(variant: str) -> None:
    """One slot for eight experts: the fifth swap gets the buffer that the first has left."""
    schedule = one_block(*range(6), cached=1, n_experts=8, variant=variant)
    loads = ops_where(schedule, kind=Kind.LOAD)
    assert schedule.ops.slot[loads].tolist() == [1, 2, 3, 4, 0, 1]
    unloads = ops_where(schedule, kind=Kind.UNLOAD)
    waits_for = [{n for n, load in enumerate(loads) if load in schedule.ops.dependencies(u)} for u in unloads]
    brought_what_leaves = [set(), {0}, {1}, {2}, {3}, {4}]
    left_the_host_buffer = [set(), set(), set(), set(), {0}, {1}]
    in_stream = [{n} if variant == "code" else set() for n in range(6)]
    assert waits_for == [
        a | b | c for a, b, c in zip(brought_what_leaves, left_the_host_buffer, in_stream, strict=True)
    ]


def test_a_swapped_out_expert_that_is_wanted_again_waits_for_its_way_back() -> None:
    schedule = one_block(0, 3, cached=1, variant="paper")
    first, second = ops_where(schedule, kind=Kind.LOAD)
    assert loaded(schedule) == [(0, 0), (0, 3)]
    left = ops_where(schedule, kind=Kind.UNLOAD, expert=3)[0]
    assert left in schedule.ops.dependencies(second)
    assert left not in schedule.ops.dependencies(first)


def test_the_first_experts_by_number_start_on_the_host_whatever_is_popular() -> None:
    assert plan_tiny(NAME, ONE_TOKEN, 6).start_slots == ((0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3))


@pytest.mark.parametrize(("policy", "left"), [("lru", [2, 0]), ("lfu", [3, 0, 2])])
def test_the_policy_says_who_leaves(policy: str, left: list[int]) -> None:
    """2 and 3 are there at first. When 1 comes at last, 3 has been used oftener than 2, if its first life counts."""
    assert unloaded(one_block(2, 2, 2, 3, 0, 3, 3, 3, 1, cached=2, policy=policy)) == left


def test_lfu_does_not_send_away_what_has_just_come() -> None:
    """0 and 1 have been used once, 2 and 3 twice; all are needed."""
    prompt = trace_of([[0, 1], [3, 2]], [[2, 3], [3, 2]], prompts=[2])
    assert unloaded(plan_tiny(NAME, prompt, 4, policy="lfu")) == [2, 3]


def test_lfu_spares_what_is_about_to_run_even_if_it_is_used_least() -> None:
    """1 and 3 have been used twice, 2 not at all, when 2 and 0 are needed."""
    trace = trace_of([[1, 3]], [[1, 3]], [[2, 0]])
    assert unloaded(plan_tiny(NAME, trace, 3, model=tiny_model(n_layers=1), policy="lfu")) == [1]


RIGHT = trace_of([[2, 3], [0, 3]])  # all hits, then a miss that is guessed
WRONG = trace_of([[2, 3], [2, 3]])  # all hits, but for a guess that sends one of them away
GUESS = Guess(0, 3)


def test_the_next_layers_guesses_are_swapped_in_when_the_first_expert_has_started() -> None:
    schedule = plan_tiny(NAME, RIGHT, 4, variant="paper", speculative=True, predictor=GUESS)
    assert listing(schedule)[2:14] == lines("""
        2 wait host after 1
        3 expert gpu0 0/2 hit slot0 1t after 1
        4 load gpu0.h2d 1/0 prefetch slot4 400B after 1   # 1/3 is guessed as well, so that 1/2 leaves
        5 unload gpu0.d2h 1/2 swap slot2 400B
        6 expert gpu0 0/3 hit slot1 1t after 1
        7 combine gpu0 0 1t after 3 6
        8 attention gpu0 1 1t after 7
        9 gate gpu0 1 1t after 8
        10 wait host after 9
        11 expert gpu0 1/0 prefetched slot4 1t after 4 9
        12 expert gpu0 1/3 hit slot3 1t after 9
        13 combine gpu0 1 1t after 11 12
    """)


def test_in_one_stream_a_right_guess_gains_nothing() -> None:
    """In the paper's variant it is under way while block 0 ends, from 2 s to 12 s, instead of from 7 s to 17 s."""
    seconds = {
        (variant, speculative): timed(
            plan_tiny(NAME, RIGHT, 4, variant=variant, speculative=speculative, predictor=GUESS)
        ).makespan_s
        for variant in ("code", "paper")
        for speculative in (False, True)
    }
    assert seconds == {
        ("code", False): 5 + (1 + 1 + 20 + 2 + 1) + 1,
        ("code", True): 5 + (1 + 1 + 20 + 2 + 1) + 1,
        ("paper", False): 5 + (1 + 1 + 10 + 1 + 1) + 1,
        ("paper", True): 12 + 2 + 1 + 1,
    }


def test_a_wrong_guess_costs_link_time_and_perhaps_a_miss() -> None:
    schedule = plan_tiny(NAME, WRONG, 4, variant="paper", speculative=True, predictor=GUESS)
    assert loaded(schedule) == [(1, 0), (1, 2)], "1/2 made way for 1/0, and comes back for it"
    away = ops_where(schedule, kind=Kind.UNLOAD, expert=2)[0]
    back = ops_where(schedule, kind=Kind.LOAD, expert=2)[0]
    assert away in schedule.ops.dependencies(back)
    timeline = timed(schedule)
    assert timeline.makespan_s == 12 + 10 + 1 + 1 + 1, "there until 12 s, back until 22 s, expert, combination, head"
    assert timed(plan_tiny(NAME, WRONG, 4, variant="paper")).makespan_s == 11.0
    assert summarise(timeline).prefetch_used == 0.0
    in_stream = timed(plan_tiny(NAME, WRONG, 4, speculative=True, predictor=GUESS)).makespan_s
    assert in_stream == 11.0 + 4 * 10, "four copies that nothing hides"


def test_the_stream_holds_back_the_model_when_a_copy_is_its_last_op() -> None:
    """With one expert in block 0 the guess for block 1 follows it: the combination waits for the guess's copies."""
    schedule = plan_tiny(NAME, trace_of([[2], [0]]), 4, model=tiny_model(top_k=1), speculative=True, predictor=Guess(0))
    combine = ops_where(schedule, kind=Kind.COMBINE, layer=0)[0]
    assert ops_where(schedule, kind=Kind.UNLOAD, layer=1)[0] in schedule.ops.dependencies(combine)


def test_a_guess_kept_aside_enters_the_cache_when_it_is_used() -> None:
    schedule = plan_tiny(NAME, RIGHT, 4, variant="paper", speculative=True, guesses="aside", predictor=GUESS)
    assert listing(schedule)[3:13] == lines("""
        3 expert gpu0 0/2 hit slot0 1t after 1
        4 load gpu0.h2d 1/0 prefetch slot4 400B after 1
        5 expert gpu0 0/3 hit slot1 1t after 1
        6 combine gpu0 0 1t after 3 5
        7 attention gpu0 1 1t after 6
        8 gate gpu0 1 1t after 7
        9 wait host after 8
        10 unload gpu0.d2h 1/2 swap slot2 400B            # only now does another leave
        11 expert gpu0 1/0 prefetched slot4 1t after 4 8
        12 expert gpu0 1/3 hit slot3 1t after 8
    """)


def test_a_wrong_guess_kept_aside_costs_its_load_alone() -> None:
    """1/0 is guessed for both tokens, and loaded twice; 1/2 and 1/3 stay and hit."""
    twice = trace_of([[2, 3], [2, 3]], [[2, 3], [2, 3]])
    schedule = plan_tiny(NAME, twice, 4, variant="paper", speculative=True, guesses="aside", predictor=GUESS)
    assert (loaded(schedule), unloaded(schedule)) == ([(1, 0), (1, 0)], [])
    uses = ops_where(schedule, kind=Kind.EXPERT)
    assert {Reason(reason) for reason in schedule.ops.reason[uses]} == {Reason.HIT}
    assert summarise(timed(schedule)).prefetch_used == 0.0


def test_guesses_that_are_used_count_as_ahead_of_the_compute() -> None:
    """Needed are 1/6 and 1/7, which are there, 1/0 and 1/1, which were guessed, and two more; the window is of 2."""
    trace = trace_of(
        [[6, 7], [6, 7]], [[6, 7], [0, 1]], [[6, 7], [2, 3]], prompts=(0, 0, 0), lengths=[1, 1, 1], n_experts=8
    )
    schedule = plan_tiny(
        NAME, trace, 4, model=tiny_model(n_experts=8), batch=3, spare=3, speculative=True, guesses="aside",
        predictor=Guess(0, 1),
    )  # fmt: skip
    first_demand = ops_where(schedule, kind=Kind.LOAD, reason=Reason.DEMAND)[0]
    ran = [schedule.ops.expert[op] for op in ops_where(schedule, kind=Kind.EXPERT, layer=1) if op < first_demand]
    assert ran == [0]
    assert unloaded(schedule)[:2] == [6, 7], "to make way for the guesses, and still to be run"


@VARIANTS
def test_a_guess_waits_until_a_spare_buffer_is_free(variant: str) -> None:
    """Three guesses that are used send away all hits of block 1, 5 to 7, which run last, each from a spare buffer."""
    model = tiny_model(n_layers=3, n_experts=8, top_k=6)
    trace = trace_of([[2, 3, 4, 5, 6, 7], [0, 1, 2, 5, 6, 7], [0, 1, 2, 5, 6, 7]], n_experts=8)
    schedule = plan_tiny(
        NAME, trace, 9, model=model, variant=variant, speculative=True, guesses="aside", predictor=Guess(0, 1, 2)
    )
    run_in_block_1 = [(op, "run") for op in ops_where(schedule, kind=Kind.EXPERT, layer=1)]
    guessed_of_block_2 = [(op, "guess") for op in ops_where(schedule, kind=Kind.LOAD, layer=2, reason=Reason.PREFETCH)]
    in_order = sorted(run_in_block_1 + guessed_of_block_2)
    assert [f"{what} {schedule.ops.expert[op]}" for op, what in in_order] == [
        "run 0", "guess 0", "run 1", "run 2", "run 5", "guess 1", "run 6", "guess 2", "run 7",
    ]  # fmt: skip
    assert slot_faults(timed(schedule)) == []


def test_a_guess_does_not_send_away_another() -> None:
    """1/2 is the least recently used, but guessed."""
    schedule = plan_tiny(NAME, WRONG, 4, speculative=True, predictor=Guess(0, 2))
    assert unloaded(schedule)[0] == 3


def test_a_hit_is_put_down_to_a_guess_once_and_only_if_that_brought_it() -> None:
    """A right guess and then a hit; or a wrong guess, the same expert on demand in a prompt, and then a hit."""
    again = trace_of([[2, 3], [0, 3]], [[2, 3], [0, 3]])
    prompted = trace_of([[2, 3], [2, 3]], [[2, 3], [0, 3]], [[2, 3], [0, 3]], prompts=[0, 1], lengths=[1, 2])
    for trace, expected in ((again, [Reason.PREFETCHED, Reason.HIT]), (prompted, [Reason.DEMAND, Reason.HIT])):
        schedule = plan_tiny(NAME, trace, 4, speculative=True, predictor=GUESS)
        uses = ops_where(schedule, kind=Kind.EXPERT, layer=1, expert=0)
        assert [Reason(reason) for reason in schedule.ops.reason[uses]] == expected


def test_a_prompt_is_not_speculated_on() -> None:
    prompt = trace_of([[2, 3], [0, 3]], prompts=[1])
    schedule = plan_tiny(NAME, prompt, 4, speculative=True, predictor=GUESS)
    assert ops_where(schedule, reason=Reason.PREFETCH) == []


def test_speculation_needs_a_predictor() -> None:
    with pytest.raises(InputError, match="predictor"):
        plan_tiny(NAME, RIGHT, 4, speculative=True)


@pytest.mark.parametrize(("cached", "remedy"), [(5, "`cache: 4`"), (1, "`cache: 2`"), (0, "`cache: 2`")])
def test_layers_must_have_equal_shares(cached: int, remedy: str) -> None:
    with pytest.raises(InputError, match=remedy):
        plan_tiny(NAME, ONE_TOKEN, cached)


def test_with_every_expert_cached_nothing_moves() -> None:
    schedule = plan_tiny(NAME, random_trace([(5, 9)], n_experts=4), 8)
    assert moved_bytes(schedule, Kind.LOAD) == 0
    assert hit_rate(schedule) == 1.0


all_knobs = st.fixed_dictionaries(
    {
        "variant": st.sampled_from(["code", "paper"]), "policy": st.sampled_from(["lru", "lfu"]),
        "speculative": st.booleans(), "guesses": st.sampled_from(["swap", "aside"]), "spare": st.integers(2, 5),
    }
)  # fmt: skip
guesses_kept_aside = all_knobs.map(lambda knobs: knobs | {"speculative": True, "guesses": "aside"})
crowded = st.builds(
    Setting, st.builds(tiny_model, n_layers=st.just(3), n_experts=st.just(8), top_k=st.integers(1, 6)),
    batch=st.integers(1, 4), cached=st.integers(3, 20), sequences=st.just(((2, 5), (1, 5), (0, 6), (3, 4))),
    seed=st.integers(0, 999),
)  # fmt: skip
more_needed_than_a_layer_keeps = Setting(tiny_model(n_layers=3, n_experts=8, top_k=6), batch=1, cached=9)


@settings(max_examples=80, deadline=None)
@example(
    {"variant": "paper", "policy": "lru", "speculative": True, "guesses": "aside", "spare": 4},
    more_needed_than_a_layer_keeps,
)
@given(all_knobs | guesses_kept_aside, crowded)
def test_any_knobs_compute_what_is_routed_within_their_memory(knobs: dict[str, Any], setting: Setting) -> None:
    schedule = planned((NAME, tuple(knobs.items())), setting)
    assert not differing(routed(setting.trace(), setting.model, setting.batch), computed(schedule))
    for machine in (busy_machine(), slow_gpu()):
        assert slot_faults(timed_on(schedule, machine)) == []
