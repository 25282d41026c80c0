"""`moesim replay` as a user meets it: files, options, tables, JSON, the page, and one line on what is wrong."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from scenarios.cli import app
from scenarios.replay_request import CURVE_PERCENTS, load_source, parse_capacities, parse_policies
from sim.cache import ONLINE
from sim.importers.route_csv import read_route_csv
from tests.report_pages import data_of, read_page
from tests.test_route_csv import HEAD, write
from tests.traces import random_trace


def moesim(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["replay", *map(str, arguments)])


@pytest.fixture
def trace_file(tmp_path: Path) -> Path:
    random_trace([(4, 60), (0, 40)], n_layers=3, n_experts=8, seed=1).save(tmp_path / "t.trace.arrow")
    return tmp_path / "t.trace.arrow"


def recorded_run(path: Path, sizes: dict[int, int], cache_bytes: int) -> Path:
    """A route CSV as an engine with one LRU of some bytes would write it, by an independent few lines."""
    rng = random.Random(3)
    lines, cache = HEAD.copy(), list[tuple[int, int]]()
    for step in range(60):
        for layer in (1, 3):
            chosen = rng.sample(range(4), 2)
            reads = [expert for expert in chosen if (layer, expert) not in cache]
            for slot, expert in enumerate(chosen):
                read = sizes[layer] if expert in reads else 0
                lines.append(f"0,1,{step},{layer},{slot},{expert},nan,{int(not read)},{read}")
                cache = [key for key in cache if key != (layer, expert)] + [(layer, expert)]
                while sum(sizes[layer] for layer, _ in cache) > cache_bytes:
                    del cache[0]
    return write(path, lines)


def test_all_policies_at_all_capacities_by_default(trace_file: Path) -> None:
    result = moesim(trace_file)
    assert result.exit_code == 0, result.output
    for policy in (*ONLINE, "belady", "static-oracle"):
        assert f"\n{policy} " in result.stdout
    assert "misses at 2 experts, 25 % of each layer" in result.stdout


def test_json_is_all_that_is_printed(trace_file: Path) -> None:
    options = ["--policy", "lru", "--capacity", "25%", "--capacity", "5", "--scope", "global"]
    result = moesim(trace_file, "--json", *options)
    said = json.loads(result.stdout)
    assert (said["trace"], said["scope"], said["capacities"]) == ("t.trace.arrow", "global", [5, 6])
    assert list(said["policies"]) == ["lru", "belady", "static-oracle"]


def test_the_page_and_the_numbers_are_written(trace_file: Path, tmp_path: Path) -> None:
    result = moesim(trace_file, "--out", tmp_path / "out", "--policy", "lru", "--policy", "window")
    assert result.exit_code == 0, result.output
    said = json.loads((tmp_path / "out" / "replay.json").read_text())
    html = (tmp_path / "out" / "replay.html").read_text()
    page = read_page(html)
    drawn = data_of(page)
    assert [policy["label"] for policy in drawn["policies"]] == list(said["policies"])
    for policy in drawn["policies"]:
        assert policy["ratios"] == pytest.approx(said["policies"][policy["label"]]["miss_ratio"], abs=1e-5)
        assert len(policy["layers"][0]) == 3
    assert {section.attributes["id"] for section in page.find("section")} == {"curves", "split", "layers", "numbers"}
    (numbers,) = page.find("section", id="numbers")
    assert len(numbers.find("tr")) == 1 + 4
    assert "http" not in html.split("<script")[0].replace("http-equiv", ""), "nothing comes from outside"


def test_equal_replays_give_equal_bytes(trace_file: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        moesim(trace_file, "--out", tmp_path / name, "--policy", "lru", "--scope", "global")
    for file in ("replay.html", "replay.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert not read_page((tmp_path / "a" / "replay.html").read_text()).find("section", id="layers")


def test_a_recorded_run_is_replayed_to_its_recorded_hit_rate(tmp_path: Path) -> None:
    path = recorded_run(tmp_path / "run.route.csv", {1: 10, 3: 20}, 80)
    record = read_route_csv(path)
    sizes = "0.08kB"
    result = moesim(path, "--scope", "global", "--capacity", sizes, "--policy", "lru", "--json")
    said = json.loads(result.stdout)
    assert said["capacity_unit"] == "bytes"
    assert 1 - said["policies"]["lru"]["miss_ratio"][0] == pytest.approx(record.hit_rate, abs=1e-12)
    assert list(said["policies"]) == ["lru", "belady"]
    assert "MiB" in moesim(path, "--scope", "global", "--capacity", sizes).stdout


def test_bytes_are_experts_where_all_are_of_one_size(trace_file: Path) -> None:
    sizes = np.array([100, 100, 100])
    assert parse_capacities(["1kB", "0.25kB"], 24, sizes).sizes == (2, 10)
    assert not parse_capacities(["1kB"], 24, sizes).in_bytes


def test_capacities_are_read_sorted_and_named_once() -> None:
    assert parse_capacities(["50%", "8", "25%", "16"], 32, None).sizes == (8, 16)
    assert parse_capacities(["0.1%"], 32, None).sizes == (1,), "a cache has at least one place"
    curve = parse_capacities(["curve"], 200, None).sizes
    assert curve == tuple(2 * percent for percent in CURVE_PERCENTS)


def test_all_means_all_that_know_the_past_alone() -> None:
    assert parse_policies(["mrs", "all"]) == ["mrs", *(name for name in ONLINE if name != "mrs")]


def test_formats_are_known_by_their_endings(trace_file: Path, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text("[[0, 1], [1, 2]]\n[[0, 0], [1, 2]]\n")
    assert load_source(tmp_path / "t.jsonl").trace.n_tokens == 2
    (tmp_path / "t.jsonl").rename(tmp_path / "t.txt")
    assert load_source(tmp_path / "t.txt", "nvmoe").trace.n_tokens == 2
    assert load_source(trace_file).trace.n_layers == 3
    np.savez(tmp_path / "t.npz", ids=np.zeros((1, 1, 1), np.uint8), offsets=[0, 1], n_experts=2)
    assert load_source(tmp_path / "t.npz").trace.n_tokens == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policy", "mru"], r"--policy: unknown eviction policy \(got 'mru'\); use lru, lfu, .*window, all"),
        (["--capacity", "0"], r"--capacity: must be from 1 to the 8 experts there are \(got '0'\); give a percentage"),
        (["--capacity", "9"], "must be from 1 to the 8 experts"),
        (["--capacity", "120%"], "must be above 0 and at most 100 %"),
        (["--capacity", "-5%"], "must be above 0"),
        (["--capacity", "nan%"], "must be above 0"),
        (["--capacity", "many"], "must be from 1 to the 8 experts"),
        (["--capacity", "4GiB"], "the trace does not say how big an expert is"),
        (
            ["--format", "csv"],
            r"--format: unknown trace format \(got 'csv'\); use arrow, nvmoe, .*, npz",
        ),
        (["--format", "npz"], "truncated or not an .npz archive"),
    ],
)
def test_bad_requests_are_one_line(trace_file: Path, arguments: list[str], message: str) -> None:
    result = moesim(trace_file, *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert re.search(message, result.stderr)
    assert result.stderr.count("\n") == 1


def test_bytes_and_experts_do_not_mix(tmp_path: Path) -> None:
    path = recorded_run(tmp_path / "run.route.csv", {1: 10, 3: 20}, 80)
    assert "bytes and experts are mixed" in moesim(path, "--capacity", "50%", "--capacity", "1MB").stderr


def test_files_that_are_not_there_or_not_known_are_one_line(tmp_path: Path) -> None:
    assert "nowhere.trace.arrow: no such file" in moesim(tmp_path / "nowhere.trace.arrow").stderr
    (tmp_path / "t.bin").touch()
    assert "its ending does not say what it is; add --format (arrow, nvmoe" in moesim(tmp_path / "t.bin").stderr


def test_a_folder_that_cannot_be_written_is_refused_first(trace_file: Path) -> None:
    result = moesim(trace_file, "--out", trace_file)
    assert result.exit_code == 2
    assert "--out" in result.stderr


def test_rates_have_a_digit_more_only_where_capacities_would_look_alike(tmp_path: Path) -> None:
    random_trace([(0, 400)], n_layers=1, n_experts=200, seed=1).save(tmp_path / "t.trace.arrow")

    def rates(*capacities: int) -> list[str]:
        options = [text for size in capacities for text in ("--capacity", str(size))]
        shown = moesim(tmp_path / "t.trace.arrow", "--policy", "lru", *options).stdout
        return re.findall(r"([\d.]+) %", next(line for line in shown.splitlines() if line.startswith("lru ")))

    assert all("." not in rate for rate in rates(20, 100))
    close = rates(100, 101, 180)
    assert all(re.fullmatch(r"\d+\.\d", rate) for rate in close)
    assert close[0] != close[1]
