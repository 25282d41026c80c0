"""Compiled timing of schedules by the rules of docs/semantics.md. Import its modules only where Numba is installed."""

from sim.compiler import keep_by_sources

keep_by_sources()
