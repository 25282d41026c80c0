"""ARC, one call at a time."""

from __future__ import annotations

from numba import njit

from sim.planning.kernels.book import NOBODY, RINGS, Book
from sim.planning.kernels.rings import append, oldest, unlink

_ONCE, _AGAIN, _ONCE_EVICTED, _AGAIN_EVICTED = range(RINGS)


@njit(cache=True)
def touch(book: Book, key: int) -> None:
    """Among those used again, as the most recent."""
    cache = key // book.span
    book.caches[cache].adapting = NOBODY
    unlink(book.keys, key)
    append(book.keys, key, book.first_ring + RINGS * cache + _AGAIN)


@njit(cache=True)
def insert(book: Book, key: int) -> None:
    """Among those used once, or again if it is remembered; then forget what is too much to remember."""
    keys, cache, first = book.keys, book.caches[key // book.span], book.first_ring + RINGS * (key // book.span)
    cache.target = _target(book, key)
    cache.adapting = NOBODY
    known = keys[key].ring != NOBODY
    if known:
        unlink(keys, key)
    append(keys, key, first + (_AGAIN if known else _ONCE))
    while keys[first + _ONCE_EVICTED].count > cache.room - keys[first + _ONCE].count:
        unlink(keys, keys[first + _ONCE_EVICTED].newer)
    while keys[first + _AGAIN_EVICTED].count > 2 * cache.room - cache.used - keys[first + _ONCE_EVICTED].count:
        unlink(keys, keys[first + _AGAIN_EVICTED].newer)


@njit(cache=True)
def remove(book: Book, key: int) -> None:
    """Remembered with its like."""
    ring = book.keys[key].ring + _ONCE_EVICTED - _ONCE
    unlink(book.keys, key)
    append(book.keys, key, ring)


@njit(cache=True)
def victim(book: Book, entering: int, turn: int) -> int:
    """Of the list that has more than its share, else of the other; NOBODY if all have to stay."""
    number = entering // book.span
    keys, cache, first = book.keys, book.caches[number], book.first_ring + RINGS * number
    target = _target(book, entering)
    cache.adapting, cache.adapted = entering, target
    used = keys[first + _ONCE].count
    once = used > target or (used == target and keys[entering].ring == first + _AGAIN_EVICTED)
    key = oldest(keys, first + (_ONCE if once else _AGAIN), turn)
    return key if key != NOBODY else oldest(keys, first + (_AGAIN if once else _ONCE), turn)


@njit(cache=True)
def _target(book: Book, key: int) -> float:
    """The share of those used once after a miss on this key, decided when room was first made for it."""
    keys, cache, first = book.keys, book.caches[key // book.span], book.first_ring + RINGS * (key // book.span)
    if cache.adapting == key:
        return float(cache.adapted)
    once, again = keys[first + _ONCE_EVICTED].count, keys[first + _AGAIN_EVICTED].count
    target = float(cache.target)
    if keys[key].ring == first + _ONCE_EVICTED:
        target = min(float(cache.room), target + max(1.0, again / once))
    elif keys[key].ring == first + _AGAIN_EVICTED:
        target = max(0.0, target - max(1.0, once / again))
    return target
