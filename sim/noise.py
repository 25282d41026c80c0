"""Noise: prices and machines as they might be, drawn so that all that rests on one measurement errs together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import exp, sinh
from statistics import NormalDist
from typing import Any, TypeVar
from zlib import crc32

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim import origins
from sim.cost import Costs, Priced
from sim.machine import Curve, Kernel, Link, Machine, Roofline, Stack

_QUARTILE = 0.67449  # of a normal distribution, in standard deviations
_LINK_OF = {"h2d": "link", "d2h": "link", "read": "storage"}  # the device that machine files have for each
Normals = Mapping[str, float]  # origin -> a standard normal number; positive is slower
_Part = TypeVar("_Part", Machine, Kernel, Link, Roofline, Stack, Curve)


def deviation(spread: ArrayLike) -> NDArray[np.float64]:
    """Standard deviation of the logarithm of what is log-normal, of its spread (interquartile range over median)."""
    found: NDArray[np.float64] = np.arcsinh(np.asarray(spread, np.float64) / 2) / _QUARTILE
    return found


def own_deviation(spread: ArrayLike, drift: ArrayLike) -> NDArray[np.float64]:
    """What is left of the `deviation` of a spread without the drift in it, which all share."""
    found: NDArray[np.float64] = np.sqrt(np.maximum(0.0, deviation(spread) ** 2 - deviation(drift) ** 2))
    return found


def spread_of(deviation: float) -> float:
    """The other way round."""
    return 2 * sinh(_QUARTILE * deviation)


def normals(names: Iterable[str], draws: int, seed: int = 0) -> list[Normals]:
    """For each draw, a standard normal number by origin, which hangs on the origin's name, `draws` and `seed` alone.

    So one draw is one computer, whatever runs on it. The numbers of an origin are the quantiles in the middle of
    `draws` equally probable parts, shuffled (a Latin hypercube): ranges then need few draws.
    """
    middle = [NormalDist().inv_cdf((i + 0.5) / draws) for i in range(draws)]
    columns = {name: np.random.default_rng((seed, crc32(name.encode()))).permutation(middle).tolist() for name in names}
    return [{name: column[i] for name, column in columns.items()} for i in range(draws)]


def names_of(priced: Priced) -> list[str]:
    """The origins of all that some prices rest on."""
    capacities = [name for spreads in priced.capacity_spread for name in spreads]
    common = (origins.DISPATCH, origins.HANDOFF, origins.DRIFT)
    return list(dict.fromkeys([*priced.origins, *common, *capacities]))


def perturbed(priced: Priced, z: Normals) -> Costs:
    """The costs of every op on the computer that a draw stands for.

    A price is log-normal: its median is the price, its interquartile range over the median the spread. What an op
    draws from shared capacities slows with it (of a demand that was cut to the capacity, what was left). The seconds
    that a strategy states for software are not in doubt.
    """
    own = own_deviation(priced.spread, priced.drift) * np.array([z[name] for name in priced.origins])[priced.origin]
    factor = np.exp(own + deviation(priced.drift) * z[origins.DRIFT])
    capacities = np.array([
        _capacity(most, spreads, z)
        for most, spreads in zip(priced.capacities, priced.capacity_spread, strict=True)
    ])  # fmt: skip
    traffic = (priced.demand - priced.held) / factor[:, None]
    return replace(
        priced,
        seconds=priced.seconds * factor,
        dispatch_s=priced.dispatch_s * _factor(priced.stack_spread.get(origins.DISPATCH), z[origins.DISPATCH]),
        handoff_s=priced.handoff_s * _factor(priced.stack_spread.get(origins.HANDOFF), z[origins.HANDOFF]),
        demand=np.minimum(priced.held + traffic, capacities),
        capacities=tuple(capacities.tolist()),
    ).costs()


def drawn_machine(machine: Machine, z: Normals) -> Machine:
    """The computer that a draw stands for, for strategies that have to be planned on it.

    Its prices are those of `perturbed`, but where several spreads mix in one: between two measured points, or where
    an op's fixed seconds, bytes or FLOP have spreads of their own.
    """
    return _with(
        machine,
        kernels=tuple(
            _with(
                kernel,
                curve=_slower(kernel.curve, machine, kernel.device, z, origins.of_kernel(kernel.device, kernel.kind)),
            )
            for kernel in machine.kernels
        ),
        links=tuple(
            _with(link, curve=_slower(link.curve, machine, _LINK_OF[link.direction], z, origins.of_link(machine, link)))
            for link in machine.links
        ),
        rooflines=tuple(_slower_line(machine, line, z) for line in machine.rooflines),
        stacks={name: _slower_stack(stack, z) for name, stack in machine.stacks.items()},
        capacities={
            name: _capacity(most, machine.capacity_spread.get(name, {}), z) for name, most in machine.capacities.items()
        },
    )


def _factor(spread: float | None, z: float) -> float:
    return exp(float(deviation(spread or 0.0)) * z)


def _capacity(most: float, spreads: Mapping[str, float], z: Normals) -> float:
    """A capacity is the smaller for all that makes those things slow that it rests on."""
    return most * exp(-sum(float(deviation(spread)) * z[name] for name, spread in spreads.items()))


def _slower(curve: Curve, machine: Machine, device: str, z: Normals, origin: str) -> Curve:
    spreads = curve.spread or (0.0,) * len(curve.x)
    return _with(curve, seconds=_times(curve.seconds, [_drifted(s, machine, device, z, origin) for s in spreads]))


def _drifted(spread: float, machine: Machine, device: str, z: Normals, origin: str) -> float:
    """The factor of seconds of which a part of the doubt is common to a device."""
    drift = machine.drift.get(device, 0.0)
    return exp(float(own_deviation(spread, drift)) * z[origin] + float(deviation(drift)) * z[origins.DRIFT])


def _slower_line(machine: Machine, line: Roofline, z: Normals) -> Roofline:
    of_bytes, of_flop = (origins.of_roofline(machine, line.device, line.kind, bound) for bound in ("bytes", "flop"))
    flop, fixed = (line.spread if each is None else each for each in (line.flop_spread, line.fixed_spread))
    return _with(
        line,
        bytes_per_s=line.bytes_per_s / _drifted(line.spread, machine, line.device, z, of_bytes),
        flop_per_s=line.flop_per_s / _drifted(flop, machine, line.device, z, of_flop),
        fixed_s=line.fixed_s * _drifted(fixed, machine, line.device, z, of_bytes),
    )


def _slower_stack(stack: Stack, z: Normals) -> Stack:
    dispatch, sync, handoff = (
        _factor(stack.spread.get(name), z[name]) for name in (origins.DISPATCH, origins.SYNC, origins.HANDOFF)
    )
    return _with(
        stack,
        dispatch_s={kind: seconds * dispatch for kind, seconds in stack.dispatch_s.items()},
        sync_s=stack.sync_s * sync,
        handoff_s={device: seconds * handoff for device, seconds in stack.handoff_s.items()},
    )


def _times(values: Sequence[float], factors: Sequence[float]) -> tuple[float, ...]:
    return tuple(value * factor for value, factor in zip(values, factors, strict=True))


def _with(part: _Part, **fields: Any) -> _Part:
    return part.model_copy(update=fields)
