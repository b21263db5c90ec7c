"""Conditions: what a model is told of a sample beside its values, which networks read it, and how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from aebuild.lang.lint import Finding, Surroundings, warning
from aebuild.lang.node import Buildable, Node, Site
from aebuild.lang.part import Part, knob
from aebuild.lang.values import Value

Reader = Literal["encoder", "decoder", "prior", "critic"]
KEY = "conditions"          # of the context, [N, F]: the features of all conditions, side by side


UNHEARD = warning("AE235", "a condition that no sample can follow", """\
What the decoder or the prior is told decides what is drawn and reconstructed. What the encoder alone is told changes codes only:
`sample --given label=3` would draw what it draws for any other label.

```yaml
condition: {label: {by: film, into: [encoder]}}
```
```yaml
condition: {label: {by: film, into: [encoder, decoder]}}
```
""")


class Conditioning(Buildable):
    """How a network is told its conditions.

    With `at_input` it acts once, where values enter the network; else behind each hidden layer, which gives what it `fits`. The module it
    builds is a `modules.conditioning.Conditioned`.
    """

    family = "conditioning"
    default_variant = "concat"
    keeps_lengths = True
    at_input: ClassVar[bool] = False

    def fits(self, value: Value) -> bool:
        """True for what it can act on."""
        return True

    def plan_conditioning(self, value: Value, join: Join, site: Site) -> Node:
        """The node that tells the value of these features."""
        raise TypeError(f"{type(self).__name__} has no plan")

    def node(self, value: Value, output: Value, join: Join, site: Site, **cost: Any) -> Node:
        """An inserted node that reads the features of the join."""
        args = {"name": join.name, "by": str(self.variant_name()), "first": join.first, "last": join.last}
        return Node(site.path, "condition", value, output, self, args, inserted=True, reads=(join.key,), **cost)


def _concat() -> Any:
    return Conditioning.named("concat")


class Condition(Part):
    """Something that is known of a sample, and told to the networks.

    Its name says what: `label`, a column of a table or series, or `hour`, `weekday` and `month` of its time.
    """

    example = "condition: {label: {by: film, into: [encoder, decoder]}}"
    foreign = {"type": "by", "how": "by", "method": "by", "mode": "by", "to": "into", "where": "into", "stages": "into"}
    by: Conditioning = Field(default_factory=_concat, description="how the networks are told")
    into: Annotated[list[Reader], Field(min_length=1)] = knob(
        ["encoder", "decoder"], "the networks that are told: encoder, decoder, prior (a `conditional` one), critic (every discriminator)",
        affects="graph")


    def lint(self, node: Any, around: Surroundings) -> Iterator[Finding]:
        """Told to no network that makes data."""
        if not {"decoder", "prior"} & {*self.into}:
            yield (UNHEARD, f"only the {' and the '.join(self.into)} {'is' if len(self.into) == 1 else 'are'} told it, so that neither "
                   "reconstructions nor samples can follow it", self.place("into"), "into: [encoder, decoder]")


@dataclass(eq=False)
class Join:
    """Features `first` to `last` of what stands under `key` in the context, [N, F], and how a network is told them.

    `word` is its name in paths, `sites` collects the paths at which that happened. `value` is the type of a code that stands there flat.
    """

    name: str
    first: int
    last: int
    by: Conditioning | None = None
    key: str = KEY
    word: str = ""
    sites: list[str] = field(default_factory=list)
    value: Value | None = None

    @property
    def width(self) -> int:
        """How many features there are."""
        return self.last - self.first
