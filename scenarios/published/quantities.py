"""Quantities that a published figure may be compared by: read of a run, or of a setting without running it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from scenarios.published import of_runs, of_settings

if TYPE_CHECKING:
    from scenarios.published.spec import At
    from scenarios.resolve import Case
    from scenarios.results import RunResult


@dataclass(frozen=True)
class Quantity:
    """What a reading means, how it is taken, and which of two is better (None: that is not the question)."""

    what: str
    run: Callable[[RunResult], float | None] | None = None
    case: Callable[[Case, At], float] | None = None
    better: Literal["higher", "lower"] | None = "higher"

    @property
    def of_run(self) -> bool:
        """Whether a strategy has to be run for it."""
        return self.run is not None


QUANTITIES: dict[str, Quantity] = {
    "tokens_per_s": Quantity("output tokens over the whole time", lambda run: run.summary.tokens_per_s),
    "decode_tokens_per_s": Quantity("tokens over the time of decode", lambda run: run.summary.decode_tokens_per_s),
    "ttft_s": Quantity("time to the first token, median", lambda run: run.summary.ttft_s, better="lower"),
    "makespan_s": Quantity("time of the whole run", lambda run: run.summary.makespan_s, better="lower"),
    "block_s": Quantity("median time of a block in decode", of_runs.block_s, better="lower"),
    "later_passes_per_s": Quantity("forward passes a second after the first", of_runs.later_passes_per_s),
    "recall": Quantity("decode: share of experts used that were on the GPU when routed", of_runs.recall),
    "precision": Quantity("decode: share of cached experts that were used", of_runs.precision),
    "cpu_share": Quantity("decode: share of experts used that the CPU computed", of_runs.cpu_share),
    "moe_time_share": Quantity("time from attention's end to combination, share of all", of_runs.moe_time_share),
    "changed": Quantity("router's choices that ran on another expert", of_runs.changed, better=None),
    "gate_lost": Quantity("gate weight of the choices that did not run", of_runs.gate_lost, better=None),
    "gpu_gb": Quantity("GPU memory in use, GB", lambda run: run.footprint.total_bytes / 1e9),
    "idle_gib": Quantity("experts that a forward pass does not run, GiB", of_runs.idle_gib),
    "idle_share": Quantity("the same, share of all weights", of_runs.idle_share),
    "model_gib": Quantity("all weights, GiB", case=of_settings.model_gib),
    "moe_share": Quantity("MoE blocks with their attention, share of all weights", case=of_settings.moe_share),
    "experts_used_share": Quantity("experts of a layer that a sequence uses", case=of_settings.experts_used_share),
    "prefill_decode_cosine": Quantity("tokens of experts, prefill to decode", case=of_settings.prefill_decode_cosine),
    "cpu_gb_per_s_together": Quantity("CPU kernels while copies run, GB/s", case=of_settings.cpu_gb_per_s_together),
    "link_gb_per_s_together": Quantity("copies while CPU kernels run, GB/s", case=of_settings.link_gb_per_s_together),
    "expert_s": Quantity("one expert on a device", case=of_settings.expert_s),
    "copy_s": Quantity("one copy to the GPU, of one expert if no size is stated", case=of_settings.copy_s),
}
