"""What `from sim import …` and `from scenarios import …` offer, and what it costs to import them."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

import scenarios
import sim
from scenarios import explain
from sim import bounds, plan

PACKAGES = [sim, scenarios]
by_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)


def fresh(code: str) -> str:
    """What a new Python prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@by_package
def test_every_public_name_is_there_and_documented(package: ModuleType) -> None:
    for name in package.__all__:
        value = getattr(package, name)
        assert value.__name__ == name
        assert (value.__doc__ or "").strip(), name
        assert name in dir(package)


@by_package
def test_what_type_checkers_see_is_what_there_is(package: ModuleType) -> None:
    tree = ast.parse(Path(str(package.__file__)).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert list(seen) != []
    assert sorted(seen) == sorted(package.__all__)
    for name, module in seen.items():
        assert getattr(package, name) is getattr(import_module(str(module)), name)


@by_package
def test_a_name_that_is_not_offered_is_refused(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = package.nothing


def test_a_function_is_not_hidden_by_its_module_whichever_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("early", "late"):
        shop = tmp_path / name
        shop.mkdir()
        (shop / "__init__.py").write_text(
            f"from sim.lazy import lazily\n__getattr__, __dir__ = lazily(__name__, {{'{name}.sell': ('sell',)}})\n"
        )
        (shop / "sell.py").write_text("def sell(): ...\n")
        (shop / "buy.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    early = import_module("early")
    import_module("early.sell")
    assert isinstance(early.sell, FunctionType)
    late = import_module("late")
    assert isinstance(late.sell, FunctionType)
    import_module("late.sell")
    assert isinstance(late.sell, FunctionType)
    import_module("late.buy")
    assert isinstance(late.buy, ModuleType), "other modules are attributes as ever"


def test_functions_that_are_called_as_their_modules_are_offered() -> None:
    assert isinstance(plan, FunctionType)
    assert isinstance(bounds, FunctionType)
    assert isinstance(explain, FunctionType)


def test_importing_the_packages_imports_no_others() -> None:
    loaded = fresh("import sim, scenarios, sys; print(*(m for m in ('numpy', 'pydantic', 'yaml') if m in sys.modules))")
    assert loaded == ""


def test_a_star_import_gives_exactly_the_public_names() -> None:
    names: dict[str, object] = {}
    exec("from sim import *", names)
    assert sorted(set(names) - {"__builtins__"}) == sorted(sim.__all__)
