"""The verdict: one sentence, computed from the results."""

from __future__ import annotations

from collections.abc import Sequence

from scenarios.report.lane_names import long_name
from scenarios.report.markup import Html, join, tag
from scenarios.report.ranking import Entry, contenders, decode_lead, level, ratio, unclear
from scenarios.results import RunResult
from scenarios.table import number_range
from sim.readable import number, percent, seconds

_FEW = 3  # names in a row
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
    if rivals := [entry for entry in able[1:] if unclear(best.run, entry.run)]:
        rivals = [entry for entry in able[1:] if entry in rivals or level(decode_lead(best.run, entry.run))]
        first = f" comes first of the {len(able)} strategies that fit, level within what is known with {_names(rivals)}"
        return join([name, first, ": it ", *_about(best.run, [entry for entry in able[1:] if entry not in rivals])])
    return join([name, f" is the best of the {len(able)} strategies that fit: it ", *_about(best.run, able[1:])])


def brackets(entries: Sequence[Entry]) -> Html | None:
    """A line on the runs that are no choice; None if there are none."""
    notes = [
        join([tag("strong", entry.label), f" ({entry.bracket}) ", _speed(entry.run, would=True)])
        for entry in entries
        if entry.bracket
    ]
    return join(["For reference: ", Html("; ".join(notes)), "."]) if notes and contenders(entries) else None


def _about(best: RunResult, others: Sequence[Entry]) -> list[str]:
    """Its speed, its lead over the next of the others if there are any, and what binds it."""
    lead = [_lead(best, others[0]), ", "] if others else []
    return [_speed(best), ", ", *lead, bound(best), _price(best), "."]


def _names(rivals: Sequence[Entry]) -> str:
    """All names if they are few, else the first two and how many more."""
    labels = [entry.label for entry in rivals]
    if len(labels) > _FEW:
        return f"{', '.join(labels[: _FEW - 1])} and {len(labels) - _FEW + 1} more"
    return " and ".join(filter(None, [", ".join(labels[:-1]), labels[-1]]))


def _speed(run: RunResult, *, would: bool = False) -> Html:
    """`decodes … tok/s with the first token after …`, as far as the run has these."""
    rate, first_s = run.summary.decode_tokens_per_s, run.summary.ttft_s
    first = join(["the first token after ", tag("strong", seconds(first_s))])
    if rate is None and first_s is not None:
        return join(["would give " if would else "gives ", first])
    verb = ("would decode" if would else "decodes") if rate else ("would put out" if would else "puts out")
    speed = tag("strong", f"{number(rate or run.summary.tokens_per_s)} tok/s")
    found = run.ranges.get("decode_tokens_per_s" if rate else "tokens_per_s")
    likely = None if found is None or would else f" ({number_range(found)})"
    return join([f"{verb} ", speed, likely] if first_s is None else [f"{verb} ", speed, likely, " with ", first])


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
