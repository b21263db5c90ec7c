"""A run that goes on with a changed spec: what differs, what is refused, what is written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aebuild.compile.canonical import text
from aebuild.compile.front import Loaded
from aebuild.compile.spec_diff import Change
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, SpecError
from aebuild.trainer.run_dir.run import data_record

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.compile.spec import Spec
    from aebuild.lang.splits import Splits
    from aebuild.trainer.run_dir.run import Run

OTHER_STRUCTURE = Rule("AE511", "the changed spec has another structure", """
A run goes on with its weights and the state of its optimisers. The new spec has other layers, sizes, phases or kinds of
optimisers, so these would not fit. Undo the change, or train the new spec from the beginning.

```console
$ aebuild train --resume runs/vae --set latent.dim=16                 # other weights: refused
$ aebuild train vae --set latent.dim=16                    # a new run
```
""")
OTHER_MATHS = Rule("AE512", "the changed spec trains differently", """
The weights fit, but from here on the training would be another one: other losses, data, lengths or learning rates. The
result is then neither that of the old spec nor that of the new one. If that is meant, `--allow` takes the changes; they
are written to the run's log and the old spec is kept as `spec-1.yaml`.

```console
$ aebuild train --resume runs/vae --set train.epochs=40               # refused
$ aebuild train --resume runs/vae --set train.epochs=40 --allow       # goes on to epoch 40
```
""")


@dataclass(frozen=True)
class Request:
    """What the user wants changed: a spec with settings on top, None for the run's own, and whether maths and data may change."""

    spec: Loaded | None = None
    allow: bool = False


def accept(found: list[Change], *, allow: bool, again: str) -> list[Change]:
    """The differences, if they may be taken; SpecError with exit code 3 if not. `again` is the command that allows them."""
    structure = [change for change in found if change.kind == "structure"]
    maths = [change for change in found if change.kind == "maths"]
    if structure:
        raise SpecError(_refusal(OTHER_STRUCTURE, "this run's weights or optimisers do not fit the changed spec", structure,
                                 Hint("train the changed spec as a new run")))
    if maths and not allow:
        raise SpecError(_refusal(OTHER_MATHS, "the changed spec trains differently", maths, again))
    return found


def _refusal(rule: Rule, message: str, changes: Sequence[Change], fix: str) -> Diagnostic:
    return Diagnostic(rule, f"{message}: {'; '.join(map(str, changes))}", fix=fix, path=changes[0].path)


def sentences(changes: Sequence[Change]) -> list[str]:
    """What is taken over, one sentence for each kind."""
    told = {"harmless": "changed without consequence for the weights", "maths": "changed, and training goes on differently"}
    groups = {kind: [str(change) for change in changes if change.kind == kind] for kind in told}
    return [f"{told[kind]}: {'; '.join(lines)}" for kind, lines in groups.items() if lines]


def write(run: Run, plan: Plan, settled: Spec, splits: Splits, changes: Sequence[Change]) -> None:
    """Makes this the run's spec, keeps the old one, and logs the change."""
    if changes or text(settled) != run.spec:
        kept = run.revise(text(settled), plan.to_json(), data_record(splits))
        for sentence in sentences(changes):
            run.log(f"{sentence} (before: {kept})")
