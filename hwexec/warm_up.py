"""Everything once before anything is timed: libraries load, allocators fill, events come into being."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

import torch

from hwexec.backend import Task
from hwexec.device import Device, Event, Stream

_COPIES = 2


def warm_up(
    device: Device, streams: Mapping[int, Stream], lanes: Sequence[int], tasks: Sequence[Task | None],
    events: Sequence[Event], copies: Set[int],
) -> None:  # fmt: skip
    """Run every kernel once on the stream of its lane, a few of the `copies` lanes' tasks, and record every event.

    A kernel that is loaded, or memory that is asked for, while a stream waits for the host could hold up both.
    """
    seen: set[tuple[int, int]] = set()
    copied = dict.fromkeys(copies, 0)
    with torch.inference_mode():
        for lane, task in zip(lanes, tasks, strict=True):
            if lane in streams and task is not None and (lane, id(task)) not in seen:
                seen.add((lane, id(task)))
                if lane in copied:
                    copied[lane] += 1
                    if copied[lane] > _COPIES:
                        continue
                device.run(streams[lane], task)
                if len(seen) % 32 == 0:
                    streams[lane].synchronize()
    some = next(iter(streams.values()), None)
    for event in events if some is not None else ():
        event.record(some)
    device.synchronize()
    device.leave()
