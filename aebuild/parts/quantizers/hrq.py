"""Hierarchical refinement quantisation."""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING, Any, Literal

from pydantic import field_validator

from aebuild.lang.families import LatentPlan, Quantizer
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.schedule import Dial, numbers
from aebuild.lang.terms import AUTOENCODER, TermPlan
from aebuild.lang.values import Tokens, Value, elements
from aebuild.lang.variational import KlTerm

if TYPE_CHECKING:
    from torch import nn


class Hrq(Quantizer):
    """Sums of entries that are drawn level by level, the nearer to what is left of the vector the likelier (Hosking et al., 2022).

    Entry c of a level has the chance exp(−|r − c|² / variance) / Σ, where r is what the entries before it leave of the vector. In training
    entries are Gumbel-softmax draws (Jang et al., 2017), the way of all gradients to entries and encoder; else the likeliest are
    taken. The term `kl` is that of these choices to entries all alike. The chances of all entries are held for each vector.
    """

    type: Literal["hrq"] = "hrq"
    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, codes: 4, dim: 4, quantizer: {type: hrq, levels: 3, dropout: 0.5, variance: 2}}\n"
               "losses: {kl: 0.1}\n"
               "---\n"
               "encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, codes: 3, dim: 2, quantizer: {type: hrq, levels: 2, decay: 0.7, hard: false, "
               "temperature: {from: 2, to: 0.5, over: 3 steps}}}")
    also = ("hrq_vae", "hrqvae", "hierarchical_refinement", "gumbel_residual")
    takes = ("codes", "dim")
    needs = ("codes", "dim")
    terms = {"kl": KlTerm}
    meanings = {"kl": "nats that the choices of entries tell of their sample; near 0 they tell nothing"}

    levels: int = knob(4, "codebooks one after the other", affects="graph", ge=2)
    decay: float = knob(0.5, "how much smaller entries begin than those of the level before", affects="graph", gt=0, le=1)
    dropout: float = knob(0.0, "share of the training samples that keep only the first levels, a number drawn evenly",
                          affects="gradient", ge=0, le=1)
    variance: float = knob(1.0, "how soft the choice is: chances are exp(−distance² / variance)", affects="loss", gt=0)
    temperature: Dial = knob(1.0, "of the relaxation, above 0: the lower, the nearer to discrete and the noisier the gradient; "
                                  "a number or a schedule", affects="gradient")
    hard: bool = knob(True, "training decodes exact draws, with the relaxed ones' gradient (straight-through); without, the relaxed ones",
                      affects="loss")

    @field_validator("temperature")
    @classmethod
    def _positive(cls, temperature: Dial) -> Dial:
        if min(numbers(temperature)) <= 0:
            raise ValueError("a temperature is positive")
        return temperature

    def dials(self) -> dict[str, Dial]:
        """The temperature."""
        return {"temperature": self.temperature}

    def features(self, latent: Any) -> int:
        """The latent's `dim`."""
        return int(latent.dim)

    def plan_quantizer(self, latent: Any, value: Value, steps: tuple[Node, ...], site: Site) -> LatentPlan:
        """A codebook for each level as the latent's own weights."""
        code = steps[-1].output
        size = elements(code)
        width = size // latent.dim * self.levels
        node = Node(site.path, "drawn residual codebooks", value, code, latent, {"dials": True, "decay": self.decay}, children=steps,
                    weights={"codebook": (self.levels, latent.codes, latent.dim)}, macs=2 * size * latent.codes * self.levels)
        return LatentPlan(node=node, code=code, values=size, bits=log2(latent.codes) * width, codes=Tokens(width, latent.codes),
                          terms=(TermPlan("kl", AUTOENCODER, width, KlTerm(), pathwise=False),))

    def build_latent(self, latent: Any, node: Node, steps: dict[str, nn.Module], prior: Any) -> nn.Module:
        """The latent's module."""
        from aebuild.modules.drawn_codebook import DrawnResidualLatent

        return DrawnResidualLatent(steps, node.output.shape, node.output.feature_axis, latent.codes, prior=prior, levels=self.levels,
                                   decay=self.decay, dropout=self.dropout, variance=self.variance,
                                   temperature=numbers(self.temperature)[0], hard=self.hard)
