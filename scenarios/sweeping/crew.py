"""Chunks handed to an executor, a few at a time; what a lost worker had is done again."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass

from scenarios.sweeping.columns import Row, unknown
from scenarios.sweeping.evaluate import Ground, evaluate
from scenarios.sweeping.points import Chunk
from sim.errors import MoesimError

_AHEAD = 2  # chunks at hand for each worker, so that none waits for the next
_TRIES = 3  # of a point that takes its worker with it


@dataclass(frozen=True)
class Crew:
    """Who does the work: any executor of `concurrent.futures`, with so many workers."""

    executor: Executor
    workers: int

    def evaluate(self, ground: Ground, chunks: Iterable[Chunk]) -> Iterator[list[Row]]:
        """Yield the rows of each chunk as it is finished.

        A chunk that is lost with its worker is tried again point by point, and a point that was lost three times is a
        failed row. Raises MoesimError if the executor itself breaks.
        """
        todo, again = iter(chunks), deque[Chunk]()
        doing: dict[Future[list[Row]], Chunk] = {}
        lost: Counter[Chunk] = Counter()
        while True:
            while len(doing) < _AHEAD * self.workers and (chunk := again.popleft() if again else next(todo, None)):
                doing[self._submit(ground, chunk)] = chunk
            if not doing:
                return
            for future in wait(doing, return_when=FIRST_COMPLETED).done:
                chunk = doing.pop(future)
                error = future.exception()
                if error is None:
                    yield future.result()
                elif isinstance(error, BrokenExecutor):
                    raise _broken(error) from error
                elif len(chunk.points) > 1:
                    again.extend(chunk.singles())
                else:
                    lost[chunk] += 1
                    if lost[chunk] < _TRIES:
                        again.append(chunk)
                    else:
                        yield [_lost_row(ground, chunk, error)]

    def _submit(self, ground: Ground, chunk: Chunk) -> Future[list[Row]]:
        try:
            return self.executor.submit(evaluate, ground, chunk)
        except (BrokenExecutor, RuntimeError) as error:
            raise _broken(error) from error


def _broken(error: BaseException) -> MoesimError:
    return MoesimError(f"the workers are gone ({error}); start again to go on")


def _lost_row(ground: Ground, chunk: Chunk, error: BaseException) -> Row:
    reason = f"lost {_TRIES} times: {error}"
    return unknown(chunk.points[0], ground.axes, chunk.choices[0]) | {"reason": reason}
