"""S3-FIFO, one call at a time."""

from __future__ import annotations

from numba import njit

from sim.planning.kernels.book import NOBODY, RINGS, Book
from sim.planning.kernels.rings import append, unlink
from sim.policies.s3fifo import MOST_USES, PROMOTED

_SMALL, _MAIN, _GHOST = range(3)


@njit(cache=True)
def insert(book: Book, key: int) -> None:
    """On trial, or in the main queue if it failed one lately or the cache fills; then forget the oldest failures."""
    keys, cache, first = book.keys, book.caches[key // book.span], book.first_ring + RINGS * (key // book.span)
    known = keys[key].ring != NOBODY
    if known:
        unlink(keys, key)
    to_main = known or (cache.memory and keys[first + _SMALL].count >= cache.small_room)
    keys[key].count = 0
    append(keys, key, first + (_MAIN if to_main else _SMALL))
    while keys[first + _GHOST].count > cache.ghost_room:
        unlink(keys, keys[first + _GHOST].newer)


@njit(cache=True)
def remove(book: Book, key: int) -> None:
    """Remembered if it fails its trial; the cache fills no more."""
    cache = key // book.span
    first = book.first_ring + RINGS * cache
    was_small = book.keys[key].ring == first + _SMALL
    book.caches[cache].memory = 0
    unlink(book.keys, key)
    if was_small:
        append(book.keys, key, first + _GHOST)


@njit(cache=True)
def victim(book: Book, entering: int, turn: int) -> int:
    """Whoever leaves next, or NOBODY if all have to stay; on the way, trials are passed and rounds begun."""
    number = entering // book.span
    keys, cache, small_ring = book.keys, book.caches[number], book.first_ring + RINGS * number
    main_ring, main_room = small_ring + _MAIN, cache.room - cache.small_room
    small, main = keys[small_ring].newer, keys[main_ring].newer  # the first in each that has not been refused
    while small != small_ring or main != main_ring:
        if main != main_ring and (keys[main_ring].count > main_room or small == small_ring):
            row = keys[main]
            if row.count:
                row.count = min(row.count, MOST_USES) - 1
                following = row.newer
                unlink(keys, main)
                append(keys, main, main_ring)
                main = main if following == main_ring else following
            elif row.kept != turn:
                return int(main)
            else:
                main = row.newer
            continue
        while small != small_ring and keys[small].count >= PROMOTED:
            following = keys[small].newer
            keys[small].count = 0
            unlink(keys, small)
            append(keys, small, main_ring)
            main = small if main == main_ring else main
            small = following
        if small != small_ring:
            if keys[small].kept != turn:
                return int(small)
            small = keys[small].newer
    return NOBODY
