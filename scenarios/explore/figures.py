"""What the figures of a sweep are called on its page, and what they are in."""

from __future__ import annotations

from typing import NamedTuple


class Heading(NamedTuple):
    """`unit` is how a value reads: s, share (shown in percent), or a name that is put behind it."""

    title: str
    unit: str


HEADINGS = {
    "tokens_per_s": Heading("End to end", "tok/s"),
    "decode_tokens_per_s": Heading("Decode", "tok/s"),
    "ttft_s": Heading("TTFT", "s"),
    "tpot_p50_s": Heading("TPOT p50", "s"),
    "tpot_p95_s": Heading("TPOT p95", "s"),
    "makespan_s": Heading("Whole run", "s"),
    "hit_rate": Heading("Hit rate", "share"),
    "loaded_gb_per_token": Heading("Loaded", "GB/token"),
    "gpu_gb": Heading("GPU memory", "GB"),
    "host_gb": Heading("Host memory", "GB"),
    "energy_j_per_token": Heading("Energy", "J/token"),
    "usd_per_mtok": Heading("Cost", "$/million tok"),
    "changed": Heading("Other experts", "share"),
    "gate_lost": Heading("Gate lost", "share"),
    "cached": Heading("Cached", "experts"),
}
