"""ARC, one call at a time."""

from __future__ import annotations

from numba import njit

from sim.planning.kernels.book import NOBODY, RINGS, Book
from sim.planning.kernels.queues import oldest
from sim.replay.kernels.arc import AGAIN, AGAIN_EVICTED, ONCE, ONCE_EVICTED
from sim.replay.kernels.rings import append, unlink


@njit(cache=True)
def touch(book: Book, key: int) -> None:
    """Among those used again, as the most recent."""
    cache = key // book.span
    book.adapting[cache] = NOBODY
    unlink(book.older, book.newer, book.where, book.sizes, key)
    append(book.older, book.newer, book.where, book.sizes, key, RINGS * cache + AGAIN)


@njit(cache=True)
def insert(book: Book, key: int) -> None:
    """Among those used once, or again if it is remembered; then forget what is too much to remember."""
    cache = key // book.span
    first, sizes = RINGS * cache, book.sizes
    book.target[cache] = _target(book, key)
    book.adapting[cache] = NOBODY
    known = book.where[key] >= 0
    if known:
        unlink(book.older, book.newer, book.where, sizes, key)
    append(book.older, book.newer, book.where, sizes, key, first + (AGAIN if known else ONCE))
    _trim(book, first + ONCE_EVICTED, book.room[cache] - sizes[first + ONCE])
    _trim(book, first + AGAIN_EVICTED, 2 * book.room[cache] - book.used[cache] - sizes[first + ONCE_EVICTED])


@njit(cache=True)
def remove(book: Book, key: int) -> None:
    """Remembered with its like."""
    first = RINGS * (key // book.span)
    once = book.where[key] == first + ONCE
    unlink(book.older, book.newer, book.where, book.sizes, key)
    append(
        book.older, book.newer, book.where, book.sizes, key, first + (ONCE_EVICTED if once else AGAIN_EVICTED)
    )


@njit(cache=True)
def victim(book: Book, entering: int, turn: int) -> int:
    """Of the list that has more than its share, else of the other; NOBODY if all are kept."""
    cache = entering // book.span
    first = RINGS * cache
    target = _target(book, entering)
    book.adapting[cache], book.adapted[cache] = entering, target
    used = book.sizes[first + ONCE]
    once = used > target or (used == target and book.where[entering] == first + AGAIN_EVICTED)
    key = oldest(book, first + (ONCE if once else AGAIN), turn)
    return key if key != NOBODY else oldest(book, first + (AGAIN if once else ONCE), turn)


@njit(cache=True)
def _target(book: Book, key: int) -> float:
    """The share of those used once after a miss on this key, decided when room was first made for it."""
    cache = key // book.span
    if book.adapting[cache] == key:
        return float(book.adapted[cache])
    first = RINGS * cache
    once, again = book.sizes[first + ONCE_EVICTED], book.sizes[first + AGAIN_EVICTED]
    if book.where[key] == first + ONCE_EVICTED:
        return min(float(book.room[cache]), book.target[cache] + max(1.0, again / once))
    if book.where[key] == first + AGAIN_EVICTED:
        return max(0.0, book.target[cache] - max(1.0, once / again))
    return float(book.target[cache])


@njit(cache=True)
def _trim(book: Book, ring: int, most: int) -> None:
    while book.sizes[ring] > most:
        unlink(book.older, book.newer, book.where, book.sizes, book.newer[len(book.where) + ring])
