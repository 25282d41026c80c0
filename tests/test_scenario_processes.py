from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import pytest

from scenarios.processes import map_in_processes
from sim.errors import InputError, MoesimError


def slow_first(item: int) -> tuple[int, int]:
    time.sleep(0.3 if item == 0 else 0.0)
    return item, os.getpid()


def refuse_two(item: int) -> int:
    if item == 2:
        raise InputError("no twos", field="item", value=item)
    return item


def die_at_one(item: int) -> int:
    if item == 1:
        os._exit(1)
    return item


def big(item: int) -> bytes:
    return bytes(30_000_000)


def children() -> set[int]:
    import psutil

    return {child.pid for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())}


def test_results_come_in_order_whoever_is_first() -> None:
    found = list(map_in_processes(slow_first, range(6), 2))
    assert [item for item, _ in found] == list(range(6))
    pids = {pid for _, pid in found}
    assert len(pids) == 2
    assert os.getpid() not in pids


def test_one_job_needs_no_process() -> None:
    assert {pid for _, pid in map_in_processes(slow_first, range(3), 1)} == {os.getpid()}


def test_more_jobs_than_items_are_no_harm() -> None:
    assert list(map_in_processes(refuse_two, [5], 3)) == [5]


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [(refuse_two, InputError, r"item: no twos \(got 2\)"), (die_at_one, MoesimError, "ended before its work was done")],
)
def test_an_error_or_a_death_in_a_process_is_raised_here(
    function: Callable[[int], int], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        list(map_in_processes(function, range(4), 2))
    assert not children()


def test_stopping_in_the_middle_of_large_results_ends_all_processes_at_once() -> None:
    results = map_in_processes(big, range(50), 2)
    assert len(next(results)) == 30_000_000
    begin = time.monotonic()
    results.close()  # type: ignore[attr-defined]
    assert time.monotonic() - begin < 1
    assert not children()


def test_it_works_off_the_main_thread() -> None:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.extend(map_in_processes(refuse_two, [0, 1], 2)))
    thread.start()
    thread.join()
    assert found == [0, 1]
