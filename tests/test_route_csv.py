from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from sim.cache import Policy, make_policy, replay
from sim.errors import FormatError
from sim.importers.route_csv import read_route_csv
from sim.workload import accesses

# One turn of two prompt and two decode tokens, layers 1 and 3, top-2 of 4; llama.cpp skips the last layer of token 0.
LINES = """\
# route_trace v1
# model=my models/tiny.gguf arch=tiny n_layer=4 n_expert=4 n_expert_used=2
# layer=0 expert_bytes=0 dense_bytes=9
# layer=1 expert_bytes=10 dense_bytes=9
# layer=2 expert_bytes=0 dense_bytes=9
# layer=3 expert_bytes=20 dense_bytes=9
turn,phase,step,layer,slot,expert,weight,residency,expert_bytes
0,0,0,1,0,2,0.75,0,10
0,0,0,1,1,0,0.25,0,10
0,0,1,1,0,0,0.5,0,0
0,0,1,1,1,3,0.5,0,10
0,0,1,3,0,1,0.5,0,20
0,0,1,3,1,2,0.5,0,20
0,1,2,1,0,3,0.5,1,0
0,1,2,1,1,2,0.5,1,0
0,1,2,3,0,0,0.5,0,20
0,1,2,3,1,1,0.5,1,0
0,1,3,1,0,1,0.5,0,10
0,1,3,1,1,3,0.5,2,0
0,1,3,3,0,3,0.5,0,20
0,1,3,3,1,0,0.5,1,0
""".splitlines()
HEAD = LINES[:7]


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_routing_weights_and_what_was_skipped_are_read(tmp_path: Path) -> None:
    record = read_route_csv(write(tmp_path / "r.csv", LINES))
    trace = record.trace
    skipped = [255, 255]
    assert trace.ids.tolist() == [[[2, 0], skipped], [[0, 3], [1, 2]], [[3, 2], [0, 1]], [[1, 3], [3, 0]]]
    assert (trace.offsets.tolist(), trace.prompt_tokens.tolist(), trace.n_experts) == ([0, 4], [2], 4)
    assert trace.weights is not None
    assert trace.weights[0].tolist() == [[0.75, 0.25], [0, 0]]
    assert trace.provenance["model"] == "my models/tiny.gguf"
    assert record.layers == (1, 3)
    assert record.expert_bytes.tolist() == [10, 20]
    assert record.residency[3].tolist() == [[0, 2], [0, 1]]
    assert record.read_bytes[1].tolist() == [[0, 10], [20, 20]]


def test_the_recorded_hit_rate_counts_an_expert_once_a_pass(tmp_path: Path) -> None:
    record = read_route_csv(write(tmp_path / "r.csv", LINES))
    assert record.hit_rate == 1 - 8 / 13  # 3 + 2 distinct in the prefill, then 4 and 4; 8 rows carry bytes


def test_a_replay_of_the_recorded_run_gives_its_recorded_hit_rate(tmp_path: Path) -> None:
    """Bytes as a global LRU would read them, written by an independent few lines, then read and replayed."""
    rng = random.Random(3)
    lines, cache = HEAD.copy(), list[tuple[int, int]]()
    size = {1: 10, 3: 20}
    for step in range(60):
        for layer in (1, 3):
            chosen = rng.sample(range(4), 2)
            reads = [expert for expert in chosen if (layer, expert) not in cache]
            for slot, expert in enumerate(chosen):
                read = size[layer] if expert in reads else 0
                lines.append(f"0,1,{step},{layer},{slot},{expert},nan,{int(not read)},{read}")
                cache = [key for key in cache if key != (layer, expert)] + [(layer, expert)]
                while sum(size[layer] for layer, _ in cache) > 80:
                    del cache[0]
    record = read_route_csv(write(tmp_path / "r.csv", lines))
    policy: Policy[tuple[int, int]] = make_policy("lru", 80, lambda key: int(record.expert_bytes[key[0]]))
    assert 0.1 < record.hit_rate < 0.9
    assert replay(policy, accesses(record.trace)).hit_rate == pytest.approx(record.hit_rate, abs=1e-12)


def test_columns_are_found_by_name_and_further_ones_ignored(tmp_path: Path) -> None:
    plain = read_route_csv(write(tmp_path / "r.csv", LINES))
    wider = HEAD[:-1] + ["dropped," + HEAD[-1]] + ["0," + line for line in LINES[7:]]
    assert read_route_csv(write(tmp_path / "w.csv", wider)).trace.equal(plain.trace)


def test_rows_may_come_in_any_order(tmp_path: Path) -> None:
    plain = read_route_csv(write(tmp_path / "r.csv", LINES))
    shuffled = HEAD + random.Random(1).sample(LINES[7:], len(LINES) - 7)
    again = read_route_csv(write(tmp_path / "s.csv", shuffled))
    assert again.trace.equal(plain.trace)
    assert np.array_equal(again.read_bytes, plain.read_bytes)


def test_weights_that_were_not_exposed_are_none(tmp_path: Path) -> None:
    lines = [*LINES[:-1], LINES[-1].replace("0.5", "nan")]
    assert read_route_csv(write(tmp_path / "r.csv", lines)).trace.weights is None


def test_every_turn_is_a_sequence(tmp_path: Path) -> None:
    second = [line.replace("0,", "1,", 1) for line in LINES[7:13]]
    trace = read_route_csv(write(tmp_path / "r.csv", LINES + second)).trace
    assert (trace.offsets.tolist(), trace.prompt_tokens.tolist()) == ([0, 4, 6], [2, 2])
    assert np.array_equal(trace.ids[4:], trace.ids[:2])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["turn,phase"], "line 1: must start with '# route_trace v1'"),
        (["# route_trace v2", *LINES[1:]], "line 1: must start with"),
        ([LINES[0], *LINES[2:]], "line 2: must name model, n_expert and n_expert_used"),
        ([LINES[0], LINES[1].replace("used=2", "used=5"), *LINES[2:]], "line 2: must name model"),
        (LINES[:6], "line 7: no column turn"),
        (LINES[:7], "line 7: no rows"),
        ([*LINES[:6], LINES[6].replace("slot", "place"), *LINES[7:]], "line 7: no column slot"),
        ([*LINES, "0,1,4,1"], "line 22: 4 columns instead of 9"),
        ([*LINES, "", "0,1,4,1,0,1,0.5,0,0"], "line 22: 1 columns instead of 9"),
        ([*LINES, "0,1,4,1,0,x,0.5,0,0"], "line 22: not all numbers"),
        ([*LINES, "0,1,4,1,0,nan,0.5,0,0"], "line 22: expert must be from 0 to 3"),
        ([*LINES, "0,1,4,1,0,1.5,0.5,0,0"], "line 22: expert must be from 0 to 3"),
        ([*LINES, "0,1,4,1,0,4,0.5,0,0"], "line 22: expert must be from 0 to 3"),
        ([*LINES, "0,1,4,1,2,1,0.5,0,0"], "line 22: slot must be from 0 to 1"),
        ([*LINES, "0,1,-1,1,0,1,0.5,0,0"], "line 22: step must be from 0"),
        ([*LINES, "0,2,4,1,0,1,0.5,0,0"], "line 22: phase must be from 0 to 1"),
        ([*LINES, "0,1,4,5,0,1,0.5,0,0"], "line 22: a layer that the header does not list"),
        ([*LINES, LINES[-1]], "line 22: repeats an earlier row"),
        ([*LINES, "0,0,4,1,0,1,0.5,0,0", "0,0,4,1,1,2,0.5,0,0"], "mixed up"),
        (LINES[:-1], "r.csv: turn 0, step 3, layer 3 has 1 experts instead of 2"),
        (LINES[:-2], "r.csv: turn 0, step 3, layer 3 has 0 experts instead of 2"),
        ([*LINES[:-1], LINES[-1].replace("0.5", "-1")], "r.csv: token 3, layer 1: gate weight must be finite"),
        ([*LINES[:-1], LINES[-1].replace("1,0,0.5", "1,3,0.5")], "r.csv: token 3, layer 1: the same expert twice"),
    ],
)
def test_bad_lines_are_refused_by_number(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(FormatError, match=message) as error:
        read_route_csv(write(tmp_path / "r.csv", lines))
    assert "\n" not in str(error.value)


def test_a_cut_anywhere_is_noticed_unless_whole_tokens_are_left(tmp_path: Path) -> None:
    whole = "\n".join(LINES) + "\n"
    complete = {len("\n".join(LINES[:count])) + 1 for count in (9, 11, 13, 17, 21)}
    for end in range(len(whole) + 1):
        (tmp_path / "r.csv").write_text(whole[:end])
        if end in complete:
            read_route_csv(tmp_path / "r.csv")
        else:
            with pytest.raises(FormatError):
                read_route_csv(tmp_path / "r.csv")
