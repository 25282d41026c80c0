"""LFU, LFU-DA and window: policies that sort by a count, and among equals by the last use."""

from __future__ import annotations

from numba import njit

from sim.planning.kernels.book import LFUDA, NOBODY, WINDOWED, Book
from sim.policies.window import WINDOW


@njit(cache=True)
def use(book: Book, key: int, turn: int) -> None:
    """Count a use and rank the key by it."""
    row, cache = book.keys[key], book.caches[key // book.span]
    if book.policy == WINDOWED:
        row.visits |= 1 << _visit(book, key // book.n_experts, turn)
    row.count += 1
    row.rank = row.count + (cache.memory if book.policy == LFUDA else 0)
    cache.clock += 1
    row.used_at = cache.clock


@njit(cache=True)
def _visit(book: Book, number: int, turn: int) -> int:
    """The place in the window of a block's visit in this turn; a new one puts out the one that had it."""
    block = book.caches[number]
    if block.visited_at != turn:
        block.visited_at = turn
        block.visits += 1
        bit = 1 << (block.visits % WINDOW)
        for other in range(number * book.n_experts, (number + 1) * book.n_experts):
            row = book.keys[other]
            if row.visits & bit:
                row.visits ^= bit
                row.count -= 1
                row.rank = row.count
    return int(block.visits % WINDOW)


@njit(cache=True)
def remove(book: Book, key: int) -> None:
    """Of LFU-DA, who leaves takes its count along and sets the age."""
    if book.policy == LFUDA:
        book.caches[key // book.span].memory = book.keys[key].rank
        book.keys[key].count = 0


@njit(cache=True)
def victim(book: Book, entering: int, turn: int) -> int:
    """The lowest of the residents that need not stay, or NOBODY: a look at all keys of the cache."""
    first = entering // book.span * book.span
    best, rank, used_at = NOBODY, 0, 0
    for key in range(first, first + book.span):
        row = book.keys[key]
        if not row.resident or row.kept == turn:
            continue
        if best == NOBODY or row.rank < rank or (row.rank == rank and row.used_at < used_at):
            best, rank, used_at = key, row.rank, row.used_at
    return best
