"""Replaying traces through eviction policies, without a clock."""

from sim.replay.replayer import COMPILED, REFERENCES, STATIC_ORACLE, Replayer, missing_compiler

__all__ = ["COMPILED", "REFERENCES", "STATIC_ORACLE", "Replayer", "missing_compiler"]
