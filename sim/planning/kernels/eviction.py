"""Eviction policies one call at a time, compiled: each decides what its namesake in `sim.policies` does.

`turn` numbers the MoE blocks that have had their turn; a key whose `kept` is the turn that is asked about stays.
"""

from __future__ import annotations

from numba import njit

from sim.planning.kernels import arc, queues, ranked, s3fifo
from sim.planning.kernels.book import ARC, LFU, LFUDA, LRU, S3FIFO, SIEVE, WINDOWED, Book
from sim.planning.kernels.book import LEAST_STALE as STALE


@njit(cache=True)
def touch(book: Book, key: int, turn: int) -> None:
    """A resident key is used."""
    policy = book.policy
    if policy == LRU or policy == STALE:  # noqa: PLR1714
        queues.to_the_end(book, key)
    elif policy == SIEVE or policy == S3FIFO:  # noqa: PLR1714
        book.uses[key] += 1
    elif policy == ARC:
        arc.touch(book, key)
    elif policy == LFU or policy == LFUDA or policy == WINDOWED:  # noqa: PLR1714
        ranked.use(book, key, turn)


@njit(cache=True)
def insert(book: Book, key: int, turn: int) -> None:
    """A key comes, for which there is room."""
    policy = book.policy
    book.resident[key] = True
    book.used[key // book.span] += 1
    if policy == ARC:
        arc.insert(book, key)
    elif policy == S3FIFO:
        s3fifo.insert(book, key)
    elif policy == LFU or policy == LFUDA or policy == WINDOWED:  # noqa: PLR1714
        ranked.use(book, key, turn)
    else:
        queues.insert(book, key)


@njit(cache=True)
def remove(book: Book, key: int) -> None:
    """A resident key goes."""
    policy = book.policy
    book.resident[key] = False
    book.used[key // book.span] -= 1
    if policy == ARC:
        arc.remove(book, key)
    elif policy == S3FIFO:
        s3fifo.remove(book, key)
    elif policy == LFUDA:
        ranked.grow_old(book, key)
    elif policy != LFU and policy != WINDOWED:  # noqa: PLR1714
        queues.remove(book, key)


@njit(cache=True)
def victim(book: Book, entering: int, turn: int) -> int:
    """Who leaves for `entering`, or NOBODY if all that could are kept for this turn."""
    policy = book.policy
    if policy == ARC:
        return arc.victim(book, entering, turn)
    if policy == S3FIFO:
        return s3fifo.victim(book, entering, turn)
    if policy == SIEVE:
        return queues.next_unmarked(book, entering, turn)
    if policy == STALE:
        return queues.stalest(book, entering, turn)
    if policy == LFU or policy == LFUDA or policy == WINDOWED:  # noqa: PLR1714
        return ranked.lowest(book, entering, turn)
    return queues.oldest(book, queues.ring_of(book, entering), turn)
