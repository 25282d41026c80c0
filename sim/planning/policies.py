"""Eviction policies that have a compiled form, in the order of their numbers there."""

from __future__ import annotations

from sim.cache import PolicyName

QUEUES: tuple[PolicyName, ...] = ("lru", "fifo", "least-stale", "sieve")
RANKED: tuple[PolicyName, ...] = ("lfu", "lfu-da", "window")
COMPILED: tuple[PolicyName, ...] = (*QUEUES, *RANKED, "arc", "s3-fifo")
