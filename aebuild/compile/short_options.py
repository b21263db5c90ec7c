"""Short forms of settings: `--epochs 5` for `--set train.epochs=5`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aebuild.compile.spec import Spec
from aebuild.lang.diagnostics import Diagnostic, Rule, Span, Text

OVERRULED = Rule("AE120", "a setting that every phase overrules", """\
What a phase of `train.phases` writes itself, it does not take from `train`. Where all phases do, a change of `train` would change
nothing: set the phase instead. Phases are counted from 0.

```
aebuild train stacked --epochs 5
```
```
aebuild train stacked --set train.phases.0.epochs=5
```
""")


@dataclass(frozen=True)
class Short:
    """What a short form sets; `instead` is deleted, for it would contradict."""

    path: str
    metavar: str
    help: str
    instead: str | None = None


SHORT = {
    "--epochs": Short("train.epochs", "N", "Passes over the training data; replaces train.steps.", "train.steps"),
    "--batch-size": Short("train.batch_size", "N", "Samples per step."),
    "--lr": Short("train.optimizer.lr", "RATE", "Learning rate."),
    "--seed": Short("train.seed", "N", "Seed of initialisation, order and noise."),
    "--device": Short("train.device", "DEVICE", "Where to train: auto, cpu or cuda."),
    "--name": Short("name", "NAME", "Name of the model, part of its run directory's."),
    "--data": Short("data", "DATA", "A known data set, or a path: of this folder, else relative to the spec."),
}
_OWN = {"train.epochs": ("epochs", "steps"), "train.steps": ("epochs", "steps"), "train.batch_size": ("batch_size",),
        "train.optimizer.lr": ("optimizer",)}


@dataclass(frozen=True)
class Setting:
    """One `path=value`, and where it was written: behind `--set`, or as a flag of its own."""

    path: str
    value: str
    span: Span
    source: str                 # how the place of the value is called
    instead: str | None = None


def parse_setting(written: str) -> Setting | None:
    """The setting of `path=value` or of a short form, `--epochs=5`; None if it is neither."""
    path, equals, value = written.partition("=")
    if not equals or not path.strip():
        return None
    short = SHORT.get(path)
    flag = "--set" if short is None else path
    span = Span(Text(flag, (written,)), 1, 1, 1, len(path) + 1)
    if short is None:
        return Setting(path.strip(), value, span, f"--set {path}")
    return Setting(short.path, value, span, flag, short.instead)


def check_overruled(spec: Spec, settings: Sequence[str]) -> list[Diagnostic]:
    """Settings of `train` that no phase takes."""
    found = []
    for written in settings:
        setting = parse_setting(written)
        own = _OWN.get(setting.path) if setting is not None else None
        if setting is None or own is None or setting.value.strip() in ("null", "~"):
            continue
        theirs = [next((name for name in own if getattr(phase, name) is not None), None) for phase in spec.train.phases]
        if all(theirs):
            field = setting.path.removeprefix("train.").replace(own[0], str(theirs[0]), 1)
            found.append(Diagnostic(OVERRULED, f"every phase has {' or '.join(sorted({str(name) for name in theirs}))} of its own, so "
                                    f"{setting.path} would change nothing", setting.span,
                                    f"--set train.phases.0.{field}={setting.value}", setting.path))
    return found
