"""Models by name: the presets that come with moesim, or any model from a file."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

import yaml

from sim.errors import InputError
from sim.hf_config import read_hf_config
from sim.model import MoEModel

_MODELS = Path(__file__).parent / "models"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def list_models() -> list[str]:
    """Return the names of the model presets, sorted."""
    return sorted(path.stem for path in _MODELS.glob("*.yaml"))


def load_model(name_or_path: str | Path) -> MoEModel:
    """Return a preset by name (any case), or the model in a file.

    A file is a Hugging Face config.json, a folder that holds one, or a YAML file written like the presets.
    InputError, naming the file and field where there is one, if there is no such model or it makes no sense.
    """
    name, path = str(name_or_path).lower(), Path(name_or_path)
    if name in list_models():
        return _read_yaml(_MODELS / f"{name}.yaml")
    if name and path.is_dir():
        path = path / "config.json"
    if path.suffix in (".yaml", ".yml"):
        return _read_yaml(path)
    if path.suffix == ".json" or (name and path.exists()):
        return read_hf_config(path)
    near = get_close_matches(name, list_models(), n=1)
    known = f"known: {', '.join(list_models())}, or a path to a config.json"
    remedy = f"did you mean {near[0]}?" if near else known
    raise InputError("unknown model", field="model", value=str(name_or_path), remedy=remedy)


def _read_yaml(path: Path) -> MoEModel:
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read ({error})", file=path) from error
    except yaml.YAMLError as error:
        raise InputError(f"is not YAML ({error})", file=path) from error
    try:
        return MoEModel.from_dict(data)
    except InputError as error:
        raise InputError(str(error), file=path) from error
