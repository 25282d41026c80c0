"""Replays of whole traces, compiled; each gives exactly what `sim.cache.replay` gives with the policy of its name.

A batch never evicts its own members: those are passed over, or taken out and put back as used now when room has been
made for the missing. Import this package only where Numba is installed.
"""

from sim.replay.kernels.arc import arc
from sim.replay.kernels.least_stale import least_stale
from sim.replay.kernels.queue import queue
from sim.replay.kernels.ranked import next_uses, ranked
from sim.replay.kernels.s3fifo import s3fifo
from sim.replay.kernels.sieve import sieve
from sim.replay.kernels.window import window

__all__ = ["arc", "least_stale", "next_uses", "queue", "ranked", "s3fifo", "sieve", "window"]
