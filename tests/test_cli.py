from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from scenarios.cli import app
from scenarios.machine_presets import list_machines
from scenarios.presets import list_models
from scenarios.routing_presets import list_routings
from scenarios.stacks import stacks
from scenarios.traces import list_traces
from sim.cache import ONLINE
from sim.schedule import Schedule
from sim.strategies.registry import strategies
from sim.timeline import Timeline
from sim.trace import RoutingTrace
from tests.scenario_files import SCENARIO, read_json, write_files

COMMAND = [sys.executable, "-m", "scenarios"]
STRATEGIES = ["all-resident", "stream", "on-demand", "lru", "prefetch", "cheaper", "fiddler", "oracle"]


def moesim(*arguments: str | Path) -> str:
    """Standard output of a command that must succeed."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*arguments: str | Path) -> str:
    """The one line that a command must be refused with."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert (done.exit_code, done.stdout) == (2, ""), done.output
    lines = done.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("moesim: error: ")
    return lines[0].removeprefix("moesim: error: ")


def process(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The same as a process of its own."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    return write_files(tmp_path)


def test_run_prints_a_row_a_strategy(scenario: Path) -> None:
    shown = moesim("run", scenario)
    assert "tiny question · tiny on toy" in shown
    _, upper, lower, *rows, made = shown.splitlines()
    assert made == "ranges hold 90 % of 200 draws of what the machine's figures leave open, under 5 seeds in turn"
    assert "range" not in moesim("run", scenario, "--no-ranges")
    for column in ("TTFT", "p50", "p95", "tok/s", "hits", "token", "GPU/H2D/D2H/CPU/host", "GB"):
        assert column in lower.split()
    assert "decode" in upper
    assert [row.split()[0] for row in rows] == STRATEGIES


def test_run_puts_what_does_not_fit_in_brackets_and_says_what_it_lacks(tmp_path: Path) -> None:
    text = SCENARIO.replace("layer-streaming", "layer-streaming, prefetch: false")
    shown = moesim("run", write_files(tmp_path, text, gpu_bytes=820_000))
    assert "(all-resident)" in shown
    assert "! all-resident: hypothetical: needs 0.001108 GB of 0.00082 GB on the GPU" in shown


def test_run_json_is_all_that_is_printed(scenario: Path, tmp_path: Path) -> None:
    printed = json.loads(moesim("run", scenario, "--json", "--out", tmp_path / "out"))
    assert [run["label"] for run in printed["runs"]] == STRATEGIES
    assert printed == read_json(tmp_path / "out" / "results.json")


def test_run_writes_report_json_and_parquet_and_says_where(scenario: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    out = tmp_path / "deep" / "out"
    shown = moesim("run", scenario, "--out", out)
    assert shown.splitlines()[-1] == f"report: {out / 'report.html'}"
    assert sorted(path.name for path in out.iterdir()) == ["report.html", "results.json", "results.parquet"]
    assert "<html" in (out / "report.html").read_text(encoding="utf-8")
    rows, runs = parquet.read_table(out / "results.parquet").to_pylist(), read_json(out / "results.json")["runs"]
    assert [row["summary.tpot_p50_s"] for row in rows] == [run["summary"]["tpot_p50_s"] for run in runs]
    assert [row["memory_bytes.gpu0.total"] for row in rows] == [run["memory_bytes"]["gpu0"]["total"] for run in runs]


def test_run_saves_schedules_and_timelines_that_load_back(scenario: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    moesim("run", scenario, "--out", out, "--save-schedules")
    results = read_json(out / "results.json")["runs"]
    saved = sorted(path.name for path in out.glob("*.schedule.arrow"))
    assert saved[:2] == ["01-all-resident.schedule.arrow", "02-stream.schedule.arrow"]
    for name, result in zip(saved, results, strict=True):
        schedule = Schedule.load(out / name)
        timeline = Timeline.load(out / name.replace("schedule", "timeline"), schedule)
        assert timeline.makespan_s == result["summary"]["makespan_s"]


def test_run_takes_another_machine_and_seed(scenario: Path) -> None:
    usual, other = moesim("run", scenario, "--json"), moesim("run", scenario, "--json", "--machine", "t4")
    assert json.loads(other)["machine"] != json.loads(usual)["machine"]
    assert json.loads(moesim("run", scenario, "--json", "--seed", "5"))["scenario"]["seed"] == 5


def test_run_replays_a_recorded_trace(tmp_path: Path) -> None:
    trace, rng = tmp_path / "t.npz", np.random.default_rng(0)
    ids = rng.random((40, 2, 4)).argsort(axis=2)[:, :, :2].astype(np.uint8)
    np.savez(trace, ids=ids, offsets=np.array([0, 10, 25, 40]), n_experts=4, prompt_tokens=np.array([4, 4, 4]))
    moesim("trace", "import", "--format", "npz", trace, tmp_path / "t.trace.arrow")
    scenario = write_files(
        tmp_path,
        SCENARIO.replace("workload: {prompt: 6, output: 4}", "trace: {file: t.trace.arrow, calibrate_on: 0.4}"),
    )
    found = json.loads(moesim("run", scenario, "--json"))
    assert {run["summary"]["output_tokens"] for run in found["runs"]} == {15 - 4 + 1 + 15 - 4 + 1}


@pytest.mark.parametrize("kind", ["scenario", "suite", "machine"])
def test_schema_is_json_schema(kind: str) -> None:
    schema = json.loads(moesim("schema", kind))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["properties"]


def test_the_scenario_schema_knows_the_knobs_of_every_strategy() -> None:
    choices = json.loads(moesim("schema"))["$defs"]["StrategySpec"]["anyOf"]
    knobs = {choice["properties"]["name"]["const"]: choice["properties"] for choice in choices}
    assert list(knobs) == list(strategies())
    assert knobs["cache"]["policy"] == {"enum": [*ONLINE], "type": "string", "default": "lru"}


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("models", list_models()),
        ("machines", list_machines()),
        ("stacks", list(stacks())),
        ("strategies", list(strategies())),
        ("policies", [*ONLINE, "belady"]),
        ("routings", list_routings()),
        ("traces", list_traces()),
    ],
)
def test_list_has_a_line_for_each(what: str, names: list[str]) -> None:
    rows = [line.split()[0] for line in moesim("list", what).splitlines()[1:]]
    assert rows == names


def test_trace_import_and_stats(tmp_path: Path) -> None:
    lines = [json.dumps([[layer, (token + layer + k) % 4] for layer in (1, 2) for k in (0, 1)]) for token in range(40)]
    (tmp_path / "tokens.jsonl").write_text("\n".join(lines), encoding="utf-8")
    said = moesim("trace", "import", "--format", "nvmoe", tmp_path / "tokens.jsonl", tmp_path / "t.trace.arrow")
    assert said.endswith("40 tokens (0 of prompts) in 1 sequences, 2 MoE layers × 4 experts, top-2\n")
    found = json.loads(moesim("trace", "stats", tmp_path / "t.trace.arrow", "--json"))
    assert found["mean"]["entropy"] == pytest.approx(1)
    assert (found["tokens"], found["top_k"]) == (40, 2)
    assert "reuse by popularity" in moesim("trace", "stats", tmp_path / "t.trace.arrow")


def test_an_unwritable_folder_is_refused_before_anything_runs(scenario: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    message = refused("run", scenario, "--out", tmp_path / "file" / "out")
    assert message.startswith(f"--out: {tmp_path / 'file'} is not a folder")
    assert "choose another folder" in message


def test_an_option_that_lacks_another_is_refused(scenario: Path) -> None:
    assert "add --out DIR" in refused("run", scenario, "--save-schedules")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("run", "quickstart", "--sed", "1"), "no such option: --sed"),
        (("run", "quickstart", "--seed", "-1"), "invalid value for '--seed'"),
        (("run", "quickstart", "--seed"), "option '--seed' requires an argument"),
        (("run",), "missing argument"),
        (("trace", "stats", "a", "b"), "got unexpected extra argument"),
        (("list", "nothing"), "invalid value for 'what': 'nothing' is not one of"),
        (("rnu",), "no such command 'rnu'"),
        (("--sed",), "no such option: --sed"),
    ],
)
def test_what_the_parser_refuses_is_one_line_that_names_the_help(arguments: tuple[str, ...], complaint: str) -> None:
    message = refused(*arguments)
    assert message.lower().startswith(complaint)
    command = [] if arguments[0] in ("rnu", "--sed") else [*arguments[: 2 if arguments[0] == "trace" else 1]]
    assert message.endswith(f"; see `{' '.join(['moesim', *command])} --help`")


def test_a_command_without_arguments_shows_its_help() -> None:
    done = CliRunner().invoke(app, ["trace"])
    assert "Usage: " in done.output
    assert "moesim: error" not in done.output


def test_a_folder_in_the_place_of_a_file_is_called_one(scenario: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder.trace.arrow"
    folder.mkdir()
    text = SCENARIO.replace("workload: {prompt: 6, output: 4}", f"trace: {{file: {folder.name}}}")
    write_files(tmp_path, text)
    for arguments in (("run", folder), ("trace", "stats", folder), ("run", scenario)):
        assert f"{folder}: is a folder, not a file" in refused(*arguments)
    assert f"{folder}: is a folder, not a file" in refused("run", "quickstart", "--machine", folder)


def test_a_recording_given_as_a_trace_is_told_how_to_become_one(tmp_path: Path) -> None:
    for name, file_format in (("r.npz", "npz"), ("r.route.csv", "bigmoe"), ("r.jsonl", "nvmoe")):
        (tmp_path / name).write_text("")
        assert f"moesim trace import --format {file_format} {tmp_path / name} " in refused(
            "trace", "stats", tmp_path / name
        )
    assert "no such file" in refused("trace", "stats", tmp_path / "none.npz")


def edit_json(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_machine_file_of_a_newer_version_is_refused(scenario: Path, tmp_path: Path) -> None:
    edit_json(tmp_path / "machine.json", '"version": 1', '"version": 99')
    message = refused("run", scenario)
    assert "machine.json: version: was written by a newer moesim (got 99); update moesim" in message


def test_nan_in_a_machine_table_is_refused(scenario: Path, tmp_path: Path) -> None:
    edit_json(tmp_path / "machine.json", "0.001", "NaN")
    message = refused("run", scenario)
    assert "machine.json: links.0.curve.seconds.1: " in message


def test_more_experts_a_token_than_there_are_is_refused(scenario: Path, tmp_path: Path) -> None:
    edit_json(tmp_path / "tiny.yaml", "top_k: 2", "top_k: 5")
    assert "tiny.yaml" in (message := refused("run", scenario))
    assert "top_k" in message


def test_a_model_larger_than_all_memories_is_refused(tmp_path: Path) -> None:
    message = refused("run", write_files(tmp_path, gpu_bytes=400_000, host_bytes=400_000))
    assert "tiny is larger than all memories of toy" in message


@pytest.mark.parametrize("content", [b"", b"alien", b"ARROW1\0\0truncated"])
def test_an_alien_trace_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.trace.arrow").write_bytes(content)
    scenario = write_files(
        tmp_path, SCENARIO.replace("workload: {prompt: 6, output: 4}", "trace: {file: t.trace.arrow}")
    )
    assert "t.trace.arrow: truncated or not an Arrow file" in refused("run", scenario)
    assert "t.trace.arrow: truncated or not an Arrow file" in refused("trace", "stats", tmp_path / "t.trace.arrow")


def test_a_schedule_given_as_a_trace_is_refused(scenario: Path, tmp_path: Path) -> None:
    moesim("run", scenario, "--out", tmp_path, "--save-schedules")
    message = refused("trace", "stats", tmp_path / "04-lru.schedule.arrow")
    assert "expected a trace, found schedule" in message


def test_a_trace_of_another_model_is_refused(tmp_path: Path) -> None:
    trace = RoutingTrace(
        np.zeros((4, 3, 1), np.uint8), np.array([0, 4], np.int64), np.array([0], np.int64), n_experts=4
    )
    trace.save(tmp_path / "t.trace.arrow")
    text = SCENARIO.replace("workload: {prompt: 6, output: 4}", "trace: {file: t.trace.arrow}")
    message = refused("run", write_files(tmp_path, text))
    assert "scenario.yaml:5: layers: the trace does not fit tiny, which has 2 MoE layers (got 3)" in message


def test_a_failed_import_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "tokens.jsonl").write_text("[[0, 1]]\n[[0, 1", encoding="utf-8")
    message = refused("trace", "import", "--format", "nvmoe", tmp_path / "tokens.jsonl", tmp_path / "t.trace.arrow")
    assert "tokens.jsonl: line 2: " in message
    assert [path.name for path in tmp_path.iterdir()] == ["tokens.jsonl"]


def test_the_command_starts_fast_and_without_what_it_does_not_need() -> None:
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        assert process("--help").returncode == 0
        seconds.append(time.perf_counter() - begin)
    assert min(seconds) < 0.7
    heavy = ("numpy", "torch", "plotly", "matplotlib", "pyarrow")
    code = f"import sys, scenarios.cli; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_an_error_of_a_real_process_is_one_line_and_status_2(tmp_path: Path) -> None:
    done = process("run", tmp_path / "none.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("moesim: error: no such scenario")
    assert done.stderr.count("\n") == 1


def test_results_do_not_depend_on_the_hash_seed(scenario: Path, tmp_path: Path) -> None:
    written = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        assert process("run", scenario, "--out", out, "--save-schedules", PYTHONHASHSEED=seed).returncode == 0
        written.append({path.name: path.read_bytes() for path in sorted(out.iterdir())})
    assert len(written[0]) == 3 + 2 * len(STRATEGIES)
    assert [name for name, data in written[0].items() if written[1][name] != data] == []


@pytest.mark.parametrize("after_s", [0.7, 3.0])
def test_ctrl_c_ends_a_run_with_status_130_and_writes_nothing(tmp_path: Path, after_s: float) -> None:
    command = [*COMMAND, "run", "quickstart", "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        time.sleep(after_s)
        running.send_signal(signal.SIGINT)
        try:
            _, errors = running.communicate(timeout=10)
        finally:
            running.kill()
    assert running.returncode == 130
    assert "Traceback" not in errors
    assert not (tmp_path / "out").exists()
