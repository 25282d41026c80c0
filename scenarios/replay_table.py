"""Replays as tables for the terminal."""

from __future__ import annotations

import numpy as np
from rich.table import Table
from rich.text import Text

from scenarios.table import terminal
from sim.readable import percent
from sim.replay.study import Study

_SPLIT_AT = 0.25
_FEW = 3


def print_study(study: Study, title: str) -> None:
    """Print hit rates by policy and capacity, and what the misses are due to at the few capacities asked for."""
    console = terminal()
    console.print(Text(f"{title} · hit rates"), soft_wrap=True)
    table, digits = _new_table(), _digits(study)
    for capacity in study.capacities:
        table.add_column(capacity_label(study, capacity), justify="right")
    for policy in study.policies:
        rates = 1 - study.miss_ratios(policy)
        table.add_row(policy, *(percent(_defined(rate), digits) for rate in rates.tolist()))
    console.print(table)
    for at in _shown(study):
        console.print()
        _print_split(study, at)


def _digits(study: Study) -> int:
    """1 where whole percents would show the rates of neighbouring capacities as equal although they are not."""
    rates = np.array([100 * (1 - study.miss_ratios(policy)) for policy in study.policies])
    differ = np.diff(rates, axis=1) != 0
    return int((differ & (np.diff(np.round(rates), axis=1) == 0)).any())


def capacity_label(study: Study, capacity: int) -> str:
    """A capacity as a reader thinks of it."""
    if study.in_bytes:
        return f"{capacity / 2**20:.0f} MiB"
    return f"{capacity}\n{100 * capacity / study.cache_experts:.3g} %"


def _shown(study: Study) -> list[int]:
    """All capacities if they are few, else the one nearest to a quarter of the experts."""
    if len(study.capacities) <= _FEW or study.in_bytes:
        return list(range(len(study.capacities)))
    shares = np.array(study.capacities) / study.cache_experts
    return [int(np.abs(shares - _SPLIT_AT).argmin())]


def _print_split(study: Study, at: int) -> None:
    label = capacity_label(study, study.capacities[at]).replace("\n", " experts, ")
    terminal().print(Text(f"misses at {label}{' of each layer' if study.scope == 'layer' else ''}"), soft_wrap=True)
    table = _new_table()
    for column in ("all", "compulsory", "capacity", "policy", "of accesses"):
        table.add_column(column, justify="right")
    for policy in study.policies:
        compulsory, capacity, own = study.split(policy)[at].tolist()
        ratio = _defined(study.miss_ratios(policy)[at])
        parts = (compulsory + capacity + own, compulsory, capacity, own)
        table.add_row(Text(policy), *(f"{part:,}" for part in parts), percent(ratio))
    terminal().print(table)


def _new_table() -> Table:
    """A table of policies, without a title: a long one would be broken to the width of a narrow table."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("policy", no_wrap=True)
    return table


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else value
