"""LFU, LFU-DA and window: policies that sort by a count, and among equals by the last use."""

from __future__ import annotations

from numba import njit

from sim.planning.kernels.book import LFUDA, NOBODY, WINDOWED, Book


@njit(cache=True)
def use(book: Book, key: int, turn: int) -> None:
    """Count a use and rank the key by it."""
    if book.policy == WINDOWED:
        _visit(book, key, turn)
    book.uses[key] += 1
    book.rank[key] = book.uses[key] + (book.memory[key // book.span] if book.policy == LFUDA else 0)
    book.clock[0] += 1
    book.used_at[key] = book.clock[0]


@njit(cache=True)
def _visit(book: Book, key: int, turn: int) -> None:
    """Begin a visit of the key's block with every turn, and forget the one that the window no longer shows."""
    block, expert = divmod(key, book.n_experts)
    length = book.visited_at.shape[1]
    past = book.visits[block]
    if past == 0 or book.visited_at[block, (past - 1) % length] != turn:
        at = past % length
        for other in range(book.n_experts):
            if book.visited[block, at, other]:
                forgotten = block * book.n_experts + other
                book.uses[forgotten] -= 1
                book.rank[forgotten] = book.uses[forgotten]
                book.visited[block, at, other] = False
        book.visited_at[block, at] = turn
        past += 1
        book.visits[block] = past
    book.visited[block, (past - 1) % length, expert] = True


@njit(cache=True)
def grow_old(book: Book, key: int) -> None:
    """LFU-DA: who leaves takes its count along and sets the age."""
    book.memory[key // book.span] = book.rank[key]
    book.uses[key] = 0


@njit(cache=True)
def lowest(book: Book, entering: int, turn: int) -> int:
    """The lowest of the residents that are not kept, or NOBODY: a look at all keys of the cache."""
    first = entering // book.span * book.span
    best = NOBODY
    for key in range(first, first + book.span):
        if book.resident[key] and book.kept[key] != turn and (best == NOBODY or _before(book, key, best)):
            best = key
    return best


@njit(cache=True)
def _before(book: Book, key: int, other: int) -> bool:
    if book.rank[key] != book.rank[other]:
        return bool(book.rank[key] < book.rank[other])
    return bool(book.used_at[key] < book.used_at[other])
