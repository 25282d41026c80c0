from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import Future, wait
from pathlib import Path

import psutil
import pytest

from scenarios.local_executor import LocalExecutor
from sim.errors import InputError, MoesimError
from tests.test_scenario_processes import children


def twice(item: int, *, plus: int = 0) -> int:
    return 2 * item + plus


def own_id() -> int:
    return os.getpid()


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def refuse() -> None:
    raise InputError("no", field="x")


def die() -> None:
    os._exit(1)


def unpicklable() -> object:
    return lambda: None


def test_calls_are_spread_over_its_processes() -> None:
    with LocalExecutor(2) as executor:
        slow = executor.submit(sleep, 0.5)
        assert [executor.submit(twice, i, plus=1).result() for i in range(3)] == [1, 3, 5]
        assert executor.submit(own_id).result() != os.getpid()
        assert not slow.done()
    assert slow.done()
    assert not children()


def test_an_error_is_raised_by_the_future_and_the_process_stays() -> None:
    with LocalExecutor(1) as executor:
        first = executor.submit(own_id).result()
        with pytest.raises(InputError, match="x: no"):
            executor.submit(refuse).result()
        for call in (unpicklable, lambda: 1):  # one that cannot come back, one that cannot go there
            with pytest.raises(Exception, match=r"pickle|local object"):
                executor.submit(call).result()
        assert executor.submit(own_id).result() == first


def test_a_process_that_dies_takes_only_its_own_call_with_it() -> None:
    with LocalExecutor(2) as executor:
        other = executor.submit(sleep, 0.5)
        lost = executor.submit(die)
        after = [executor.submit(twice, i) for i in range(4)]
        with pytest.raises(MoesimError, match="a process ended before its work was done"):
            lost.result()
        assert [future.result() for future in after] == [0, 2, 4, 6]
        other.result()


def test_leaving_by_an_exception_ends_all_work_at_once() -> None:
    futures: list[Future[None]] = []
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt), LocalExecutor(2) as executor:
        futures += [executor.submit(sleep, 60) for _ in range(4)]
        time.sleep(0.2)
        raise KeyboardInterrupt
    assert time.monotonic() - begin < 10
    assert wait(futures, timeout=0).done
    assert all(future.cancelled() or future.exception() for future in futures)
    assert not children()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(own_id)


def test_its_processes_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = """
import sys, time
from scenarios.local_executor import LocalExecutor
from tests.test_local_executor import own_id, sleep
if __name__ == "__main__":
    with LocalExecutor(2) as executor:
        print(executor.submit(own_id).result(), flush=True)
        [executor.submit(sleep, 60) for _ in range(2)]
        time.sleep(60)
"""
    script = tmp_path / "script.py"
    script.write_text(code)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    child.wait(timeout=10)
