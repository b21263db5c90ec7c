"""What is known of samples beside their values: what a spec asks for, and what the data have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aebuild.data.errors import listed, shown, similar
from aebuild.lang.dataset import Dataset
from aebuild.lang.diagnostics import DataError, Diagnostic, Hint, Rule
from aebuild.lang.samples import ConditionInfo, ConditionKind

LABEL = "label"
PERIODS: dict[ConditionKind, float] = {"hour": 24, "weekday": 7, "month": 12}

UNKNOWN = Rule("AE390", "a condition that the data do not have", """\
A condition is named after what it is: `label` is the data's label; other names are columns of a table or series, `hour`, `weekday` and
`month` of the time that it has, arrays that stand beside the samples in their file, folders of images that `beside` names, or the `gray` of
photographs.

```yaml
data: digits
condition: {lable: film}
latent: {type: gaussian, dim: 4}
```
```yaml
condition: {label: film}
latent: {type: gaussian, dim: 4}
```
""")


UNPREDICTED = Rule("AE379", "a head that predicts what the data do not have", """\
A head predicts the data's label, or columns of a table: of words, which it takes for categories, or of numbers.

```yaml
data: wine
latent: {type: continuous, dim: 2}
heads: {price: {predicts: price}}
```
```yaml
heads: {cultivar: {predicts: label}}
```
""")


@dataclass(frozen=True)
class Offered:
    """The conditions that data could give: those of their names that are `asked` for, and all names."""

    asked: tuple[ConditionInfo, ...] = ()
    names: tuple[str, ...] = ()


NOTHING = Offered()


def described(part: Dataset, labelled: bool, offered: Offered = NOTHING) -> tuple[tuple[ConditionInfo, ...], tuple[ConditionInfo, ...]]:
    """The conditions that a spec asks for, and what its heads predict, in its order; DataError for one that the data do not have."""
    found = {each.name: each for each in offered.asked} | ({LABEL: ConditionInfo(LABEL, "label")} if labelled else {})
    names = [*([LABEL] if labelled else []), *offered.names]
    for name, asked in part.asked.items():
        if name not in found and name not in part.told:
            near = similar(name, names)
            raise DataError(Diagnostic(UNPREDICTED, f"the data have no {shown(name)} to be predicted; there {_are(names)}",
                                       asked.place("predicts"), near or "predicts: label", "heads"))
        if name not in found:
            raise unknown(part, name, names)
    return tuple(found[name] for name in part.told), tuple(found[name] for name in part.predicted)


def _are(names: list[str]) -> str:
    if not names:
        return "is neither a label nor a column"
    return f"are {listed(names, 12)}" if len(names) > 1 else f"is only the {names[0]}" if names == [LABEL] else f"is only {names[0]}"


def unknown(part: Dataset, name: str, names: Sequence[str]) -> DataError:
    """The error about a condition that is none of these names."""
    near, asked = similar(name, names), part.asked[name]
    there = f"there are {listed(names, 12)}" if names else "nothing is known of a sample but its values"
    fix = Hint("data with a label, a column or a time") if near is None else near
    return DataError(Diagnostic(UNKNOWN, f"the data have no {shown(name)} to be a condition; {there}", asked._origin.key or asked.place(),
                                fix, f"condition.{name}"))
