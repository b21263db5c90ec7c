"""Residual vector quantisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from aebuild.lang.codebook_quantizer import LearnedCodebookQuantizer
from aebuild.lang.node import Node
from aebuild.lang.part import knob

if TYPE_CHECKING:
    from torch import nn


class Residual(LearnedCodebookQuantizer):
    """Sums of entries, each level coding what those before left (Zeghidour et al., 2021).

    At each place there is an index for each level and group (Yang et al., 2023), levels in their order, of each level its groups.
    """

    type: Literal["residual"] = "residual"
    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, codes: 4, dim: 4, quantizer: {type: residual, levels: 3, dropout: 0.5, project: 2}}\n"
               "losses: {commitment: {weight: 0.25}}")
    also = ("rvq", "residual_vq", "grvq", "soundstream", "encodec")
    foreign = {**dict.fromkeys(("num_quantizers", "n_q", "n_codebooks", "depth", "quantizers"), "levels"), "quantize_dropout": "dropout"}
    kind = "residual codebooks"
    levels: int = knob(4, "codebooks one after the other", affects="graph", ge=2)
    dropout: float = knob(0.0, "share of the training samples that keep only the first levels, a number drawn evenly, so that each number "
                               "of levels can be decoded; 1 in SoundStream, 0.5 in the Descript codec (Kumar et al., 2023)",
                          affects="gradient", ge=0, le=1)

    def levels_of(self) -> int:
        """As many as are written."""
        return self.levels

    def build_latent(self, latent: Any, node: Node, steps: dict[str, nn.Module], prior: Any) -> nn.Module:
        """The latent's module."""
        from aebuild.modules.residual_codebook import ResidualLatent

        options = self.built_options(latent, steps, prior)
        return ResidualLatent(steps, self.compared(node), node.output.feature_axis, latent.codes, latent.groups,
                              levels=self.levels, dropout=self.dropout, **options)
