"""Replays of whole traces, compiled; each gives exactly what `sim.cache.replay` gives with the policy of its name.

A batch never evicts its own members: those are passed over, or taken out and put back as used now when room has been
made for the missing. Import this package only where Numba is installed.
"""

from sim.compiler import keep_by_sources

keep_by_sources()

from sim.replay.kernels.arc import arc  # noqa: E402
from sim.replay.kernels.least_stale import least_stale  # noqa: E402
from sim.replay.kernels.queue import queue  # noqa: E402
from sim.replay.kernels.ranked import next_uses, ranked  # noqa: E402
from sim.replay.kernels.s3fifo import s3fifo  # noqa: E402
from sim.replay.kernels.sieve import sieve  # noqa: E402
from sim.replay.kernels.window import window  # noqa: E402

__all__ = ["arc", "least_stale", "next_uses", "queue", "ranked", "s3fifo", "sieve", "window"]
