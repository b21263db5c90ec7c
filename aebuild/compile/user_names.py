"""Names that users choose: each its own, so that no figure hides another."""

from __future__ import annotations

from aebuild.compile.losses import providers
from aebuild.compile.wording import written
from aebuild.lang.diagnostics import Diagnostic, Rule
from aebuild.lang.source import Tree
from aebuild.lang.terms import AUTOENCODER, Bound, Penalty, without_level

TAKEN = Rule("AE114", "a name that is taken", """\
A head's name is the name of its loss term, and `NAME_accuracy` that of its metric. In a run's records and tables they stand beside the
terms, metrics and players of all parts and beside `loss`; of two with one name only one could be seen.

```yaml
data: digits
heads: {reconstruction: {}}
```
```yaml
data: digits
heads: {digit: {}}
```
""")

METRICS = ("accuracy", "r2", "weight")          # of heads


def check_names(tree: Tree) -> list[Diagnostic]:
    """What is wrong with the names of heads in a long tree."""
    entries = tree.value if isinstance(tree.value, dict) else {}
    heads = entries["heads"].value if "heads" in entries else {}
    if not heads or not isinstance(heads, dict):
        return []
    meanings = {f"{name}_{metric}": f"a metric of the head {name!r}" for name in heads for metric in METRICS} | known_names()
    return [Diagnostic(TAKEN, f"a head cannot be called {name!r}: that is {meanings[known]}", head.key or head.span,
                       f"{_free(without_level(name), [*meanings, *heads])}: {written(head)}", f"heads.{name}")
            for name, head in heads.items() if (known := name if name in meanings else without_level(name)) in meanings]


def known_names() -> dict[str, str]:
    """Every name in a run's records that does not come from the user, and what it means."""
    names = {"loss": "the sum of all terms", "reconstruction": "the term of the likelihood", "bound": "what joins the terms of a sample",
             "mse": "the squared error of an evaluation", "psnr": "the signal-to-noise ratio of an evaluation", AUTOENCODER: "a player"}
    for part in providers():
        owner = f"a {part.variant_name() or ''} {part.family}".replace("  ", " ")
        names |= dict.fromkeys(part.players, "a player") | dict.fromkeys(part.meanings, f"a metric of {owner}")
        names |= dict.fromkeys(part.terms, f"a term of {owner}")
    for penalty in Penalty.variants.values():
        if issubclass(penalty, Penalty):
            names |= {penalty.key: "a penalty"} | dict.fromkeys(penalty.players, "a player")
    for bound in Bound.variants.values():
        names |= dict.fromkeys(bound.meanings, f"a figure of the bound {bound.variant_name()}") if issubclass(bound, Bound) else {}
    return names


def _free(name: str, others: list[str]) -> str:
    """A name like it that nothing else has."""
    while name in others or any(f"{name}_{metric}" in others for metric in METRICS):
        name = f"{name}_head"
    return name
