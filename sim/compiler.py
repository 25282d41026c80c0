"""Whether Numba is there to compile what has a compiled form."""

from __future__ import annotations

from importlib.util import find_spec


def without_compiler(what: str) -> str | None:
    """A line for the user if `what` has to run in plain Python, else None."""
    if find_spec("numba") is not None:
        return None
    return f"Numba is not installed: {what} in plain Python, a hundred times slower; pip install 'moesim[fast]'"
