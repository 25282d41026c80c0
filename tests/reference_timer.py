"""A brute-force timer of schedules: the rules written down as plainly as possible, to check engines against.

At one instant, until nothing more can happen: ops end; then the host moves one step; then idle fifo lanes start
their heads; then one idle priority lane, the first by number, makes one choice. A cancel takes back what its target
began at that instant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

NOT_YET = float("inf")


@dataclass(frozen=True)
class RefOp:
    """One op; `deps` are indices of earlier ops, `demand` is at full speed, one number a shared capacity."""

    lane: int
    duration_s: float
    dispatch_s: float = 0.0
    deps: tuple[int, ...] = ()
    priority: int = 0
    is_wait: bool = False
    is_cancel: bool = False
    demand: tuple[float, ...] = ()
    handoff_s: float = 0.0  # what its lane takes to wake up for it


def time_schedule(
    ops: Sequence[RefOp], lanes: Sequence[str], capacities: Sequence[float] = ()
) -> list[tuple[float, float, float]]:
    """Return (dispatched, start, end) of every op; a lane is "fifo", "priority" or (one of them) "host"."""
    timer = _Timer(ops, lanes, capacities)
    timer.settle()
    while NOT_YET in timer.end:
        timer.advance()
        timer.settle()
    return list(zip(timer.dispatched, timer.start, timer.end, strict=True))


class _Timer:
    def __init__(self, ops: Sequence[RefOp], lanes: Sequence[str], capacities: Sequence[float]) -> None:
        self.ops, self.lanes, self.capacities = ops, lanes, capacities
        self.now = 0.0
        self.dispatched, self.start, self.end = ([NOT_YET] * len(ops) for _ in range(3))
        self.left_s = [op.duration_s for op in ops]  # at full speed
        self.busy_until = [0.0] * len(lanes)  # when the lane last worked, or woke up
        self.waking: dict[int, tuple[float, float]] = {}  # lane -> when it began to wake up, and when it will be awake
        self.host_op = 0  # the op that the host is handling
        self.host_until = ops[0].dispatch_s if ops else 0.0  # when it has dispatched that

    def settle(self) -> None:
        while self.end_ops() or self.move_host() or self.start_heads() or self.choose():
            pass

    def ready(self, i: int) -> bool:
        return self.ops[i].is_cancel or all(self.end[dep] < NOT_YET for dep in self.ops[i].deps)

    def working(self) -> list[int]:
        """Ops that have started and not ended; a wait works only once what it waits for has ended."""
        return [i for i in range(len(self.ops)) if self.start[i] < NOT_YET == self.end[i] and self.ready(i)]

    def end_ops(self) -> bool:
        ending = [i for i in self.working() if self.left_s[i] == 0]
        for i in ending:
            self.end[i] = self.busy_until[self.ops[i].lane] = self.now
        return bool(ending)

    def move_host(self) -> bool:
        i = self.host_op
        if i == len(self.ops) or self.now < self.host_until:
            return False
        on_host = self.lanes[self.ops[i].lane] == "host"
        if self.dispatched[i] == NOT_YET:
            self.dispatched[i] = self.now
            if self.ops[i].is_cancel:
                self.cancel(self.ops[i].deps[0])
        elif on_host and self.start[i] == NOT_YET and (self.ops[i].is_wait or self.ready(i)):
            self.start[i] = self.now
        elif not on_host or self.end[i] < NOT_YET:
            self.host_op += 1
            if self.host_op < len(self.ops):
                self.host_until = self.now + self.ops[self.host_op].dispatch_s
        else:
            return False
        return True

    def cancel(self, target: int) -> None:
        if self.start[target] < self.now or self.end[target] < NOT_YET:
            return
        self.start[target] = self.end[target] = self.now
        lane = self.ops[target].lane
        if lane in self.waking and self.waking[lane][0] == self.now:
            del self.waking[lane]  # if another op is ready, it begins again

    def idle(self, discipline: str) -> Iterator[list[int]]:
        """What waits on each lane of the discipline that runs nothing: ops handed over, in issue order."""
        for lane in (number for number, name in enumerate(self.lanes) if name == discipline):
            if not any(self.ops[i].lane == lane for i in self.working()):
                handed = [i for i, at in enumerate(self.dispatched) if at < NOT_YET == self.start[i]]
                yield [i for i in handed if self.ops[i].lane == lane]

    def awake(self, i: int) -> bool:
        """Whether the lane of op i, which is ready, can start now; if it has been idle, it begins to wake up."""
        lane, handoff_s = self.ops[i].lane, self.ops[i].handoff_s
        if lane in self.waking and self.waking[lane][1] <= self.now:
            self.busy_until[lane] = self.waking.pop(lane)[1]
        if lane not in self.waking and handoff_s and self.now > self.busy_until[lane]:
            self.waking[lane] = self.now, self.now + handoff_s
        return lane not in self.waking

    def start_heads(self) -> bool:
        heads = [queue[0] for queue in self.idle("fifo") if queue and self.ready(queue[0]) and self.awake(queue[0])]
        for i in heads:
            self.start[i] = self.now
        return bool(heads)

    def choose(self) -> bool:
        for queue in self.idle("priority"):
            if (ready := [i for i in queue if self.ready(i)]) and self.awake(ready[0]):
                self.start[min(ready, key=lambda i: (self.ops[i].priority, i))] = self.now
                return True
        return False

    def advance(self) -> None:
        """Go to the next instant at which an op ends, a lane is awake or the host has dispatched an op."""
        ends = {i: self.now + self.left_s[i] / self.rate(i) for i in self.working()}
        dispatching = self.host_op < len(self.ops) and self.dispatched[self.host_op] == NOT_YET
        awake = [moment for _, moment in self.waking.values() if moment > self.now]
        moment = min([*ends.values(), *awake, *([self.host_until] if dispatching else [])])
        progress_s = {i: self.rate(i) * (moment - self.now) for i in ends}
        for i, end in ends.items():
            self.left_s[i] = max(0.0, self.left_s[i] - progress_s[i]) if end > moment else 0.0
        self.now = moment

    def rate(self, i: int) -> float:
        used = [c for c, demand in enumerate(self.ops[i].demand) if demand > 0]
        loads = {c: sum(self.ops[j].demand[c] for j in self.working() if self.ops[j].demand) for c in used}
        return min([1.0, *(self.capacities[c] / loads[c] for c in used)])
