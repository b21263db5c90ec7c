"""A discrete code."""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from aebuild.lang.codebook_update import CodebookUpdate
from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Latent, LatentPlan
from aebuild.lang.node import Node, Site
from aebuild.lang.part import Part, knob
from aebuild.lang.per_axis import largest_divisor
from aebuild.lang.projection import feature_axis, to_code
from aebuild.lang.terms import Term
from aebuild.lang.values import Value, Vector, elements

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


class Restart(Part):
    """Entries that fell out of use start again at vectors of the batch (Dhariwal et al., 2020)."""

    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, codes: 4, dim: 4, groups: 2, restart: {below: 2, decay: 0.5}, init: normal}\n"
               "train: {epochs: 3, batch_size: 10}")
    below: float = knob(1.0, "vectors per step that an entry must win, on running average, to stay; well under the vectors of a "
                             "batch divided by `codes`", affects="training", gt=0)
    decay: float = knob(0.99, "share of the running average that stays in each step", affects="training", ge=0, lt=1)


def _gradient() -> Any:
    return CodebookUpdate.variants["gradient"]()


class CommitmentTerm(Term):
    """The pull of the encoder's outputs towards the entries they choose."""

    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, codes: 4, dim: 4}\n"
               "losses: {commitment: {weight: 0.5}}")
    also = ("commitment_cost", "commitment_weight", "commitment_loss", "commit")


class Codebook(Latent):
    """A discrete code: the nearest entry of a learned codebook (van den Oord et al., 2017).

    At each place of a grid or sequence (a vector is one place), or of the whole sample as a vector, the code is cut into groups
    and each replaced by an entry; the gradient passes straight through. `commitment` weighs the encoder's pull towards the
    entries (0.25 in the paper), `codebook` the entries' pull towards the encoder.
    """

    type: Literal["codebook"] = "codebook"
    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, codes: 4, dim: 4, groups: 2, restart: {below: 2, decay: 0.5}, init: normal}\n"
               "losses: {commitment: {weight: 0.25}}\n"
               "train: {epochs: 3, batch_size: 10}")
    foreign = dict.fromkeys(("num_embeddings", "n_embeddings", "n_embed", "n_codes", "num_codes", "codebook_size", "K", "entries"), "codes")
    also = ("vq", "vqvae", "vq_vae", "quantized", "discrete", "vector_quantizer", "vector_quantization")
    per: Literal["sample", "position"] = knob(
        "position", "codes for the sample as one vector, or at each place of the encoder's grid or sequence", affects="graph")
    codes: int = knob(..., "entries of a codebook", examples=[512], affects="graph", ge=2)
    groups: int = knob(1, "parts the features are cut into, each replaced by an entry; divides dim", affects="graph", ge=1)
    shared: bool = knob(False, "one codebook for all groups instead of one each", affects="graph")
    update: CodebookUpdate = Field(default_factory=_gradient, description="how the entries are learned: gradient or ema")
    init: Literal["normal", "kmeans"] = knob(
        "kmeans", "where the entries begin: k-means on the first training batch, or N(0, 1), of which most are never used without "
                  "restart", affects="training")
    restart: Restart | None = Field(None, description="replace entries that fell out of use; none to let them be")
    prior: Literal["uniform", "empirical"] = knob(
        "uniform", "how codes are drawn: all entries alike, or as often as the training data use them at their place",
        affects="graph")
    terms = {"codebook": Term, "commitment": CommitmentTerm}
    meanings = {"codebook": "squared distance of the entries to the codes; lower is better",
                "commitment": "squared distance of the codes to their entries; lower is better",
                "perplexity": "how many entries are in use, as if alike; between 1 and `codes`, higher is better",
                "usage": "share of entries that are used at all; higher is better"}

    @property
    def books(self) -> int:
        """Codebooks there are."""
        return 1 if self.shared else self.groups

    def plan_latent(self, value: Value, site: Site) -> LatentPlan:
        """Adapters, projection and codebooks."""
        if self.dim % self.groups:
            best = largest_divisor(self.dim, self.groups)
            site.refuse(self, GROUPS, f"{self.groups} groups do not divide the {self.dim} features of the code", "groups", "dim",
                        fix=f"groups: {best}")
        steps = to_code(self.but(per="sample") if isinstance(value, Vector) else self, value, site, self.dim)
        code = steps[-1].output
        size, features = elements(code), self.dim // self.groups
        book = {"codebook": (*((self.books,) if self.books > 1 else ()), self.codes, features)}
        node = Node(site.path, "codebook", value, code, self, children=steps,
                    weights=book if self.update.trained else {},
                    buffers=self._buffers(features, size // features, {} if self.update.trained else book),
                    macs=size * self.codes if features > 1 else 0)       # scalars are looked up in sorted entries
        terms = ("codebook", "commitment") if self.update.trained else ("commitment",)
        return LatentPlan(node, code, size, log2(self.codes) * (size // features), tuple((t, "autoencoder", size) for t in terms))

    def _buffers(self, features: int, indices: int, book: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        buffers = dict(book)
        if book:
            buffers |= {"update.counts": (self.books, self.codes), "update.sums": (self.books, self.codes, features)}
        if self.restart is not None:
            buffers |= {"restart.usage": (self.books, self.codes), "restart.steps": ()}
        if self.init == "kmeans":
            buffers["initialised"] = ()
        if self.prior == "empirical":
            buffers["prior_frequencies"] = (indices, self.codes)
        return buffers

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The latent."""
        from aebuild.modules.codebook import CodebookLatent, FittedCodebookLatent
        from aebuild.modules.codebook_updates import Restart as RestartModule

        make = FittedCodebookLatent if self.prior == "empirical" else CodebookLatent
        ema = self.update.build_update(self.books, self.codes, self.dim // self.groups)
        restart = RestartModule(self.books, self.codes, self.restart.below, self.restart.decay) if self.restart else None
        return make(children, node.output.shape, feature_axis(node.output), self.codes, self.groups,
                    shared=self.shared, ema=ema, restart=restart, initialise=self.init == "kmeans")
