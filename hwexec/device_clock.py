"""One axis of time for the GPU and the host: events placed on the host's monotonic clock."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter_ns

from hwexec.device import Device, Event, Stream

_TRIES = 24
_REBASE_MS = 2000.0  # elapsed times are 32-bit floats: they are read from an event no further back than this
_STEADY_PPM = 200.0


@dataclass(frozen=True)
class Anchor:
    """An event, and when it happened by the host's clock, give or take `slack_ns`."""

    event: Event
    host_ns: float
    slack_ns: float


def anchor(stream: Stream, events: list[Event]) -> Anchor:
    """Record events on an idle stream and keep the one that the host saw most sharply: before and after are known."""
    found = []
    for event in events:
        before = perf_counter_ns()
        event.record(stream)
        event.synchronize()
        after = perf_counter_ns()
        found.append(Anchor(event, (before + after) / 2, (after - before) / 2))
    return min(found, key=lambda each: each.slack_ns)


class DeviceClock:
    """Turns events recorded between two anchors into nanoseconds of the host's clock.

    `open` before the run and `close` after it, on a stream that has nothing to do; in between, in the order of time
    as far as possible, events are read by `host_ns`.
    """

    def __init__(self, device: Device, stream: Stream) -> None:
        self._stream = stream
        self._events = [[device.new_event() for _ in range(_TRIES)] for _ in range(2)]
        self._begin = self._end = Anchor(self._events[0][0], 0.0, 0.0)
        self._span_ns = 0.0
        self._base: tuple[Event, float] = (self._begin.event, 0.0)

    def open(self) -> None:
        """Anchor the beginning."""
        self._begin = anchor(self._stream, self._events[0])

    def close(self) -> None:
        """Anchor the end; all work must be done."""
        self._end = anchor(self._stream, self._events[1])
        self.rewind()
        self._span_ns = self._since_begin(self._end.event)
        self.rewind()

    def rewind(self) -> None:
        """Begin to read events from the beginning again, of another lane say."""
        self._base = (self._begin.event, 0.0)

    def host_ns(self, event: Event) -> float:
        """When an event happened; what the clocks drifted apart is spread evenly over the run."""
        since = self._since_begin(event)
        share = since / self._span_ns if self._span_ns > 0 else 0.0
        return self._begin.host_ns + since + share * self.drift_ns

    @property
    def drift_ns(self) -> float:
        """How much longer the run was by the host's clock than by the GPU's."""
        return self._end.host_ns - self._begin.host_ns - self._span_ns

    @property
    def slack_ns(self) -> float:
        """How sharply the two are tied together at either end, the worse of both."""
        return max(self._begin.slack_ns, self._end.slack_ns)

    @property
    def steady(self) -> bool:
        """Whether the clocks ran alike: apart by no more than the anchors leave open and crystals differ."""
        return abs(self.drift_ns) <= 2 * self.slack_ns + _STEADY_PPM * 1e-6 * self._span_ns

    def report(self) -> dict[str, float | bool]:
        """For the record of a run."""
        return {"slack_s": self.slack_ns / 1e9, "drift_s": self.drift_ns / 1e9, "steady": self.steady}

    def _since_begin(self, event: Event) -> float:
        base, at = self._base
        elapsed_ms = base.elapsed_time(event)
        now = at + elapsed_ms * 1e6
        if elapsed_ms > _REBASE_MS:
            self._base = (event, now)
        return now
