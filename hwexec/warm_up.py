"""Everything once before anything is timed: libraries load, allocators fill, events come into being."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from hwexec.backend import Task
from hwexec.device import Device, Event, Stream


def warm_up(
    device: Device, streams: Mapping[int, Stream], lanes: Sequence[int], tasks: Sequence[Task | None],
    events: Sequence[Event],
) -> None:  # fmt: skip
    """Run every task of the GPU once on the stream of its lane, and record every event once.

    A kernel that is loaded, or memory that is asked for, while a stream waits for the host could hold up both.
    """
    seen: set[tuple[int, int]] = set()
    with torch.inference_mode():
        for lane, task in zip(lanes, tasks, strict=True):
            if lane in streams and task is not None and (lane, id(task)) not in seen:
                seen.add((lane, id(task)))
                device.run(streams[lane], task)
                if len(seen) % 32 == 0:
                    streams[lane].synchronize()
    some = next(iter(streams.values()), None)
    for event in events if some is not None else ():
        event.record(some)
    device.synchronize()
    device.leave()
