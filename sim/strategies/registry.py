"""Finding strategies by name: those of this package and those that others add by entry point."""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from inspect import isabstract
from typing import Any, NamedTuple, TypeGuard, get_type_hints

from pydantic import TypeAdapter, ValidationError

from sim.errors import InputError
from sim.strategy import Strategy

ENTRY_POINT = "moesim.strategies"
NO_STRATEGY = "it must be a subclass of sim.strategy.Strategy that has `name` and `experts`"
_BUILT_IN = {
    "all-resident": "all_resident:AllResident",
    "layer-streaming": "layer_streaming:LayerStreaming",
    "on-demand": "on_demand:OnDemand",
    "cache": "cache:Cache",
    "fiddler": "fiddler:Fiddler",
    "oracle": "oracle:Oracle",
    "deepspeed-mii": "deepspeed_mii:DeepSpeedMii",
    "accelerate": "accelerate:Accelerate",
    "llama-cpp": "llama_cpp:LlamaCpp",
    "mixtral-offloading": "mixtral_offloading:MixtralOffloading",
    "pre-gated": "pre_gated:PreGated",
    "daop": "daop:Daop",
    "moe-ondemand": "moe_ondemand:MoEOnDemand",
    "sida": "sida:Sida",
    "standard": "standard:Standard",
    "moe-infinity": "moe_infinity:MoEInfinity",
}


class Knob(NamedTuple):
    """A knob's type annotation and its default."""

    type: Any
    default: Any


@cache
def strategies() -> dict[str, type[Strategy]]:
    """All known strategies by name, built-in ones first; an entry point may not take a built-in name."""
    found: dict[str, type[Strategy]] = {}
    for name, where in _BUILT_IN.items():
        module, attribute = where.split(":")
        found[name] = getattr(import_module(f"sim.strategies.{module}"), attribute)
    for point in sorted(entry_points(group=ENTRY_POINT), key=lambda p: p.name):
        if point.name in found:
            raise InputError(
                f"{point.value} would replace a built-in strategy",
                field=ENTRY_POINT,
                value=point.name,
                remedy="rename it",
            )
        found[point.name] = _loaded(point)
    return found


def _loaded(point: EntryPoint) -> type[Strategy]:
    """What an entry point names; raises InputError if that is no strategy."""
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"{point.value} cannot be loaded: {error}",
            field=ENTRY_POINT,
            value=point.name,
            remedy="mend or uninstall it",
        ) from error
    if not is_strategy(found):
        raise InputError(f"{point.value} is no strategy", field=ENTRY_POINT, value=point.name, remedy=NO_STRATEGY)
    return found


def is_strategy(found: object) -> TypeGuard[type[Strategy]]:
    """Whether this is a class that can plan."""
    return isinstance(found, type) and issubclass(found, Strategy) and not isabstract(found) and hasattr(found, "name")


def strategy_called(name: str) -> type[Strategy]:
    """A strategy's class by name; raises InputError if there is none such."""
    known = strategies()
    if name not in known:
        near = get_close_matches(str(name), known, n=1)
        remedy = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(known)}"
        raise InputError("unknown strategy", field="strategies.name", value=name, remedy=remedy)
    return known[name]


def make_strategy(strategy: str | type[Strategy], **knobs: Any) -> Strategy:
    """A fresh strategy, by name or class, with its knobs; raises InputError if one, or its value, is not known."""
    kind = strategy_called(strategy) if isinstance(strategy, str) else strategy
    known = _knobs(kind)
    for knob, value in knobs.items():
        if knob not in known:
            near = get_close_matches(knob, known, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"it has: {', '.join(known) or 'none'}"
            raise InputError(f"{kind.name} has no such knob", field=f"strategies.{knob}", value=value, remedy=remedy)
        _check_value(kind, knob, value)
    return kind(**knobs)


def knobs_of(name: str) -> dict[str, Knob]:
    """The knobs of a strategy, in its order; raises InputError if there is no such strategy."""
    return dict(_knobs(strategy_called(name)))


@cache
def _knobs(strategy: type[Strategy]) -> dict[str, Knob]:
    init = strategy.__init__
    hints = get_type_hints(init, include_extras=True)
    return {
        parameter.name: Knob(hints.get(parameter.name, Any), parameter.default)
        for parameter in inspect.signature(init).parameters.values()
        if parameter.kind == inspect.Parameter.KEYWORD_ONLY
    }


@cache
def _adapter(strategy: type[Strategy], knob: str) -> TypeAdapter[Any]:
    return TypeAdapter(_knobs(strategy)[knob].type)


def _check_value(kind: type[Strategy], knob: str, value: object) -> None:
    try:
        _adapter(kind, knob).validate_python(value, strict=True)
    except ValidationError as error:
        remedy = error.errors(include_url=False)[0]["msg"].replace("Input should", "it must")
        message = f"{kind.name} cannot take this"
        raise InputError(message, field=f"strategies.{knob}", value=value, remedy=remedy) from error
