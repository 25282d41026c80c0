"""S3-FIFO, one call at a time."""

from __future__ import annotations

from numba import njit

from sim.planning.kernels.book import RINGS, Book
from sim.replay.kernels.rings import append, unlink
from sim.replay.kernels.s3fifo import GHOST, MAIN, SMALL, s3fifo_victim


@njit(cache=True)
def insert(book: Book, key: int) -> None:
    """On trial, or in the main queue if it has failed one lately or the cache fills; then forget the oldest failures."""
    cache = key // book.span
    first, sizes = RINGS * cache, book.sizes
    known = book.where[key] == first + GHOST
    if known:
        unlink(book.older, book.newer, book.where, sizes, key)
    to_main = known or (book.memory[cache] and sizes[first + SMALL] >= book.small_room[cache])
    book.uses[key] = 0
    append(book.older, book.newer, book.where, sizes, key, first + (MAIN if to_main else SMALL))
    while sizes[first + GHOST] > book.ghost_room[cache]:
        unlink(book.older, book.newer, book.where, sizes, book.newer[len(book.where) + first + GHOST])


@njit(cache=True)
def remove(book: Book, key: int) -> None:
    """Remembered if it fails its trial; the cache fills no more."""
    cache = key // book.span
    was_small = book.where[key] == RINGS * cache + SMALL
    book.memory[cache] = 0
    unlink(book.older, book.newer, book.where, book.sizes, key)
    if was_small:
        append(book.older, book.newer, book.where, book.sizes, key, RINGS * cache + GHOST)


@njit(cache=True)
def victim(book: Book, entering: int, turn: int) -> int:
    """Whoever leaves next; on the way, trials are passed and rounds begun."""
    cache = entering // book.span
    return s3fifo_victim(
        book.older, book.newer, book.where, book.sizes, RINGS * cache, book.uses, book.kept, turn,
        book.room[cache] - book.small_room[cache],
    )  # fmt: skip
