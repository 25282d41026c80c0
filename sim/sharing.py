"""Shared capacities: ops that run at once slow each other through what they share, in proportion."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import simpy

Process = Generator[simpy.Event, Any, None]
Uses = tuple[tuple[int, float], ...]  # (capacity number, demand at full speed)
STOPPED = object()  # why a process is interrupted, other than for a new rate


@dataclass(slots=True, eq=False)
class _User:
    process: simpy.Process
    uses: Uses
    left_s: float  # at full speed, when the rate last changed
    since: float
    rate: float = 1.0


class SharedCapacity:
    """Host memory bandwidth, CPU cores, a PCIe root: whatever several lanes draw on at once.

    While the demands on a capacity sum to more than it has, each of its users progresses at the rate
    `capacity / sum`; a user of several goes at the lowest of its rates.
    """

    def __init__(self, env: simpy.Environment, capacities: Sequence[float]) -> None:
        self._env = env
        self._capacities = capacities
        self._users: list[_User] = []

    def run(self, uses: Uses, duration_s: float) -> Process:
        """Work for `duration_s` at full speed, longer when others use the same capacities."""
        env = self._env
        process = env.active_process
        assert process is not None, "only a lane's process may run work"
        user = _User(process, uses, duration_s, env.now)
        self._users.append(user)
        self._adjust()
        while True:
            try:
                yield env.timeout(user.left_s / user.rate)
                break
            except simpy.Interrupt as interrupt:
                if interrupt.cause is STOPPED:
                    return
        self._users.remove(user)
        self._adjust()

    def stop(self, process: simpy.Process) -> None:
        """Interrupt the work of that process, which draws on nothing any more."""
        process.interrupt(STOPPED)
        for user in self._users:
            if user.process is process:
                self._users.remove(user)
                self._adjust()
                return

    def _adjust(self) -> None:
        now = self._env.now
        loads = [0.0] * len(self._capacities)
        for user in self._users:
            for capacity, demand in user.uses:
                loads[capacity] += demand
        for user in self._users:
            rate = 1.0
            for capacity, _ in user.uses:
                if loads[capacity] > self._capacities[capacity]:
                    rate = min(rate, self._capacities[capacity] / loads[capacity])
            if rate != user.rate:
                user.left_s = max(0.0, user.left_s - (now - user.since) * user.rate)
                user.since, user.rate = now, rate
                if user.process is not self._env.active_process:
                    user.process.interrupt()
