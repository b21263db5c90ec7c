"""The long scripts: too slow to run here, but what they import from the package and the tests is there."""

from __future__ import annotations

import ast
import importlib
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_what_a_script_imports_is_there(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "benchmarks")])
    tree = ast.parse(script.read_text())
    wanted = [(node.module, name.name) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module for name in node.names]
    extras = {"pythae", "pyod", "lightning", "sonnet"}           # contenders, which take part where they are installed
    missing = [(module, name) for module, name in wanted if module.partition(".")[0] not in extras and not there(module, name)]
    assert missing == []


def there(module: str, name: str) -> bool:
    """True if the module has the name, or is a package with such a module."""
    if find_spec(module.partition(".")[0]) is None:
        return False
    found = importlib.import_module(module)
    return hasattr(found, name) or find_spec(f"{module}.{name}") is not None
