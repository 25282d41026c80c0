"""Looking at single values of a sweep before it starts: which of them cannot be, and what stands behind the names."""

from __future__ import annotations

from collections.abc import Sequence

from scenarios.load import ScenarioFile, check_scenario
from scenarios.resolve import resolve_machines
from scenarios.sweeping.axes import Axis, Choice, number_in
from scenarios.sweeping.evaluate import Ground, reason
from scenarios.sweeping.identity import scenario_hash
from scenarios.sweeping.points import Choices
from scenarios.sweeping.shared import Shared
from scenarios.yaml_file import YamlFile
from sim.errors import InputError


def faults(ground: Ground, source: YamlFile, shared: Shared) -> list[str]:
    """Warn of values that no point can have; raises InputError, at its line, if an axis has no other."""
    warnings = []
    for i, axis in enumerate(ground.axes):
        errors = _of_axis(ground, i, shared)
        wrong = {k: error for k, error in enumerate(errors) if error is not None}
        if len(wrong) == len(errors):
            raise _blamed(ground, source, shared, axis, wrong[0])
        warnings += [
            f"{axis.path}: no point can have {axis.values[k]!r}: {reason(error)}" for k, error in wrong.items()
        ]
    return warnings


def standing(ground: Ground, shared: Shared) -> list[str]:
    """What the names in a sweep stand for at present: a hash, or what is wrong, for each value that may be a name."""
    corner = _corner(ground.axes, 0)
    tried = [corner]
    for i, axis in enumerate(ground.axes):
        tried += [_with(corner, i, k) for k, v in enumerate(axis.values) if not isinstance(v, int | float)]
    seen = [_point(ground, choices, shared) for choices in tried]
    return [reason(each) if isinstance(each, InputError) else each for each in seen]


def _of_axis(ground: Ground, i: int, shared: Shared) -> list[InputError | None]:
    """What is wrong with each value of an axis, be the others at their first values or at their last."""
    corners = [_corner(ground.axes, end) for end in (0, -1)]
    choices = [range(len(ground.axes[i].values)), [corner[i] for corner in corners]][not ground.axes[i].values]
    wrong: list[InputError | None] = []
    for choice in choices:
        seen = [_point(ground, _with(corner, i, choice), shared) for corner in corners]
        errors = [each for each in seen if isinstance(each, InputError)]
        wrong.append(errors[0] if len(errors) == len(seen) else None)
    return wrong


def _blamed(ground: Ground, source: YamlFile, shared: Shared, axis: Axis, error: InputError) -> InputError:
    """The fault of an axis, or of the scenario below if that has it by itself."""
    try:
        _seen(check_scenario(ground.source, ground.scenario), shared)
    except InputError as below:
        if reason(below) == reason(error):
            _seen(check_scenario(ground.source, ground.scenario, ground.location), shared)  # raises it, with its line
    return InputError(reason(error), file=source.where(["vary", axis.path]), field=f"vary.{axis.path}")


def _point(ground: Ground, choices: Choices, shared: Shared) -> str | InputError:
    try:
        return _seen(ground.scenario_at(choices), shared)
    except InputError as error:
        return error


def _seen(file: ScenarioFile, shared: Shared) -> str:
    """The hash of a scenario; raises InputError if something that it names is not there."""
    model, machine = resolve_machines(file, shared)
    return scenario_hash(file.spec, model, machine, shared.routing_key(file, model))


def _corner(axes: Sequence[Axis], end: int) -> Choices:
    """The first choice everywhere, or the last."""
    return tuple(_end(axis, end) for axis in axes)


def _end(axis: Axis, end: int) -> Choice:
    if axis.values:
        return range(len(axis.values))[end]
    assert axis.span is not None
    return number_in(axis.span, 1.0 if end else 0.0)


def _with(choices: Choices, i: int, choice: Choice) -> Choices:
    return (*choices[:i], choice, *choices[i + 1 :])
