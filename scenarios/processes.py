"""Work spread over processes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from typing import TypeVar

from sim.errors import MoesimError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def map_in_processes(function: Callable[[_Item], _Result], items: Iterable[_Item], jobs: int) -> Iterator[_Result]:
    """Yield `function` of every item, in order, computed by `jobs` processes; Ctrl-C ends them at once.

    Function, items and results must pickle. Raises MoesimError if a process dies, whatever else the function raises.
    """
    if jobs == 1:
        yield from map(function, items)
        return
    context, ignore = get_context("spawn"), (signal.SIGINT, signal.SIG_IGN)
    with ProcessPoolExecutor(jobs, context, initializer=signal.signal, initargs=ignore) as pool:
        try:
            yield from pool.map(function, items)
        except BrokenProcessPool as error:
            raise MoesimError("a process ended before its work was done, probably for lack of memory") from error
        except KeyboardInterrupt:
            for child in active_children():
                child.terminate()
            raise
