"""Plain NumPy archives as routing traces."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from sim.errors import FormatError
from sim.inputs import existing
from sim.trace import ExpertIds, RoutingTrace, id_dtype

_REMEDY = (
    "save ids [token, layer, k], offsets, n_experts, optionally weights, prompt_tokens, token_ids, predicted, meta"
)


def import_npz(path: str | Path) -> RoutingTrace:
    """Read a plain NumPy archive: ids [token, layer, k], offsets [sequence + 1], n_experts; optional others.

    Optional are weights (any float), prompt_tokens (default 0: decode only), token_ids [token], predicted
    [token, ahead, layer, k] and meta (a JSON text, kept as provenance). Missing ids are marked by the highest value
    of their dtype. Raises FormatError naming the array.
    """
    arrays = _read_npz(path)
    try:
        n_experts = int(arrays["n_experts"])
        ids = _narrow("ids", arrays["ids"], n_experts)
        offsets = arrays["offsets"].astype(np.int64, casting="safe")
        prompt_tokens = arrays.get("prompt_tokens", np.zeros(len(offsets) - 1, np.int64)).astype(
            np.int64, casting="safe"
        )
        trace = RoutingTrace(
            ids,
            offsets,
            prompt_tokens,
            n_experts,
            weights=arrays["weights"].astype(np.float32, casting="same_kind") if "weights" in arrays else None,
            provenance={"format": "npz", "file": Path(path).name, "meta": json.loads(str(arrays.get("meta", "null")))},
            token_ids=_token_ids(arrays["token_ids"]) if "token_ids" in arrays else None,
            predicted=_narrow("predicted", arrays["predicted"], n_experts) if "predicted" in arrays else None,
        )
    except KeyError as error:
        raise FormatError(f"no array named {error}", file=path, remedy=_REMEDY) from error
    except (TypeError, ValueError, FormatError) as error:
        raise FormatError(str(error), file=path, remedy=_REMEDY) from error
    trace.validate(path)
    return trace


def _read_npz(path: str | Path) -> dict[str, NDArray[Any]]:
    try:
        with existing(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return dict(archive)
    except (OSError, ValueError, TypeError, EOFError, BadZipFile, zlib.error) as error:
        raise FormatError("truncated or not an .npz archive of plain arrays", file=path, remedy=_REMEDY) from error


def _narrow(name: str, ids: NDArray[Any], n_experts: int) -> ExpertIds:
    """Ids in the dtype that a trace of so many experts has, missing ones marked accordingly."""
    dtype = id_dtype(n_experts)
    if ids.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, are {ids.dtype}")
    if n_experts > np.iinfo(ids.dtype).max:
        raise ValueError(f"{ids.dtype} {name} cannot hold {n_experts} experts and a mark for missing")
    marked = ids == np.iinfo(ids.dtype).max
    if ((ids < 0) | (ids >= n_experts) & ~marked).any():
        raise ValueError(f"{name} must be from 0 to {n_experts - 1}, are from {ids.min()} to {ids.max()}")
    return np.where(marked, np.iinfo(dtype).max, ids).astype(dtype)


def _token_ids(tokens: NDArray[Any]) -> NDArray[np.int32]:
    if tokens.dtype.kind not in "iu":
        raise TypeError(f"token_ids must be integers, are {tokens.dtype}")
    if tokens.size and not 0 <= tokens.min() <= tokens.max() <= np.iinfo(np.int32).max:
        raise ValueError(f"token_ids must be from 0 to {np.iinfo(np.int32).max}")
    return tokens.astype(np.int32)
