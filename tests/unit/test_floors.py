"""The floors: what may import what, and what checking a spec never loads."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import aebuild
from aebuild.results.catalogue import WITHOUT_RULES

ROOT = Path(aebuild.__file__).parent
BELOW = {
    "cli": {"cli", "serving", "lsp", "results", "trainer", "compile", "parts", "modules", "data", "metrics", "lang"},
    "serving": {"serving", "results", "trainer", "compile", "parts", "modules", "data", "metrics", "lang"},
    "lsp": {"lsp", "results", "compile", "parts", "lang"},
    "results": {"results", "trainer", "compile", "parts", "modules", "data", "metrics", "lang"},
    "trainer": {"trainer", "compile", "parts", "modules", "data", "lang"},
    "compile": {"compile", "parts", "modules", "data", "lang"},
    "parts": {"modules", "data", "metrics", "lang"},
    "data": {"data", "lang"},
    "metrics": {"metrics"},
    "lang": {"lang", "modules"},          # only where a part shared by siblings builds its module
    "modules": {"modules"},
}
LIGHT = ("lang", "parts", "compile", "cli")               # nothing heavy when these are imported
HEAVY = ("torch", "numpy", "sklearn", "PIL", "pyarrow", "safetensors", "scipy")


@dataclass(frozen=True)
class Import:
    """One import: where it stands, what it names, and whether it runs when the module is loaded."""

    file: Path
    line: int
    name: str
    at_once: bool

    @property
    def floor(self) -> str:
        return self.file.relative_to(ROOT).parts[0].removesuffix(".py")

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT.parent)}:{self.line} imports {self.name}"


def imports(file: Path) -> list[Import]:
    """Every import of a file that can run; those for the type checker do not."""
    return list(_walk(file, ast.parse(file.read_text(encoding="utf-8")), True))


def _walk(file: Path, node: ast.AST, at_once: bool) -> Iterator[Import]:
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        yield from (Import(file, node.lineno, alias.name, at_once) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{file}:{node.lineno} imports relatively"
        yield from (Import(file, node.lineno, f"{node.module}.{alias.name}", at_once) for alias in node.names)
    inner = at_once and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from _walk(file, child, inner)


@cache
def every_import() -> list[Import]:
    """Of the whole package."""
    return [found for file in sorted(ROOT.rglob("*.py")) for found in imports(file)]


def test_a_floor_imports_only_floors_below() -> None:
    wrong = [found for found in every_import() if found.name.startswith("aebuild.") and found.floor in BELOW
             and found.name.split(".")[1] not in BELOW[found.floor] | {"__version__"}]
    assert not wrong, "\n".join(map(str, wrong))


def test_every_folder_is_a_floor() -> None:
    assert {path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(BELOW)


def test_no_module_needs_itself() -> None:
    """Not even for an annotation, or inside a function: whoever reads one can begin somewhere."""
    try:
        TopologicalSorter(module_graph()).prepare()
    except CycleError as error:
        pytest.fail(" - ".join(error.args[1]))


def module_graph() -> dict[str, set[str]]:
    """The modules of the package, and which of them each one imports anywhere."""
    files = {".".join(("aebuild", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
             for path in ROOT.rglob("*.py")}
    graph: dict[str, set[str]] = {}
    for module, path in files.items():
        names = [f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
                 for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Import | ast.ImportFrom)
                 for alias in node.names]
        found = {next((part for part in (name, name.rpartition(".")[0]) if part in files), module) for name in names}
        graph[module] = found - {module}
    return graph


def test_the_printed_tree_is_the_tree() -> None:
    """docs/architecture.md names every room, and every file of the trainer."""
    text = (ROOT.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    tree = text.partition("```\naebuild/\n")[2].partition("```")[0]
    above: list[str] = []
    told = set()
    for line in tree.splitlines():
        depth, name = len(line.partition("── ")[0]) // 4, line.partition("── ")[2].split()[0]
        above = [*above[:depth], name.rstrip("/")]
        told.add("/".join(above))
    rooms = {path.parent for path in ROOT.rglob("__init__.py") if path.parent != ROOT and path.parent.parent != ROOT / "parts"}
    files = {path for path in (ROOT / "trainer").rglob("*.py") if path.name != "__init__.py"} | {ROOT / "api.py", ROOT / "sklearn.py"}
    assert told == {path.relative_to(ROOT).as_posix() for path in rooms | files}


def test_parts_do_not_import_their_siblings() -> None:
    wrong = [found for found in every_import() if found.floor == "parts" and found.name.startswith("aebuild.parts")]
    assert not wrong, "\n".join(map(str, wrong))


def test_shared_bases_import_modules_only_to_build() -> None:
    wrong = [found for found in every_import() if found.floor == "lang" and found.at_once and found.name.startswith("aebuild.modules")]
    assert not wrong, "\n".join(map(str, wrong))


def test_nothing_heavy_is_loaded_with_the_front_half() -> None:
    wrong = [found for found in every_import() if found.floor in LIGHT and found.at_once and found.name.split(".")[0] in HEAVY
             and found.file.name != "build.py"]
    assert not wrong, "\n".join(map(str, wrong))


def test_reading_data_never_loads_torch() -> None:
    wrong = [found for found in every_import() if found.floor == "data" and found.name.split(".")[0] == "torch"]
    assert not wrong, "\n".join(map(str, wrong))


def test_building_is_the_only_torch_of_the_compiler() -> None:
    users = {found.file.name for found in every_import() if found.floor == "compile" and found.name.split(".")[0] in ("torch",)}
    assert users == {"build.py"}


def test_what_tells_of_every_rule_needs_no_extra() -> None:
    """`aebuild explain CODE` imports all that declares a rule, where only the package's own dependencies may be there."""
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {re.split(r"[^\w-]", need)[0].lower() for need in project["dependencies"]}
    modules = {"pyyaml": "yaml", "scikit-learn": "sklearn", "pillow": "PIL", "rich-click": "rich_click"}
    there = {modules.get(name, name) for name in named} | {"aebuild", "click", "pydantic_core", "markupsafe"} | sys.stdlib_module_names
    left_out = tuple(f"{ROOT.parent / name.replace('.', '/')}" for name in WITHOUT_RULES)
    wrong = [found for found in every_import() if found.at_once and found.name.split(".")[0] not in there and not str(found.file).startswith(left_out)]
    assert not wrong, "\n".join(map(str, wrong))
    silent = [path for path in ROOT.rglob("*.py") if str(path).startswith(left_out) and re.search(r"= Rule\(", path.read_text(encoding="utf-8"))]
    assert not silent


def test_modules_stand_alone() -> None:
    """They are what a user may copy, so they need torch and the standard library only."""
    names = {found.name.split(".")[0] for found in every_import() if found.floor == "modules"}
    foreign = {name for name in names if name not in sys.stdlib_module_names} - {"torch", "numpy", "aebuild"}
    assert not foreign


@pytest.mark.parametrize("command", ["validate", "summary", "show"])
def test_checking_a_spec_never_loads_torch(command: str, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text("data: digits\nencoder: {layer: conv, width: 8, stride: 2}\nlatent: {type: codebook, codes: 8, dim: 4}\n")
    program = ("import sys\nfrom aebuild.cli.guard import guarded\nfrom aebuild.cli.verbs import commands\n"
               "guarded(lambda: commands.main(sys.argv[1:], standalone_mode=False))\nprint('torch' in sys.modules, file=sys.stderr)\n")
    done = subprocess.run([sys.executable, "-c", program, command, str(spec)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip().splitlines()[-1] == "False", done.stderr


def test_no_two_modules_give_a_name_to_different_things():
    """Whatever two modules declare may stand together in an ejected file."""
    homes = {}
    for path in sorted((ROOT / "modules").glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else [node]
            for name in (getattr(target, "name", None) or getattr(target, "id", None) for target in targets):
                if name is not None:
                    homes.setdefault(name, set()).add(path.name)
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}
