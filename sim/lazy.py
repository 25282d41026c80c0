"""Names that a package offers, each imported from its own module when it is first asked for (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


def lazily(package: str, homes: Mapping[str, Iterable[str]]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package that offers names, given as module -> names.

    A function may be called as its module is (`sim.plan`): the package's attribute is always the function.
    """
    home_of = {name: home for home, names in homes.items() for name in names}
    module = sys.modules[package]

    class Offering(ModuleType):
        def __setattr__(self, name: str, value: Any) -> None:
            """Python puts each imported submodule here, which would hide a function of that name."""
            if not (name in home_of and isinstance(value, ModuleType)):
                super().__setattr__(name, value)

    def get(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=module)
        value = getattr(import_module(home_of[name]), name)
        setattr(module, name, value)
        return value

    module.__class__ = Offering
    return get, lambda: sorted({*vars(module), *home_of})
