"""What quantizers to signs share: the plan of their bits, and the terms of their entropies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from aebuild.lang.codebook_quantizer import COUNTED, check_codes, check_groups
from aebuild.lang.families import LatentPlan, Quantizer
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.terms import AUTOENCODER, Term, TermPlan
from aebuild.lang.values import Tokens, Value, elements

if TYPE_CHECKING:
    from torch import nn


class BinaryQuantizer(Quantizer):
    """A quantizer that replaces each number of the code by its sign."""

    takes = ("dim", "groups")
    needs = ("dim",)
    terms = {"sample_entropy": Term, "codebook_entropy": Term}
    meanings = {"sample_entropy": "entropy of the soft choice of each code, in nats; lower is surer",
                "codebook_entropy": "what the entropy of the batch's mean choice lacks of all codes alike, in nats; lower is better"}
    spherical: ClassVar[bool] = False

    temperature: float = knob(1.0, "how soft the choice of codes is in the entropies: chances are exp(−distance² / temperature)",
                              affects="loss", gt=0)

    def features(self, latent: Any) -> int:
        """The latent's `dim`, a bit each."""
        return int(latent.dim)

    def plan_quantizer(self, latent: Any, value: Value, steps: tuple[Node, ...], site: Site) -> LatentPlan:
        """No weights; the mean chances of all codes are a product of matrices."""
        check_groups(latent, latent.dim, latent.groups, site)
        bits = latent.dim // latent.groups
        classes = 2 ** bits
        enough = next(n for n in range(1, latent.dim + 1) if latent.dim % n == 0 and 2 ** (latent.dim // n) <= COUNTED)
        check_codes(latent, classes, site, "dim", fix=f"groups: {enough}")
        code = steps[-1].output
        size = elements(code)
        width = size // bits
        node = Node(site.path, str(self.variant_name()), value, code, latent, children=steps, macs=width * classes)
        counted = {"sample_entropy": width, "codebook_entropy": width, "commitment": size}
        terms = tuple(TermPlan(name, AUTOENCODER, counted[name], config()) for name, config in self.terms.items())
        return LatentPlan(node=node, code=code, values=size, bits=float(size), codes=Tokens(width, classes), terms=terms)

    def build_latent(self, latent: Any, node: Node, steps: dict[str, nn.Module], prior: Any) -> nn.Module:
        """The latent's module."""
        from aebuild.modules.binary_codes import BinaryLatent

        return BinaryLatent(steps, node.output.shape, node.output.feature_axis, latent.groups, prior=prior, temperature=self.temperature,
                            spherical=self.spherical)
