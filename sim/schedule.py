"""Schedule: what is to be done, as columns; the contract between strategies, engines and hardware."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from enum import IntEnum
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from sim.columnar import Ragged, read_table, write_table
from sim.errors import FormatError, InputError, ScheduleError
from sim.model import MoEModel
from sim.notebook import runs, shown
from sim.precision import Precisions
from sim.schedule_check import check_schedule

if TYPE_CHECKING:
    from sim.facts import Facts
    from sim.op_classes import OpClasses

FORMAT_VERSION = 1
HOST = "host"
NO_EXPERT = -1  # the block's shared expert or dense FFN; also ops without an expert
NO_SLOT = -1


class Kind(IntEnum):
    """What an op does. Stored in files: append only."""

    ATTENTION = 0
    GATE = 1
    EXPERT = 2
    COMBINE = 3
    HEAD = 4
    LOAD = 5  # expert weights to the GPU
    UNLOAD = 6  # expert weights back to the host
    SEND = 7  # activations, either way
    READ = 8  # storage to host memory
    SOFTWARE = 9  # host-side work: predictor, search, bookkeeping
    WAIT = 10  # the host blocks until the dependencies have ended
    CANCEL = 11  # the host withdraws its dependency if that has not started


class Reason(IntEnum):
    """Why an op exists, so that reports can tell useful work from waste. Stored in files: append only."""

    MODEL = 0  # the model's own work, whatever the strategy
    HIT = 1  # expert whose weights were resident when it was routed
    PREFETCHED = 2  # expert whose weights a prefetch brought, or was bringing, when it was routed
    DEMAND = 3  # expert that had to be loaded first, and that load
    STREAM = 4  # the same through a placeholder: the weights are not kept
    OFFLOAD = 5  # expert computed on the CPU, and the activations sent for it
    PREFETCH = 6  # load issued before the expert was known to be needed
    PRECOMPUTE = 7  # expert started on a predicted route
    SWAP = 8  # weights moved to exchange two experts
    PLACEMENT = 9  # weights moved to where the strategy wants them to start
    BOOKKEEPING = 10


class Phase(IntEnum):
    """Which half of generation a step belongs to."""

    PREFILL = 0
    DECODE = 1


@dataclass(frozen=True)
class Lane:
    """A resource that does one op at a time, in issue order (`fifo`) or by priority number (`priority`)."""

    name: str
    discipline: Literal["fifo", "priority"] = "fifo"


@dataclass(frozen=True)
class Ops:
    """Columns of `n` ops in issue order; `deps` holds indices of earlier ops of the whole schedule.

    `tokens` and `context` follow `sim.work.work`; `size_bytes` is what a transfer moves; `stated_s` is the
    duration of software whose author states it (NaN: the machine knows); `slot` is the GPU expert slot that an
    op fills, empties or reads.
    """

    kind: NDArray[np.uint8]
    lane: NDArray[np.uint8]
    reason: NDArray[np.uint8]
    precision: NDArray[np.uint8]
    step: NDArray[np.int32]
    layer: NDArray[np.int16]
    expert: NDArray[np.int16]
    slot: NDArray[np.int32]
    tokens: NDArray[np.int32]
    context: NDArray[np.int32]
    sequences: NDArray[np.int32]
    priority: NDArray[np.int32]
    size_bytes: NDArray[np.int64]
    stated_s: NDArray[np.float64]
    deps: Ragged

    def __len__(self) -> int:
        return len(self.kind)

    def __getitem__(self, part: slice) -> Ops:
        """A run of consecutive ops; dependencies keep counting from the first op of the schedule."""
        begin, end, _ = part.indices(len(self))
        offsets = self.deps.offsets[begin : end + 1]
        deps = Ragged(offsets - offsets[0], self.deps.values[offsets[0] : offsets[-1]])
        return Ops(**{name: getattr(self, name)[begin:end] for name in COLUMNS}, deps=deps)

    def dependencies(self, op: int) -> NDArray[np.int64]:
        """Indices of the ops that op number `op` of this block depends on."""
        return self.deps.values[self.deps.offsets[op] : self.deps.offsets[op + 1]]


COLUMNS: dict[str, type[np.generic]] = {
    "kind": np.uint8,
    "lane": np.uint8,
    "reason": np.uint8,
    "precision": np.uint8,
    "step": np.int32,
    "layer": np.int16,
    "expert": np.int16,
    "slot": np.int32,
    "tokens": np.int32,
    "context": np.int32,
    "sequences": np.int32,
    "priority": np.int32,
    "size_bytes": np.int64,
    "stated_s": np.float64,
}


@dataclass(frozen=True)
class Step:
    """One forward pass: which batch of sequences, how many tokens, and its first op."""

    phase: Phase
    batch: int
    sequences: int
    tokens: int
    first_op: int


@shown(runs.schedule_card)
@dataclass(frozen=True)
class Schedule:
    """Everything that a strategy decided for one run: ops, lanes, steps and the model they are for.

    `n_slots` is the number of expert-sized GPU buffers that the ops address. `start_slots` are the (block, expert)
    whose weights fill slots 0, 1, … before the first op. A `clock_free` schedule may be re-timed under any
    machine; one whose strategy asked the clock may only be re-planned.
    """

    ops: Ops
    lanes: tuple[Lane, ...]
    steps: tuple[Step, ...]
    model: MoEModel
    precisions: Precisions
    n_slots: int = 0
    start_slots: tuple[tuple[int, int], ...] = ()
    clock_free: bool = True
    meta: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ops)

    @cached_property
    def lane_index(self) -> dict[str, int]:
        """Number of each lane, by name."""
        return {lane.name: i for i, lane in enumerate(self.lanes)}

    @cached_property
    def classes(self) -> OpClasses:
        """Which ops cost the same, on whatever machine."""
        from sim.op_classes import op_classes  # here, for that module imports this one

        return op_classes(self.ops, self.model)

    @cached_property
    def facts(self) -> Facts:
        """What metrics need of it, on whatever machine."""
        from sim.facts import Facts  # here, for that module imports this one

        return Facts(self)

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: what was found out of them is found out again."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @cached_property
    def fingerprint(self) -> str:
        """A digest of all ops and of their dependencies: 16 hexadecimal digits."""
        digest = sha256()
        for column in (*(getattr(self.ops, name) for name in COLUMNS), self.ops.deps.offsets, self.ops.deps.values):
            digest.update(np.ascontiguousarray(column).view(np.uint8).data)
        return digest.hexdigest()[:16]

    @property
    def portable(self) -> bool:
        """Whether the strategy would decide the same on any machine: it asked neither the clock nor for a price."""
        return self.clock_free and not self.meta.get("weighed_prices", False)

    def validate(self) -> None:
        """Check the rules that every consumer relies on; raises ScheduleError naming the first offending op."""
        check_schedule(self)

    def save(self, path: str | Path) -> None:
        """Write one Arrow file, atomically; equal schedules give equal bytes."""
        columns: dict[str, Any] = {name: getattr(self.ops, name) for name in COLUMNS}
        write_table(
            path,
            kind="schedule",
            version=FORMAT_VERSION,
            columns=columns | {"deps": self.ops.deps},
            meta={
                "lanes": [[lane.name, lane.discipline] for lane in self.lanes],
                "steps": [[int(getattr(s, f.name)) for f in fields(Step)] for s in self.steps],
                "model": self.model.to_dict(),
                "precisions": asdict(self.precisions),
                "n_slots": self.n_slots,
                "start_slots": [list(key) for key in self.start_slots],
                "clock_free": self.clock_free,
                "meta": self.meta,
            },
        )

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; raises FormatError if the file is anything else."""
        columns, meta = read_table(path, kind="schedule", version=FORMAT_VERSION)
        try:
            schedule = cls(
                ops=Ops(**columns),
                lanes=tuple(Lane(name, discipline) for name, discipline in meta["lanes"]),
                steps=tuple(Step(Phase(phase), *rest) for phase, *rest in meta["steps"]),
                model=MoEModel.from_dict(meta["model"]),
                precisions=Precisions(**meta["precisions"]),
                n_slots=meta["n_slots"],
                start_slots=tuple((layer, expert) for layer, expert in meta["start_slots"]),
                clock_free=meta["clock_free"],
                meta=meta["meta"],
            )
            schedule.validate()
        except (LookupError, TypeError, ValueError, AttributeError, ScheduleError, InputError) as error:
            raise FormatError(f"not a usable schedule: {error}", file=path, remedy="plan it again") from error
        return schedule


def numbers_in_phase(schedule: Schedule) -> list[int]:
    """Number of each step among those of its phase, from 1."""
    seen = [0] * len(Phase)
    numbers = []
    for step in schedule.steps:
        seen[step.phase] += 1
        numbers.append(seen[step.phase])
    return numbers
