"""The specs that are compared: opened, named, and held to the same data and budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from aebuild.compile.canonical import plain, text
from aebuild.compile.duration import batches
from aebuild.compile.front import Loaded, load
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, UsageError
from aebuild.lang.emit import emit
from aebuild.lang.printable import clean
from aebuild.results.absolute_paths import absolute
from aebuild.results.opening import open_spec

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.compile.spec import Spec
    from aebuild.lang.samples import DataInfo
    from aebuild.lang.tree import Tree

UNEVEN = Rule("AE608", "an uneven comparison", """
A bakeoff compares specs on the same data, divided in the same way, with the same budget of training: passes over the data, or samples
seen where a spec counts steps. Where the specs say otherwise, say it for all of them with `--data`, `--epochs` or `--steps`. In a spec
whose phases have lengths of their own the budget is divided among them as the spec does it. Two specs of one name could not be told
apart in the tables.

```console
$ aebuild bakeoff vae.yaml long.yaml                     # 20 epochs and 60: refused
$ aebuild bakeoff vae.yaml long.yaml --epochs 20
```
""")
OWN = Rule("AE874", "a value that the comparison sets itself", """
A bakeoff and a sweep train each spec with the seeds that `--seeds` says, and a sweep names its trials. What a setting says there would be
overruled, and nothing would change.

```console
$ aebuild sweep vae --vary train.seed=1,2,3                     # all three trials with seed 42: refused
$ aebuild sweep vae --vary latent.dim=2,8 --seeds 1,2,3
```
""")
INSTEAD = {"train.seed": ("the seeds are those of --seeds", "--seeds 1,2,3"), "name": ("a sweep names its trials itself", "")}
TOLERANCE = 0.02          # by which budgets may differ that count as the same


@dataclass(frozen=True)
class Budget:
    """How long all train: passes over the data or optimiser steps; neither for what the specs say."""

    epochs: int | None = None
    steps: int | None = None


UNSAID = Budget()


@dataclass(frozen=True)
class Contestant:
    """A spec that takes part, its plan, what is known of its data, and remarks on it.

    `tree` is the spec as the user writes it, over all that it extends; its paths begin at `folder`.
    """

    name: str
    spec: Spec
    plan: Plan
    info: DataInfo
    notes: tuple[str, ...] = ()
    tree: Tree | None = None
    folder: Path = Path()

    @property
    def text(self) -> str:
        """The whole spec, which means the same from anywhere."""
        return text(self.spec)

    @property
    def written(self) -> str:
        """The same with the blocks of its author, in which settings find the paths that stand in his file."""
        held = {} if self.tree is None else self.tree.plain()
        assert isinstance(held, dict)
        return emit(held)

    @property
    def epochs(self) -> float | None:
        """Passes over the data in all phases that train on samples; None where nobody knows how many samples there are."""
        count, passes = self.info.counts.get("train"), 0.0
        for phase in self.plan.phases:
            if phase.data != "samples":
                continue
            if phase.epochs is not None:
                passes += phase.epochs
            elif count:
                passes += (phase.steps or 0) / batches(count, phase.batch_size)
            else:
                return None
        return passes


def check_own(paths: Sequence[str], own: Sequence[str]) -> None:
    """UsageError where one of the paths is among those that the comparison sets itself."""
    for path in paths:
        if path in own:
            why, fix = INSTEAD[path]
            raise UsageError(Diagnostic(OWN, f"{path} would be overruled: {why}", fix=fix or Hint("leave it out")))


def contestant(path: str, settings: Sequence[str], budget: Budget = UNSAID) -> Contestant:
    """A spec with these settings and this budget; raises what is wrong with it."""
    first = _opened(path, settings, ())
    extra = _budgeted(first, budget)
    return _opened(path, settings, extra) if extra else first


def from_text(written: str, settings: Sequence[str], folder: Path = Path()) -> Contestant:
    """The spec of a text whose paths begin at `folder`, with these settings; raises what is wrong with it."""
    return _taken(load("spec.yaml", settings, text=written, base=folder))


def contestants(paths: Sequence[str], settings: Sequence[str], budget: Budget) -> list[Contestant]:
    """Every spec, each with a name of its own; UsageError where they do not share data or budget."""
    if len(paths) < 2:
        raise UsageError(Diagnostic(UNEVEN, "a bakeoff compares two specs or more", fix=Hint("name another spec")))
    found = [contestant(path, settings, budget) for path in paths]
    names = Counter(each.name for each in found)
    found = [_renamed(each, Path(path).stem) if names[each.name] > 1 else each for each, path in zip(found, paths, strict=True)]
    twice = [name for name, count in Counter(each.name for each in found).items() if count > 1]
    if twice:
        raise UsageError(Diagnostic(UNEVEN, f"two of the specs are called {clean(twice[0])}",
                                    fix=Hint("give each a `name` of its own")))
    _check_even(found)
    return found


def _opened(path: str, settings: Sequence[str], extra: Sequence[str]) -> Contestant:
    return _taken(open_spec(path, [*settings, *extra]))


def _taken(loaded: Loaded) -> Contestant:
    plan, info = loaded.require(), loaded.info
    assert info is not None
    spec = absolute(plan.spec, loaded.base)
    return Contestant(spec.name, spec, replace(plan, spec=spec), info, tuple(loaded.notes), loaded.tree, loaded.base.absolute())


def _renamed(one: Contestant, stem: str) -> Contestant:
    name = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_") else "_" for letter in stem) or one.name
    spec = one.spec.but(name=name)
    return replace(one, name=name, spec=spec, plan=replace(one.plan, spec=spec))


def _budgeted(one: Contestant, budget: Budget) -> list[str]:
    """The settings that give a spec this budget: its phases keep their shares where they have lengths of their own."""
    if budget.epochs is None and budget.steps is None:
        return []
    own = [phase for phase in one.spec.train.phases if phase.epochs is not None or phase.steps is not None]
    if not own:
        return [f"--epochs={budget.epochs}"] if budget.epochs is not None else ["train.epochs=null", f"train.steps={budget.steps}"] \
            if one.spec.train.epochs is not None else [f"train.steps={budget.steps}"]
    count, size, whole = one.info.counts.get("train"), one.spec.train.batch_size, one.epochs
    if not count or not whole:
        raise UsageError(Diagnostic(UNEVEN, f"{one.name} has phases of its own, and nobody knows how many samples its data have, so that a "
                                    f"budget cannot be divided among them", fix=Hint("write their lengths into the spec")))
    wanted = budget.epochs if budget.epochs is not None else (budget.steps or 0) / batches(count, size)
    return [setting for place, phase in enumerate(one.spec.train.phases)
            for setting in _shared(f"train.phases.{place}", one, phase.epochs, phase.steps, wanted / whole)]


def _shared(path: str, one: Contestant, epochs: int | None, steps: int | None, factor: float) -> list[str]:
    """A phase's new length: in epochs where that comes out even, else in steps."""
    count, train = one.info.counts["train"], one.spec.train
    assert count is not None
    each = batches(count, one.spec.train.batch_size)
    length = epochs if epochs is not None else steps / each if steps is not None else \
        train.epochs if train.epochs is not None else (train.steps or 0) / each
    new, gone = length * factor, [f"{path}.epochs=null"] if epochs is not None else [f"{path}.steps=null"] if steps is not None else []
    if new >= 1 and abs(new - round(new)) < 1e-9:
        return [*gone, f"{path}.epochs={round(new)}"]
    return [*gone, f"{path}.steps={max(1, round(new * each))}"]


def _check_even(found: Sequence[Contestant]) -> None:
    first = found[0]
    for other in found[1:]:
        if plain(other.spec.data) != plain(first.spec.data):
            raise UsageError(Diagnostic(UNEVEN, f"{other.name} learns from other data than {first.name}, or divides them in another way: "
                                        f"{clean(str(plain(other.spec.data)))} and {clean(str(plain(first.spec.data)))}",
                                        fix=Hint("--data DATA gives all of them the same")))
        ours, theirs = first.epochs, other.epochs
        if ours is not None and theirs is not None and abs(theirs - ours) > TOLERANCE * ours:
            raise UsageError(Diagnostic(UNEVEN, f"{other.name} trains {theirs:,.4g} epochs, {first.name} {ours:,.4g}",
                                        fix=f"--epochs {max(1, round(max(ours, theirs)))}"))
