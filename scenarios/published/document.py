"""The generated part of docs/papers.md: stored outcomes as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from scenarios.machine_tables import markdown_table
from scenarios.published.compare import Outcome, missed
from scenarios.published.load import PaperFile, list_papers, load_paper
from scenarios.published.picture import picture
from scenarios.published.spec import Figure, Setting
from scenarios.published.store import load
from scenarios.published.words import held, ratio, reported, simulated, target
from sim.errors import InputError

Outcomes = Mapping[str, Mapping[str, Outcome]]
_HEAD = ("figure", "reported", "evidence", "simulated (range)", "simulated ÷ reported", "target", "")


def parts(stored: Path) -> dict[str, str]:
    """What docs/papers.md takes from papers.json: a summary, and a section for each paper."""
    files, outcomes = _read(stored)
    return {
        "summary": _summary(files, outcomes),
        "papers": "\n\n".join(block for file in files for block in _paper(file, outcomes[file.name])),
    }


def drawing(stored: Path) -> dict[str, str]:
    """What docs/images/papers.svg takes from papers.json."""
    return {"picture": picture(*_read(stored))}


def _read(stored: Path) -> tuple[list[PaperFile], Outcomes]:
    files = [load_paper(name) for name in list_papers()]
    outcomes, _ = load(stored)
    _check_complete(files, outcomes, stored)
    return files, outcomes


def _check_complete(files: Sequence[PaperFile], outcomes: Outcomes, stored: Path) -> None:
    for file in files:
        for setting in file.spec.settings:
            found = outcomes.get(file.name, {}).get(setting.name, Outcome({}, {}))
            missing = [figure.id for figure in setting.figures if figure.id not in found.figures]
            missing += [order.id for order in setting.orders if order.id not in found.orders]
            if missing:
                raise InputError(f"lacks {', '.join(missing)} of {file.name}", file=stored, remedy="run `make papers`")


def _summary(files: Sequence[PaperFile], outcomes: Outcomes) -> str:
    rows = []
    for file in files:
        pairs = [
            (figure, outcomes[file.name][setting.name].figures[figure.id])
            for setting in file.spec.settings
            for figure in setting.figures
        ]
        met = sum(figure.met(found.value) for figure, found in pairs)
        apart = [_apart(figure, found.value) for figure, found in pairs if not figure.bound]
        median = sorted(apart)[len(apart) // 2] if apart else 1.0
        orders = [order for found in outcomes[file.name].values() for order in found.orders.values()]
        held = f"{sum(order.met for order in orders)} of {len(orders)}" if orders else "–"
        rows.append([f"[{file.spec.title}](#{file.name})", str(len(pairs)), str(met), f"{median:.2f} ×", held])
    head = ("source", "figures", "within target", "median factor apart", "published orders that hold")
    return markdown_table(head, rows)


def _apart(figure: Figure, value: float) -> float:
    """By what factor two values differ, whichever is larger."""
    share = value / figure.reported
    return max(share, 1 / share) if share > 0 else float("inf")


def _paper(file: PaperFile, outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    yield f'<a id="{file.name}"></a>\n\n## {file.spec.title}'
    yield f"{file.spec.citation}." + (f" <{file.spec.source}>" if file.spec.source else "")
    for setting in file.spec.settings:
        yield from _setting(setting, outcomes[setting.name])
    if file.spec.unaddressed:
        rows = [f"* {each.says}: {each.why}" for each in file.spec.unaddressed]
        yield "\n".join(["Not addressed:\n", *rows])


def _setting(setting: Setting, outcome: Outcome) -> Iterator[str]:
    yield f"### {setting.name}\n\n{setting.about.strip()}"
    if setting.figures:
        yield markdown_table(_HEAD, [_row(figure, outcome) for figure in setting.figures])
    notes = [f"* Order {' > '.join(each.of)}: {held(outcome.orders[each.id])}" for each in setting.orders]
    notes += [f"* Missed ({'; '.join(names)}): {cause}" for names, cause in missed(setting, outcome)]
    notes += [
        f"* Uncertain: `{each.change}` {', '.join(map(str, each.values))}; {each.why}" for each in setting.uncertain
    ]
    if notes:
        yield "\n".join(notes)


def _row(figure: Figure, outcome: Outcome) -> list[str]:
    found = outcome.figures[figure.id]
    share = ratio(figure, found)
    return [
        figure.says,
        reported(figure),
        figure.evidence,
        simulated(figure, found),
        "" if share is None else f"{share:.2f}",
        target(figure),
        "met" if figure.met(found.value) else "**missed**",
    ]
