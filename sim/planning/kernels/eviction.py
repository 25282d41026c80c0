"""Eviction policies one call at a time, compiled: each decides what its namesake in `sim.policies` does.

`turn` numbers the MoE blocks that have had their turn; a key that is `kept` for the turn asked about stays.
"""

from __future__ import annotations

from numba import njit

from sim.planning.kernels import arc, queues, ranked, s3fifo
from sim.planning.kernels.book import ARC, LAST_QUEUE, LAST_RANKED, Book


@njit(cache=True)
def touch(book: Book, key: int, turn: int) -> None:
    """A resident key is used."""
    policy = book.policy
    if policy <= LAST_QUEUE:
        queues.touch(book, key)
    elif policy <= LAST_RANKED:
        ranked.use(book, key, turn)
    elif policy == ARC:
        arc.touch(book, key)
    else:
        book.keys[key].count += 1


@njit(cache=True)
def insert(book: Book, key: int, turn: int) -> None:
    """A key comes, for which there is room."""
    policy = book.policy
    book.keys[key].resident = 1
    book.caches[key // book.span].used += 1
    if policy <= LAST_QUEUE:
        queues.insert(book, key)
    elif policy <= LAST_RANKED:
        ranked.use(book, key, turn)
    elif policy == ARC:
        arc.insert(book, key)
    else:
        s3fifo.insert(book, key)


@njit(cache=True)
def remove(book: Book, key: int) -> None:
    """A resident key goes."""
    policy = book.policy
    book.keys[key].resident = 0
    book.caches[key // book.span].used -= 1
    if policy <= LAST_QUEUE:
        queues.remove(book, key)
    elif policy <= LAST_RANKED:
        ranked.remove(book, key)
    elif policy == ARC:
        arc.remove(book, key)
    else:
        s3fifo.remove(book, key)


@njit(cache=True)
def victim(book: Book, entering: int, turn: int) -> int:
    """Who leaves for `entering`, or NOBODY if all that could are kept for this turn."""
    policy = book.policy
    if policy <= LAST_QUEUE:
        return queues.victim(book, entering, turn)
    if policy <= LAST_RANKED:
        return ranked.victim(book, entering, turn)
    return arc.victim(book, entering, turn) if policy == ARC else s3fifo.victim(book, entering, turn)
