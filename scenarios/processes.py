"""Work spread over processes that can be ended at any moment."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from pickle import PicklingError
from threading import Thread, current_thread, main_thread
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sim.errors import MoesimError

if TYPE_CHECKING:
    Pipe = Connection[Any, Any]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Worker:
    """A process that answers items with `function`, one at a time, and ends with us however we end.

    Function, items and answers must pickle. It has a pipe of its own, so that ending it in the middle of an answer
    leaves no lock behind.
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        resource_tracker.ensure_running()  # now, for its start would let a Ctrl-C through
        with _ctrl_c_held_back():  # from the worker for good, which inherits that
            self._process.start()
            theirs.close()  # so that the pipe ends with the worker
        self._function = function

    def begin(self) -> None:
        """Tell it what to do; raises MoesimError if it has died."""
        _talk(self.pipe.send, self._function)

    def ask(self, item: Any) -> None:
        """Give it an item; raises MoesimError if it has died."""
        _talk(self.pipe.send, item)

    def answer(self) -> tuple[bool, Any]:
        """Wait for whether the function failed, and its result or error; raises MoesimError if the process dies."""
        failed, result = _talk(self.pipe.recv)
        return failed, result

    def kill(self) -> None:
        """Let whoever waits for its answer learn that it is dead; from any thread."""
        self._process.kill()

    def end(self) -> None:
        """Kill it, whatever it is doing, and let go of what it held here; while no other thread uses it."""
        self.kill()
        self._process.join()
        self.pipe.close()


def map_in_processes(function: Callable[[_Item], _Result], items: Sequence[_Item], jobs: int) -> Iterator[_Result]:
    """Yield `function` of every item, in order, computed by `jobs` processes, or right here by one.

    Function, items and results must pickle. An exception of the function is raised here; MoesimError if a process
    dies. However this ends, Ctrl-C included, the processes end with it.
    """
    if jobs == 1:
        yield from map(function, items)
        return
    workers: list[Worker] = []
    try:
        for _ in range(jobs):
            workers.append(Worker(function))
        for worker in workers:
            worker.begin()
        yield from _in_order(workers, items)
    finally:
        for worker in workers:
            worker.end()


def _in_order(workers: Sequence[Worker], items: Sequence[Any]) -> Iterator[Any]:
    """Keep every worker busy; hold results back until those before them are there."""
    todo = iter(enumerate(items))
    doing: dict[Pipe, tuple[Worker, int]] = {}
    done: dict[int, Any] = {}
    free = deque(workers)
    for number in range(len(items)):
        while number not in done:
            while free and (next_item := next(todo, None)):
                worker, (at, item) = free.popleft(), next_item
                doing[worker.pipe] = worker, at
                worker.ask(item)
            for pipe in cast("list[Pipe]", wait(list(doing))):
                worker, at = doing.pop(pipe)
                failed, result = worker.answer()
                if failed:
                    raise result
                done[at] = result
                free.append(worker)
        yield done.pop(number)


def _talk(action: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return action(*arguments)
    except (EOFError, OSError) as error:
        raise MoesimError("a process ended before its work was done, probably for lack of memory") from error


def _serve(pipe: Pipe) -> None:
    """What a worker does: an answer for every item, until it is killed or alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, OSError):
        function = pipe.recv()
        while True:
            item = pipe.recv()
            try:
                answer = (False, function(item))
            except Exception as error:
                answer = (True, error)
            try:
                pipe.send(answer)
            except (PicklingError, TypeError, AttributeError) as error:
                pipe.send((True, error))


def _end_with_parent() -> None:
    """In the middle of an item too: nobody is left to take its answer."""
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """What comes meanwhile comes afterwards. The mask is for the worker; of ours, another thread may get the signal."""
    if current_thread() is not main_thread():  # only the main thread is interrupted
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)
    if came:
        signal.raise_signal(signal.SIGINT)
