"""Graceful degradation: running a resident expert in the place of one whose weights are not on the GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from sim.trace import ExpertIds


def degraded(
    wanted: Sequence[int], ranked: Iterable[int], resident: Callable[[int], bool], *, on_host: int
) -> list[int]:
    """The experts that run for one token that wants `wanted`, best first.

    The best `on_host` that are not resident stay; each further one gives its place to the best of `ranked` that is
    resident and not wanted yet, or stays if there is none left.
    """
    instead = (expert for expert in dict.fromkeys(ranked) if expert not in wanted and resident(expert))
    run, room = [], on_host
    for expert in wanted:
        if resident(expert):
            run.append(expert)
        elif room:
            room -= 1
            run.append(expert)
        else:
            run.append(next(instead, expert))
    return run


def settled(
    guess: ExpertIds, like: ExpertIds, popular: Sequence[int], resident: Callable[[int], bool], *, on_host: int
) -> tuple[ExpertIds, int]:
    """What runs where a guess is followed unverified: ids [token, k], shaped `like` the routing, and how many replace.

    `guess` [token or 1, m] names the k wanted, best first, and then who may replace them; `popular` experts come after
    those, and stand in for what a short guess does not name. The highest value of the dtype is no expert.
    """
    (tokens, k), missing = like.shape, int(np.iinfo(like.dtype).max)
    ids, replaced = np.full_like(like, missing), 0
    for token, named in enumerate(np.broadcast_to(guess, (tokens, guess.shape[1])).tolist()):
        ranked = named if len(named) >= k else list(dict.fromkeys([*named, *popular]))
        wanted = [expert for expert in ranked[:k] if expert != missing]
        spare = [expert for expert in ranked[k:] if expert != missing]
        run = degraded(wanted, [*spare, *popular], resident, on_host=on_host)
        replaced += sum(expert not in wanted for expert in run)
        ids[token, : len(run)] = run
    return ids, replaced
