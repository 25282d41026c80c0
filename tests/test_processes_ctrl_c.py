"""A Ctrl-C that comes while a worker is being started."""

from __future__ import annotations

import signal

import pytest

from scenarios import processes


def test_it_is_not_lost_but_comes_as_soon_as_the_worker_runs() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever other tests have left
    reached = False
    try:
        with pytest.raises(KeyboardInterrupt), processes._ctrl_c_held_back():
            signal.raise_signal(signal.SIGINT)
            reached = True
    finally:
        signal.signal(signal.SIGINT, before)
    assert reached, "not before"


def test_it_never_reaches_a_worker() -> None:
    worker = processes.Worker(_blocked)
    try:
        worker.begin()
        worker.ask(None)
        assert worker.answer() == (False, True)
    finally:
        worker.end()


def _blocked(_: object) -> bool:
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
