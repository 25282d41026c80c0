"""Eviction policies: which expert leaves when another needs its place; one subject a file."""

from sim.policies.arc import ARC
from sim.policies.frequency import LFU, LFUDA
from sim.policies.future import NEVER, Belady, FutureIndex
from sim.policies.least_stale import LeastStale
from sim.policies.ranked import Ranked
from sim.policies.recency import FIFO, LRU
from sim.policies.s3fifo import S3FIFO
from sim.policies.score import MRS
from sim.policies.sieve import Sieve
from sim.policies.window import Window

__all__ = [
    "ARC",
    "FIFO",
    "LFU",
    "LFUDA",
    "LRU",
    "MRS",
    "NEVER",
    "S3FIFO",
    "Belady",
    "FutureIndex",
    "LeastStale",
    "Ranked",
    "Sieve",
    "Window",
]
