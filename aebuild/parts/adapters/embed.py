"""Tokens to sequences, by a learned table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Adapter, Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.values import Tokens, Value

if TYPE_CHECKING:
    from torch import nn

WIDTH = 64      # features where the layer behind it names none


class Embed(Adapter):
    """Gives each token a learned vector (Bengio et al., 2003)."""

    type: Literal["embed"] = "embed"
    keeps_lengths = True
    example = ("data: {type: arrays, path: text.npy, as: tokens, vocabulary: 9, limit: 30}\n"
               "encoder: [gru: 4]\n"
               "decoder: [gru: 4]\n"
               "losses: {reconstruction: categorical}")
    standard = ("sequence",)

    def fits(self, value: Value, kind: str, site: Site) -> bool:
        """Tokens to sequence."""
        return (value.kind, kind) == ("tokens", "sequence")

    def plan(self, value: Value, kind: str, site: Site, layer: Layer | None) -> Node:
        """As many features as the layer behind it has, at most one for each of the tokens, which tells them all apart."""
        assert isinstance(value, Tokens)
        width = min((layer.seed_features if layer is not None else None) or WIDTH, value.classes)
        return Node(site.path, "embed", value, value.with_features(width), self, {"classes": value.classes},
                    weights={"weight": (value.classes, width)})

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """torch's Embedding, drawn from N(0, 1)."""
        from torch import nn

        return nn.Embedding(node.args["classes"], node.output.features)
