"""The conditions of a spec: their features in the data, and whether each reached the networks that it was meant for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from aebuild.compile.joins import path_word
from aebuild.compile.spec import Spec
from aebuild.data.conditions import UNKNOWN
from aebuild.lang.conditioning import Condition, Join, Reader
from aebuild.lang.dataset import DataInfo
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule

READERS: tuple[Reader, ...] = get_args(Reader)
Joins = Mapping[Reader, tuple[Join, ...]]

UNREACHED = Rule("AE391", "a condition that does not reach a network", """\
A condition acts where there is something to act on. Told `by: film` or `norm` it needs a hidden layer, `by: attention` one that gives a
grid or a series. A prior reads conditions if it is `conditional`; a critic is the discriminator of an adversarial latent or of a penalty.

```yaml
data: digits
condition: {label: {by: film}}
encoder: [linear: 32]
latent: {type: gaussian, dim: 4}
decoder: []                                        # no hidden layer
```
```yaml
condition: {label: {by: concat}}
encoder: [linear: 32]
latent: {type: gaussian, dim: 4}
decoder: []
```
""")

def joins_of(spec: Spec, info: DataInfo, found: list[Diagnostic]) -> Joins:
    """For each network the conditions that it is told."""
    columns, words = info.condition_columns, _words(spec)
    types = {each.name: each.value(info.classes) for each in info.conditions}
    for name, condition in spec.condition.items():
        if name in columns and columns[name][0] == columns[name][1] or name == "label" and info.classes == 1:
            found.append(Diagnostic(UNKNOWN, "all labels are the same, and tell nothing", condition._origin.key or condition.place(),
                                    f"remove {name}", f"condition.{name}"))
    return {reader: tuple(Join(name, *columns[name], condition.by, word=words[name], value=types[name],
                                    encoder=condition.encoder) for name, condition in spec.condition.items()
                          if reader in condition.into and name in columns) for reader in READERS}


def _words(spec: Spec) -> dict[str, str]:
    """What each condition is called in paths."""
    found: dict[str, str] = {}
    for name in spec.condition:
        word = path_word(name)
        while word in found.values():
            word += "_"
        found[name] = word
    return found


def check_joined(spec: Spec, joins: Joins, found: list[Diagnostic]) -> None:
    """Errors for networks that a condition was meant for and did not reach, where nothing else is wrong."""
    if any(each.is_error for each in found):
        return
    for reader in READERS:
        for join in joins[reader]:
            if not join.sites:
                found.append(_unreached(spec, spec.condition[join.name], join, reader))


def _unreached(spec: Spec, condition: Condition, join: Join, reader: Reader) -> Diagnostic:
    path, rest = f"condition.{join.name}", [each for each in condition.into if each != reader]
    without = f"into: [{', '.join(rest)}]" if rest else Hint("leave it out")
    if reader == "prior":
        why = f"the prior of the {spec.latent.variant_name()} latent is not conditional"
        return Diagnostic(UNREACHED, f"{join.name} is told to the prior, but {why}", condition.place("into"), without, path)
    if reader == "critic":
        message = f"{join.name} is told to the critic, but there is no discriminator"
        return Diagnostic(UNREACHED, message, condition.place("into"), without, path)
    needs = "a hidden layer that gives a grid or a series" if condition.by.variant_name() == "attention" else "a hidden layer"
    message = f"{join.name} acts behind hidden layers by {condition.by.variant_name()}, but the {reader} has not {needs}"
    return Diagnostic(UNREACHED, message.replace("has not a", "has no"), condition.place("by") or condition.place(), "by: concat", path)
