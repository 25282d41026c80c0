from __future__ import annotations

import pytest

from scenarios.datasheet import Pcie
from scenarios.efficiency import Measurement, Share, efficiency


def test_a_share_is_the_median_of_its_measurements() -> None:
    measured = [Measurement(achieved=a, of=100.0, source="") for a in (10.0, 90.0, 30.0)]
    assert Share(what="", measured=measured).value == 0.3


def test_every_share_is_physical_and_every_constant_names_its_source() -> None:
    for name, figure in efficiency().named().items():
        if not isinstance(figure, Share):
            assert figure.source, name
        elif name != "dram_shared":  # that one says how much more all users get than the CPU alone
            assert 0 < figure.value < 1, name


def test_the_fixed_cost_of_copies_restores_the_published_rates_and_never_falls_with_size() -> None:
    figures = efficiency()
    rate = figures.pcie_pinned[3].value * Pcie(generation=3).bytes_per_s
    overheads = figures.copy_overheads()
    assert overheads == sorted(overheads)
    assert [overhead_s for _, overhead_s in overheads] == sorted(overhead_s for _, overhead_s in overheads)
    for size, overhead_s in overheads:
        assert size / (overhead_s + size / rate) / 1e9 == pytest.approx(figures.small_copies.gb_per_s[size], rel=0.08)
