"""Files of figures: every format, equal bytes for equal results, texts that stay texts, and the option `--figures`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib import rcParams
from matplotlib.figure import Figure
from PIL import Image

from scenarios import figures
from scenarios.figures.run import run_figures
from scenarios.figures.save import save_all
from scenarios.figures.style import WIDE
from scenarios.figures.text import fitted, width
from scenarios.load import load_scenario
from scenarios.results import ScenarioResult
from scenarios.run import run_scenario
from sim.errors import InputError
from tests.figure_parts import margins, svg_texts
from tests.report_pages import with_runs
from tests.scenario_files import SCENARIO, write_files
from tests.sweep_tables import write_sweep
from tests.test_cli import moesim, refused
from tests.traces import random_trace

TWO = SCENARIO[: SCENARIO.index("strategies:")] + "strategies: [on-demand, {label: lru, name: cache}]\n"
FORMATS = ("svg", "png", "pdf")
OF_ALL = ("comparison", "critical-path", "gap", "where-time-goes", "over-time", "latency", "memory")
OF_EACH = ("gantt", "gantt-path", "experts")
ALL = (*OF_ALL, *(f"{kind}-{name}" for kind in OF_EACH for name in ("01-on-demand", "02-lru")))


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ScenarioResult:
    return run_scenario(load_scenario(write_files(tmp_path_factory.mktemp("scenario"), TWO)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run draws."""
    folder = tmp_path_factory.mktemp("made")
    options = ("--no-ranges", "--jobs", "1", "--out", folder / "out", "--figures", "svg")
    moesim("run", write_files(folder, TWO), *options)
    return folder / "out" / "figures"


def test_a_run_draws_every_figure(made: Path) -> None:
    assert sorted(path.name for path in made.iterdir()) == sorted(f"{name}.svg" for name in ALL)


@pytest.mark.long
def test_every_figure_comes_in_every_format(result: ScenarioResult, tmp_path: Path) -> None:
    check_formats(tmp_path, dict(run_figures(result)), result.title)


def test_bars_lines_and_images_come_in_every_format(result: ScenarioResult, tmp_path: Path) -> None:
    check_formats(tmp_path, {"latency": figures.latency(result), "experts": figures.experts(result)}, result.title)


def check_formats(folder: Path, drawn: Mapping[str, Figure | None], title: str) -> None:
    save_all(folder, drawn.items(), FORMATS, title=title)
    found = {path.name for path in (folder / "figures").iterdir()}
    assert found == {f"{name}.{form}" for name in drawn for form in FORMATS}
    for path in (folder / "figures").glob("*.pdf"):
        assert path.read_bytes().startswith(b"%PDF"), path
        assert b"/CreationDate" not in path.read_bytes()
        assert b"/FontFile2" in path.read_bytes(), "TrueType"
    for path in (folder / "figures").glob("*.png"):
        with Image.open(path) as picture:
            picture.load()
            assert picture.width in (1020, 2100), path
            assert picture.info["Title"] == f"{title}: {path.stem}"


def test_equal_results_give_equal_files_whatever_the_reader_likes(
    made: Path, result: ScenarioResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(rcParams, "font.size", 20)
    monkeypatch.setitem(rcParams, "svg.fonttype", "path")
    drawn = {"comparison": figures.comparison(result), "over-time": figures.over_time(result)}
    each = {
        "gantt-path-02-lru": figures.gantt(result, "lru", by="cause"),
        "experts-02-lru": figures.experts(result, "lru"),
    }
    save_all(tmp_path, (drawn | each).items(), ["svg"], title=result.title)
    for path in (tmp_path / "figures").iterdir():
        assert path.read_bytes() == (made / path.name).read_bytes(), path.name
    save_all(tmp_path, [("comparison", drawn["comparison"])], ["png"])
    first = (tmp_path / "figures" / "comparison.png").read_bytes()
    save_all(tmp_path, [("comparison", figures.comparison(result))], ["png"])
    assert (tmp_path / "figures" / "comparison.png").read_bytes() == first
    assert rcParams["font.size"] == 20


def test_texts_stay_texts(made: Path) -> None:
    texts = {name: svg_texts(made / f"{name}.svg") for name in (*OF_ALL, "gantt-02-lru", "experts-02-lru")}
    for name in OF_ALL:
        assert {"on-demand", "lru"} <= {*texts[name]} or name == "memory"
    assert {"Decode speed", "Time to first token", "Whole run", "physical limit"} <= {*texts["comparison"]}
    assert {"GPU compute", "demand loads", "% of the run"} <= {*texts["critical-path"]}
    assert {"the limit", "policy", "overlap"} <= {*texts["gap"]}
    assert {"Host", "GPU", "H2D"} <= {*texts["where-time-goes"]}
    assert {"Hit rate, %", "Loaded, kB a step", "decode step"} <= {*texts["over-time"]}
    assert {"MB", "expert slots"} <= {*texts["memory"]}
    assert {"lru", "H2D", "demand load and its expert"} <= {*texts["gantt-02-lru"]}
    assert {"Uses", "Misses", "layer", "expert"} <= {*texts["experts-02-lru"]}


def test_names_are_written_as_they_are(result: ScenarioResult, tmp_path: Path) -> None:
    labels = ["$x_1$ <b>&\\alpha", "_hidden 日本"]
    named = with_runs(result, *(replace(run, label=label) for run, label in zip(result.runs, labels, strict=True)))
    for name, draw in {"comparison": figures.comparison, "latency": figures.latency}.items():
        figure = draw(named)
        assert figure is not None
        figures.save(tmp_path / f"{name}.svg", figure, title="<$")
        assert {*labels} <= {*svg_texts(tmp_path / f"{name}.svg")}


def test_nothing_leaves_a_figure_whatever_strategies_are_called(result: ScenarioResult) -> None:
    labels = ("a name that takes more room than any figure has " * 4, "W" * 90)
    named = with_runs(result, *(replace(run, label=label) for run, label in zip(result.runs, labels, strict=True)))
    for draw in (figures.comparison, figures.critical_path, figures.latency, figures.memory, figures.gantt):
        figure = draw(named)
        assert figure is not None
        assert min(margins(figure)) >= 0, draw


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    text = "the first words of a long name, then many more, and its end"
    short = fitted(text, 100, 7, lines=2)
    assert len(short.split("\n")) == 2
    assert max(width(line, 7) for line in short.split("\n")) <= 100
    assert short.startswith("the first words")
    assert short.endswith("its end")
    assert fitted("short", 100, 7) == "short"
    assert fitted("", 100, 7) == ""
    assert all(width(line, 7) <= 50 for line in fitted("W" * 90, 50, 7, lines=3).split("\n"))


def test_a_notebook_shows_a_figure(result: ScenarioResult) -> None:
    figure = figures.memory(result)
    assert figure is not None
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
    assert figure.get_figwidth() == WIDE


def test_only_known_formats_are_written(result: ScenarioResult, tmp_path: Path) -> None:
    figure = figures.memory(result)
    assert figure is not None
    with pytest.raises(InputError, match=r"is no format of figures \(got 'jpg'\); end it in .svg, .png or .pdf"):
        figures.save(tmp_path / "a.jpg", figure)
    assert not list(tmp_path.iterdir())


def test_figures_need_a_place_and_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = write_files(tmp_path, TWO)
    assert "--figures: says what to write, but not where; add --out DIR" in refused("run", scenario, "--figures", "svg")
    assert "invalid value for '--figures': 'jpg'" in refused("run", scenario, "--figures", "jpg")
    monkeypatch.setattr("scenarios.figure_formats.find_spec", lambda name: None)
    message = refused("run", scenario, "--out", tmp_path / "out", "--figures", "svg")
    assert message == "--figures: needs matplotlib; pip install 'moesim[figures]'"
    assert not (tmp_path / "out").exists()


def test_other_commands_draw_too(tmp_path: Path) -> None:
    random_trace([(4, 60)], n_layers=3, n_experts=8, seed=1).save(tmp_path / "t.trace.arrow")
    asked = ("--policy", "lru", "--capacity", "25%", "--out", tmp_path / "r", "--figures", "svg")
    moesim("replay", tmp_path / "t.trace.arrow", *asked)
    assert {"lru", "belady", "% of the experts in the cache"} <= {*svg_texts(tmp_path / "r/figures/miss-ratios.svg")}
    sweep = write_sweep(tmp_path / "sweep")
    moesim("explore", sweep, "--figures", "svg")
    assert sorted(path.name for path in (sweep / "figures").iterdir()) == ["map.svg", "pareto.svg"]
    assert {"fetch", "cpu", "front", "Decode, tok/s"} <= {*svg_texts(sweep / "figures" / "pareto.svg")}
    moesim("whatif", write_files(tmp_path, TWO), "--strategy", "lru", "--out", tmp_path / "w", "--figures", "svg")
    assert {"link", "cache", "as now", "its limit"} <= {*svg_texts(tmp_path / "w" / "figures" / "tornado.svg")}
