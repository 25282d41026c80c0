from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenarios.fit import Requests, Setting, check_model, fit, requests_of
from scenarios.presets import load_model
from sim.errors import DoesNotFit, InputError
from sim.precision import Precisions
from sim.strategies.registry import make_strategy
from sim.trace import RoutingTrace
from tests.scenario_files import machine, write_files

EXPERT_BYTES = 3 * 64 * 128 * 4


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return make_setting(tmp_path, gpu_bytes=10**7)


def make_setting(folder: Path, *, gpu_bytes: int, host_bytes: int = 10**8) -> Setting:
    write_files(folder)
    requests = Requests(sequences=1, context=10, step_tokens=6)
    model = load_model(folder / "tiny.yaml")
    return Setting(
        model, Precisions("fp32", "fp32", "fp32"), machine(gpu_bytes=gpu_bytes, host_bytes=host_bytes), requests
    )


@pytest.mark.parametrize(("stated", "expected"), [(3, 3), ("50%", 4), ("49%", 3), ("all", 8), ("auto", 8), (None, 5)])
def test_the_cache_of_a_strategy_is_its_own_or_else_the_common_one(
    setting: Setting, stated: int | str | None, expected: int
) -> None:
    assert fit(make_strategy("cache"), stated, 5, setting).cached == expected


def test_auto_takes_as_many_experts_as_fit_and_one_more_would_not(tmp_path: Path) -> None:
    strategy = make_strategy("cache", spare=1)
    roomy = make_setting(tmp_path, gpu_bytes=10**7)
    without = fit(strategy, 0, "auto", roomy).gpu.total_bytes
    tight = make_setting(tmp_path, gpu_bytes=without + 3 * EXPERT_BYTES)
    settled = fit(strategy, None, "auto", tight)
    assert settled.cached == 3
    assert settled.gpu.total_bytes == without + 3 * EXPERT_BYTES
    with pytest.raises(DoesNotFit, match=r"expert slots .* = .* GB > .* GB usable"):
        fit(strategy, 4, "auto", tight)


def test_all_resident_caches_everything_and_is_a_bracket_where_it_does_not_fit(tmp_path: Path) -> None:
    small = make_setting(tmp_path, gpu_bytes=4 * EXPERT_BYTES)
    settled = fit(make_strategy("all-resident"), None, 2, small)
    assert (settled.cached, settled.fits) == (8, False)
    assert "needs" in settled.warnings[0]
    assert "of 0.0003932 GB" in settled.warnings[0]
    large = make_setting(tmp_path, gpu_bytes=10**7)
    assert fit(make_strategy("all-resident"), None, 2, large).fits


def test_layer_streaming_holds_its_buffers_whatever_the_others_cache(setting: Setting) -> None:
    assert fit(make_strategy("layer-streaming"), None, 7, setting).cached == 8
    assert fit(make_strategy("layer-streaming", prefetch=False), None, 7, setting).cached == 4


@pytest.mark.parametrize("name", ["all-resident", "layer-streaming", "deepspeed-mii", "accelerate", "llama-cpp"])
def test_a_cache_that_contradicts_the_strategy_is_refused(setting: Setting, name: str) -> None:
    with pytest.raises(InputError, match=f"cache: contradicts {name}.*; leave `cache` out"):
        fit(make_strategy(name), 5, "auto", setting)


@pytest.mark.parametrize(
    ("name", "knobs", "on_host"),
    [("cache", {}, 8), ("llama-cpp", {"n_cpu_moe": 2}, 4), ("llama-cpp", {"n_cpu_moe": 0}, 0),
     ("accelerate", {"gpu_layers": 2}, 4), ("all-resident", {}, 0)],
)  # fmt: skip
def test_the_host_holds_the_experts_that_the_strategy_leaves_there(
    setting: Setting, name: str, knobs: dict[str, int], on_host: int
) -> None:
    assert fit(make_strategy(name, **knobs), None, 2, setting).host.items["experts"] == on_host * EXPERT_BYTES


def test_what_is_not_stated_exactly_is_rounded_down_to_equal_shares(tmp_path: Path) -> None:
    strategy = make_strategy("mixtral-offloading", spare=2)
    roomy = make_setting(tmp_path, gpu_bytes=10**7)
    without = fit(strategy, 0, "auto", roomy).gpu.total_bytes
    tight = make_setting(tmp_path, gpu_bytes=without + 5 * EXPERT_BYTES)
    assert fit(strategy, None, "auto", tight).cached == 4, "two for each of two blocks"
    assert fit(strategy, None, "90%", roomy).cached == 6
    assert fit(strategy, None, 7, roomy).cached == 7, "what is stated is left to the strategy to refuse"


def test_more_experts_than_the_model_has_are_refused(setting: Setting) -> None:
    with pytest.raises(InputError, match=r"tiny has only 8 routed experts \(got 9\)"):
        fit(make_strategy("cache"), None, 9, setting)


@pytest.mark.parametrize(
    ("name", "knobs", "says"),
    [
        ("cache", {}, "cache fewer experts, use a lower precision"),
        ("llama-cpp", {"n_cpu_moe": 1}, "raise `n_cpu_moe`, use a lower precision"),
        ("llama-cpp", {}, "GB usable; use a lower precision"),
        ("standard", {}, "GB usable; use a lower precision"),
        ("accelerate", {"gpu_layers": 1}, "lower `gpu_layers`, use"),
        ("layer-streaming", {}, "set `prefetch: false`, use"),
        ("deepspeed-mii", {}, "lower `prefetch_bucket`, use"),
    ],
)
def test_what_does_not_fit_is_told_which_knob_helps(
    tmp_path: Path, name: str, knobs: dict[str, Any], says: str
) -> None:
    with pytest.raises(DoesNotFit) as caught:
        fit(make_strategy(name, **knobs), None, 4, make_setting(tmp_path, gpu_bytes=1))
    assert says in str(caught.value)
    assert f"{name} does not fit toy" in str(caught.value)


def test_what_does_not_fit_the_host_is_told_so_too(tmp_path: Path) -> None:
    small = make_setting(tmp_path, gpu_bytes=10**7, host_bytes=EXPERT_BYTES)
    with pytest.raises(DoesNotFit, match="lower `n_cpu_moe`, use"):
        fit(make_strategy("llama-cpp"), None, 4, small)
    with pytest.raises(DoesNotFit, match=r"GB usable; use a lower precision, or choose"):
        fit(make_strategy("cache"), None, 4, small)


def test_offloaded_experts_must_fit_the_host(tmp_path: Path) -> None:
    small = make_setting(tmp_path, gpu_bytes=10**7, host_bytes=7 * EXPERT_BYTES)
    with pytest.raises(DoesNotFit, match=r"experts .* GB usable"):
        fit(make_strategy("cache"), None, 4, small)
    assert fit(make_strategy("all-resident"), None, 4, small).fits


def test_a_model_larger_than_all_memories_is_one_clear_line(tmp_path: Path) -> None:
    weights = make_setting(tmp_path, gpu_bytes=1).model.total_params * 4
    check_model(make_setting(tmp_path, gpu_bytes=weights - 10, host_bytes=10))
    with pytest.raises(DoesNotFit, match=r"tiny is larger than all memories of toy: weights .* GB > gpu0 .* host"):
        check_model(make_setting(tmp_path, gpu_bytes=weights - 10, host_bytes=9))


def test_requests_are_counted_at_their_worst_moment() -> None:
    lengths, prompts = [7, 3, 9, 4], [5, 2, 1, 0]
    trace = RoutingTrace(
        ids=np.zeros((sum(lengths), 1, 1), np.uint8),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        prompt_tokens=np.array(prompts, np.int64),
        n_experts=2,
    )
    assert requests_of(trace, 2) == {"sequences": 2, "context": 9, "step_tokens": 7}
    assert requests_of(trace, 3) == {"sequences": 3, "context": 9, "step_tokens": 8}
    assert requests_of(trace, 9) == {"sequences": 4, "context": 9, "step_tokens": 8}
