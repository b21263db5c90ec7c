"""Entries that are drawn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import field_validator

from aebuild.lang.codebook_quantizer import CodebookQuantizer
from aebuild.lang.families import LatentPlan
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.schedule import Dial, numbers, positive_temperature
from aebuild.lang.terms import AUTOENCODER, Term, TermPlan
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


class Gumbel(CodebookQuantizer):
    """Sums of entries, each drawn by its nearness to what those before left (HRQ-VAE, Hosking et al., 2022).

    While training a level's part is a Gumbel-softmax draw with chances softmax(−|x − e|²), through which encoder and entries learn
    from the reconstruction; in evaluation it is the nearest entry. The term `choice_kl` pulls the chances to all entries alike. One level
    alone is a codebook relaxed as by Jang et al. (2017), whose logits are distances.
    """

    type: Literal["gumbel"] = "gumbel"
    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, codes: 4, dim: 4, groups: 2, quantizer: {type: gumbel, levels: 2, dropout: 0.5, temperature: 0.7, "
               "decay: 0.5}}\n"
               "losses: {choice_kl: 0.1}")
    also = ("hrq", "hrqvae", "hierarchical_refinement", "gumbel_residual", "stochastic")
    foreign = {**dict.fromkeys(("num_levels", "num_heads", "depth", "n_levels"), "levels"), "tau": "temperature"}
    takes = ("codes", "dim", "groups", "shared")
    terms = {"choice_kl": Term}
    meanings = {"choice_kl": "nats that the chances of the entries lack of all entries alike; lower is less certain"}
    kind = "drawn codebooks"
    levels: int = knob(3, "codebooks one after the other", affects="graph", ge=1)
    dropout: float = knob(0.0, "share of the training samples that keep only the first levels, a number drawn evenly", affects="gradient",
                          ge=0, le=1)
    temperature: Dial = knob(1.0, "of the draws, above 0: the lower, the nearer to one entry and the noisier the gradient; "
                                  "a number or a schedule", affects="loss")
    decay: float = knob(0.5, "of the deviation that entries begin with, from level to level, so that the first tell most", affects="graph",
                        gt=0, le=1)

    _positive = field_validator("temperature")(positive_temperature)

    def dials(self) -> dict[str, Dial]:
        """The temperature."""
        return {"temperature": self.temperature}

    def levels_of(self) -> int:
        """As many as are written."""
        return self.levels

    def trained(self, latent: Any) -> bool:
        """Not by a term of their own."""
        return False

    def tensors(self, latent: Any, features: int) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
        """The entries."""
        books = self.books(latent)
        return {"codebook": (*((books,) if books > 1 else ()), latent.codes, features)}, {}

    def costs(self, latent: Any, size: int, features: int) -> int:
        """Distances to all entries, of scalars too."""
        return size * int(latent.codes) * self.levels

    def planned_terms(self, latent: Any, size: int) -> list[TermPlan]:
        """The divergence to all entries alike, of each index."""
        return [TermPlan("choice_kl", AUTOENCODER, size * int(latent.groups) // self.entry_features(latent) * self.levels)]

    def plan_quantizer(self, latent: Any, value: Value, steps: tuple[Node, ...], site: Site) -> LatentPlan:
        """The codebooks, whose temperature may move and whose scale decays."""
        plan = super().plan_quantizer(latent, value, steps, site)
        return replace(plan, node=replace(plan.node, args={"dials": True, "decay": self.decay}))

    def build_latent(self, latent: Any, node: Node, steps: dict[str, nn.Module], prior: Any) -> nn.Module:
        """The latent's module."""
        from aebuild.modules.gumbel_codebook import GumbelLatent

        return GumbelLatent(steps, self.compared(node), node.output.feature_axis, latent.codes, latent.groups, prior=prior,
                            shared=latent.shared, levels=self.levels, dropout=self.dropout, temperature=numbers(self.temperature)[0],
                            decay=self.decay)
