"""Traces by name: the recording that comes with moesim, or any trace from a file."""

from __future__ import annotations

from pathlib import Path

from sim.errors import FormatError
from sim.trace import RoutingTrace

_TRACES = Path(__file__).parent / "traces"
_ENDING = ".trace.arrow"
ARROW = "arrow"
FORMATS = {".arrow": ARROW, ".npz": "npz", ".csv": "bigmoe", ".jsonl": "nvmoe"}  # by ending


def list_traces() -> list[str]:
    """Return the names of the bundled traces, sorted."""
    return sorted(path.name.removesuffix(_ENDING) for path in _TRACES.glob(f"*{_ENDING}"))


def find_trace(name_or_path: str | Path, folder: Path = Path()) -> Path:
    """The file of a trace given by path, relative to `folder`, or by the name of a bundled one.

    A path wins over a name. Whether there is such a file is for its reader to say.
    """
    path = folder / name_or_path
    named = str(name_or_path)
    return _TRACES / f"{named}{_ENDING}" if not path.exists() and named in list_traces() else path


def load_trace(name_or_path: str | Path) -> RoutingTrace:
    """Load a trace and read all of it; raises InputError, naming the first token and layer at fault."""
    file = find_trace(name_or_path)
    recorded = FORMATS.get(file.suffix.lower(), ARROW)
    if recorded != ARROW and file.is_file():
        remedy = f"make it one: moesim trace import --format {recorded} {file} {file.stem}{_ENDING}"
        raise FormatError("is a recording, not a trace yet", file=file, remedy=remedy)
    trace = RoutingTrace.load(file)
    trace.validate(file)
    return trace
