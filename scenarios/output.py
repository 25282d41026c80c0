"""The folder that a run writes: report, results, and the schedules and timelines if they are wanted."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from scenarios.export import export
from scenarios.export_formats import Format
from scenarios.results import RunResult, ScenarioResult
from scenarios.timeline_files import SCHEDULE, TIMELINE
from sim.errors import InputError

_NAME = 80  # characters of a label in the name of a file


def check_folder(folder: Path) -> None:
    """Raise InputError if a folder could not be made or written to, before the work that is to be kept there."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        why = "is not a folder" if not existing.is_dir() else "cannot be written to"
        raise InputError(f"{existing} {why}", field="--out", value=str(folder), remedy="choose another folder")


def write_results(
    folder: str | Path, result: ScenarioResult, *, schedules: bool = False, exports: Sequence[Format] = (),
    figures: Sequence[str] = (),
) -> None:  # fmt: skip
    """Write report.html, results.json and results.parquet, each atomically.

    `schedules` adds two files a strategy, `exports` one for each form; `figures` (svg, png, pdf) a folder of figures.
    """
    from scenarios.report import write_report

    folder = Path(folder)
    for name, run in zip(file_names(result.runs), result.runs, strict=True):
        if schedules:
            run.schedule.save(folder / f"{name}{SCHEDULE}")
            run.timeline.save(folder / f"{name}{TIMELINE}")
        for form in exports:
            export(folder / form.file_name(name), run.timeline, form, result.costs(run), title=run.label)
    result.write_parquet(folder / "results.parquet")
    result.write_json(folder / "results.json")
    write_report(folder / "report.html", result)
    if figures:
        from scenarios.figures.run import run_figures
        from scenarios.figures.save import save_all

        save_all(folder, run_figures(result), figures, title=result.title)


def file_names(runs: Sequence[RunResult]) -> list[str]:
    """A file name for each run, from its label; numbered, so that no two are equal."""
    plain = [re.sub("[^a-z0-9]+", "-", run.label.lower()).strip("-")[:_NAME] for run in runs]
    return [f"{i:02d}-{name}" for i, name in enumerate(plain, 1)]
