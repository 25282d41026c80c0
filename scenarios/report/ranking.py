"""Who competes and who only brackets the others, in order of merit and each with a colour of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scenarios.report.palette import STRATEGIES
from scenarios.results import RunResult
from sim.intervals import Range, range_of

_LEVEL = 1.01  # a lead below this is none


@dataclass(frozen=True)
class Entry:
    """A run with how it is drawn: `paint` is a CSS colour; where the colours come round again, it is `dashed`.

    `bracket` says why the run is no choice that a user has (it does not fit, it knows the future), or is None.
    """

    number: int
    run: RunResult
    paint: str
    dashed: bool
    bracket: str | None

    @property
    def label(self) -> str:
        """What the scenario calls it."""
        return self.run.label


def rank(runs: Sequence[RunResult]) -> list[Entry]:
    """All runs, best first, with those that bracket the others at the end; colours follow the scenario's order.

    Best is the fastest to decode; among those level with it, the one whose first token comes soonest.
    """
    entries, colour = [], 0
    for number, run in enumerate(runs):
        bracket = why_bracket(run)
        paint = "var(--bracket)" if bracket else f"var(--s{colour % len(STRATEGIES)})"
        entries.append(Entry(number, run, paint, bool(bracket) or colour >= len(STRATEGIES), bracket))
        colour += bracket is None
    entries.sort(key=lambda entry: (entry.bracket is not None, _demerit(entry.run)))
    rivals = [entry for entry in contenders(entries) if level(decode_lead(entries[0].run, entry.run))]
    best = min(rivals, key=lambda entry: _first_token(entry.run), default=entries[0])
    return [best, *(entry for entry in entries if entry is not best)]


def contenders(entries: Sequence[Entry]) -> list[Entry]:
    """Those that a user could choose."""
    return [entry for entry in entries if entry.bracket is None]


def why_bracket(run: RunResult) -> str | None:
    """Why a run is not a choice but a bound on the others."""
    if not run.fits:
        return "does not fit"
    return "knows the future" if run.knows_future else None


def decode_lead(run: RunResult, other: RunResult) -> float | None:
    """How many times as fast as another a run decodes."""
    return ratio(run.summary.decode_tokens_per_s, other.summary.decode_tokens_per_s)


def lead_range(run: RunResult, other: RunResult) -> Range | None:
    """The range of `decode_lead`, draw by draw on the same computer and requests; None if there are no draws."""
    mine, theirs = (each.drawn.get("decode_tokens_per_s") for each in (run, other))
    if mine is None or theirs is None:
        return None
    n = min(len(mine), len(theirs))  # draws of one number are alike, whoever has more of them
    return range_of(mine[:n] / theirs[:n])


def unclear(run: RunResult, other: RunResult) -> bool:
    """Whether it is not known which of two decodes faster, though one is expected to.

    Their own ranges may overlap all the same: what makes one slower makes the other slower too.
    """
    lead, known = decode_lead(run, other), lead_range(run, other)
    return lead is not None and not level(lead) and known is not None and known.low <= 1 <= known.high


def level(lead: float | None) -> bool:
    """Whether a lead is none, either way."""
    return lead is not None and 1 / _LEVEL < lead < _LEVEL


def ratio(above: float | None, below: float | None) -> float | None:
    """None unless both are there and positive."""
    return above / below if above and below else None


def _demerit(run: RunResult) -> tuple[float, float, float]:
    """Decoding counts first, then the first token, then the rate of it all."""
    return (-(run.summary.decode_tokens_per_s or 0.0), _first_token(run), -run.summary.tokens_per_s)


def _first_token(run: RunResult) -> float:
    return float("inf") if run.summary.ttft_s is None else run.summary.ttft_s
