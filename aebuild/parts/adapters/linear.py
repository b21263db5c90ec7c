"""Vectors to grids and sequences, by a learned map."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

from aebuild.lang.diagnostics import Diagnostic, Hint, Rule
from aebuild.lang.families import Adapter, Layer
from aebuild.lang.node import Composite, Node, Refusal, Site
from aebuild.lang.values import Grid, Sequence, Value, Vector

if TYPE_CHECKING:
    from torch import nn

SEEDLESS = Rule("AE302", "a vector must unfold, but to what size?", """\
A layer on grids or sequences stands behind a vector. In a decoder the compiler usually knows the size to begin with, from the encoder or
from the data. Where it cannot know, say it with `seed`, or put an `unflatten` step before the layer.

```yaml
data: wine                                    # a table: vectors all the way
encoder: {layer: conv, width: 16}
```
```yaml
encoder: [linear: 64, unflatten: [64], conv: 16]
```
""")


class Linear(Adapter):
    """A fully connected layer to every place, then unflattened."""

    type: Literal["linear"] = "linear"
    example = "encoder: {layer: conv, width: 4, stride: 2}"
    standard = ("grid",)

    def fits(self, value: Value, kind: str, site: Site) -> bool:
        """Vector to grid or sequence."""
        return (value.kind, kind) in (("vector", "grid"), ("vector", "sequence"))

    def plan(self, value: Value, kind: str, site: Site, layer: Layer | None) -> Node:
        """Channels are those of the layer behind it."""
        size = site.stage.size
        if size is None:
            raise Refusal(unseeded(site, layer, value, kind))
        width = (layer.seed_features if layer is not None else None) or value.features
        out: Value = Grid(width, size) if kind == "grid" else Sequence(prod(size), width)
        total = width * prod(size)
        weights: dict[str, tuple[int, ...]] = {"weight": (total, value.features), "bias": (total,)}
        flat = Vector(total)
        linear = Node(f"{site.path}.linear", "linear", value, flat, self, {}, weights, macs=total * value.features,
                      init="linear", window=None)
        return Node(site.path, "unfold", value, out, Composite(), sequential=True,
                    children=(linear, Node(f"{site.path}.unflatten", "unflatten", flat, out, self, {"shape": out.shape})))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """torch's Linear, or the view behind it."""
        from torch import nn

        from aebuild.modules.shapes import Unflatten

        if node.kind == "unflatten":
            return Unflatten(node.args["shape"])
        return nn.Linear(node.input.features, node.output.features)


def unseeded(site: Site, layer: Layer | None, value: Value, kind: str) -> Diagnostic:
    """The refusal where no size is known."""
    return Diagnostic(SEEDLESS, f"{layer.variant_name() if layer else 'the latent'} wants a {kind} but gets {value}, "
                      "and nothing says what size to unfold it to", layer.place() if layer else None,
                      Hint("put `unflatten: [size, ...]` before it, or `seed: [size, ...]` on the stage"), site.path)
