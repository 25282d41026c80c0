"""Colours of the report in light and dark, as CSS variables.

Those of strategies (`s`), and those of reasons (`c`) that meet on one lane, stay apart for protan, deutan and tritan
readers: at least 0.1 of distance in OKLab after simulating the deficiency (Machado et al. 2009); the tests check it.
"""

from __future__ import annotations

Pair = tuple[str, str]  # light, dark

SURFACES: dict[str, Pair] = {
    "page": ("#ffffff", "#101216"),
    "raised": ("#f6f7f9", "#181b21"),
    "line": ("#e4e7ec", "#272b33"),
    "line-2": ("#cdd2da", "#3b414c"),
    "ink": ("#15181d", "#eceef2"),
    "ink-2": ("#4c5461", "#aeb5c1"),
    "ink-3": ("#6f7785", "#828a98"),
    "bad": ("#b3261e", "#ff8a80"),
    "bracket": ("#9aa2af", "#6d7584"),
}
STRATEGIES: tuple[Pair, ...] = (
    ("#1f788c", "#4fa1b6"),
    ("#c58b1f", "#d99e39"),
    ("#6b36b5", "#9b6bed"),
    ("#16b393", "#12d3ae"),
    ("#a13845", "#d56770"),
    ("#253467", "#566aa6"),
    ("#a884f5", "#b798fe"),
    ("#493403", "#98700e"),
)
CATEGORIES: dict[str, Pair] = {
    "model": ("#868c9b", "#d9deea"),
    "hit": ("#04432a", "#43bf8e"),
    "prefetched": ("#6acdb6", "#147a71"),
    "demand": ("#ee6a24", "#cf441b"),
    "stream": ("#8c5d0f", "#e5b02b"),
    "offload": ("#6046ad", "#beaffe"),
    "prefetch": ("#2b7ee1", "#3180e4"),
    "precompute": ("#2a63a6", "#41437a"),
    "swap": ("#ea95dc", "#9c4a8c"),
    "placement": ("#4f2b08", "#f2ddd2"),
    "bookkeeping": ("#5f86d8", "#7fa5f5"),
    "dispatch": ("#3b434f", "#7b8391"),
    "wait": ("#e9ecf0", "#23272f"),
}
CAUSES: dict[str, Pair] = {  # of the critical path
    "gpu": ("#073e19", "#43bf8e"),
    "cpu-expert": ("#5e48b0", "#beaffe"),
    "demand-load": ("#ee6a24", "#e23060"),
    "late-prefetch": ("#2b7ee0", "#3180e4"),
    "wasted-prefetch": ("#f781ca", "#9d3c90"),
    "exchange": ("#a13845", "#e58f96"),
    "activations": ("#6acdb6", "#147a71"),
    "storage": ("#4f2b08", "#f2ddd2"),
    "software": ("#5f86d8", "#7fa5f5"),
    "dispatch": ("#533b5c", "#8b82a4"),
    "synchronisation": ("#868c9b", "#d9deea"),
    "wake-up": ("#b4bac5", "#4a515d"),
    "sharing": ("#8c5d0f", "#e4b12a"),
    "held-up": ("#dcbd2d", "#726a0b"),
    "unexplained": ("#d8dce3", "#33383f"),
}
MEMORY: tuple[Pair, ...] = (
    ("#33415c", "#7d8eb0"),
    ("#2f8f9d", "#43b3c2"),
    ("#e0a13a", "#e0a13a"),
    ("#b9c0cc", "#4b5464"),
    ("#8a5a83", "#b988b2"),
)
# Sequential, from nothing to most: away from the page's own lightness, step by step.
HEAT: dict[str, tuple[Pair, ...]] = {
    "uses": (
        ("#f1eef7", "#191d2f"),
        ("#beadfb", "#414084"),
        ("#8575e3", "#786acb"),
        ("#4e4ba4", "#b4a0f6"),
        ("#202267", "#ebe3fe"),
    ),
    "resident": (
        ("#ebf3ec", "#052323"),
        ("#76d1a4", "#01564e"),
        ("#119f81", "#0d9074"),
        ("#05675e", "#5dc897"),
        ("#013536", "#cff3d5"),
    ),
    "misses": (
        ("#f6eee8", "#2d1714"),
        ("#f3a778", "#7a2f18"),
        ("#d46225", "#be5a25"),
        ("#973412", "#ed9963"),
        ("#5b0501", "#fee2cc"),
    ),
}


def heat(name: str) -> list[str]:
    """The CSS colours of a sequential scale, from nothing to most."""
    return [f"var(--h-{name}-{i})" for i in range(len(HEAT[name]))]


def variables() -> dict[str, Pair]:
    """Every CSS variable without its dashes."""
    return {
        **SURFACES,
        **{f"s{i}": pair for i, pair in enumerate(STRATEGIES)},
        **{f"c-{name}": pair for name, pair in CATEGORIES.items()},
        **{f"p-{name}": pair for name, pair in CAUSES.items()},
        **{f"m{i}": pair for i, pair in enumerate(MEMORY)},
        **{f"h-{name}-{i}": pair for name, stops in HEAT.items() for i, pair in enumerate(stops)},
    }


def css() -> str:
    """Rules for both themes: the system's, unless the reader has chosen one."""
    light, dark = (_block(i, scheme) for i, scheme in enumerate(("light", "dark")))
    return (
        f":root{{{light}}}\n"
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}\n"
        f":root[data-theme=dark]{{{dark}}}\n"
    )


def _block(theme: int, scheme: str) -> str:
    return f"color-scheme:{scheme};" + "".join(f"--{name}:{pair[theme]};" for name, pair in variables().items())
