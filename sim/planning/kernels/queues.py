"""FIFO, LRU, least-stale and SIEVE: policies that keep one queue of a cache, or one of a block."""

from __future__ import annotations

from numba import njit

from sim.planning.kernels.book import LEAST_STALE, NOBODY, RINGS, SIEVE, Book
from sim.replay.kernels.rings import append, unlink


@njit(cache=True)
def ring_of(book: Book, key: int) -> int:
    """The queue that a key is in, or would be."""
    return RINGS * (key // (book.n_experts if book.policy == LEAST_STALE else book.span))


@njit(cache=True)
def insert(book: Book, key: int) -> None:
    """At the end."""
    append(book.older, book.newer, book.where, book.sizes, key, ring_of(book, key))


@njit(cache=True)
def to_the_end(book: Book, key: int) -> None:
    """As the most recent."""
    unlink(book.older, book.newer, book.where, book.sizes, key)
    insert(book, key)


@njit(cache=True)
def remove(book: Book, key: int) -> None:
    """Whatever its place; SIEVE's hand moves on from it."""
    if book.policy == SIEVE:
        book.uses[key] = 0
        cache = key // book.span
        if book.memory[cache] == key:
            following = book.newer[key]
            book.memory[cache] = following if following < len(book.where) else NOBODY
    unlink(book.older, book.newer, book.where, book.sizes, key)


@njit(cache=True)
def oldest(book: Book, ring: int, turn: int) -> int:
    """The first of a queue that is not kept, or NOBODY."""
    end = len(book.where) + ring
    key = book.newer[end]
    while key != end:
        if book.kept[key] != turn:
            return int(key)
        key = book.newer[key]
    return NOBODY


@njit(cache=True)
def stalest(book: Book, entering: int, turn: int) -> int:
    """The oldest of the block that comes round last: that of `entering`, those before it, then the last ones."""
    blocks = len(book.where) // book.n_experts
    present = entering // book.n_experts
    for back in range(blocks if book.span > book.n_experts else 1):
        key = oldest(book, RINGS * ((present - back) % blocks), turn)
        if key != NOBODY:
            return key
    return NOBODY


@njit(cache=True)
def next_unmarked(book: Book, entering: int, turn: int) -> int:
    """Where the hand stops; whom it passes loses its mark, and after two rounds it gives up."""
    cache, end = entering // book.span, len(book.where) + ring_of(book, entering)
    for _ in range(2 * book.used[cache]):
        hand = book.memory[cache]
        if hand == NOBODY:
            hand = book.newer[end]
            book.memory[cache] = hand
        if book.uses[hand] == 0 and book.kept[hand] != turn:
            return int(hand)
        book.uses[hand] = 0
        following = book.newer[hand]
        book.memory[cache] = following if following < len(book.where) else NOBODY
    return NOBODY
