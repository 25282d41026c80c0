"""A `concurrent.futures` executor of local processes: one that dies takes only its own work with it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

from scenarios.processes import Worker
from sim.errors import MoesimError

_Result = TypeVar("_Result")


class _Work(NamedTuple):
    future: Future[Any]
    call: Callable[..., Any]
    arguments: tuple[tuple[Any, ...], dict[str, Any]]


class LocalExecutor(Executor):
    """Runs calls in `jobs` processes, which end with this one however it ends.

    If a process dies, the call that it was at raises MoesimError and another process takes its place: unlike a
    ProcessPoolExecutor, which breaks as a whole. Leaving a `with` block by an exception ends all work at once.
    """

    def __init__(self, jobs: int) -> None:
        self._todo: SimpleQueue[_Work | None] = SimpleQueue()
        self._ending = False
        self._workers = [Worker(_call) for _ in range(jobs)]
        self._drivers = [Thread(target=self._drive, args=(i,), daemon=True) for i in range(jobs)]
        for driver in self._drivers:
            driver.start()

    def submit(self, call: Callable[..., _Result], /, *args: Any, **kwargs: Any) -> Future[_Result]:
        """Schedule a call; call, arguments and result must pickle."""
        if self._ending:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future: Future[_Result] = Future()
        self._todo.put(_Work(future, call, (args, kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes: when all work is done, or after the present calls, or, without waiting, right now."""
        if self._ending:
            return
        self._ending = True
        if cancel_futures or not wait:
            self._cancel()
        for _ in self._drivers:
            self._todo.put(None)
        if not wait:
            for worker in self._workers:
                worker.kill()
        for driver in self._drivers:
            driver.join()
        for worker in self._workers:  # only now: a driver may have been ending its own
            worker.end()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown(wait=error is None)

    def _cancel(self) -> None:
        with suppress(Empty):
            while work := self._todo.get_nowait():
                work.future.cancel()

    def _drive(self, i: int) -> None:
        """Give one process its work, call by call; runs in a thread of ours."""
        begun = False
        while (work := self._todo.get()) is not None:
            if not work.future.set_running_or_notify_cancel():
                continue
            worker = self._workers[i]
            try:
                if not begun:
                    worker.begin()
                    begun = True
                worker.ask((work.call, *work.arguments))
                failed, result = worker.answer()
            except MoesimError as death:
                work.future.set_exception(death)
                worker.end()
                if not self._ending:
                    self._workers[i], begun = Worker(_call), False
            except Exception as error:  # it does not pickle
                work.future.set_exception(error)
            else:
                work.future.set_exception(result) if failed else work.future.set_result(result)


def _call(work: tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]) -> Any:
    call, args, kwargs = work
    return call(*args, **kwargs)
