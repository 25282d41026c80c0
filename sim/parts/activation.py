"""Expert activation matrices: which experts a request uses, told from how earlier requests went (MoE-Infinity)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from sim.schedule import Phase
from sim.trace import RoutingTrace

Matrix = NDArray[np.float64]  # [MoE block, expert]: tokens, or likelihoods

_CHUNK_TOKENS = 8192
_SAME = 1e-9  # similarities that differ by a smaller part are equal


class MatrixCollection:
    """The activation matrices of past requests, at most `capacity`; a new one replaces the one it resembles most."""

    def __init__(self, shape: tuple[int, int], capacity: int) -> None:
        self.shape, self._capacity = shape, capacity
        self.matrices = np.empty((0, *shape))  # [request, MoE block, expert]
        self.norms = np.empty(0)

    def __len__(self) -> int:
        return len(self.matrices)

    def add(self, matrix: Matrix) -> None:
        """Keep a request's matrix, unless it is empty."""
        if not matrix.any():
            return
        norm = np.linalg.norm(matrix)
        if len(self) < self._capacity:
            self.matrices = np.concatenate([self.matrices, matrix[None]])
            self.norms = np.append(self.norms, norm)
            return
        nearest = np.argmax(np.tensordot(self.matrices, matrix) / self.norms)
        self.matrices, self.norms = self.matrices.copy(), self.norms.copy()
        self.matrices[nearest], self.norms[nearest] = matrix, norm


class Match:
    """Compares what is seen of a forward pass, or of a request, with a collection while it goes on.

    Cosine similarity of the flattened matrices. Its numerator grows with every block, and of its denominator only the
    stored matrix's norm tells the stored ones apart.
    """

    def __init__(self, collection: MatrixCollection) -> None:
        self._matrices, self._norms = collection.matrices, collection.norms  # as they are now
        self._products = np.zeros(len(collection))
        self._best: bytes = b""
        self._likelihood: Matrix = np.zeros(collection.shape)

    def see(self, moe: int, tokens_of: Mapping[int, int]) -> None:
        """Count the tokens of a block that has just been routed."""
        counts = np.fromiter(tokens_of.values(), np.float64, len(tokens_of))
        self._products += self._matrices[:, moe, list(tokens_of)] @ counts

    def likelihood(self) -> Matrix:
        """Each block's expected shares of tokens by expert: those of the most similar matrices together.

        Several may be equally similar: all are, while none is like the present one at all. 0 if there is none.
        """
        similarity = self._products / self._norms
        best = similarity >= similarity.max(initial=0.0) * (1 - _SAME)
        if best.tobytes() != self._best:
            self._best, self._likelihood = best.tobytes(), shares(self._matrices[best].sum(axis=0))
        return self._likelihood


def shares(matrix: Matrix) -> Matrix:
    """Each row divided by its sum; rows without tokens stay empty."""
    total = matrix.sum(axis=1, keepdims=True)
    return matrix / np.where(total > 0, total, 1.0)


def request_matrices(trace: RoutingTrace) -> Iterator[tuple[Matrix, Matrix]]:
    """The matrices of the prompt and of the output of each sequence in turn; the two phases are traced apart."""
    bounds = zip(trace.offsets.tolist(), trace.prompt_tokens.tolist(), trace.offsets[1:].tolist(), strict=False)
    for first, prompt, end in bounds:
        yield _counts(trace, first, first + prompt), _counts(trace, first + prompt, end)


def _counts(trace: RoutingTrace, begin: int, end: int) -> Matrix:
    n_layers, n_experts = trace.n_layers, trace.n_experts
    found = np.zeros(n_layers * n_experts, np.int64)
    for start in range(begin, end, _CHUNK_TOKENS):
        ids = trace.ids[start : min(start + _CHUNK_TOKENS, end)]
        cell = np.arange(n_layers)[:, None] * n_experts + ids.astype(np.int64)
        found += np.bincount(cell[ids != trace.missing], minlength=len(found))
    return found.reshape(n_layers, n_experts).astype(np.float64)


class RequestTracer:
    """Follows requests through their forward passes and tells what the present one is likely to use.

    Prompts and outputs are traced and matched apart. What is matched is the matrix of the present forward pass, or
    with `whole_request` of all passes of this phase so far. A batch counts as one request.
    """

    def __init__(
        self, shape: tuple[int, int], capacity: int, *, calibration: RoutingTrace | None, whole_request: bool
    ) -> None:
        self._collections = {phase: MatrixCollection(shape, capacity) for phase in Phase}
        self._seen = {phase: np.zeros(shape) for phase in Phase}
        self._whole_request = whole_request
        self._pass: tuple[Phase, int] | None = None
        if calibration is not None:
            for matrices in request_matrices(calibration):
                for phase, matrix in zip(Phase, matrices, strict=True):
                    self._collections[phase].add(matrix)

    def see(self, phase: Phase, step: int, moe: int, tokens_of: Mapping[int, int]) -> None:
        """A block of forward pass number `step` has just been routed."""
        before, self._pass = self._pass, (phase, step)
        if before is None or before[0] != phase or (before[1] != step and not self._whole_request):
            self._match = Match(self._collections[phase])
        self._match.see(moe, tokens_of)
        self._seen[phase][moe, list(tokens_of)] += list(tokens_of.values())

    def likelihood(self) -> Matrix:
        """Expected shares of tokens by expert, by block; 0 as long as no request of this phase is known."""
        return self._match.likelihood()

    def end_request(self) -> None:
        """Keep the request's matrices for those to come."""
        for phase, seen in self._seen.items():
            self._collections[phase].add(seen.copy())
            seen[:] = 0
        self._pass = None
