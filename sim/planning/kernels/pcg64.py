"""NumPy's default generator, seeded with four numbers, compiled: SeedSequence and PCG64 as numpy.random has them.

M. E. O'Neill, "PCG: a family of simple fast space-efficient statistically good algorithms for random number generation"
(2014), XSL-RR 128/64; the hash of the seeds is hers too. NumPy promises to keep the streams of both.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

State = NDArray[np.uint64]  # 128 bits of state and 128 of increment, high halves first

_POOL = 4
_INIT_A, _MULT_A, _INIT_B, _MULT_B = (np.uint64(n) for n in (0x43B0D7E5, 0x931E8875, 0x8B51F9DD, 0x58F38DED))
_MIX_L, _MIX_R = np.uint64(0xCA01F9DD), np.uint64(0x4973F715)
_STEP_HIGH, _STEP_LOW = np.uint64(2549297995355413924), np.uint64(4865540595714422341)
_ZERO, _ONE, _11, _16, _32, _58, _63, _64 = (np.uint64(n) for n in (0, 1, 11, 16, 32, 58, 63, 64))
_32_BITS = np.uint64(0xFFFFFFFF)


@njit(cache=True)
def seeded(words: NDArray[np.uint64]) -> State:
    """The generator that `numpy.random.default_rng` makes of four numbers below 2³²."""
    pool, constant = np.empty(_POOL, np.uint64), _INIT_A
    for i in range(_POOL):
        pool[i], constant = _hashed(words[i], constant, _MULT_A)
    for source in range(_POOL):
        for target in range(_POOL):
            if source != target:
                value, constant = _hashed(pool[source], constant, _MULT_A)
                mixed = (_MIX_L * pool[target] - _MIX_R * value) & _32_BITS
                pool[target] = mixed ^ (mixed >> _16)
    halves, constant = np.empty(2 * _POOL, np.uint64), _INIT_B
    for i in range(2 * _POOL):
        halves[i], constant = _hashed(pool[i % _POOL], constant, _MULT_B)
    first_high, first_low, high, low = (
        halves[0] | halves[1] << _32, halves[2] | halves[3] << _32, halves[4] | halves[5] << _32,
        halves[6] | halves[7] << _32,
    )  # fmt: skip
    state = np.zeros(4, np.uint64)
    state[2], state[3] = high << _ONE | low >> _63, low << _ONE | _ONE
    _step(state)
    _add(state, first_high, first_low)
    _step(state)
    return state


@njit(cache=True)
def uniform(state: State) -> float:
    """As `Generator.random`: from 0 to 1, exclusive."""
    _step(state)
    value, turn = state[0] ^ state[1], state[0] >> _58
    value = value >> turn | value << ((_64 - turn) & _63)
    return float(value >> _11) * (1.0 / 9007199254740992.0)


@njit(cache=True)
def gumbel(state: State) -> float:
    """As `Generator.gumbel`."""
    share = 1.0 - uniform(state)
    while share >= 1.0:
        share = 1.0 - uniform(state)
    return -math.log(-math.log(share))


@njit(cache=True)
def _hashed(value: np.uint64, constant: np.uint64, multiplier: np.uint64) -> tuple[np.uint64, np.uint64]:
    constant_next = constant * multiplier & _32_BITS
    value = (value ^ constant) * constant_next & _32_BITS
    return value ^ (value >> _16), constant_next


@njit(cache=True)
def _step(state: State) -> None:
    """Multiply the state by a constant and add the increment, in 128 bits."""
    high, low = state[0], state[1]
    a, b, c, d = low >> _32, low & _32_BITS, _STEP_LOW >> _32, _STEP_LOW & _32_BITS
    middle = (b * d >> _32) + (a * d & _32_BITS) + (b * c & _32_BITS)
    carried = a * c + (a * d >> _32) + (b * c >> _32) + (middle >> _32)
    state[0], state[1] = carried + high * _STEP_LOW + low * _STEP_HIGH, low * _STEP_LOW
    _add(state, state[2], state[3])


@njit(cache=True)
def _add(state: State, high: np.uint64, low: np.uint64) -> None:
    total = state[1] + low
    state[0] += high + (_ONE if total < low else _ZERO)
    state[1] = total
