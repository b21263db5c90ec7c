"""Learned queries that attend to a sequence."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Literal

from aebuild.lang.attending import RELATIVE, Attending, attention_keeps
from aebuild.lang.diagnostics import Hint, Rule
from aebuild.lang.families import Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.projection import PLAIN
from aebuild.lang.values import Sequence, Value, Vector

if TYPE_CHECKING:
    from torch import nn

TOKENS = 4           # that a code without places is turned to
UNCOUNTED = Rule("AE812", "cross-attention without a number of queries", """\
`cross_attention` gives as many places as it has queries. In the decoder's own list they are as many as the data have places, or as what
stands behind it needs; anywhere else say how many.

```yaml
encoder: [cross_attention: {width: 64}]
```
```yaml
encoder: [cross_attention: {width: 64, queries: 16}]
```
""")

PLACED = Rule("AE813", "tokens of what has places, or positions of what has none", """\
`tokens` is how many vectors a code without places is turned to, for the queries to choose from. A grid or a sequence has its places, and
they are what the queries choose from; only such places have `positions`.

```yaml
data: ecg5000
encoder: [cross_attention: {width: 32, queries: 8, tokens: 6}]
```
```yaml
data: ecg5000
encoder: [cross_attention: {width: 32, queries: 8}]
decoder: [cross_attention: {width: 32, tokens: 6}]                # of a code that is one vector
```
""")


class CrossAttention(Attending):
    """Learned queries attend to a sequence or grid of any size (Jaegle et al., 2021; decoding, 2022).

    In an encoder a bottleneck of `queries` places. In a decoder a query for each place of the data reads the code, of whatever length
    that is. A two-layer network follows, as in a transformer block; the last block of a stage ends in a layer normalisation.
    """

    type: Literal["cross_attention"] = "cross_attention"
    ends_lengths = True
    example = ("data: {type: arrays, path: s.npz, limit: 30}\n"
               "encoder: {layer: cross_attention, queries: 3, width: 4, heads: 2, mlp: 2, dropout: 0.2}\n"
               "decoder: {layer: cross_attention, width: 6, heads: 3, tokens: 3}")
    also = ("perceiver", "perceiver_io", "queries", "learned_queries", "latent_queries", "pma", "q_former", "resampler",
            "transformer_decoder", "memory")
    width: int = knob(..., "features of a query, and of each place that comes out", examples=[64], affects="graph", ge=1)
    queries: int | None = knob(None, "places that come out; in the decoder's own list by default as many as are needed there",
                               affects="graph", ge=1)
    tokens: int | None = knob(None, "vectors that a code without places is turned to, for the queries to choose from; 4 by default",
                              affects="graph", ge=2)
    positions: Literal["auto", "learned", "sinusoidal", "none"] = knob(
        "auto", "what tells the places apart that are read, added where the stage has none yet, or relative ones alone: a learned vector "
        "each (auto means it), sines and cosines, or nothing", affects="graph")

    def kinds(self, value: Value, site: Site) -> tuple[str, ...]:
        """A vector is turned to tokens."""
        return ("sequence", "vector")

    @property
    def begins(self) -> tuple[int, ...]:
        """A sequence of its own begins here."""
        return () if self.queries is None else (self.queries,)

    def plan(self, value: Value, site: Site) -> Node:
        """sequence(T; D) or vector(D) to sequence(queries; width)."""
        self.check_heads(site)
        read = self._read(value, site)
        inside = read[-1].output if read else value
        if isinstance(inside, Vector):
            inside = Sequence(inside.size // self.width, self.width)
        out = Sequence(self._count(site), self.width)
        queries = Node(f"{site.path}.queries", "queries", out, out, self, {"kind": "learned"}, {"weight": out.shape}, keeps=0)
        site.stage.agreed.pop("positions", None)
        site.stage.positioned, site.stage.repeated = True, False
        norms = self.norm(out, site.at("query_norm")), self.norm(inside, site.at("input_norm"))
        _, attention, *drop = self.sublayer("attention", self._attention(inside, out, site), out, site)
        children = (*read, queries, *norms, attention, *drop, *self.sublayer("mlp", self.network(out, site), out, site),
                    *([self.norm(out, site.at("norm"))] if site.final else []))
        return Node(site.path, "cross_attention", value, out, self, children=children, window=None)

    def mirrored(self) -> Layer | None:
        """The same with as many queries as its place needs."""
        return self.but(queries=None, tokens=None, positions="auto")

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The block, its attention, or one of its leaves."""
        from aebuild.modules.queried import QueriedBlock, QueryAttention

        if node.kind == "attention":
            return QueryAttention(children["q"], children["kv"], children["out"], self.heads)
        return QueriedBlock(children, self.width) if node.kind == "cross_attention" else self.build_leaf(node, children)

    def _read(self, value: Value, site: Site) -> list[Node]:
        """What makes of the input the sequence that is asked."""
        if isinstance(value, Vector):
            if self.positions != "auto":
                site.refuse(self, PLACED, f"{value} has no places, so its tokens have no positions", "positions", fix="remove positions")
            return [PLAIN.plan(f"{site.path}.tell", value, (self.tokens or TOKENS) * self.width)]
        if self.tokens is not None:
            site.refuse(self, PLACED, f"{value} has places, so there is nothing to turn to tokens", "tokens", fix="remove tokens")
        return self.entry(value, value.with_features(self.width), site, self._added(site))

    def _added(self, site: Site) -> str | None:
        """The positions to add to what is read: queries stand at none of its places, so those that are relative tell them nothing."""
        before: Any = site.stage.agreed.get("positions")
        if self.positions != "none" and before is not None and before.kind_of_positions in RELATIVE and not site.stage.repeated:
            return self.kind_of_positions
        return self.agreed_positions(site)[0]

    def _count(self, site: Site) -> int:
        """The places that come out: those written, or those the solver found."""
        stage, own = site.stage, site.path.count(".") == 1
        found = stage.seeds.popleft() if own and self.queries is None and stage.seeds else None
        if self.queries is not None:
            found = (self.queries,)
        elif own and stage.target is not None:
            found = found or stage.target.places or None
        if found is None:
            mirrored = "queries" in self._origin.fields
            where = "a decoder's cross_attention inside other steps" if mirrored else "cross_attention"
            site.refuse(self, UNCOUNTED, f"{where} needs to know how many queries it has",
                        fix=Hint("write the decoder out, with cross_attention in its own list") if mirrored else "queries: 16")
        stage.size = found
        return prod(found)

    def _attention(self, inside: Value, out: Value, site: Site) -> Node:
        """Every query with every place: M·T products of `width` for the scores, as many for the sum."""
        path = f"{site.path}.attention"
        children = (PLAIN.plan(f"{path}.q", out, self.width), PLAIN.plan(f"{path}.kv", inside, 2 * self.width),
                    PLAIN.plan(f"{path}.out", out, self.width))
        return Node(path, "attention", out, out, self, {"heads": self.heads}, children=children, window=None,
                    macs=2 * prod(inside.places) * prod(out.places) * self.width,
                    keeps=attention_keeps(out, prod(inside.places), self.heads))
