"""What the strategy `cache` decides, block after block, compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.planning.decisions import DEMAND, HIT, LATE, NOBODY, OFFLOAD, PREFETCHED, STREAM, UNDECIDED
from sim.planning.kernels.book import Book
from sim.planning.kernels.eviction import insert, remove, touch, victim

_REFUSED = -2
_UNKNOWN = -1
_NO_TURN = -2  # in which nobody is kept


class Asked(NamedTuple):
    """What the routers chose (`sim.planning.passes.Passes`) and what was guessed, by cell; no guesses: no prefetch."""

    starts: NDArray[np.int64]
    experts: NDArray[np.int32]
    counts: NDArray[np.int32]
    guess_starts: NDArray[np.int64]
    guessed: NDArray[np.int32]


class Decided(NamedTuple):
    """As `sim.planning.decisions.Decisions`, and by key whether a prefetch brought it that was not used yet."""

    fate: NDArray[np.int8]
    victim: NDArray[np.int32]
    brought: NDArray[np.bool_]
    guess_victim: NDArray[np.int32]
    unused: NDArray[np.bool_]


@njit(cache=True)
def warm(book: Book, keys: NDArray[np.int32]) -> None:
    """These are resident at first, the last as the most recent."""
    for key in keys:
        insert(book, key, 0)


@njit(cache=True)
def decide(
    asked: Asked, book: Book, to_cpu: NDArray[np.int8], price_class: NDArray[np.int64], decided: Decided, begin: int
) -> tuple[int, int, int]:
    """Go on from cell `begin`; returns the cell, and the expert of which a price has to be known first.

    `to_cpu` [price class, tokens]: whether a miss is computed on the CPU, -1 if that is not known yet; a single column
    holds for any number of tokens. `price_class` is by MoE block. Beyond the last cell all is decided.
    """
    n_blocks = len(price_class)
    for cell in range(begin, len(asked.starts) - 1):
        block, turn = cell % n_blocks, cell + 1
        first, last = asked.starts[cell], asked.starts[cell + 1]
        base = block * book.n_experts
        for i in range(first, last):
            key = base + asked.experts[i]
            book.kept[key] = turn
            if book.resident[key]:
                decided.fate[i] = HIT
            else:
                tokens = min(asked.counts[i], to_cpu.shape[1] - 1)
                choice = to_cpu[price_class[block], tokens]
                if choice == _UNKNOWN:
                    return cell, int(asked.experts[i]), int(tokens)
                decided.fate[i] = OFFLOAD if choice else UNDECIDED
        for i in range(first, last):
            if decided.fate[i] == HIT:
                touch(book, base + asked.experts[i], turn)
        for i in range(first, last):
            if decided.fate[i] == UNDECIDED:
                left = _admit(book, decided, base + asked.experts[i], turn, turn)
                if left != _REFUSED:
                    decided.fate[i], decided.victim[i] = DEMAND, left
        if block + 1 < n_blocks:
            _prefetch(asked, book, decided, cell + 1, base + book.n_experts, turn)
        for i in range(first, last):
            key = base + asked.experts[i]
            if decided.fate[i] == HIT and decided.unused[key]:
                decided.fate[i] = PREFETCHED
                decided.unused[key] = False
            elif decided.fate[i] == UNDECIDED:  # of those that have been issued by now anybody may leave
                left = _admit(book, decided, key, turn, _NO_TURN)
                decided.fate[i] = STREAM if left == _REFUSED else LATE
                decided.victim[i] = NOBODY if left == _REFUSED else left
    return len(asked.starts) - 1, 0, 0


@njit(cache=True)
def _prefetch(asked: Asked, book: Book, decided: Decided, cell: int, base: int, turn: int) -> None:
    """Bring what is guessed of a cell, at the expense of nobody who is needed or guessed."""
    first, last = asked.guess_starts[cell], asked.guess_starts[cell + 1]
    for i in range(first, last):
        book.kept[base + asked.guessed[i]] = turn
    for i in range(first, last):
        key = base + asked.guessed[i]
        if not book.resident[key]:
            left = _admit(book, decided, key, turn, turn)
            if left != _REFUSED:
                decided.brought[i], decided.guess_victim[i] = True, left
                decided.unused[key] = True


@njit(cache=True)
def _admit(book: Book, decided: Decided, key: int, turn: int, kept_turn: int) -> int:
    """Take a key in; returns who left for it, NOBODY if there was room, or _REFUSED."""
    decided.unused[key] = False
    cache = key // book.span
    left = NOBODY
    if book.used[cache] == book.room[cache]:
        if book.used[cache]:
            left = victim(book, key, kept_turn)
        if left == NOBODY:
            return _REFUSED
        remove(book, left)
    insert(book, key, turn)
    return left
