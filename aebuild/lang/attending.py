"""What the layers of attention share: heads, positions, and the network behind."""

from __future__ import annotations

from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

from pydantic import Field

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Activation, Layer, Norm
from aebuild.lang.node import Composite, Node, Site
from aebuild.lang.part import knob
from aebuild.lang.projection import PLAIN, Projection
from aebuild.lang.values import Value, elements

if TYPE_CHECKING:
    from torch import nn

HEADS = Rule("AE366", "heads do not divide the width", """\
Attention splits the features among its heads, equally many each, so the number of heads must divide the width.

```yaml
encoder: {layer: transformer, width: 100, heads: 8}     # 100 / 8 is not whole
```
```yaml
encoder: {layer: transformer, width: 100, heads: 10}
```
""")

POSITIONED = Rule("AE367", "positions that were already added", """\
Attention does not see order, so the first block of a stage adds a position to each element; the sum then carries it through all
later blocks. A later block may repeat the choice, as in block form, or say `none`, but not make another one. Relative positions
(`rotary`, `alibi`) stand in each block that does not say `none`.

```yaml
encoder:
  - transformer: {width: 64, positions: learned}
  - transformer: {width: 64, positions: sinusoidal}
```
```yaml
encoder: {layer: transformer, depth: 2, width: 64, positions: sinusoidal}
```
""")

SCORES = 256 ** 2        # of a head: up to so many are kept, more are computed again (modules/transformer.py)
RELATIVE = ("rotary", "alibi")


def _gelu() -> Activation:
    gelu = Activation.variants["gelu"]()
    assert isinstance(gelu, Activation)
    return gelu


class Attending(Layer):
    """A block of attention over a sequence, and a two-layer network, each normalised before."""

    keeps_lengths = True
    width: int = knob(..., "features at each position", examples=[64], affects="graph", ge=1)
    heads: int = knob(4, "attention heads; divides the width", affects="graph", ge=1)
    mlp: int = knob(4, "hidden features of the two-layer network, as a multiple of the width", affects="graph", ge=1)
    dropout: float = knob(0.0, "share of values set to zero in what attention and network add", affects="gradient", ge=0, lt=1)
    activation: Activation = Field(default_factory=_gelu, description="nonlinearity of the two-layer network")
    gated: bool = knob(False, "a second map beside the first of the two-layer network multiplies what its nonlinearity gives: with sigmoid "
                       "a gated linear unit (Dauphin et al., 2017), with gelu or silu GEGLU or SwiGLU (Shazeer, 2020)", affects="graph")
    positions: str = knob("auto", "what tells positions apart", affects="graph")

    scalar = "width"
    wants = ("sequence",)

    def widened(self, factor: float) -> Layer:
        """The block with its width multiplied, to the nearest one that the heads divide."""
        return self.but(width=self.heads * max(1, round(self.width * factor / self.heads)))

    def check_heads(self, site: Site) -> None:
        """Refuses heads that do not divide the width."""
        if self.width % self.heads:
            site.refuse(self, HEADS, f"{self.heads} heads do not divide {self.width} features", "heads", "width",
                        fix=f"heads: {nearest_divisor(self.width, self.heads)}")

    def entry(self, value: Value, inside: Value, site: Site, added: str | None) -> list[Node]:
        """What comes before attention: a map to the block's width, and positions of a kind where some are `added`."""
        leaves: list[Node] = []
        if value.features != self.width:
            leaves.append(PLAIN.plan(f"{site.path}.embed", value, self.width))
        if added is not None:
            weights = {"weight": inside.shape} if added == "learned" else {}
            leaves.append(Node(f"{site.path}.positions", "positions", inside, inside, self, {"kind": added}, dict(weights), keeps=0))
        return leaves

    def agreed_positions(self, site: Site) -> tuple[str | None, str | None]:
        """The positions that this block adds, and those that its attention is told; the first to have any decides for the stage.

        What was repeated from one vector is alike at all places, of which relative positions alone would make the same
        everywhere; so it gets a learned position each as well.
        """
        if self.positions == "none":
            return None, None
        stage = site.stage
        first: Any = stage.agreed.setdefault("positions", self)
        kind = first.kind_of_positions
        if self.positions not in ("auto", kind):
            site.refuse(self, POSITIONED, f"an earlier step already added {kind} positions", "positions", fix="remove positions")
        relative = kind if kind in RELATIVE else None
        if stage.positioned:
            return None, relative
        stage.positioned = True
        return kind if relative is None else "learned" if stage.repeated else None, relative

    @property
    def kind_of_positions(self) -> str:
        """The positions meant."""
        return "learned" if self.positions == "auto" else self.positions

    def sublayer(self, name: str, node: Node, inside: Value, site: Site) -> list[Node]:
        """A norm, the sublayer, and dropout on what it adds."""
        drop = Node(f"{site.path}.{name}_dropout", "dropout", inside, inside, self, keeps=elements(inside))
        return [self.norm(inside, site.at(f"{name}_norm")), node, *([drop] if self.dropout else [])]

    def norm(self, value: Value, site: Site) -> Node:
        """A layer normalisation."""
        return _layer_norm().plan(value, site)

    def network(self, inside: Value, site: Site) -> Node:
        """The two-layer network at each place."""
        path = f"{site.path}.mlp"
        hidden = self.mlp * self.width
        expand = Projection(activation=self.activation).plan(f"{path}.expand", inside, 2 * hidden if self.gated else hidden)
        place, half = site.at("mlp"), expand.output.with_features(hidden)
        if self.gated:
            opening = self.activation.plan(half, place.at("gate").at("activation"))
            bend = Node(f"{path}.gate", "gate", expand.output, half, self, children=(opening,), keeps=elements(half))
        else:
            bend = self.activation.plan(half, place.at("activation"))
        contract = PLAIN.plan(f"{path}.contract", bend.output, self.width)
        return Node(path, "mlp", inside, inside, Composite(), sequential=True, children=(expand, bend, contract))

    def build_leaf(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """Dropout, a gate, or a table of positions."""
        from aebuild.modules.dropout import Dropout
        from aebuild.modules.transformer import Gate, LearnedPositions, SinusoidalPositions

        if node.kind == "gate":
            return Gate(children["activation"])
        if node.kind == "dropout":
            return Dropout(self.dropout)
        table = SinusoidalPositions if node.args["kind"] == "sinusoidal" else LearnedPositions
        return table(node.output.places[0], self.width)


def attention_keeps(asking: Value, asked: int, heads: int) -> int:
    """Values that attention of all places of a value over `asked` places keeps: queries, keys and values, and short scores."""
    places = prod(asking.places)
    return (places + 2 * asked) * asking.features + (heads * places * asked if places * asked <= SCORES else 0)


@cache
def _layer_norm() -> Norm:
    norm = Norm.variants["layer"]()
    assert isinstance(norm, Norm)
    return norm


def nearest_divisor(number: int, wanted: int) -> int:
    """The divisor of `number` closest to `wanted` (the smaller one of two), or an end where none is within 1000."""
    near = range(max(1, wanted - 1000), min(number, wanted + 1000) + 1)
    return min((d for d in near if number % d == 0), key=lambda d: (abs(d - wanted), d), default=number if wanted > number else 1)
