"""The backends there are, by name."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

from hwexec.backend import Backend
from sim.errors import InputError

BACKENDS = ("host", "cuda")


def check_backend(name: str) -> None:
    """Raise InputError if there is no such backend, or if this computer lacks what it uses: Linux, torch, a GPU."""
    if name not in BACKENDS:
        raise InputError("no such backend", field="backend", value=name, remedy=f"choose one of {', '.join(BACKENDS)}")
    if not hasattr(os, "sched_setaffinity"):
        raise InputError("threads can be pinned to cores on Linux only", field="backend", value=name)
    if find_spec("torch") is None:
        raise InputError("measuring and executing need torch", remedy="install it with `pip install 'moesim[hw]'`")
    if name == "cuda":
        from hwexec.cuda_device import check_cuda

        check_cuda()


def make_backend(name: str, **options: Any) -> Backend:
    """The backend of that name; raises InputError as `check_backend` does. `options` are those of its class."""
    check_backend(name)
    if name == "cuda":
        from hwexec.cuda import CudaBackend
        from hwexec.cuda_device import TorchDevice

        return CudaBackend(TorchDevice(), **options)
    from hwexec.host import HostBackend

    return HostBackend(**options)
