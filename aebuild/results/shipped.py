"""The specs that come with aebuild, found by name."""

from __future__ import annotations

import re
from pathlib import Path

from aebuild.lang.diagnostics import Diagnostic, Rule, UsageError

NO_SHIPPED = Rule("AE121", "no shipped spec of this name", """\
`aebuild specs` lists the specs that come with aebuild. They are found by name wherever a spec is wanted, unless a file of that
name is there.

```
aebuild specs vqvea
```
```
aebuild specs vqvae
```
""")
_SENTENCE = re.compile(r"\.(?=\s+[A-Z0-9]|\s*$)")


def folder() -> Path:
    """Where they are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    return package / "specs" if (package / "specs").is_dir() else package.parent / "specs"


def schema_file() -> Path | None:
    """The schema that an installed package brings, where the shipped specs point to; None in a checkout, whose parts may change."""
    path = Path(__file__).parents[1] / "docs" / "schema.json"
    return path if path.is_file() else None


def shipped() -> dict[str, Path]:
    """Every shipped spec by its name, such as `vqvae` or `bakeoff/deep`."""
    found = {path.relative_to(folder()).with_suffix("").as_posix(): path for path in folder().rglob("*.yaml")}
    return dict(sorted(found.items(), key=lambda item: ("/" in item[0], item[0])))


def named(name: str) -> Path | None:
    """The shipped spec of this name, unless a file is meant: one of that name, with or without .yaml, is there."""
    if any(Path(f"{name}{ending}").exists() for ending in ("", ".yaml", ".yml")):
        return None
    return shipped().get(name.removesuffix(".yaml"))


def line(path: Path) -> str:
    """What a shipped spec is, in the first sentence of its comment."""
    return _SENTENCE.split(" ".join(text.removeprefix("#").strip() for text in comment(path)), maxsplit=1)[0]


def copy(name: str) -> str:
    """The text of a shipped spec that works anywhere: with what it extends, and no schema of another folder.

    UsageError if there is none of this name.
    """
    path = shipped().get(name.removesuffix(".yaml"))
    if path is None:
        from aebuild.lang.suggest import closest

        best = closest(name, shipped())
        raise UsageError(Diagnostic(NO_SHIPPED, f"there is no shipped spec {name!r}",
                                    fix=f"aebuild specs {best}" if best else "aebuild specs"))
    text = path.read_text(encoding="utf-8").split("\n", 1)[1]
    if not re.search(r"^extends:", text, re.MULTILINE):
        return text
    from aebuild.compile.canonical import text as canonical
    from aebuild.compile.front import load

    spec = load(path).spec
    assert spec is not None
    return "\n".join([*comment(path), "# What it extends is written out.", canonical(spec)])


def comment(path: Path) -> list[str]:
    """The lines of the comment at the top, without the one for editors."""
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    return lines[:next((number for number, text in enumerate(lines) if not text.startswith("#")), len(lines))]
