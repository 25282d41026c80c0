"""Replays of whole traces, compiled; each gives exactly what `sim.cache.replay` gives with the policy of its name.

A batch never evicts its own members: those are passed over, or taken out and put back as used now when room has been
made for the missing. Import this package only where Numba is installed.
"""

from sim.replay_kernels.arc import arc
from sim.replay_kernels.least_stale import least_stale
from sim.replay_kernels.queue import queue
from sim.replay_kernels.ranked import next_uses, ranked
from sim.replay_kernels.s3fifo import s3fifo
from sim.replay_kernels.sieve import sieve
from sim.replay_kernels.window import window

__all__ = ["arc", "least_stale", "next_uses", "queue", "ranked", "s3fifo", "sieve", "window"]
