"""Compiled timing of schedules by the rules of docs/semantics.md. Import its modules only where Numba is installed."""
