"""The verdict: one sentence, computed from the results."""

from __future__ import annotations

from collections.abc import Sequence

from scenarios.report.lane_names import long_name
from scenarios.report.markup import Html, join, tag
from scenarios.report.ranking import Entry, contenders, decode_lead, level, ratio
from scenarios.results import RunResult
from scenarios.table import number, percent, seconds

_SATURATED = 0.8  # busy share from which a lane is said to bind


def verdict(entries: Sequence[Entry], machine: str) -> Html:
    """The best strategy that fits, its speed, its lead over the next, and what it is bound by."""
    able = contenders(entries)
    best = entries[0]
    name = tag("strong", best.label)
    if not able:
        speed = _speed(best.run, would=True)
        return join(
            [f"Nothing that was tried can be used on {machine}: ", name, f", which {best.bracket}, ", speed, "."]
        )
    if len(able) == 1:
        return join([name, " ", _speed(best.run), ", ", bound(best.run), _price(best.run), "."])
    claim = f" is the best of the {len(able)} strategies that fit: it "
    return join(
        [name, claim, _speed(best.run), ", ", _lead(best.run, able[1]), ", ", bound(best.run), _price(best.run), "."]
    )


def brackets(entries: Sequence[Entry]) -> Html | None:
    """A line on the runs that are no choice; None if there are none."""
    notes = [
        join([tag("strong", entry.label), f" ({entry.bracket}) ", _speed(entry.run, would=True)])
        for entry in entries
        if entry.bracket
    ]
    return join(["For reference: ", Html("; ".join(notes)), "."]) if notes and contenders(entries) else None


def _speed(run: RunResult, *, would: bool = False) -> Html:
    """`decodes … tok/s with the first token after …`, as far as the run has these."""
    rate, first_s = run.summary.decode_tokens_per_s, run.summary.ttft_s
    first = join(["the first token after ", tag("strong", seconds(first_s))])
    if rate is None and first_s is not None:
        return join(["would give " if would else "gives ", first])
    verb = ("would decode" if would else "decodes") if rate else ("would put out" if would else "puts out")
    speed = tag("strong", f"{number(rate or run.summary.tokens_per_s)} tok/s")
    return join([f"{verb} ", speed] if first_s is None else [f"{verb} ", speed, " with ", first])


def _lead(best: RunResult, second: Entry) -> str:
    """`1.9× as fast as the next (…)`, by the figure that ranked them."""
    sooner = ratio(second.run.summary.ttft_s, best.summary.ttft_s)
    overall = ratio(best.summary.tokens_per_s, second.run.summary.tokens_per_s)
    lead = decode_lead(best, second.run) or sooner or overall or 1.0
    if not level(lead):
        return f"{_times(lead)} the next ({second.label})"
    if sooner is not None and not level(sooner):
        return f"level with the next ({second.label}), whose first token takes {number(sooner)}× as long"
    return f"level with the next ({second.label})"


def _price(run: RunResult) -> str:
    """What a strategy that does not follow the router pays for its speed."""
    if run.summary.fidelity is None:
        return ""
    return f", at the price of running {percent(run.summary.fidelity.changed)} of the router's choices on other experts"


def _times(lead: float) -> str:
    return f"{100 * (lead - 1):.0f} % faster than" if lead < 1.5 else f"{number(lead)}× as fast as"


def bound(run: RunResult) -> str:
    """The busiest lane, and whether it is what limits the run."""
    lane, busy = max(run.summary.utilisation.items(), key=lambda item: item[1])
    if busy >= _SATURATED:
        return f"bound by {long_name(lane)} ({percent(busy)} busy)"
    return f"with no lane saturated (busiest: {long_name(lane)}, {percent(busy)})"
