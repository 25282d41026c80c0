"""From a sweep file to what is swept: axes, the scenario below them, and what cannot be, refused at its line."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scenarios.load import EXAMPLES, check, find_file
from scenarios.schema import did_you_mean
from scenarios.sweeping.axes import Axis, axis_of
from scenarios.sweeping.evaluate import Ground
from scenarios.sweeping.identity import digest
from scenarios.sweeping.probe import faults, standing
from scenarios.sweeping.shared import Shared
from scenarios.sweeping.spec import SweepSpec
from scenarios.yaml_file import NOWHERE, YamlFile, read_yaml
from sim.errors import InputError

_SWEEPS = Path(__file__).parents[1] / "sweeps"


@dataclass(frozen=True)
class Sweep:
    """A checked sweep; `warnings` are about values that no point can have."""

    spec: SweepSpec
    source: YamlFile
    ground: Ground
    warnings: tuple[str, ...]

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What varies, in the order of the file."""
        return self.ground.axes

    @property
    def n_strategies(self) -> int:
        """Strategies of a point, as the scenario has them."""
        return len(self.ground.scenario.get("strategies", [1]))


def load_sweep(path: str | Path) -> Sweep:
    """Read a sweep by path, or a bundled one by name; raises InputError for the first fault, with its line."""
    source = read_yaml(find_file(path, _SWEEPS, "sweep"))
    spec = check(SweepSpec, source.data, source)
    axes = tuple(axis_of(field, values) for field, values in spec.vary.items())
    scenario, below, location = _scenario(spec, source)
    ground = Ground("", scenario, below, location, axes, tuple(spec.constraints), spec.prices, spec.power)
    _check_search(spec, ground, source)
    shared = Shared()
    warnings = faults(ground, source, shared)
    _check_figures(spec, ground, source, shared)
    said = spec.model_dump(mode="json", by_alias=True)
    key = digest([said, [axis.path for axis in axes], dict(scenario), standing(ground, shared)])
    bare = YamlFile(below.path.absolute(), {}, NOWHERE)  # lines are no matter to a worker
    return Sweep(spec, source, replace(ground, key=key, source=bare), tuple(warnings))


def _scenario(spec: SweepSpec, source: YamlFile) -> tuple[dict[str, Any], YamlFile, tuple[str, ...]]:
    """The fields of the scenario, and where they stand."""
    if not isinstance(spec.scenario, str):
        return spec.scenario, source, ("scenario",)
    beside = source.path.parent / spec.scenario
    try:
        file = read_yaml(find_file(beside if beside.is_file() else spec.scenario, EXAMPLES, "scenario"))
    except InputError as error:
        raise InputError(str(error), file=source.where(["scenario"]), field="scenario") from error
    return file.data, file, ()


def _check_search(spec: SweepSpec, ground: Ground, source: YamlFile) -> None:
    """A trial of a search is one strategy: which one may vary like anything else."""
    entries = ground.scenario.get("strategies")
    if spec.method != "search":
        return
    if any(axis.path == "strategies" for axis in ground.axes) or not isinstance(entries, list) or len(entries) != 1:
        raise InputError(
            "a search compares points, and each is one strategy", file=source.where(["scenario"]), field="strategies",
            remedy="give one, and vary it: `strategies.0: [{name: cache, …}, fiddler]`",
        )  # fmt: skip


def _check_figures(spec: SweepSpec, ground: Ground, source: YamlFile, shared: Shared) -> None:
    """Raise InputError if a figure is asked for that some machine has nothing to reckon it from."""
    machines = [str(ground.scenario["machine"])] if "machine" in ground.scenario else []
    for axis in ground.axes:
        if axis.path == "machine":
            machines = [str(value) for value in axis.values]
    for field, stated in (("prices", spec.prices), ("power", spec.power)):
        for machine in stated:
            if machine not in machines:
                raise InputError(
                    "no point has this machine", file=source.where([field, machine]), field=field, value=machine,
                    remedy=did_you_mean(machine, machines),
                )  # fmt: skip
    for machine in machines:
        if "usd_per_mtok" in spec.figures and machine not in spec.prices:
            remedy = f"state it: `prices: {{{machine}: …}}`"
            raise _missing("usd_per_mtok", f"has no price for {machine}", remedy, spec, source)
        if (
            "energy_j_per_token" in spec.figures
            and machine not in spec.power
            and not _has_power(machine, ground, shared)
        ):
            remedy = f"state its watts: `power: {{{machine}: {{gpu: {{busy_w: …}}, cpu: {{busy_w: …}}}}}}`"
            raise _missing("energy_j_per_token", f"has no power figures for {machine}", remedy, spec, source)


def _missing(figure: str, message: str, remedy: str, spec: SweepSpec, source: YamlFile) -> InputError:
    asked = "objectives" if any(o.figure == figure for o in spec.objectives) else "constraints"
    return InputError(message, file=source.where([asked]), field=f"{asked}: {figure}", remedy=remedy)


def _has_power(machine: str, ground: Ground, shared: Shared) -> bool:
    path = ground.source.path.parent / machine
    with suppress(InputError):  # no such machine: its points will say so
        return bool(shared.machine(path if path.is_file() else machine).power)
    return True
