"""Published figures beside simulated ones as plain JSON values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from scenarios.published.compare import Outcome, missed
from scenarios.published.load import PaperFile
from scenarios.published.spec import Setting
from scenarios.published.words import ratio


def plain(files: Sequence[PaperFile], outcomes: Mapping[str, Mapping[str, Outcome]]) -> dict[str, Any]:
    """All papers with their settings, figures, orders, and what is not addressed."""
    return {
        "papers": [
            {
                "name": file.name,
                **file.spec.model_dump(mode="json", include={"title", "citation", "source", "unaddressed"}),
                "settings": [_setting(each, outcomes[file.name][each.name]) for each in file.spec.settings],
            }
            for file in files
        ]
    }


def _setting(setting: Setting, outcome: Outcome) -> dict[str, Any]:
    figures = []
    for figure in setting.figures:
        found = outcome.figures[figure.id]
        values = {"simulated": found.value, "low": found.low, "high": found.high, "ratio": ratio(figure, found)}
        figures.append(
            figure.model_dump(mode="json", exclude_defaults=True)
            | {"within": str(figure.within)}
            | values
            | {"met": figure.met(found.value)}
        )
    orders = [
        order.model_dump(mode="json", exclude_defaults=True)
        | asdict(outcome.orders[order.id])
        | {"met": outcome.orders[order.id].met}
        for order in setting.orders
    ]
    stated = setting.model_dump(mode="json", include={"name", "about", "scenario", "uncertain"})
    causes = [{"of": names, "cause": cause} for names, cause in missed(setting, outcome)]
    return {**stated, "figures": figures, "orders": orders, "misses": causes}
