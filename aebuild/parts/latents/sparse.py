"""A code of many units of which few are active."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import comb, log2, prod
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import LatentPlan, Prior, ProjectedLatent
from aebuild.lang.lint import Finding, Surroundings, warning
from aebuild.lang.node import Buildable, Node, Site
from aebuild.lang.part import knob
from aebuild.lang.projection import to_code
from aebuild.lang.sparsity import Revival, Sparsifier
from aebuild.lang.terms import AUTOENCODER, Term, TermPlan
from aebuild.lang.values import Value, elements

if TYPE_CHECKING:
    from torch import nn

NO_DICTIONARY = Rule("AE380", "a sparse code that shares weights with a decoder of several layers", """\
`centred` subtracts the decoder's bias from the input, `weights: tied` or `transposed` take the decoder's matrix, `revive: resample`
puts inputs into it, and `streams` take norms of its columns. So the decoder must be one linear map from the code, `decoder: []`, and
`centred` and `resample` want an encoder without layers besides, so that input and output are alike.

```yaml
data: wine
encoder: []
latent: {type: sparse, dim: 64, activation: {type: top_k, k: 4}, centred: true}
decoder: [linear: 32]
```
```yaml
decoder: []
```
""")
UNEVEN = Rule("AE857", "streams of unequal width", """\
The streams of a crosscoder stand beside each other in the data and are alike in width, so the number of values is a multiple of theirs.

```yaml
data: wine                                     # 13 values
encoder: []
latent: {type: sparse, dim: 64, streams: 2}
decoder: []
```
```yaml
data: {type: activations, values: 32}
```
""")
DENSE = warning("AE230", "a sparse code that nothing makes sparse", """\
`relu` lets through what is positive, usually half of the units. What makes the code sparse is a penalty beside it.

```yaml
data: wine
encoder: []
latent: {type: sparse, dim: 64}
```
```yaml
losses: {sparsity: {type: l1, weight: 0.1}}
```
""")


class Tied(Buildable):
    """The transpose of the decoder's linear map, with a bias of its own."""

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The module, which finds its map when it meets the decoder."""
        from aebuild.modules.dictionary import TiedProjection

        return TiedProjection(node.output.features)


def _fitted() -> Any:
    return Prior.named("fitted")


def _relu() -> Any:
    return Sparsifier.named("relu")


class Sparse(ProjectedLatent):
    """A code of many units of which few are active: a sparse autoencoder, or dictionary (Bricken et al., 2023; Gao et al., 2024).

    With `decoder: []` the columns of its output layer are the dictionary; `- output: {columns: unit}` gives them norm 1. With `streams` it
    is a crosscoder (Lindsey et al., 2024): one code of several streams, such as layers of a language model, with a dictionary for each.
    """

    type: Literal["sparse"] = "sparse"
    example = ("data: {type: wine, limit: 40}\n"
               "encoder: []\n"
               "latent: {type: sparse, dim: 20, activation: {type: top_k, k: 3}, centred: true, weights: transposed}\n"
               "decoder: [output: {columns: unit}]\n"
               "---\n"
               "data: {type: activations, samples: 60, values: 6, features: 10, active: 2}\n"
               "encoder: []\n"
               "latent: {type: sparse, dim: 12, streams: 2}\n"
               "decoder: []\n"
               "losses: {stream_l1: 0.1}")
    also = ("sae", "sparse_autoencoder", "dictionary", "dictionary_learning", "crosscoder")
    activation: Sparsifier = Field(default_factory=_relu, description="which units are active: relu with a penalty, top_k, ...")
    centred: bool = knob(False, "subtract the decoder's bias from what is encoded (pre-bias)", affects="graph")
    weights: Literal["free", "transposed", "tied"] = knob(
        "free", "the projection's weights: drawn; transposed: at first the decoder's, transposed; tied: always", affects="graph")
    revive: Revival | None = Field(None, description="how units come back that no sample activates any more; none to let them be")
    streams: int | None = knob(
        None, "streams of equal width that stand beside each other in what is encoded and decoded: a crosscoder, with the term `stream_l1`",
        affects="loss", ge=1)
    prior: Prior = Field(default_factory=_fitted, description="how new codes are drawn: fitted to the training data's, or learned")
    terms = {"stream_l1": Term}
    meanings = {"stream_l1": "the units, each times the sum of the norms of its directions in the streams; lower is sparser",
                "active": "active units of a sample, at each place; fewer is sparser",
                "dead": "share of the units that were not active for long; lower is better"}

    def lint(self, node: Node | None, around: Surroundings) -> Iterator[Finding]:
        """Something must make it sparse."""
        if not self.activation.sparse_by_itself and self.streams is None and "sparsity" not in around.weights:
            yield DENSE, "relu alone makes no sparse code", self, "losses: {sparsity: {type: l1, weight: 0.1}}"

    def plan_latent(self, value: Value, site: Site) -> LatentPlan:
        """Adapters, projection, activation, revival and the prior."""
        steps = to_code(self, value, site, self.dim)
        code = steps[-1].output
        if self.weights == "tied":
            last = steps[-1]
            tied = Node(last.path, "tied", last.input, code, Tied(), weights={"bias": last.weights["bias"]}, macs=last.macs, window=None)
            steps = (*steps[:-1], tied)
        node = Node(site.path, "sparse", value, code, self, children=steps)
        activation = self.activation.plan_sparsifier(self, code, site.at("activation"))
        places = prod(code.places)
        active = self.activation.active(code)
        plan = LatentPlan(node=node, code=code, values=active * places, codes=code,
                          bits=places * (32.0 * active + log2(comb(code.features, active))))
        revival = () if self.revive is None else (self.revive.plan_revival(code, site.at("revive")),)
        if self.streams is not None:
            plan = replace(plan, terms=(TermPlan("stream_l1", AUTOENCODER, elements(code)),))
        return plan.joined(activation, *revival, self.prior.serve(self, code, site, ("fitted", "phase")))

    def meets(self, encoder: Node, decoder: Node, site: Site) -> None:
        """Weights can be shared with one linear map."""
        maps = [node for node in decoder.walk() if node.own_params]
        linear = len(maps) == 1 and maps[0].kind == "linear" and maps[0].input.features == self.dim
        if self.weights != "free" and not linear:
            self._refuse(site, f"`weights: {self.weights}`", "weights", "decoder: []")
        if self.streams is not None:
            if not linear:
                self._refuse(site, "`streams`", "streams", "decoder: []")
            if maps[0].output.features % self.streams:
                site.refuse(self, UNEVEN, f"{maps[0].output.features} values are no {self.streams} streams of equal width", "streams")
        alike = linear and not encoder.children and maps[0].output.features == self._inputs(encoder)
        if self.centred and not alike:
            self._refuse(site, "`centred`", "centred", "centred: false")
        if self.revive is not None and self.revive.moves and not alike:
            self._refuse(site, f"`revive: {self.revive.variant_name()}`", "revive", "revive: auxiliary")

    def _inputs(self, encoder: Node) -> int:
        return encoder.output.features if self.per == "position" else elements(encoder.output)

    def _refuse(self, site: Site, what: str, field: str, fix: str) -> None:
        site.refuse(self, NO_DICTIONARY, f"{what} wants a decoder of one linear map" + (
            "" if field in ("weights", "streams") else " and no layers in the encoder"), field, fix=fix)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The latent."""
        from aebuild.modules.latent_sparse import SparseLatent
        from aebuild.modules.priors import Prior as PriorModule
        from aebuild.modules.revival import Revival as RevivalModule
        from aebuild.modules.sparse_codes import Sparsifier as SparsifierModule

        prior, activation, revive = children.pop("prior"), children.pop("activation"), children.pop("revive", None)
        assert isinstance(prior, PriorModule) and isinstance(activation, SparsifierModule)
        assert revive is None or isinstance(revive, RevivalModule)
        return SparseLatent(children, activation, prior, revive, centred=self.centred, transposed=self.weights == "transposed",
                            streams=self.streams)
