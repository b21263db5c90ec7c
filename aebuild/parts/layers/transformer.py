"""A transformer block."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Activation, Layer, Norm
from aebuild.lang.node import Composite, Node, Site
from aebuild.lang.part import knob
from aebuild.lang.projection import Projection
from aebuild.lang.values import Value, Vector

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
later blocks. A later block may repeat the choice, as in block form, or say `none`, but not make another one.

```yaml
encoder:
  - transformer: {width: 64, positions: learned}
  - transformer: {width: 64, positions: sinusoidal}
```
```yaml
encoder: {layer: transformer, depth: 2, width: 64, positions: sinusoidal}
```
""")


def _gelu() -> Activation:
    gelu = Activation.variants["gelu"]()
    assert isinstance(gelu, Activation)
    return gelu


class Transformer(Layer):
    """A pre-norm transformer block: attention, then a two-layer network (Vaswani et al., 2017; Xiong et al., 2020).

    A linear map stands in front where other than `width` features come in. The last block of a stage, and one that
    averages, ends in a layer normalisation, because in pre-norm form nothing else bounds the sum.
    """

    type: Literal["transformer"] = "transformer"
    keeps_lengths = True
    example = ("data: {type: arrays, path: s.npz, limit: 30}\n"
               "encoder: {layer: transformer, depth: 2, width: 4, heads: 2, mlp: 2, dropout: 0.2}\n"
               "decoder: {layer: lstm, width: 3}")
    also = ("attention", "self_attention", "vit", "transformer_encoder", "multi_head_attention")
    width: int = knob(..., "features at each position", examples=[64], affects="graph", ge=1)
    heads: int = knob(4, "attention heads; divides the width", affects="graph", ge=1)
    mlp: int = knob(4, "hidden features of the two-layer network, as a multiple of the width", affects="graph", ge=1)
    dropout: float = knob(0.0, "share of values set to zero in what attention and network add", affects="gradient", ge=0, lt=1)
    positions: Literal["auto", "learned", "sinusoidal", "none"] = knob(
        "auto", "what tells positions apart, added by the stage's first block: a learned vector each (auto means it), sines and "
        "cosines, or nothing", affects="graph")
    returns: Literal["sequence", "mean"] | None = Field(
        None, description="all positions, or their mean; by default the mean at the end of an encoder whose latent wants one "
        "vector, and all positions elsewhere", json_schema_extra={"affects": "graph"})
    causal: bool = knob(False, "each position sees only itself and those before it", affects="graph")
    activation: Activation = Field(default_factory=_gelu, description="nonlinearity of the two-layer network")

    wants = ("sequence",)

    def plan(self, value: Value, site: Site) -> Node:
        """sequence(T; D) to sequence(T; width), or to vector(width)."""
        if self.width % self.heads:
            site.refuse(self, HEADS, f"{self.heads} heads do not divide {self.width} features", "heads", "width",
                        fix=f"heads: {nearest_divisor(self.width, self.heads)}")
        inside = value.with_features(self.width)
        returns = self.returns or ("mean" if site.final and not site.stage.up and not site.stage.positions else "sequence")
        children = [*self._entry(value, inside, site), *self._sublayer("attention", self._attention(inside, site), inside, site),
                    *self._sublayer("mlp", self._mlp(inside, site), inside, site)]
        if site.final or returns == "mean":
            children.append(self._norm(inside, site.at("norm")))
        out: Value = Vector(self.width) if returns == "mean" else inside
        return Node(site.path, "transformer", value, out, self, {"returns": returns}, children=tuple(children), window=None)

    def mirrored(self) -> Layer | None:
        """The same block, returning what its own place asks for."""
        return self.but(returns=None)

    def widened(self, factor: float) -> Layer:
        """The block with its width multiplied, to the nearest one that the heads divide."""
        return self.but(width=self.heads * max(1, round(self.width * factor / self.heads)))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The block, its attention, or one of its leaves."""
        from aebuild.modules.dropout import Dropout
        from aebuild.modules.transformer import Attention, Block, LearnedPositions, SinusoidalPositions

        if node.kind == "attention":
            return Attention(children["qkv"], children["out"], self.heads, self.causal)
        if node.kind == "dropout":
            return Dropout(self.dropout)
        if node.kind == "positions":
            table = SinusoidalPositions if node.args["kind"] == "sinusoidal" else LearnedPositions
            return table(node.output.places[0], self.width)
        return Block(children, node.args["returns"])

    def _entry(self, value: Value, inside: Value, site: Site) -> list[Node]:
        """What comes before the sum: a map to the block's width, and positions where the stage has none."""
        leaves: list[Node] = []
        if value.features != self.width:
            leaves.append(Projection().plan(f"{site.path}.embed", value, self.width))
        kind = self._positions(site)
        if kind is not None:
            weights = {"weight": inside.shape} if kind == "learned" else {}
            leaves.append(Node(f"{site.path}.positions", "positions", inside, inside, self, {"kind": kind}, dict(weights)))
        return leaves

    def _positions(self, site: Site) -> str | None:
        """The positions that this block adds; the first to add any decides for the stage."""
        if self.positions == "none":
            return None
        first: Any = site.stage.agreed.setdefault("positions", self)
        if self.positions not in ("auto", first.kind_of_positions):
            site.refuse(self, POSITIONED, f"an earlier step already added {first.kind_of_positions} positions", "positions",
                        fix="remove positions")
        if site.stage.positioned:
            return None
        site.stage.positioned = True
        return self.kind_of_positions

    @property
    def kind_of_positions(self) -> str:
        """What tells the positions apart that it adds."""
        return "learned" if self.positions == "auto" else self.positions

    def _sublayer(self, name: str, node: Node, inside: Value, site: Site) -> list[Node]:
        """A norm, the sublayer, and dropout on what it adds."""
        drop = Node(f"{site.path}.{name}_dropout", "dropout", inside, inside, self)
        return [self._norm(inside, site.at(f"{name}_norm")), node, *([drop] if self.dropout else [])]

    def _norm(self, value: Value, site: Site) -> Node:
        norm = Norm.variants["layer"]()
        assert isinstance(norm, Norm)
        return norm.plan(value, site)

    def _attention(self, inside: Value, site: Site) -> Node:
        """Every position with every other: T² products of `width` for the scores, as many for the sum."""
        path = f"{site.path}.attention"
        qkv = Projection().plan(f"{path}.qkv", inside, 3 * self.width)
        out = Projection().plan(f"{path}.out", inside, self.width)
        return Node(path, "attention", inside, inside, self, {"heads": self.heads, "causal": self.causal},
                    macs=2 * prod(inside.places) ** 2 * self.width, children=(qkv, out), window=None)

    def _mlp(self, inside: Value, site: Site) -> Node:
        path = f"{site.path}.mlp"
        expand = Projection(activation=self.activation).plan(f"{path}.expand", inside, self.mlp * self.width)
        bend = self.activation.plan(expand.output, site.at("mlp").at("activation"))
        contract = Projection().plan(f"{path}.contract", bend.output, self.width)
        return Node(path, "mlp", inside, inside, Composite(), sequential=True, children=(expand, bend, contract))


def nearest_divisor(number: int, wanted: int) -> int:
    """The divisor of `number` closest to `wanted` (the smaller one of two), or an end where none is within 1000."""
    near = range(max(1, wanted - 1000), min(number, wanted + 1000) + 1)
    return min((d for d in near if number % d == 0), key=lambda d: (abs(d - wanted), d), default=number if wanted > number else 1)
