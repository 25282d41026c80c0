from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from scenarios.report.axis import axis_for
from scenarios.report.categories import CATEGORIES
from scenarios.report.causes import MEANINGS, paint
from scenarios.report.markup import Html, embed_json, join, tag
from scenarios.report.palette import CATEGORIES as PAINTS
from scenarios.report.palette import CAUSES, STRATEGIES, SURFACES
from scenarios.report.units import GIGABYTES, SECONDS, SHARE, aligned
from sim.critical_path import Cause

Colour = NDArray[np.float64]

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
# Ottosson 2020, from linear RGB.
TO_LMS = np.array(
    [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
     [0.0883024619, 0.2817188376, 0.6299787005]]
)  # fmt: skip
TO_OKLAB = np.array(
    [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
     [0.0259040371, 0.7827717662, -0.8086757660]]
)  # fmt: skip
APART = 0.1
MEET = {  # categories that meet on one lane, or in one legend
    "gpu": ["model", "hit", "prefetched", "demand", "stream", "precompute"],
    "links": ["demand", "stream", "prefetch", "swap", "placement", "offload"],
    "host": ["dispatch", "bookkeeping", "wait"],
}
FREQUENT = [  # causes that take much of some run; the others are told apart by their names
    "gpu", "cpu-expert", "demand-load", "late-prefetch", "wasted-prefetch", "sharing", "held-up", "dispatch",
]  # fmt: skip


def linear(colour: str) -> Colour:
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def distance(one: str, other: str, vision: str) -> float:
    seen = [TO_OKLAB @ np.cbrt(TO_LMS @ np.clip(VISION[vision] @ linear(c), 0, 1)) for c in (one, other)]
    return float(np.linalg.norm(seen[0] - seen[1]))


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("theme", [0, 1])
def test_colours_that_meet_can_be_told_apart(theme: int, vision: str) -> None:
    groups = [[PAINTS[name][theme] for name in names] for names in MEET.values()]
    groups.append([pair[theme] for pair in STRATEGIES])
    groups.append([CAUSES[name][theme] for name in FREQUENT])
    for colours in groups:
        for one, other in combinations(colours, 2):
            assert distance(one, other, vision) >= APART, (one, other)


def test_every_cause_has_a_colour_and_a_meaning() -> None:
    assert {f"var(--p-{name})" for name in CAUSES} == {paint(cause) for cause in Cause}
    assert set(MEANINGS) == set(Cause)


def test_every_category_has_a_colour_and_meets_others_somewhere() -> None:
    assert set(PAINTS) == {category.name for category in CATEGORIES}
    assert set(PAINTS) == {name for names in MEET.values() for name in names}


@pytest.mark.parametrize("theme", [0, 1])
def test_text_can_be_read_on_the_page(theme: int) -> None:
    for ink, least in (("ink", 12), ("ink-2", 7), ("ink-3", 4.5), ("bad", 4.5)):
        for ground in ("page", "raised"):
            assert contrast(SURFACES[ink][theme], SURFACES[ground][theme]) >= least - 0.35, (ink, ground)


def test_markup_escapes_all_but_markup() -> None:
    inner = tag("b", "<&>")
    assert tag("p", inner, '"', None, class_='a"b', data_x=None) == '<p class="a&quot;b"><b>&lt;&amp;&gt;</b>&quot;</p>'
    assert join(["<", Html("<br>")]) == "&lt;<br>"


def test_json_cannot_end_its_script_element() -> None:
    assert "<" not in embed_json({"x": "</script><!--"})


def test_a_column_has_one_unit_and_as_many_decimals_as_its_smallest_needs() -> None:
    assert aligned([3.6, 0.142, None], SECONDS) == ("s", ["3.60", "0.14", "–"])
    assert aligned([0.0438, 0.61, 0.0], SECONDS) == ("ms", ["44", "610", "0"])
    assert aligned([92.9e9, 0.083e9], GIGABYTES) == ("GB", ["92.90", "0.08"])
    assert aligned([0.5, 1.0], SHARE) == ("%", ["50", "100"])
    assert aligned([1234567.0], (("", 1.0),)) == ("", ["1\u2009234\u2009567"])
    assert aligned([None], SECONDS) == ("µs", ["–"])


lengths = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=8)


@given(lengths)
def test_bars_are_in_proportion_or_if_that_hides_some_on_a_logarithmic_axis(values: list[float]) -> None:
    axis = axis_for(values)
    shares = [axis.share(value) for value in values]
    assert max(shares) == pytest.approx(1.0)
    assert min(shares) >= 0.0099
    assert axis.log == (max(values) >= 50 * min(values))
    if not axis.log:
        assert shares == pytest.approx([value / max(values) for value in values])
    order = np.argsort(values)
    assert np.all(np.diff(np.array(shares)[order]) >= 0)
    assert all(axis.floor * 0.999 <= mark <= axis.top * 1.001 for mark in axis.decades)


def test_bars_beyond_the_axis_end_with_it() -> None:
    assert axis_for([1.0, 2.0]).share(50.0) == 1.0
    assert axis_for([1.0, 200.0]).share(0.001) == 0.0
    assert axis_for([0.0]).share(3.0) == 0.0
