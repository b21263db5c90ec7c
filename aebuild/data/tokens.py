"""Arrays of tokens: whole numbers that name symbols."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from aebuild.data.axes import Layout
from aebuild.data.errors import fault
from aebuild.lang.diagnostics import Hint, Rule
from aebuild.lang.part import Part
from aebuild.lang.values import Tokens

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aebuild.data.formats.npy import Member

NO_TOKENS = Rule("AE470", "an array that holds no tokens", """\
`as: tokens` reads each row as a text: whole numbers from 0 that name symbols, one at each place. The array has the axes [N, T], and as
many symbols as `vocabulary` says, else one more than the largest number in it. Words become numbers before they are saved.

```yaml
data: {path: text.npy, as: tokens}          # [N, T] of floats
```
```yaml
data: {path: text.npy}                      # measurements: a vector of numbers
```
""")

OUTSIDE = Rule("AE471", "a token outside of the vocabulary", """\
With a vocabulary of K the tokens are 0 to K − 1. A larger or a negative number names no symbol.

```yaml
data: {path: text.npy, as: tokens, vocabulary: 10}       # and there is a 12
```
```yaml
data: {path: text.npy, as: tokens, vocabulary: 13}
```
""")

IDLE = Rule("AE472", "an option that tokens do not have, or only tokens", """\
Tokens are names and no amounts: there is nothing to scale, and no axis of channels. And only of tokens a `vocabulary` can be counted.

```yaml
data: {path: text.npy, as: tokens, scale: standard}
```
```yaml
data: {path: text.npy, as: tokens}
```
""")


def check_options(part: Part) -> None:
    """Refuses options that mean nothing with or without tokens; `part` has fields kind, shape, vocabulary, scale and channels."""
    options: dict[str, Any] = dict(part)
    if options["kind"] != "tokens":
        if options["vocabulary"] is not None:
            raise fault(IDLE, "`vocabulary` is for tokens", "as: tokens" if options["kind"] is None else "remove vocabulary", part=part,
                        at=("vocabulary",))
        return
    for option in ("scale", "channels"):
        if options[option] is not None:
            raise fault(IDLE, f"`{option}: {options[option]}` means nothing for tokens", f"remove {option}", part=part, at=(option,))
    if options["shape"] is not None and (options["vocabulary"] is None or len(options["shape"]) != 1):
        raise fault(NO_TOKENS, "tokens are declared by `shape: [T]` and `vocabulary`, so that nothing need be read",
                    Hint("shape: [T] and vocabulary: K"), part=part, at=("shape",))


def token_layout(member: Member, what: str, classes: int, part: Part) -> Layout:
    """The layout of an array [N, T] of whole numbers; refuses any other."""
    if member.dtype.kind not in "iu" or len(member.shape) != 2 or 0 in member.shape:
        raise fault(NO_TOKENS, f"{what} has shape {list(member.shape)} of {member.dtype.name}; tokens are whole numbers [N, T]",
                    Hint('x.astype("int64") of numbers that name symbols'), part=part, at=("kind", "as"))
    return Layout(Tokens(member.shape[1], classes))


def count_tokens(arrays: Iterable[NDArray[Any]]) -> int:
    """One more than the largest number; at least 2, so that there is something to tell apart."""
    return max(2, *(1 + int(array.max()) for array in arrays))


def check_tokens(values: NDArray[Any], classes: int, name: Callable[[int], str]) -> None:
    """Refuses numbers that name no symbol, naming the first sample that has one."""
    import numpy as np

    wrong: NDArray[np.bool_] = (values < 0) | (values >= classes)
    if wrong.any():
        row = int(np.argwhere(wrong)[0][0])
        found, largest = int(values[row][wrong[row]][0]), int(values.max())
        raise fault(OUTSIDE, f"{name(row)} holds {found}; the tokens of a vocabulary of {classes:,} are 0 to {classes - 1:,}",
                    f"vocabulary: {largest + 1}" if int(values.min()) >= 0 else Hint("numbers from 0"))
