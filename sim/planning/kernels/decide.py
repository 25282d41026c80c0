"""What the strategy `cache` decides, block after block, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.planning.decisions import DEMAND, HIT, LATE, NOBODY, OFFLOAD, PREFETCHED, STREAM, UNDECIDED
from sim.planning.kernels.book import Book
from sim.planning.kernels.eviction import insert, remove, touch, victim
from sim.planning.kernels.numbers import number

_REFUSED = -2
_WARMING, _NO_TURN = number(0), number(-2)  # turns: before the first, and one in which nobody has to stay
_UNKNOWN = -1


@njit(cache=True)
def warm(book: Book, keys: NDArray[np.int64]) -> None:
    """These are resident at first, the last as the most recent."""
    for key in keys:
        insert(book, key, _WARMING)


@njit(cache=True)
def decide(
    book: Book, starts: NDArray[np.int64], routed: NDArray[np.void], guess_starts: NDArray[np.int64],
    guessed: NDArray[np.void], to_cpu: NDArray[np.int8], price_class: NDArray[np.int64], begin: int,
) -> tuple[int, int, int]:  # fmt: skip
    """Go on from cell `begin`; returns the cell, expert and tokens of a miss whose price has to be known first.

    `to_cpu` [price class, tokens]: whether a miss is computed on the CPU, -1 if that is not known yet; a single column
    holds for any number of tokens. `price_class` is by MoE block. Once all is decided, the cell is that after the last.
    """
    keys, n_blocks = book.keys, len(price_class)
    for cell in range(begin, len(starts) - 1):
        block, turn = cell % n_blocks, cell + 1
        first, last = starts[cell], starts[cell + 1]
        base = block * book.n_experts
        for i in range(first, last):
            row, key = routed[i], keys[base + routed[i].expert]
            key.kept = turn
            if key.resident:
                row.fate = HIT
            else:
                tokens = min(row.tokens, to_cpu.shape[1] - 1)
                choice = to_cpu[price_class[block], tokens]
                if choice == _UNKNOWN:
                    return cell, int(row.expert), int(tokens)
                row.fate = OFFLOAD if choice else UNDECIDED
        for i in range(first, last):
            if routed[i].fate == HIT:
                touch(book, base + routed[i].expert, turn)
        for i in range(first, last):
            row = routed[i]
            if row.fate == UNDECIDED:
                left = _admit(book, base + row.expert, turn, turn)
                if left != _REFUSED:
                    row.fate, row.victim = DEMAND, left
        if block + 1 < n_blocks:
            _prefetch(book, guessed[guess_starts[cell + 1] : guess_starts[cell + 2]], base + book.n_experts, turn)
        for i in range(first, last):
            row, key = routed[i], base + routed[i].expert
            if row.fate == HIT and keys[key].unused:
                row.fate = PREFETCHED
                keys[key].unused = 0
            elif row.fate == UNDECIDED:  # all others have been issued by now, so that anybody may leave
                left = _admit(book, key, turn, _NO_TURN)
                row.fate = STREAM if left == _REFUSED else LATE
                row.victim = NOBODY if left == _REFUSED else left
    return len(starts) - 1, 0, 0


@njit(cache=True)
def _prefetch(book: Book, guessed: NDArray[np.void], base: int, turn: int) -> None:
    """Bring what is guessed of a block, at the expense of nobody who is needed or guessed."""
    for i in range(len(guessed)):
        book.keys[base + guessed[i].expert].kept = turn
    for i in range(len(guessed)):
        row, key = guessed[i], base + guessed[i].expert
        if not book.keys[key].resident:
            left = _admit(book, key, turn, turn)
            if left != _REFUSED:
                row.brought, row.victim = 1, left
                book.keys[key].unused = 1


@njit(cache=True)
def _admit(book: Book, key: int, turn: int, kept_turn: int) -> int:
    """Take a key in; returns who left for it, NOBODY if there was room, or _REFUSED."""
    book.keys[key].unused = 0
    cache = book.caches[key // book.span]
    left = NOBODY
    if cache.used == cache.room:
        if cache.used:
            left = victim(book, key, kept_turn)
        if left == NOBODY:
            return _REFUSED
        remove(book, left)
    insert(book, key, turn)
    return left
