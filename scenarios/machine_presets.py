"""Machines by name: the presets that come with moesim, a datasheet of one's own, or a measured machine file."""

from __future__ import annotations

from pathlib import Path

from scenarios.datasheet import read_datasheet
from scenarios.datasheet_machine import machine_of
from scenarios.schema import did_you_mean
from sim.errors import InputError
from sim.machine import Machine

_MACHINES = Path(__file__).parent / "machines"


def list_machines() -> list[str]:
    """Return the names of the machine presets, sorted."""
    return sorted(path.stem for path in _MACHINES.glob("*.yaml"))


def load_machine(name_or_path: str | Path) -> Machine:
    """Return a preset by name (any case), or the machine in a file: a datasheet (.yaml) or a measured one (.json).

    InputError, naming the file and field where there is one, if there is no such machine or it is ill-described.
    """
    name, path = str(name_or_path).lower(), Path(name_or_path)
    if name in list_machines():
        return machine_of(read_datasheet(_MACHINES / f"{name}.yaml"))
    if path.suffix in (".yaml", ".yml"):
        return machine_of(read_datasheet(path))
    if path.suffix == ".json" or path.is_file():
        return Machine.load(path)
    if path.is_dir():
        raise InputError("is a folder, not a file", file=path, remedy="give the path of a file in it")
    remedy = (
        f"{did_you_mean(name, list_machines())}, or give the path of a datasheet (.yaml) or a measured machine (.json)"
    )
    raise InputError("unknown machine", field="machine", value=str(name_or_path), remedy=remedy)
