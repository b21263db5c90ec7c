"""Conditions: what a model is told of a sample beside its values, which networks read it, and how."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as Seq
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from aebuild.lang.diagnostics import Hint, Rule
from aebuild.lang.families import Layer
from aebuild.lang.lint import Finding, Surroundings, warning
from aebuild.lang.node import Buildable, Composite, Node, Site, Stage
from aebuild.lang.part import Part, knob
from aebuild.lang.values import Value, Vector, elements

if TYPE_CHECKING:
    from torch import nn

Reader = Literal["encoder", "decoder", "prior", "critic"]
ENCODER = "condition encoder"        # the kind of a node whose children see a condition, and not what goes through the network
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


UNFIT = Rule("AE863", "an image that no grid of a network can be told place by place", """\
A condition that is an image (a second folder, an array, the grey of a photograph) is told a grid place by place: averaged where it is
larger, repeated where it is smaller. So along each axis the one size has to be a multiple of the other. Where it is not, an `encoder`
of the condition can turn it to a vector, or to a grid that fits.

```yaml
data: {type: photos, patch: 30}
condition: {gray: {by: film}}
encoder: {layer: conv, width: [8, 8], stride: 2, kernel: 4}       # 30 by 30, then 15, then 8
latent: {type: gaussian, dim: 4}
```
```yaml
data: {type: photos, patch: 32}
condition: {gray: {by: film}}
encoder: {layer: conv, width: [8, 8], stride: 2, kernel: 4}       # 32 by 32, then 16, then 8
latent: {type: gaussian, dim: 4}
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
        args: dict[str, Any] = {"name": join.name, "by": str(self.variant_name()), "first": join.first, "last": join.last}
        if join.placed(value):
            args["shape"] = list(_fitting(self, join, value, site))
        return Node(site.path, "condition", value, output, self, args, inserted=True, reads=(join.key,), **cost)


def plan_encoder(join: Join, site: Site) -> Node:
    """The stage of a condition's own layers."""
    assert join.value is not None
    inside = replace(site, stage=Stage(positions=True))
    layers, told = inside.chain(join.encoder, join.value, inside)
    return Node(site.path, "stage", join.value, told, Composite(), children=layers, sequential=True)


def _fitting(part: Conditioning, join: Join, value: Value, site: Site) -> tuple[int, ...]:
    """The shape of what is told place by place; refused where its grid cannot be brought to that of the value."""
    assert join.value is not None
    for held, wanted in zip(join.value.places, value.places, strict=True):
        if held % wanted and wanted % held:
            sizes = [" by ".join(map(str, each)) for each in (join.value.places, value.places)]
            site.refuse(part, UNFIT, f"{join.name} is {sizes[0]}, and the grid that is told it here is {sizes[1]}", "type",
                        fix=Hint("sizes of which the one is a multiple of the other, or an `encoder` of the condition"))
    return join.value.shape


def _concat() -> Any:
    return Conditioning.named("concat")


class Condition(Part):
    """Something that is known of a sample, and told to the networks.

    Its name says what: `label`, a column of a table or series, `hour`, `weekday` and `month` of its time, an array that stands beside the
    samples, a folder of images under `beside` of the data, the `gray` of photographs. An image is told a grid place by place, averaged or
    repeated to its size, and all else flat.
    """

    example = ("condition: {label: {by: film, into: [encoder, decoder]}}\n"
               "---\n"
               "data: {type: photos, patch: 8, count: 40}\n"
               "condition: {gray: {encoder: [conv: {width: 2, stride: 2}, flatten, linear: 3]}}")
    foreign = {"type": "by", "how": "by", "method": "by", "mode": "by", "to": "into", "where": "into", "stages": "into"}
    by: Conditioning = Field(default_factory=_concat, description="how the networks are told")
    encoder: list[Layer] = Field(default_factory=list, description="layers through which the condition goes first, in each network that is "
                                 "told it by weights of its own (default: none)")
    into: Annotated[list[Reader], Field(min_length=1)] = knob(
        ["encoder", "decoder"], "the networks that are told: encoder, decoder, prior (a `conditional` one), critic (every discriminator)",
        affects="graph")


    def lint(self, node: Any, around: Surroundings) -> Iterator[Finding]:
        """Told to no network that makes data."""
        if not {"decoder", "prior"} & {*self.into}:
            yield (UNHEARD, f"only the {' and the '.join(self.into)} {'is' if len(self.into) == 1 else 'are'} told it, so that neither "
                   "reconstructions nor samples can follow it", self.place("into"), "into: [encoder, decoder]")


class ConditionEncoding(Buildable):
    """What stands at a node whose layers a condition goes through before a network is told it."""

    keeps_lengths = True

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The step that encodes the condition and hands its input on."""
        from aebuild.modules.conditioning import ConditionEncoder

        first, last, shape = (node.args[name] for name in ("first", "last", "shape"))
        return ConditionEncoder(children["network"], node.reads[0], first, last, shape, node.writes[0])


class EncodedConditions(Buildable):
    """What stands at a node where conditions side by side go through layers of their own."""

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The step that encodes them."""
        from aebuild.modules.conditioning import EncodedParts

        return EncodedParts(children, [(name, shape) for name, shape in node.args["parts"]])


def plan_encoders(joins: Seq[Join], site: Site) -> tuple[tuple[Node, ...], Vector]:
    """The step, if there is one, that takes conditions side by side through their own layers, and the type behind it."""
    known = Vector(sum(join.width for join in joins))
    coded = {join.word: plan_encoder(join, site.at("networks").at(join.word)) for join in joins if join.encoder}
    if not coded:
        return (), known
    told = Vector(sum(elements(coded[join.word].output) if join.word in coded else join.width for join in joins))
    shapes = [[join.word, list(join.value.shape) if join.value is not None else [join.width]] for join in joins]
    return (Node(site.path, ENCODER, known, told, EncodedConditions(), {"parts": shapes}, children=tuple(coded.values())),), told


@dataclass(eq=False)
class Join:
    """Features `first` to `last` of what stands under `key` in the context, [N, F], and how a network is told them.

    `word` is its name in paths, `sites` collects the paths at which that happened. `value` is the type of what stands there flat, which
    goes through the layers of an `encoder` first.
    """

    name: str
    first: int
    last: int
    by: Conditioning | None = None
    key: str = KEY
    word: str = ""
    sites: list[str] = field(default_factory=list)
    value: Value | None = None
    encoder: Seq[Layer] = ()

    @property
    def width(self) -> int:
        """How many features there are."""
        return self.last - self.first

    def placed(self, value: Value) -> bool:
        """Whether a value of this type is told place by place, rather than the same everywhere."""
        return self.value is not None and bool(value.axes) and self.value.axes == value.axes

    def features_at(self, value: Value) -> int:
        """How many features each place of such a value is told."""
        return self.value.features if self.value is not None and self.placed(value) else self.width
