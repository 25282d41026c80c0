"""Compare: how far a predicted Timeline is from measured ones of the same Schedule, and whether rankings agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.errors import InputError
from sim.metrics import hit_rate, moved_bytes
from sim.schedule import Kind, Phase
from sim.timeline import Timeline

_MOVES = (Kind.LOAD, Kind.UNLOAD, Kind.SEND, Kind.READ)


@dataclass(frozen=True)
class Spread:
    """Absolute relative errors in brief: median and 95th percentile (None where there is nothing to compare)."""

    median: float | None
    p95: float | None

    @classmethod
    def of(cls, errors: NDArray[np.float64]) -> Spread:
        """Summarise signed relative errors; what took no measured time has none."""
        errors = errors[np.isfinite(errors)]
        if not len(errors):
            return cls(None, None)
        return cls(float(np.quantile(np.abs(errors), 0.5)), float(np.quantile(np.abs(errors), 0.95)))


@dataclass(frozen=True)
class KindError:
    """One kind of op on one lane: its share of the measured busy time, and errors of durations.

    `error` is of the summed seconds, predicted over measured minus one; `median_error` is the median over ops of the
    absolute relative error.
    """

    kind: str
    lane: str
    count: int
    share: float
    predicted_s: float
    measured_s: float
    error: float
    median_error: float


@dataclass(frozen=True)
class Comparison:
    """Prediction over measurement minus one, wherever an error is signed.

    With repeated runs, measured times are medians over the runs, and `repeat_spread` is the range of their
    makespans over its median (None for a single run).
    """

    predicted_s: float
    measured_s: float
    error: float
    repeat_spread: float | None
    runs: int
    steps: Spread
    prefill_steps: Spread
    decode_steps: Spread
    kinds: tuple[KindError, ...]
    bytes_equal: bool
    hits_equal: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def compare(predicted: Timeline, measured: Timeline, repeats: Sequence[Timeline] = ()) -> Comparison:
    """Compare a prediction with one run, and further runs if there are, of the same Schedule.

    Raises InputError if the timelines cannot belong together.
    """
    runs = [measured, *repeats]
    for run in runs:
        if len(run.times) != len(predicted.times) or len(run.schedule.steps) != len(predicted.schedule.steps):
            raise InputError(
                "the timelines are of different schedules",
                field="ops",
                value=len(run.times),
                remedy=f"compare timelines of one schedule (the prediction has {len(predicted.times)} ops)",
            )
    makespans = np.array([run.makespan_s for run in runs])
    measured_s = float(np.median(makespans))
    phase = np.array([step.phase for step in predicted.schedule.steps], np.uint8)
    errors = _relative(_step_seconds(predicted), np.median([_step_seconds(run) for run in runs], axis=0))
    prediction, truth = predicted.schedule, measured.schedule
    return Comparison(
        predicted_s=predicted.makespan_s,
        measured_s=measured_s,
        error=predicted.makespan_s / measured_s - 1 if measured_s else 0.0,
        repeat_spread=float(np.ptp(makespans)) / measured_s if len(runs) > 1 else None,
        runs=len(runs),
        steps=Spread.of(errors),
        prefill_steps=Spread.of(errors[phase == Phase.PREFILL]),
        decode_steps=Spread.of(errors[phase == Phase.DECODE]),
        kinds=_kind_errors(predicted, runs),
        bytes_equal=all(moved_bytes(prediction, kind) == moved_bytes(truth, kind) for kind in _MOVES),
        hits_equal=hit_rate(prediction) == hit_rate(truth),
    )


def _step_seconds(timeline: Timeline) -> NDArray[np.float64]:
    return np.diff(timeline.step_end_s, prepend=0.0)


def _relative(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> NDArray[np.float64]:
    return predicted / np.where(measured > 0, measured, np.nan) - 1


def _kind_errors(predicted: Timeline, runs: Sequence[Timeline]) -> tuple[KindError, ...]:
    """By share of the measured time, largest first; a wait is what the others make it and is left out."""
    ops, lanes = predicted.schedule.ops, predicted.schedule.lanes
    expected = predicted.times.end_s - predicted.times.start_s
    observed = np.median([run.times.end_s - run.times.start_s for run in runs], axis=0)
    ran = ~np.any([predicted.times.cancelled, *(run.times.cancelled for run in runs)], axis=0)
    worked = ran & ~np.isin(ops.kind, (Kind.WAIT, Kind.CANCEL))
    total = float(observed[worked].sum())
    found = []
    for kind, lane in np.unique(np.stack([ops.kind[worked], ops.lane[worked]], axis=1), axis=0).tolist():
        mine = worked & (ops.kind == kind) & (ops.lane == lane)
        errors = _relative(expected[mine], observed[mine])
        mine_s, real_s = float(expected[mine].sum()), float(observed[mine].sum())
        found.append(
            KindError(
                kind=Kind(kind).name.lower(), lane=lanes[lane].name, count=int(mine.sum()),
                share=real_s / total if total else 0.0, predicted_s=mine_s, measured_s=real_s,
                error=mine_s / real_s - 1 if real_s else 0.0,
                median_error=float(np.nanmedian(np.abs(errors))) if np.isfinite(errors).any() else 0.0,
            )
        )  # fmt: skip
    return tuple(sorted(found, key=lambda row: (-row.share, row.kind, row.lane)))


@dataclass(frozen=True)
class RankAgreement:
    """Kendall's tau over all pairs, and how many of the pairs with a clear measured gap are ranked right.

    tau is tau-b: 1 for the same order, -1 for the reverse, ties count as neither; None if one side is all ties.
    """

    tau: float | None
    clear_pairs: int
    right_pairs: int


def rank_agreement(
    predicted: Mapping[str, float], measured: Mapping[str, float], spread: float | Mapping[str, float] = 0.0
) -> RankAgreement:
    """Compare the order of the same names under two measures of any unit.

    A pair is clear if its measured values differ by more than `spread`, relative to the smaller; a spread by name
    counts for a pair as the larger of its two. Raises InputError if the names differ.
    """
    if predicted.keys() != measured.keys():
        odd = sorted(predicted.keys() ^ measured.keys())
        raise InputError("predicted and measured must name the same things", value=odd, remedy="leave these out")
    agree = tied_left = tied_right = pairs = clear = right = 0
    for a, b in combinations(sorted(predicted), 2):
        left, real = _sign(predicted[a] - predicted[b]), _sign(measured[a] - measured[b])
        pairs += 1
        agree += left * real
        tied_left += left == 0
        tied_right += real == 0
        noise = spread if isinstance(spread, int | float) else max(spread[a], spread[b])
        if abs(measured[a] - measured[b]) > noise * min(abs(measured[a]), abs(measured[b])):
            clear += 1
            right += left == real
    scale = ((pairs - tied_left) * (pairs - tied_right)) ** 0.5
    return RankAgreement(agree / scale if scale else None, clear, right)


def _sign(difference: float) -> int:
    return (difference > 0) - (difference < 0)
