"""Likelihoods of values that are one of so many levels, as those of an image are: how many, and which."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import Field

from aebuild.lang.diagnostics import Diagnostic, Rule
from aebuild.lang.node import Refusal
from aebuild.lang.terms import Likelihood
from aebuild.lang.values import Range

Count = Annotated[int, Field(ge=2, le=1 << 24)]

UNKNOWN_LEVELS = Rule("AE375", "a likelihood of levels where these are not known", """\
A discretised likelihood gives each level that a value can have a probability, so it must know the lowest and the highest level and how
many there are. Of images that is known from their files, under `scale: unit`, `signed` and `integer` alike; of other data that
lie in a known range write `levels`; under `scale: standard` there are none.

```yaml
data: {type: mnist, scale: standard}
losses: {reconstruction: discretized_logistic}
```
```yaml
data: {type: mnist, scale: unit}
losses: {reconstruction: discretized_logistic}
```
""")


class Levels(NamedTuple):
    """`number` levels from `low` to `high`, evenly spaced."""

    number: int
    low: float
    high: float


class Discretized(Likelihood):
    """A likelihood of levels; its field `levels` overrules what is known of the data."""

    def levels_of(self, bounds: Range, written: int | None) -> Levels:
        """The levels of data in this range; Refusal where they are not known."""
        if bounds.low is None or bounds.high is None:
            raise Refusal(Diagnostic(UNKNOWN_LEVELS, f"{self.variant_name()} needs data in a known range, but they are {bounds}",
                                     self.place("type"), "reconstruction: gaussian", "losses.reconstruction",
                                     notes=("or keep it, and write `scale: unit` under `data`",)))
        known = int(bounds.high - bounds.low) + 1 if bounds.integer else bounds.levels
        if written is None and known is None:
            raise Refusal(Diagnostic(UNKNOWN_LEVELS, f"{self.variant_name()}: nothing says how many levels these {bounds} have",
                                     self.place("type"), f"reconstruction: {{type: {self.variant_name()}, levels: 256}}",
                                     "losses.reconstruction"))
        return Levels(written or known or 0, bounds.low, bounds.high)
