"""Traces larger than memory: opened at once, written and read a part at a time."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest

from sim import trace_repeats
from sim.replay import Replayer, missing_compiler
from sim.replay.accesses import trace_accesses
from sim.trace import RoutingTrace, id_dtype
from sim.trace_repeats import following, repeats
from sim.trace_stats import stats
from sim.trace_write import save_parts
from sim.workload import steps
from tests.traces import random_trace

SEQUENCE_TOKENS = 500


@dataclass(frozen=True)
class Size:
    tokens: int
    layers: int
    top_k: int
    experts: int

    @property
    def n_bytes(self) -> int:
        return self.tokens * self.layers * self.top_k

    def parts(self, part_tokens: int) -> Iterator[RoutingTrace]:
        """Sequences of some hundred tokens; a token's experts are k in a row from a random one on."""
        rng, row = np.random.default_rng(0), np.arange(self.top_k, dtype=np.uint16)
        for start in range(0, self.tokens, part_tokens):
            n = min(part_tokens, self.tokens - start)
            first = rng.integers(0, self.experts, (n, self.layers, 1), dtype=np.uint16)
            offsets = np.append(np.arange(0, n, SEQUENCE_TOKENS), n).astype(np.int64)
            prompts = np.minimum(np.diff(offsets), 100)
            ids = ((first + row) % self.experts).astype(id_dtype(self.experts))
            yield RoutingTrace(ids, offsets, prompts, self.experts)


def peak_bytes(of: Callable[[], object]) -> int:
    """The most that Python and NumPy hold at once for a call, mapped files apart."""
    tracemalloc.start()
    try:
        of()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


SMALL = Size(tokens=400_000, layers=12, top_k=8, experts=16)  # 38 MB


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> RoutingTrace:
    path = tmp_path_factory.mktemp("scale") / "small.trace.arrow"
    save_parts(path, SMALL.parts(4000))
    return RoutingTrace.load(path)


@pytest.mark.parametrize("reader", [RoutingTrace.validate, RoutingTrace.popularity, RoutingTrace.is_prompt])
def test_reading_all_of_a_trace_holds_a_small_part_of_it(
    small: RoutingTrace, reader: Callable[[RoutingTrace], object]
) -> None:
    assert small.n_tokens == SMALL.tokens
    assert peak_bytes(lambda: reader(small)) < SMALL.n_bytes / 5


def test_so_does_writing_it(tmp_path: Path) -> None:
    assert peak_bytes(lambda: save_parts(tmp_path / "t", SMALL.parts(4000))) < SMALL.n_bytes / 5
    assert (tmp_path / "t").stat().st_size > SMALL.n_bytes


def test_so_do_its_forward_passes(small: RoutingTrace) -> None:
    def walk() -> None:
        for number, step in enumerate(steps(small, 8)):
            small.ids[step.token_rows, 3].sum()
            if number == 3000:
                break

    assert peak_bytes(walk) < SMALL.n_bytes / 20


def test_so_do_its_statistics(monkeypatch: pytest.MonkeyPatch, small: RoutingTrace) -> None:
    monkeypatch.setattr(trace_repeats, "_CHUNK_TOKENS", 1024)
    part = small.part(0, 40)  # 20,000 tokens, 1.9 MB
    counts = part.popularity()
    for statistics in (lambda: repeats(part, counts), lambda: following(part)):
        assert peak_bytes(statistics) < part.ids.nbytes / 2


@pytest.mark.parametrize("chunk", [1, 7, 33])
def test_statistics_do_not_depend_on_where_chunks_begin(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    trace = random_trace([(3, 80), (0, 60), (0, 0), (2, 5)], n_layers=3, n_experts=10, top_k=3)
    trace.ids[4:6, 1] = trace.missing
    expected = stats(trace).to_dict()
    monkeypatch.setattr(trace_repeats, "_CHUNK_TOKENS", chunk)
    assert stats(trace).to_dict() == expected


LARGE = Size(tokens=10_000_000, layers=48, top_k=8, experts=128)  # 3.8 GB


def own_memory_bytes() -> int:
    """Memory of this process that is not mapped from files."""
    memory = psutil.Process().memory_info()
    return int(memory.rss - memory.shared)


@pytest.mark.long
def test_ten_million_tokens_of_48_layers_open_at_once_and_stream(tmp_path: Path) -> None:
    path = tmp_path / "large.trace.arrow"
    save_parts(path, LARGE.parts(50_000))
    assert path.stat().st_size > 3.8e9
    start, before = time.perf_counter(), own_memory_bytes()
    trace = RoutingTrace.load(path)
    assert time.perf_counter() - start < 1.0
    for name, work, most in (
        ("validate", trace.validate, 200e6),
        ("popularity", trace.popularity, 200e6),
        ("passes", lambda: sum(len(step.token_rows) for step in steps(trace.part(0, 400), 8)), 200e6),
        ("replay of a layer", lambda: _lru(trace), 2.5e9),
    ):
        start = time.perf_counter()
        peak = peak_bytes(work)
        grown = own_memory_bytes() - before
        print(f"{name}: {time.perf_counter() - start:.1f} s, peak {peak / 1e6:.0f} MB, kept {grown / 1e6:.0f} MB")
        assert peak < most, name
        assert grown < 800e6, name


def _lru(trace: RoutingTrace) -> float:
    if missing_compiler():
        pytest.skip("needs Numba")
    return Replayer(trace_accesses(trace, layer=7)).run("lru", 32).hit_rate
