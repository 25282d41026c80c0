"""Who evaluates a sweep: processes of this computer, or a Dask cluster."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from scenarios.local_executor import LocalExecutor
from scenarios.sweeping.crew import Crew
from sim.errors import InputError

_WAIT_S = 10
_REMEDY = "choose local, dask (a cluster on this computer), or dask=ADDRESS of a scheduler"


@contextmanager
def crew_on(where: str, jobs: int) -> Iterator[Crew]:
    """The crew that `--on` names: `local`, `dask` or `dask=ADDRESS`; with `jobs` workers, where that is ours to say.

    Raises InputError if there is no such thing.
    """
    kind, _, address = where.partition("=")
    if where == "local":
        with LocalExecutor(jobs) as executor:
            yield Crew(executor, jobs)
    elif kind == "dask":
        with _dask(address, jobs) as crew:
            yield crew
    else:
        raise InputError("is nothing that a sweep can run on", field="--on", value=where, remedy=_REMEDY)


@contextmanager
def _dask(address: str, jobs: int) -> Iterator[Crew]:
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise InputError("needs Dask", field="--on", value="dask", remedy="pip install 'moesim[dask]'") from error
    with ExitStack() as stack:
        ours = not address
        if ours:
            options = {"dashboard_address": None, "silence_logs": logging.ERROR}
            address = stack.enter_context(
                LocalCluster(n_workers=jobs, threads_per_worker=1, **options)
            ).scheduler_address
        try:
            client = stack.enter_context(Client(address, timeout=_WAIT_S))
        except (OSError, ValueError) as error:
            raise InputError("no scheduler answers", field="--on", value=address, remedy="check the address") from error
        if ours:
            client.run(_ignore_ctrl_c)
        workers = sum(client.nthreads().values())
        if not workers:
            raise InputError("this cluster has no workers", field="--on", value=address, remedy="start some")
        executor = client.get_executor(pure=False)
        try:
            yield Crew(executor, workers)
        finally:
            executor.shutdown(wait=False)  # all is done, or nobody waits for it


def _ignore_ctrl_c() -> None:
    """A terminal sends it to our workers too, which we end in good order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
