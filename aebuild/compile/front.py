"""The front half: files and settings to a spec, with everything that is wrong in one go."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence as Seq
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from aebuild.compile.bare_data_word import check_word
from aebuild.compile.batch_of_one import check_single
from aebuild.compile.bind import bind
from aebuild.compile.budget import check_budget
from aebuild.compile.desugar import lengthen
from aebuild.compile.former_words import modernised
from aebuild.compile.gc_pause import collecting_later
from aebuild.compile.lints import allowed, lint
from aebuild.compile.losses import located, missing_files
from aebuild.compile.memory import check_size
from aebuild.compile.merge import apply_set, merge, over_data
from aebuild.compile.plan import Plan
from aebuild.compile.planner import plan
from aebuild.compile.ragged import check_ragged
from aebuild.compile.short_options import check_overruled
from aebuild.compile.skips import check_skips
from aebuild.compile.spec import Spec
from aebuild.compile.user_names import check_names
from aebuild.compile.wording import with_data
from aebuild.lang.dataset import DataInfo, Where
from aebuild.lang.diagnostics import AebuildError, DataError, Diagnostic, Hint, Rule, SpecError, UsageError
from aebuild.lang.html_table import html_lines, html_table
from aebuild.lang.regular_files import open_regular
from aebuild.lang.source import MAX_BYTES, Tree, read
from aebuild.lang.suggest import bounded_guesses
from aebuild.parts import discover

if TYPE_CHECKING:
    from aebuild.data.given import Given

NO_FILE = Rule("AE111", "no such spec file", """\
The spec file does not exist, or cannot be read.

```
aebuild validate specs/vea.yaml
```
```
aebuild validate specs/vae.yaml
```
""")

CYCLE = Rule("AE112", "files that extend each other in a circle", """\
`extends` names another file whose values this one changes. A file cannot extend itself, directly or through others.

```yaml
extends: self.yaml      # in self.yaml
```
```yaml
extends: base.yaml
```
""")

BAD_EXTENDS = Rule("AE113", "extends names no file", """\
`extends` takes one file name, relative to the file it stands in.

```yaml
extends: [base.yaml, other.yaml]
```
```yaml
extends: base.yaml
```
""")

LONGEST_CHAIN = 32
LONG_CHAIN = Rule("AE115", "too many files that extend each other", """\
A spec may extend a file that extends another one, up to 32 files in a row. What so many files say together nobody can see;
`aebuild show` prints the whole, which can be a file of its own.

```console
$ aebuild show specs/version-33.yaml               # each version extends the one before: refused
$ aebuild show specs/version-32.yaml > specs/now.yaml
```
""")


_OWN = (Path("/dev/stdin"), Path("/dev/fd"))          # what whoever started us has opened for us: a pipe there has a writer


@dataclass(eq=False)
class Loaded:
    """What became of a spec file: as much as could be made, and every finding."""

    file: str
    spec: Spec | None = None
    info: DataInfo | None = None
    plan: Plan | None = None
    diagnostics: list[Diagnostic] = field(default_factory=list)
    error: type[AebuildError] = SpecError
    base: Path = Path()                  # what paths of data are relative to
    tree: Tree | None = None             # the long tree over all that it extends, with the settings
    given: Given | None = None           # data in place of the spec's own
    notes: list[str] = field(default_factory=list)

    @property
    def errors(self) -> list[Diagnostic]:
        """The findings that keep it from being built."""
        return [finding for finding in self.diagnostics if finding.is_error]

    def _repr_html_(self) -> str:
        """For notebooks: what was found, and the plan where there is one."""
        found = [(each.code, each.rule.severity, "" if each.span is None else each.span.text.name, each.message, each.fix or "")
                 for each in self.diagnostics]
        told = html_table(f"{self.file}: findings", ("code", "severity", "place", "what is wrong", "fix"), found) if found else ""
        return told + html_lines(self.notes) + ("" if self.plan is None else self.plan._repr_html_())

    def require(self) -> Plan:
        """The plan, or the matching error with all findings."""
        if self.plan is None or self.errors:
            raise self.error(*self.diagnostics)
        return self.plan


@collecting_later()
@bounded_guesses()
def load(path: str | Path, settings: Seq[str] = (), *, text: str | bytes | None = None, tree: Tree | None = None,
         base: Path | None = None, known: DataInfo | None = None, given: Given | None = None) -> Loaded:
    """Reads, merges, binds and plans a spec; `text` or `tree` stand for the file's contents where given.

    `base` is what paths of data are relative to, by default the file's folder; `known` is taken where the data are gone; `given` are
    data in place of the spec's.
    """
    discover()
    file = Path(path)
    loaded = Loaded(str(path), base=file.parent if base is None else base, given=given)
    tree = _read(file, loaded, text) if tree is None else tree
    if tree is not None:
        tree = _settle(tree, file, settings, loaded)
    if tree is not None:
        tree, found = modernised(tree)
        loaded.diagnostics += found
    if tree is not None:
        loaded.spec, found = bind(tree)
        loaded.diagnostics = check_word(tree, loaded.base, loaded.diagnostics + found + check_names(tree))
    if loaded.spec is not None:
        loaded.diagnostics += check_overruled(loaded.spec, settings)
    if loaded.spec is not None and not loaded.errors:
        _plan(loaded, known)
    if tree is not None:
        loaded.diagnostics = [with_data(found, tree.get("data")) for found in loaded.diagnostics]
    return loaded


def _read(file: Path, loaded: Loaded, text: str | bytes | None) -> Tree | None:
    if text is None:
        text = _contents(file, loaded)
        if text is None:
            loaded.error = UsageError
            return None
    tree, found = read(text, str(file))
    loaded.diagnostics += found
    return None if any(finding.is_error for finding in found) else tree


def _contents(file: Path, loaded: Loaded, place: Tree | None = None) -> bytes | None:
    """The bytes of a regular file, and no more than tell that it is too large."""
    try:
        with open_regular(file) if place or file not in _OWN and file.parent not in _OWN else file.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        similar = _similar_file(file) if isinstance(error, FileNotFoundError) else None
        loaded.diagnostics.append(Diagnostic(NO_FILE, f"{file}: {reason}", place.span if place else None, similar,
                                             "extends" if place else ""))
        return None


def _similar_file(file: Path) -> str | None:
    from aebuild.lang.suggest import closest

    try:
        best = closest(file.name, [other.name for other in file.parent.iterdir() if other.suffix in (".yaml", ".yml")])
    except (OSError, ValueError):
        return None
    return str(file.with_name(best)) if best else None


def _settle(tree: Tree, file: Path, settings: Seq[str], loaded: Loaded) -> Tree | None:
    """The long tree of the file over what it extends, with the settings applied; then the kind of data is told from what is left."""
    layers = _layers(tree, file, loaded)
    if not layers:
        return None
    whole = layers.pop()
    for over in reversed(layers):
        whole = lengthen(merge(whole, over))          # a `type` may come from the base alone
    if loaded.given is not None:
        whole = over_data(whole, loaded.given.keys)
    for setting in settings:
        whole, found = apply_set(whole, setting)
        loaded.diagnostics += found
        whole = lengthen(whole)
    loaded.tree = whole
    return None if loaded.errors else _detected(whole, loaded.base, loaded)


def _detected(tree: Tree, base: Path, loaded: Loaded) -> Tree | None:
    """The tree with the kind of data that its path leads to."""
    def named(path: Tree, keys: Collection[str]) -> str:
        from aebuild.data.detect import detect

        return detect(path.value, base, keys) if isinstance(path.value, str) else ""

    data = tree.get("data")
    if data is None or not isinstance(tree.value, dict):
        return tree
    try:
        long = lengthen(Tree({"data": data}, tree.span, tree.key), named).get("data")          # all else is long already
        return tree if long is data or long is None else Tree({**tree.value, "data": long}, tree.span, tree.key)
    except DataError as error:
        path = data.get("path") or data
        loaded.diagnostics += [with_data(replace(found, span=found.span or path.span, path="data.path"), data)
                               for found in error.diagnostics]
        loaded.error = DataError
        return None


def _layers(tree: Tree, file: Path, loaded: Loaded) -> list[Tree]:
    """The long trees of the file and of all that it extends, the last of them the one below all; none where one is missing."""
    layers: list[Tree] = []
    chain = [_resolved(file)]
    while True:
        long = lengthen(tree)
        assert isinstance(long.value, dict)
        layers.append(Tree({key: child for key, child in long.value.items() if key != "extends"}, long.span, long.key))
        parent = long.value.get("extends")
        if parent is None:
            return layers
        below = _below(parent, file, chain, loaded)
        if below is None:
            return []
        tree, file = below


def _below(parent: Tree, file: Path, chain: list[Path], loaded: Loaded) -> tuple[Tree, Path] | None:
    """The tree of the file that `extends` names, and the file, which is added to the chain."""
    if not isinstance(parent.value, str) or not parent.value:
        hint = Hint("extends: base.yaml")
        loaded.diagnostics.append(Diagnostic(BAD_EXTENDS, "extends takes one file name", parent.span, hint, "extends"))
        return None
    other = file.parent / parent.value
    if _resolved(other) in chain:
        circle = " → ".join(path.name for path in (*chain, other))
        loaded.diagnostics.append(Diagnostic(CYCLE, f"these files extend each other in a circle: {circle}", parent.span,
                                             Hint("remove extends from one of them"), "extends"))
        return None
    chain.append(_resolved(other))
    if len(chain) > LONGEST_CHAIN:
        loaded.diagnostics.append(Diagnostic(LONG_CHAIN, f"more than {LONGEST_CHAIN} files extend each other in a row", parent.span,
                                             Hint("copy into one file what they share"), "extends"))
        return None
    text = _contents(other, loaded, parent)
    tree = _read(other, loaded, text) if text is not None else None
    return None if tree is None else (tree, other)


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):          # a name that no file can have, or links in a circle: opening it says so
        return path


def _plan(loaded: Loaded, known: DataInfo | None) -> None:
    spec = loaded.spec
    assert spec is not None
    where = Where(loaded.base)
    try:
        loaded.info = spec.data.probe(where)
        if (spec.heads or "label" in spec.condition) and loaded.info.labelled and loaded.info.classes is None:
            loaded.info = replace(loaded.info, classes=spec.data.count_classes(where))
    except DataError as error:
        if known is None:
            loaded.diagnostics += error.diagnostics
            loaded.error = DataError
            return
        loaded.info = known
        loaded.notes.append(f"the data cannot be read, so what the run knows of them is taken: {error}")
    spec = located(spec, loaded.base)
    planned = plan(spec, loaded.info)
    loaded.diagnostics += missing_files(spec)
    loaded.diagnostics += planned.diagnostics
    loaded.plan = planned.plan
    if planned.plan is not None:
        loaded.diagnostics += check_size(planned.plan) + check_single(planned.plan, loaded.info) + check_ragged(planned.plan, loaded.info)
        loaded.diagnostics += check_skips(planned.plan) + check_budget(planned.plan)
        loaded.diagnostics += lint(planned.plan, loaded.info, bool(loaded.errors))
    loaded.diagnostics = allowed(spec, loaded.diagnostics)
