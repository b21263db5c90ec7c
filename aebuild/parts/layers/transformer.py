"""A transformer block."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from aebuild.lang.attending import Attending, attention_keeps
from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Layer
from aebuild.lang.lint import Finding, Surroundings, warning
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.projection import PLAIN
from aebuild.lang.values import Value, Vector

if TYPE_CHECKING:
    from torch import nn

BLOCK = 32        # places of a block at least: smaller products are slower than what they save

PAIRS = Rule("AE811", "rotary positions of an odd number of features", """\
Rotary positions turn the features of each head in pairs, so each head needs an even number of them: width / heads.

```yaml
encoder: {layer: transformer, width: 20, heads: 4, positions: rotary}     # 5 features a head
```
```yaml
encoder: {layer: transformer, width: 20, heads: 2, positions: rotary}
```
""")

WIDE_WINDOW = warning("AE240", "a window that hides nothing", """\
`window` is how many positions to either side a position sees. In a series that is no longer than the window and one, all are seen anyway.

```yaml
data: ecg5000                                                    # 140 steps
encoder: {layer: transformer, width: 32, window: 200}
```
```yaml
encoder: {layer: transformer, width: 32, window: 16}
```
""")


class Transformer(Attending):
    """A pre-norm transformer block: attention, then a two-layer network (Vaswani et al., 2017; Xiong et al., 2020).

    A linear map stands in front where other than `width` features come in. The last block of a stage, and one that
    averages, ends in a layer normalisation, because in pre-norm form nothing else bounds the sum.
    """

    type: Literal["transformer"] = "transformer"
    example = ("data: {type: arrays, path: s.npz, limit: 30}\n"
               "encoder: {layer: transformer, depth: 2, width: 4, heads: 2, mlp: 2, dropout: 0.2, window: 2, gated: true}\n"
               "decoder: {layer: lstm, width: 3}")
    also = ("self_attention", "vit", "transformer_encoder", "multi_head_attention")
    positions: Literal["auto", "learned", "sinusoidal", "rotary", "alibi", "none"] = knob(
        "auto", "what tells positions apart: added by the stage's first block a learned vector each (auto means it), or sines and cosines; "
        "told to each block's attention how far two are apart, by turned features (rotary; Su et al., 2021) or scores that fall with "
        "distance (alibi; Press et al., 2022); or nothing", affects="graph")
    window: int | None = knob(None, "how many positions to either side a position sees; all by default", affects="graph", ge=1)
    returns: Literal["sequence", "mean"] | None = Field(
        None, description="all positions, or their mean; by default the mean at the end of an encoder whose latent wants one "
        "vector, and all positions elsewhere", json_schema_extra={"affects": "graph"})
    causal: bool = knob(False, "each position sees only itself and those before it", affects="graph")

    def plan(self, value: Value, site: Site) -> Node:
        """sequence(T; D) to sequence(T; width), or to vector(width)."""
        self.check_heads(site)
        inside = value.with_features(self.width)
        returns = self.returns or ("mean" if site.final and not site.stage.up and not site.stage.positions else "sequence")
        added, relative = self.agreed_positions(site)
        if relative == "rotary" and self.width // self.heads % 2:
            self._refuse_pairs(site)
        children = [*self.entry(value, inside, site, added),
                    *self.sublayer("attention", self._attention(inside, site, relative), inside, site),
                    *self.sublayer("mlp", self.network(inside, site), inside, site)]
        if site.final or returns == "mean":
            children.append(self.norm(inside, site.at("norm")))
        out: Value = Vector(self.width) if returns == "mean" else inside
        return Node(site.path, "transformer", value, out, self, {"returns": returns}, children=tuple(children), window=None)

    def mirrored(self) -> Layer | None:
        """The same block, returning what its own place asks for."""
        return self.but(returns=None)

    def lint(self, node: Node | None, around: Surroundings) -> Iterator[Finding]:
        """A window should hide something."""
        if node is not None and node.kind == "attention" and self.window is not None and self.window >= node.input.places[0] - 1:
            places = node.input.places[0]
            narrower = f"window: {places // 4}" if places >= 8 else "remove window"
            yield WIDE_WINDOW, f"of {places} positions each sees all in a window of {self.window} to either side", \
                self.place("window"), narrower

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The block, its attention, or one of its leaves."""
        from aebuild.modules.transformer import Attention, Block

        if node.kind == "attention":
            told = {"window": self.window, "block": node.args["block"], "relative": node.args["relative"]}
            more: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
            return Attention(children["qkv"], children["out"], self.heads, self.causal, **more)
        return Block(children, node.args["returns"]) if node.kind == "transformer" else self.build_leaf(node, children)

    def _refuse_pairs(self, site: Site) -> None:
        fits = [heads for heads in range(self.heads, 0, -1) if self.width % heads == 0 and self.width // heads % 2 == 0]
        site.refuse(self, PAIRS, f"rotary positions turn pairs of features, and each head has {self.width // self.heads}", "positions",
                    "heads", "width", fix="positions: alibi" if not fits or "heads" not in self._origin.fields else f"heads: {fits[0]}")

    def _attention(self, inside: Value, site: Site, relative: str | None) -> Node:
        """Each position with those it sees, or whose block it sees: so many products of `width` for the scores, as many for the sum."""
        path, size = f"{site.path}.attention", site.stage.size
        qkv = PLAIN.plan(f"{path}.qkv", inside, 3 * self.width)
        out = PLAIN.plan(f"{path}.out", inside, self.width)
        local = self.window is not None and (size is None or len(size) == 1)            # not along the rows of an image
        block, products = self._scores(prod(inside.places))
        args = {"heads": self.heads, "causal": self.causal, "window": self.window, "relative": relative, "block": block}
        return Node(path, "attention", inside, inside, self, args, macs=2 * products * self.width, children=(qkv, out),
                    keeps=attention_keeps(inside, products // prod(inside.places), self.heads),
                    window=((2 * (self.window or 0) + 1, 1.0),) if local else None)

    def _scores(self, places: int) -> tuple[int | None, int]:
        """The length of a block where a window makes blocks with their neighbours cheaper, and how many scores there are."""
        block = max(self.window or places, BLOCK)
        near = -(-places // block) * block * (2 if self.causal else 3) * block
        return (block, near) if near < places ** 2 else (None, places ** 2)
