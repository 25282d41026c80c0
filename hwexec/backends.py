"""The backends there are, by name."""

from __future__ import annotations

import os
from importlib.util import find_spec

from hwexec.backend import Backend
from sim.errors import InputError

BACKENDS = ("host",)


def check_backend(name: str) -> None:
    """Raise InputError if there is no such backend, or if this computer lacks what all of them use: Linux, torch."""
    if name not in BACKENDS:
        raise InputError("no such backend", field="backend", value=name, remedy=f"choose one of {', '.join(BACKENDS)}")
    if not hasattr(os, "sched_setaffinity"):
        raise InputError("threads can be pinned to cores on Linux only", field="backend", value=name)
    if find_spec("torch") is None:
        raise InputError("measuring and executing need torch", remedy="install it with `pip install 'moesim[hw]'`")


def make_backend(name: str) -> Backend:
    """The backend of that name; raises InputError as `check_backend` does."""
    check_backend(name)
    from hwexec.host import HostBackend

    return HostBackend()
