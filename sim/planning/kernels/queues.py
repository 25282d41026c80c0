"""FIFO, LRU, least-stale and SIEVE: policies that keep one queue of a cache, or one of a block."""

from __future__ import annotations

from numba import njit

from sim.planning.kernels.book import FIFO, LEAST_STALE, NOBODY, RINGS, SIEVE, Book
from sim.planning.kernels.rings import append, oldest, unlink


@njit(cache=True)
def insert(book: Book, key: int) -> None:
    """At the end of its cache's queue, or its block's."""
    span = book.n_experts if book.policy == LEAST_STALE else book.span
    append(book.keys, key, book.first_ring + RINGS * (key // span))


@njit(cache=True)
def touch(book: Book, key: int) -> None:
    """Mark it, or move it to the end as the most recent; a FIFO does not care."""
    if book.policy == SIEVE:
        book.keys[key].count = 1
    elif book.policy != FIFO:
        ring = book.keys[key].ring
        unlink(book.keys, key)
        append(book.keys, key, ring)


@njit(cache=True)
def remove(book: Book, key: int) -> None:
    """Whatever its place; SIEVE's hand moves on from it."""
    if book.policy == SIEVE:
        row = book.keys[key]
        row.count = 0
        cache = book.caches[key // book.span]
        if cache.memory == key:
            cache.memory = row.newer if row.newer < book.first_ring else NOBODY
    unlink(book.keys, key)


@njit(cache=True)
def victim(book: Book, entering: int, turn: int) -> int:
    """The oldest; of least-stale, in the block of `entering`, in those before it, the nearest first, in the last."""
    if book.policy == SIEVE:
        return _next_unmarked(book, entering // book.span, turn)
    if book.policy != LEAST_STALE:
        return oldest(book.keys, book.first_ring + RINGS * (entering // book.span), turn)
    blocks, present = len(book.caches), entering // book.n_experts
    for back in range(blocks if book.span > book.n_experts else 1):
        key = oldest(book.keys, book.first_ring + RINGS * ((present - back) % blocks), turn)
        if key != NOBODY:
            return key
    return NOBODY


@njit(cache=True)
def _next_unmarked(book: Book, number: int, turn: int) -> int:
    """Where SIEVE's hand stops; whom it passes loses its mark, and after two rounds it gives up."""
    cache = book.caches[number]
    for _ in range(2 * cache.used):
        if cache.memory == NOBODY:
            cache.memory = book.keys[book.first_ring + RINGS * number].newer
        row = book.keys[cache.memory]
        if row.count == 0 and row.kept != turn:
            return int(cache.memory)
        row.count = 0
        cache.memory = row.newer if row.newer < book.first_ring else NOBODY
    return NOBODY
