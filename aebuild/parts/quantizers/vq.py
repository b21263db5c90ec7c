"""Vector quantisation."""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING, Any, Literal

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import LatentPlan, Quantizer
from aebuild.lang.node import Node, Site
from aebuild.lang.per_axis import largest_divisor
from aebuild.lang.terms import AUTOENCODER, Term, TermPlan
from aebuild.lang.values import Tokens, Value, elements

if TYPE_CHECKING:
    from torch import nn

GROUPS = Rule("AE341", "groups do not divide the code", """\
`groups` cuts the features of the code into groups of equal size, each with a codebook of its own (`shared: true`: one for all).
So their number must divide `dim`. As many groups as features make scalar codebooks.

```yaml
latent: {type: codebook, codes: 512, dim: 20, groups: 8}     # 20 / 8 is not whole
```
```yaml
latent: {type: codebook, codes: 512, dim: 20, groups: 20}
```
""")


class CommitmentTerm(Term):
    """The pull of the encoder's outputs towards the entries they choose."""

    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, codes: 4, dim: 4}\n"
               "losses: {commitment: {weight: 0.5}}")
    also = ("commitment_cost", "commitment_weight", "commitment_loss", "commit")


class Vq(Quantizer):
    """The nearest entry of a learned codebook (van den Oord et al., 2017)."""

    type: Literal["vq"] = "vq"
    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, codes: 4, dim: 4, quantizer: vq}")
    also = ("vector", "vector_quantization", "nearest", "euclidean")
    takes = ("codes", "dim", "groups", "shared", "update", "init", "restart")
    needs = ("codes", "dim")
    terms = {"codebook": Term, "commitment": CommitmentTerm}
    meanings = {"codebook": "squared distance of the entries to the codes; lower is better",
                "commitment": "squared distance of the codes to their entries; lower is better"}

    def features(self, latent: Any) -> int:
        """The latent's `dim`."""
        return int(latent.dim)

    def plan_quantizer(self, latent: Any, value: Value, steps: tuple[Node, ...], site: Site) -> LatentPlan:
        """Codebooks as the latent's own weights, or buffers where they are running averages."""
        if latent.dim % latent.groups:
            best = largest_divisor(latent.dim, latent.groups)
            site.refuse(latent, GROUPS, f"{latent.groups} groups do not divide the {latent.dim} features of the code", "groups", "dim",
                        fix=f"groups: {best}")
        code = steps[-1].output
        size, features, trained = elements(code), latent.dim // latent.groups, latent.update.trained
        book = {"codebook": (*((latent.books,) if latent.books > 1 else ()), latent.codes, features)}
        node = Node(site.path, "codebook", value, code, latent, children=steps, weights=book if trained else {},
                    buffers=self._buffers(latent, features, {} if trained else book),
                    macs=size * latent.codes if features > 1 else 0)       # scalars are looked up in sorted entries
        terms = {"codebook": Term(), "commitment": CommitmentTerm()} if trained else {"commitment": CommitmentTerm()}
        width = size // features
        return LatentPlan(node=node, code=code, values=size, bits=log2(latent.codes) * width, codes=Tokens(width, latent.codes),
                          terms=tuple(TermPlan(name, AUTOENCODER, size, term) for name, term in terms.items()))

    def _buffers(self, latent: Any, features: int, book: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        buffers = dict(book)
        if book:
            buffers |= {"update.counts": (latent.books, latent.codes), "update.sums": (latent.books, latent.codes, features)}
        if latent.restart is not None:
            buffers |= {"restart.usage": (latent.books, latent.codes), "restart.steps": ()}
        if latent.init == "kmeans":
            buffers["initialised"] = ()
        return buffers

    def build_latent(self, latent: Any, node: Node, steps: dict[str, nn.Module], prior: Any) -> nn.Module:
        """The latent's module."""
        from aebuild.modules.codebook import CodebookLatent
        from aebuild.modules.codebook_updates import Restart

        ema = latent.update.build_update(latent.books, latent.codes, latent.dim // latent.groups)
        restart = Restart(latent.books, latent.codes, latent.restart.below, latent.restart.decay) if latent.restart else None
        return CodebookLatent(steps, node.output.shape, node.output.feature_axis, latent.codes, latent.groups, prior=prior,
                              shared=latent.shared, ema=ema, restart=restart, initialise=latent.init == "kmeans")
