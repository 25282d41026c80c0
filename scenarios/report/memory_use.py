"""What each strategy keeps in a memory, against what can be used of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scenarios.report.palette import MEMORY
from scenarios.report.ranking import Entry
from sim.machine import Machine
from sim.memory import GPU_MEMORY, HOST_MEMORY, Footprint
from sim.readable import number

_TITLES = {GPU_MEMORY: "GPU memory", HOST_MEMORY: "Host memory"}


@dataclass(frozen=True)
class MemoryUse:
    """One memory: its bytes, what is in it for some strategy (`items`), and a row for all that need just the same."""

    title: str
    usable_bytes: int
    nominal_bytes: int
    items: tuple[str, ...]
    rows: tuple[tuple[tuple[Entry, ...], Footprint], ...]

    @property
    def note(self) -> str:
        """What there is of it."""
        return f"{number(self.usable_bytes / 1e9)} GB usable of {number(self.nominal_bytes / 1e9)} GB"

    @property
    def paints(self) -> dict[str, str]:
        """The CSS colour of each item."""
        return {item: f"var(--m{i % len(MEMORY)})" for i, item in enumerate(self.items)}

    @property
    def top_bytes(self) -> int:
        """What an axis has to hold."""
        return max(self.usable_bytes, *(footprint.total_bytes for _, footprint in self.rows))


def memory_use(entries: Sequence[Entry], machine: Machine) -> list[MemoryUse]:
    """GPU memory and host memory."""
    gpu = [(entry, entry.run.footprint) for entry in entries]
    host = [(entry, entry.run.host_footprint) for entry in entries]
    return [_use(pairs, machine) for pairs in (gpu, host)]


def few(labels: Sequence[str]) -> str:
    """All names if they are few, else the first two and how many more."""
    return ", ".join(labels) if len(labels) <= 3 else f"{labels[0]}, {labels[1]} and {len(labels) - 2} more"


def _use(pairs: Sequence[tuple[Entry, Footprint]], machine: Machine) -> MemoryUse:
    memory = pairs[0][1].memory
    alike: dict[tuple[tuple[str, int], ...], list[tuple[Entry, Footprint]]] = {}
    for entry, footprint in pairs:
        alike.setdefault(tuple(footprint.items.items()), []).append((entry, footprint))
    return MemoryUse(
        _TITLES.get(memory, memory),
        machine.memory[memory].usable_bytes,
        machine.memory[memory].nominal_bytes,
        tuple(dict.fromkeys(item for _, footprint in pairs for item, size in footprint.items.items() if size)),
        tuple((tuple(entry for entry, _ in group), group[0][1]) for group in alike.values()),
    )
