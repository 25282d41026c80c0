"""A folder of one computer's recordings: its machine file, the recordings, the errors accepted last."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scenarios.recordings import baseline, store
from scenarios.recordings.baseline import Worse
from scenarios.recordings.predict import predict_all
from scenarios.validate import Seen, Validation, ignore
from sim.errors import InputError
from sim.machine import Machine

MACHINE, SAMPLES, VALIDATION, SUMMARY = "machine.json", "machine.samples.jsonl", "validation.json", "summary.txt"


@dataclass(frozen=True)
class Checked:
    """The recordings of a folder as they are predicted now, and those that were predicted better before."""

    folder: Path
    validation: Validation
    worse: list[Worse]


def committed(root: Path) -> list[Path]:
    """The folders below `root` that hold recordings."""
    return sorted(path.parent for path in root.glob(f"*/{store.FILE}"))


def check_folder_of(folder: Path, seen: Seen = ignore) -> Checked:
    """Predict a folder's recordings anew, and show both timelines of each to `seen`.

    Raises InputError if the folder lacks its recordings or its machine.
    """
    for name in (store.FILE, MACHINE):
        if not (folder / name).is_file():
            raise InputError(f"there is no {name}", file=folder, remedy="give a folder that `moesim measure` wrote")
    found = predict_all(folder.name, folder / store.FILE, Machine.load(folder / MACHINE), seen)
    accepted = folder / baseline.FILE
    before = baseline.load_baseline(accepted) if accepted.exists() else {}
    return Checked(folder, found, baseline.worse_than(before, found))
