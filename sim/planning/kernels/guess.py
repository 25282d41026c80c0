"""What predictors that answer for each token by itself say of a whole run, and how true that is, compiled.

Ids [token, MoE block, k] are in the order of passes, -1 where nothing was routed or named; pass s has the tokens
`first_token[s]` to `first_token[s + 1]`, exclusive, and is asked of the MoE blocks after `first_moe[s]`.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.planning.kernels.pcg64 import gumbel, seeded, uniform

_AHEAD = 1
Ids = NDArray[np.int32]


@njit(cache=True)
def spoil(
    ids: Ids, first_token: NDArray[np.int64], first_moe: NDArray[np.int64], kept: NDArray[np.float64],
    log_of: NDArray[np.float64], counts: NDArray[np.int64], seed: int,
) -> Ids:  # fmt: skip
    """What `RecallPredictor` says when asked for k; `counts` [MoE block, expert] go on as it learns.

    `kept` [MoE block, rank] is how often the choice of each rank is named, `log_of` [count] the logarithm of count + 1.
    """
    _, n_moe, k = ids.shape
    said = np.full(ids.shape, -1, np.int32)
    appeal, words = np.empty(counts.shape[1]), np.zeros(4, np.uint64)
    words[0], words[3] = seed, _AHEAD
    for step in range(len(first_moe)):
        first, last = first_token[step], first_token[step + 1]
        for moe in range(first_moe[step] + 1, n_moe):
            words[1], words[2] = step, moe
            state = seeded(words)
            missed = np.empty((last - first, k), np.bool_)
            for token in range(last - first):
                for rank in range(k):
                    missed[token, rank] = uniform(state) >= kept[moe, rank]
            for token in range(first, last):
                for expert in range(len(appeal)):
                    appeal[expert] = log_of[counts[moe, expert]] + gumbel(state)
                _spoil_one(ids[token, moe], missed[token - first], appeal, said[token, moe])
        for token in range(first, last):
            for moe in range(first_moe[step], n_moe):
                for expert in ids[token, moe]:
                    if expert >= 0:
                        counts[moe, expert] += 1
    return said


@njit(cache=True)
def _spoil_one(ids: Ids, missed: NDArray[np.bool_], appeal: NDArray[np.float64], said: Ids) -> None:
    """The ids, those missed replaced by the most appealing of the others, the best first."""
    wrong = len(appeal)
    for expert in ids:
        if expert >= 0:
            appeal[expert] = -np.inf
            wrong -= 1
    for rank in range(len(ids)):
        if ids[rank] < 0 or not missed[rank]:
            said[rank] = ids[rank]
        elif wrong > 0:
            said[rank] = np.argmax(appeal)
            appeal[said[rank]] = -np.inf
            wrong -= 1


@njit(cache=True)
def sum_up(
    ids: Ids, said: Ids, first_token: NDArray[np.int64], first_moe: NDArray[np.int64], n_experts: int
) -> tuple[NDArray[np.int64], Ids, NDArray[np.int64]]:
    """Of every cell the distinct experts that were named, those of most tokens first, of equals the first named.

    Returns where each cell begins, the experts, and how many were routed, named, and both [3, MoE block].
    """
    n_moe, k = ids.shape[1:]
    starts = np.zeros(len(first_moe) * n_moe + 1, np.int64)
    named = np.empty(said.size, np.int32)
    sums = np.zeros((3, n_moe), np.int64)
    tokens = np.zeros(n_experts, np.int64)
    end = 0
    for step in range(len(first_moe)):
        for moe in range(n_moe):
            begin = end
            if moe > first_moe[step]:
                for token in range(first_token[step], first_token[step + 1]):
                    for rank in range(k):
                        expert = said[token, moe, rank]
                        if expert >= 0:
                            if tokens[expert] == 0:
                                named[end] = expert
                                end += 1
                            tokens[expert] += 1
                            sums[1, moe] += 1
                        if ids[token, moe, rank] >= 0:
                            sums[0, moe] += 1
                            for other in said[token, moe]:
                                sums[2, moe] += ids[token, moe, rank] == other
                _most_first(named[begin:end], tokens)
                tokens[named[begin:end]] = 0
            starts[step * n_moe + moe + 1] = end
    return starts, named[:end], sums


@njit(cache=True)
def _most_first(experts: Ids, tokens: NDArray[np.int64]) -> None:
    """Sort by tokens, the order of equals kept; a token or a few name few, and in order."""
    for place in range(1, len(experts)):
        expert, to = experts[place], place
        while to and tokens[experts[to - 1]] < tokens[expert]:
            experts[to] = experts[to - 1]
            to -= 1
        experts[to] = expert
