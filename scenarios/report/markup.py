"""The markup of pages: that of `sim.notebook.markup`, and data for their scripts."""

from __future__ import annotations

import json
from typing import Any

from sim.notebook.markup import Html, join, tag

__all__ = ["Html", "embed_json", "join", "tag"]


def embed_json(data: Any) -> Html:
    """JSON that may stand inside a script element: nothing in it can end the element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return Html(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))
