"""What GPU memory holds while a timeline runs, told from the times alone: a second opinion on `sim.slots`."""

from __future__ import annotations

from collections import defaultdict

from sim.schedule import Kind
from sim.slots import Key
from sim.timeline import Timeline

_TOLERANCE_S = 1e-9


def slot_faults(timeline: Timeline) -> list[str]:
    """Every read of an expert-sized buffer that does not hold those weights, every copy into one still in use."""
    faults = []
    held: dict[int, Key] = dict(enumerate(timeline.schedule.start_slots))
    ready_s: dict[int, float] = defaultdict(float)  # when the weights in a slot are complete
    free_s: dict[int, float] = defaultdict(float)  # when nobody reads or writes a slot any more
    ops, times = timeline.schedule.ops, timeline.times
    for op in (i for i in range(len(ops)) if ops.slot[i] >= 0 and not times.cancelled[i]):
        slot, key = int(ops.slot[op]), (int(ops.layer[op]), int(ops.expert[op]))
        start_s, end_s = times.start_s[op], times.end_s[op]
        if ops.kind[op] == Kind.LOAD:
            if start_s < free_s[slot] - _TOLERANCE_S:
                faults.append(f"op {op} overwrites slot {slot} at {start_s}, in use until {free_s[slot]}")
            held[slot], ready_s[slot] = key, end_s
        elif held.get(slot) != key:
            faults.append(f"op {op} reads {key} in slot {slot}, which holds {held.get(slot)}")
        elif start_s < ready_s[slot] - _TOLERANCE_S:
            faults.append(f"op {op} reads slot {slot} at {start_s}, before it is filled at {ready_s[slot]}")
        free_s[slot] = max(free_s[slot], end_s)
    return faults


def most_blocks(timeline: Timeline) -> int:
    """The most blocks whose streamed non-expert weights are on the GPU at one time.

    A block is there from the start of its load to the end of the last op of that visit that reads them.
    """
    schedule, times = timeline.schedule, timeline.times
    ops = schedule.ops
    visits: list[list[float]] = []
    current: dict[int, list[float]] = {}
    for op in range(len(ops)):
        layer = int(ops.layer[op])
        if ops.kind[op] == Kind.LOAD and ops.expert[op] < 0:
            current[layer] = [times.start_s[op], times.end_s[op]]
            visits.append(current[layer])
        elif layer in current and ops.lane[op] == schedule.lane_index["gpu0"] and ops.kind[op] != Kind.HEAD:
            current[layer][1] = max(current[layer][1], times.end_s[op])
    moments = sorted((moment, change) for start, end in visits for moment, change in ((start, 1), (end, -1)))
    there, most = 0, 0
    for _, change in moments:
        there += change
        most = max(most, there)
    return most
