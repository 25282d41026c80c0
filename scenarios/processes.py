"""Work spread over processes that can be ended at any moment."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sim.errors import MoesimError

if TYPE_CHECKING:
    Pipe = Connection[Any, Any]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def map_in_processes(function: Callable[[_Item], _Result], items: Sequence[_Item], jobs: int) -> Iterator[_Result]:
    """Yield `function` of every item, in order, computed by `jobs` processes, or right here by one.

    Function, items and results must pickle. An exception of the function is raised here; MoesimError if a process
    dies. However this ends, Ctrl-C included, the processes end with it: each has a pipe of its own, so that ending
    one in the middle of a result leaves no lock behind.
    """
    if jobs == 1:
        yield from map(function, items)
        return
    context = get_context("spawn")
    pipes = [context.Pipe() for _ in range(jobs)]
    workers = [context.Process(target=_serve, args=(theirs,), daemon=True) for _, theirs in pipes]
    try:
        with _ctrl_c_ignored():  # which the workers inherit; nothing here may take long, or a Ctrl-C would be lost
            for worker, (_, theirs) in zip(workers, pipes, strict=True):
                worker.start()
                theirs.close()  # so that the pipe ends with the worker
        for ours, _ in pipes:
            _talk(ours.send, function)
        yield from _in_order([ours for ours, _ in pipes], items)
    finally:
        for worker in workers:
            if worker.pid is not None:
                worker.kill()
                worker.join()
        for ours, _ in pipes:
            ours.close()


def _in_order(workers: Sequence[Pipe], items: Sequence[_Item]) -> Iterator[_Result]:
    """Keep every worker busy; hold results back until those before them are there."""
    todo = iter(enumerate(items))
    doing: dict[Pipe, int] = {}
    done: dict[int, _Result] = {}
    free = deque(workers)
    for number in range(len(items)):
        while number not in done:
            while free and (next_item := next(todo, None)):
                worker = free.popleft()
                doing[worker], item = next_item
                _talk(worker.send, item)
            for worker in cast("list[Pipe]", wait(list(doing))):
                failed, result = _talk(worker.recv)
                if failed:
                    raise result
                done[doing.pop(worker)] = result
                free.append(worker)
        yield done.pop(number)


def _talk(action: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return action(*arguments)
    except (EOFError, OSError) as error:
        raise MoesimError("a process ended before its work was done, probably for lack of memory") from error


def _serve(pipe: Pipe) -> None:
    """What a worker does: an answer for every item, until it is killed or alone."""
    with suppress(EOFError, OSError):
        function = pipe.recv()
        while True:
            item = pipe.recv()
            try:
                answer = (False, function(item))
            except Exception as error:
                answer = (True, error)
            pipe.send(answer)


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    if current_thread() is not main_thread():  # only the main thread may, and only it would be interrupted
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
