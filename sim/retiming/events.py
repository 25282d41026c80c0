"""Times of any schedule: the events of the lanes, one after the other, by the rules of `sim.lanes`.

Few functions call others, integers that are passed on are of 64 bits, and what is kept of ops and lanes are records:
compiling took ten times as long otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from sim.retiming.state import (
    BLOCKED,
    BUSY,
    CHOICES_OVER,
    CHOOSES_LAST,
    CHOOSES_NOW,
    DISPATCHING,
    IDLE,
    NONE,
    NOT_YET,
    WAKING,
    Record,
    Records,
    Run,
)
from sim.schedule import Kind

_WAIT, _CANCEL = int(Kind.WAIT), int(Kind.CANCEL)
_PLAIN: Any = {"error_model": "numpy", "_nrt": False}  # arrays are not counted, of which there is no need here
_CALLED: Any = _PLAIN | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # by `advance` only
_inside = njit(**_CALLED, forceinline=True)
_beside = njit(**_CALLED)


@njit(cache=True, **_PLAIN)
def advance(run: Run, to_the_end: bool) -> None:
    """Run until nothing more happens, or else up to the host's present moment.

    At that moment it has handled all that was issued, and all that ends by now has ended; priority lanes have not
    chosen yet at this instant, for what is issued next may still be dispatched in it.
    """
    lanes, state = run.lanes, run.state[0]
    _look_at(lanes, state, 0)
    while True:
        for i in range(state.looks):
            lanes[lanes[i].look].looked_at = False
            _go_on(run, state, lanes[i].look)
        state.looks = 0
        at = _next(lanes)
        if at == NONE or lanes[at].until > state.now:
            if lanes[0].doing == IDLE and not to_the_end:
                return
            if state.choices > 0:
                at = 0
                while lanes[at].choosing != CHOOSES_LAST:
                    at += 1
                lanes[at].choosing = CHOOSES_NOW
                _look_at(lanes, state, at)
                continue
            if at == NONE:
                return
            state.now = lanes[at].until
        lane = lanes[at]
        doing = lane.doing
        lane.until, lane.doing = NOT_YET, IDLE
        _look_at(lanes, state, at)
        if doing == DISPATCHING:
            _dispatch(run, state)
        else:
            lane.free_since = state.now
            if doing == BUSY:
                _leave(run, state, at)
                _end(run, state, lane.op)


@_inside
def _look_at(lanes: Records, state: Record, at: int) -> None:
    """There may be something new for a lane to do."""
    if not lanes[at].looked_at:
        lanes[at].looked_at = True
        lanes[state.looks].look = at
        state.looks += 1


@_inside
def _next(lanes: Records) -> int:
    """The lane on which something happens next."""
    at, moment, turn = NONE, NOT_YET, 0
    for i in range(len(lanes)):
        until = lanes[i].until
        if until < moment or (until == moment and until < NOT_YET and lanes[i].turn < turn):
            at, moment, turn = i, until, lanes[i].turn
    return at


@_inside
def _until(state: Record, lane: Record, moment: float) -> None:
    """Something will happen on the lane at a moment."""
    lane.until = moment
    lane.turn = state.turn
    state.turn += 1


@_inside
def _dispatch(run: Run, state: Record) -> None:
    """The host has dispatched its next op: it cancels, hands over, or is blocked until it can do the op itself."""
    ops, deps, lanes, number = run.ops, run.deps, run.lanes, state.next
    op, end = ops[number], ops[number + 1].deps
    state.next += 1
    op.dispatched_s = state.now
    op.start_s = op.end_s = NOT_YET
    op.pending, op.waiter, op.cancelled = 0, NONE, False
    if op.kind == _CANCEL:
        for d in range(op.deps, end):
            _withdraw(run, state, np.int64(deps[d].on))
        op.start_s = op.end_s = state.now
        return
    for d in range(op.deps, end):
        on = ops[deps[d].on]
        if on.end_s == NOT_YET:
            op.pending += 1
            deps[d].next_waiter = NONE
            if on.waiter == NONE:
                on.waiter = d
            else:
                deps[on.last_waiter].next_waiter = d
            on.last_waiter = d
    lane = lanes[op.lane]
    if op.lane == 0:
        lane.doing, lane.op = BLOCKED, number
    elif not lane.by_priority:
        op.left = NONE
        if lane.queue == NONE:
            lane.queue = number
        else:
            ops[lane.last].left = number
        lane.last = number
    if op.pending == 0:
        _ready(run, state, number)


@_inside
def _withdraw(run: Run, state: Record, number: int) -> None:
    """Cancel an op unless it started earlier; what its lane has begun for it at this instant is taken back."""
    op, now = run.ops[number], state.now
    lane = run.lanes[op.lane]
    if op.end_s < NOT_YET or op.start_s < now:
        return
    if op.start_s == now:
        _leave(run, state, np.int64(op.lane))
    if op.start_s == now or (lane.doing == WAKING and lane.waking_since == now):
        lane.doing, lane.until = IDLE, NOT_YET
    op.cancelled = True
    op.start_s = now
    _look_at(run.lanes, state, np.int64(op.lane))
    _end(run, state, number)


@_inside
def _end(run: Run, state: Record, number: int) -> None:
    """An op has ended: those that waited for nothing else are ready."""
    op = run.ops[number]
    op.end_s = state.now
    if op.kind == _WAIT and op.lane == 0:
        op.start_s = op.dispatched_s  # the host was held from there on
    d = op.waiter
    while d != NONE:
        waiter = run.ops[run.deps[d].op]
        waiter.pending -= 1
        if waiter.pending == 0 and waiter.end_s == NOT_YET:
            _ready(run, state, np.int64(run.deps[d].op))
        d = run.deps[d].next_waiter


@_inside
def _ready(run: Run, state: Record, number: int) -> None:
    """An op has been dispatched and all that it depends on has ended."""
    op = run.ops[number]
    lane = run.lanes[op.lane]
    _look_at(run.lanes, state, np.int64(op.lane))
    if lane.by_priority:
        op.left = op.right = NONE
        lane.queue = _meld(run.ops, lane.queue, number)


@_inside
def _go_on(run: Run, state: Record, at: int) -> None:
    """If the lane is idle and has something to do, it wakes up, or starts that, or is about to choose."""
    ops, lane = run.ops, run.lanes[at]
    if at == 0:
        if lane.doing == IDLE and state.next < state.issued:
            lane.doing = DISPATCHING
            _until(state, lane, state.now + run.dispatch_s[state.next])
        if lane.doing != BLOCKED or ops[lane.op].pending > 0:
            return
        number = lane.op
    else:
        chooses = lane.choosing
        if lane.doing != IDLE or chooses == CHOOSES_LAST:
            return
        if chooses == CHOOSES_NOW:
            lane.choosing = CHOICES_OVER
            state.choices -= 1
        while lane.queue != NONE and ops[lane.queue].end_s < NOT_YET:  # withdrawn
            _drop_head(ops, lane)
        number = lane.queue
        if number == NONE or ops[number].pending > 0:
            return
        if chooses != CHOOSES_NOW:
            if run.handoff_s[number] > 0 and state.now > lane.free_since:
                lane.doing, lane.waking_since = WAKING, state.now
                _until(state, lane, state.now + run.handoff_s[number])
                return
            if lane.by_priority:
                lane.choosing = CHOOSES_LAST
                state.choices += 1
                return
        _drop_head(ops, lane)
    _start(run, state, at, number)


@_inside
def _drop_head(ops: Records, lane: Record) -> None:
    """The first op leaves the lane's queue."""
    op = ops[lane.queue]
    lane.queue = _meld(ops, np.int64(op.left), np.int64(op.right)) if lane.by_priority else op.left


@_beside
def _meld(ops: Records, a: Any, b: Any) -> Any:
    """Two skew heaps as one: lowest priority number first, then the earliest issued."""
    root, parent = NONE, NONE
    while True:
        if a == NONE or (
            b != NONE and (ops[b].priority < ops[a].priority or (ops[b].priority == ops[a].priority and b < a))
        ):
            a, b = b, a
        if parent == NONE:
            root = a
        else:
            ops[parent].left = a
        if b == NONE:
            return root
        parent, a = a, np.int64(ops[a].right)
        ops[parent].right = ops[parent].left


@_inside
def _start(run: Run, state: Record, at: int, number: int) -> None:
    """The lane starts an op, which ends after its time unless others slow it."""
    op, lane = run.ops[number], run.lanes[at]
    op.start_s = state.now
    lane.doing, lane.op = BUSY, number
    _until(state, lane, state.now + run.duration_s[number])
    for c in range(len(run.capacities)):
        if run.demand[number, c] > 0:
            lane.rate = 1.0
    if lane.rate > 0:
        lane.left_s, lane.since = run.duration_s[number], state.now
        run.lanes[state.users].user = at
        state.users += 1
        _adjust(run, state)


@_inside
def _leave(run: Run, state: Record, at: int) -> None:
    """The lane draws on shared capacities no more, if it did."""
    lanes = run.lanes
    if lanes[at].rate > 0:
        lanes[at].rate = 0.0
        place = 0
        for i in range(state.users):
            if lanes[i].user != at:
                lanes[place].user = lanes[i].user
                place += 1
        state.users = place
        _adjust(run, state)


@_beside
def _adjust(run: Run, state: Record) -> None:
    """Give every user its rate: that of the scarcest capacity that it draws on."""
    lanes, demand, capacities, loads, now = run.lanes, run.demand, run.capacities, run.loads, state.now
    for c in range(len(capacities)):
        loads[c] = 0.0
        for i in range(state.users):
            loads[c] += demand[lanes[lanes[i].user].op, c]
    for i in range(state.users):
        lane = lanes[lanes[i].user]
        rate = 1.0
        for c in range(len(capacities)):
            if demand[lane.op, c] > 0 and loads[c] > capacities[c]:
                rate = min(rate, capacities[c] / loads[c])
        if rate != lane.rate:
            lane.left_s = max(0.0, lane.left_s - (now - lane.since) * lane.rate)
            lane.since, lane.rate = now, rate
            _until(state, lane, now + lane.left_s / rate)
