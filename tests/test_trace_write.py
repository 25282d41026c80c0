from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import FormatError, InputError
from sim.trace import RoutingTrace
from sim.trace_write import save_parts
from tests.traces import random_trace, sequence_lists


def full(sequences: list[tuple[int, int]], seed: int = 0, ahead: int = 2) -> RoutingTrace:
    """A trace with all columns."""
    trace = random_trace(sequences, seed=seed, provenance={"seed": seed})
    rng = np.random.default_rng(seed)
    predicted = np.stack([rng.permuted(trace.ids, axis=0) for _ in range(ahead)], axis=1)
    tokens = rng.integers(0, 99, trace.n_tokens).astype(np.int32)
    return replace(trace, weights=rng.random(trace.ids.shape).astype(np.float32), token_ids=tokens, predicted=predicted)


@given(sequence_lists, st.lists(st.integers(0, 6), max_size=3))
def test_parts_give_the_same_bytes_as_saving_the_whole(
    tmp_path_factory: pytest.TempPathFactory, sequences: list[tuple[int, int]], cuts: list[int]
) -> None:
    folder, whole = tmp_path_factory.mktemp("parts"), full(sequences)
    bounds = [0, *sorted(min(cut, len(sequences)) for cut in cuts), len(sequences)]
    whole.save(folder / "whole")
    save_parts(folder / "parts", (whole.part(*ends) for ends in pairwise(bounds)))
    assert (folder / "parts").read_bytes() == (folder / "whole").read_bytes()
    assert sorted(file.name for file in folder.iterdir()) == ["parts", "whole"]


def test_the_provenance_is_that_of_the_first_part_unless_told(tmp_path: Path) -> None:
    save_parts(tmp_path / "t", [full([(1, 1)], 5), full([(2, 0)], 6)])
    loaded = RoutingTrace.load(tmp_path / "t")
    assert (loaded.provenance, loaded.offsets.tolist(), loaded.ahead) == ({"seed": 5}, [0, 2, 4], 2)


@pytest.mark.parametrize(
    "other",
    [
        random_trace([(1, 1)]),
        random_trace([(1, 1)], n_layers=3),
        random_trace([(1, 1)], n_experts=7),
        full([(1, 1)], ahead=1),
        full([(1, 1)], ahead=3),
    ],
)
def test_parts_of_another_kind_are_refused_by_number(tmp_path: Path, other: RoutingTrace) -> None:
    with pytest.raises(FormatError, match="part 1: is not of the same model and columns as the first"):
        save_parts(tmp_path / "t", [full([(2, 1)]), other])
    assert not list(tmp_path.iterdir())


def test_no_parts_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="parts: no parts to write"):
        save_parts(tmp_path / "t", [])


def test_an_interrupted_write_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    def broken() -> Iterator[RoutingTrace]:
        yield full([(2, 1)])
        raise KeyboardInterrupt

    (tmp_path / "t").write_text("before")
    with pytest.raises(KeyboardInterrupt):
        save_parts(tmp_path / "t", broken())
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("t", "before")]


def test_a_folder_that_cannot_be_written_to_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/t: cannot be written: .*; choose a folder"):
        save_parts(tmp_path / "file" / "t", [full([(1, 0)])])
