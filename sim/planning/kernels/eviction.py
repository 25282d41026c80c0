"""Eviction policies one call at a time, compiled: each decides what its namesake in `sim.policies` does.

`turn` numbers the MoE blocks that have had their turn; a key that is `kept` for the turn asked about stays.
"""

from __future__ import annotations

from numba import njit

from sim.planning.kernels import arc, queues, ranked, s3fifo
from sim.planning.kernels.book import ARC, FIFO, LEAST_STALE, LRU, S3FIFO, SIEVE, Book


@njit(cache=True)
def touch(book: Book, key: int, turn: int) -> None:
    """A resident key is used."""
    policy = book.policy
    if policy == LRU or policy == LEAST_STALE:  # noqa: PLR1714
        queues.to_the_end(book, key)
    elif policy == SIEVE or policy == S3FIFO:  # noqa: PLR1714
        book.keys[key].count += 1
    elif policy == ARC:
        arc.touch(book, key)
    elif policy != FIFO:
        ranked.use(book, key, turn)


@njit(cache=True)
def insert(book: Book, key: int, turn: int) -> None:
    """A key comes, for which there is room."""
    policy = book.policy
    book.keys[key].resident = 1
    book.caches[key // book.span].used += 1
    if policy == ARC:
        arc.insert(book, key)
    elif policy == S3FIFO:
        s3fifo.insert(book, key)
    elif policy == LRU or policy == FIFO or policy == LEAST_STALE or policy == SIEVE:  # noqa: PLR1714
        queues.insert(book, key)
    else:
        ranked.use(book, key, turn)


@njit(cache=True)
def remove(book: Book, key: int) -> None:
    """A resident key goes."""
    policy = book.policy
    book.keys[key].resident = 0
    book.caches[key // book.span].used -= 1
    if policy == ARC:
        arc.remove(book, key)
    elif policy == S3FIFO:
        s3fifo.remove(book, key)
    elif policy == LRU or policy == FIFO or policy == LEAST_STALE or policy == SIEVE:  # noqa: PLR1714
        queues.remove(book, key)
    else:
        ranked.remove(book, key)


@njit(cache=True)
def victim(book: Book, entering: int, turn: int) -> int:
    """Who leaves for `entering`, or NOBODY if all that could are kept for this turn."""
    policy = book.policy
    if policy == ARC:
        return arc.victim(book, entering, turn)
    if policy == S3FIFO:
        return s3fifo.victim(book, entering, turn)
    if policy == LRU or policy == FIFO or policy == LEAST_STALE or policy == SIEVE:  # noqa: PLR1714
        return queues.victim(book, entering, turn)
    return ranked.victim(book, entering, turn)
