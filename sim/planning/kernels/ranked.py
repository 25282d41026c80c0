"""LFU, LFU-DA and window: policies that sort by a count, and among equals by the last use.

A heap holds an entry for each rank that a key was given; those that are outdated are dropped when they are met.
"""

from __future__ import annotations

from numba import njit

from sim.planning.kernels.book import LFUDA, NOBODY, WINDOWED, Book
from sim.policies.window import WINDOW
from sim.replay.kernels.heap import drop_first, drop_outdated, put

_RANKS, _KEYS, _ASIDE = 0, 1, 2


@njit(cache=True)
def use(book: Book, key: int, turn: int) -> None:
    """Count a use and rank the key by it."""
    row, cache = book.keys[key], book.caches[key // book.span]
    if book.policy == WINDOWED:
        row.visits |= 1 << _visit(book, key // book.n_experts, turn)
    row.count += 1
    cache.clock += 1
    row.used_at = cache.clock
    _rank(book, key, row.count + (cache.memory if book.policy == LFUDA else 0))


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
                if row.rank != NOBODY:
                    _rank(book, other, row.count)
    return int(block.visits % WINDOW)


@njit(cache=True)
def _rank(book: Book, key: int, count: int) -> None:
    row, number = book.keys[key], key // book.span
    row.rank = count << 32 | row.used_at
    heap = book.heap[:, number * book.heap_room : (number + 1) * book.heap_room]
    cache = book.caches[number]
    if cache.entries == book.heap_room:
        cache.entries = drop_outdated(heap[_RANKS], heap[_KEYS], cache.entries, book.keys["rank"])
    cache.entries = put(heap[_RANKS], heap[_KEYS], cache.entries, row.rank, key)


@njit(cache=True)
def remove(book: Book, key: int) -> None:
    """Of LFU-DA, who leaves takes its count along and sets the age."""
    row = book.keys[key]
    if book.policy == LFUDA:
        book.caches[key // book.span].memory = row.rank >> 32
        row.count = 0
    row.rank = NOBODY


@njit(cache=True)
def victim(book: Book, entering: int, turn: int) -> int:
    """The lowest of those that need not stay, or NOBODY; those that must are laid aside meanwhile."""
    number = entering // book.span
    cache, heap = book.caches[number], book.heap[:, number * book.heap_room : (number + 1) * book.heap_room]
    aside, found = 0, NOBODY
    while cache.entries:
        key = heap[_KEYS, 0]
        if book.keys[key].rank == heap[_RANKS, 0]:
            if book.keys[key].kept != turn:
                found = key
                break
            heap[_ASIDE, aside] = key
            aside += 1
        cache.entries = drop_first(heap[_RANKS], heap[_KEYS], cache.entries)
    for place in range(aside):
        key = heap[_ASIDE, place]
        cache.entries = put(heap[_RANKS], heap[_KEYS], cache.entries, book.keys[key].rank, key)
    return found
