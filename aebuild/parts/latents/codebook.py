"""A discrete code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import log2, prod
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from aebuild.lang.codebook_update import CodebookUpdate
from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import LatentPlan, Prior, ProjectedLatent, Quantizer
from aebuild.lang.lint import Finding, Surroundings, warning
from aebuild.lang.node import Node, Site
from aebuild.lang.part import Part, knob
from aebuild.lang.projection import to_code
from aebuild.lang.schedule import Dial
from aebuild.lang.values import Tokens, Value

if TYPE_CHECKING:
    from torch import nn

USELESS = Rule("AE348", "an option that the quantizer has no use for", """\
How many entries there are, how they are learned and where they begin are questions of some quantizers only: others, such as a rounding
to fixed levels, have no entries to learn. An option that would do nothing is refused.

```yaml
latent: {type: codebook, update: ema, quantizer: {type: fsq, levels: [4, 4, 4]}}
```
```yaml
latent: {type: codebook, codes: 64, dim: 4, update: ema}
```
""")


class Restart(Part):
    """Entries that fell out of use start again at vectors of the batch (Dhariwal et al., 2020)."""

    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, codes: 4, dim: 4, groups: 2, restart: {below: 2, decay: 0.5}, init: normal}\n"
               "train: {steps: 9, batch_size: 10}")
    below: float | None = knob(None, "vectors per step that an entry must win, on running average, to stay; by default a tenth of what "
                                     "each would win if all won alike", affects="training", gt=0)
    decay: float = knob(0.99, "share of the running average that stays in each step", affects="training", ge=0, lt=1)


def _gradient() -> Any:
    return CodebookUpdate.variants["gradient"]()


def _vq() -> Any:
    return Quantizer.named("vq")


def _uniform() -> Any:
    return Prior.named("uniform")


MANY_CODES = warning("AE205", "more codes than samples to learn them", """\
Every entry of a codebook needs samples that choose it. With more entries than code positions in the training data most can never be
learnt and stay dead.

```yaml
data: wine                                     # 178 rows
latent: {type: codebook, codes: 4096, dim: 8, per: sample}
```
```yaml
latent: {type: codebook, codes: 32, dim: 8, per: sample}
```
""")


class Codebook(ProjectedLatent):
    """A discrete code: the nearest entry of a learned codebook (van den Oord et al., 2017).

    At each place of a grid or sequence (a vector is one place), or of the whole sample as a vector, the code is cut into groups
    and each replaced by an entry; the gradient passes straight through. `commitment` weighs the encoder's pull towards the
    entries (0.25 in the paper), `codebook` the entries' pull towards the encoder.
    """

    type: Literal["codebook"] = "codebook"
    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, codes: 4, dim: 4, groups: 2, restart: {below: 2, decay: 0.5}, init: normal}\n"
               "losses: {commitment: {weight: 0.25}}\n"
               "train: {steps: 9, batch_size: 10}")
    foreign = dict.fromkeys(("num_embeddings", "n_embeddings", "n_embed", "n_codes", "num_codes", "codebook_size", "K", "entries"), "codes")
    also = ("vq", "vqvae", "vq_vae", "quantized", "discrete", "vector_quantizer", "vector_quantization")
    dim: int | None = knob(None, "features of the code at each place", examples=[16], affects="graph", ge=1)  # type: ignore[assignment]
    decider = "quantizer"
    per: Literal["sample", "position"] = knob(
        "position", "codes for the sample as one vector, or at each place of the encoder's grid or sequence", affects="graph")
    codes: int | None = knob(None, "entries of a codebook", examples=[512], affects="graph", ge=2)
    groups: int = knob(1, "parts the features are cut into, each replaced by an entry; divides dim", affects="graph", ge=1)
    shared: bool = knob(False, "one codebook for all groups instead of one each", affects="graph")
    update: CodebookUpdate = Field(default_factory=_gradient, description="how the entries are learned: gradient or ema")
    init: Literal["normal", "kmeans"] = knob(
        "kmeans", "where the entries begin: k-means on the first training batch, or N(0, 1), most of which must restart first",
        affects="training")
    restart: Restart | None = Field(default_factory=Restart.model_construct,
                                    description="replace entries that fell out of use; none to let them be")
    quantizer: Quantizer = Field(default_factory=_vq, description="how vectors become entries")
    learns = ("none", "fitted", "phase")
    prior: Prior = Field(default_factory=_uniform, description="how codes are drawn: uniform, all entries alike; empirical, as often as "
                         "the training data use them at their place; or learned")
    meanings = {"perplexity": "how many entries are in use, as if alike; between 1 and `codes`, higher is better",
                "usage": "share of entries that are used at all; higher is better"}

    def lint(self, node: Node | None, around: Surroundings) -> Iterator[Finding]:
        """Every entry needs samples that choose it."""
        train = around.info.counts.get("train")
        if self.codes is not None and train is not None and "update" in self.quantizer.takes:
            positions = train * max(1, round(around.bits / log2(self.codes)))
            if self.codes > positions:
                yield (MANY_CODES, f"{self.codes:,} codes but only {positions:,} code positions in the training data", self,
                       f"codes: {max(2, positions // 10)}")

    def dials(self) -> dict[str, Dial]:
        """Those of the quantizer."""
        return self.quantizer.dials()

    @classmethod
    def still_missing(cls, values: Mapping[str, Any]) -> tuple[str, ...]:
        """What the quantizer needs."""
        quantizer = values.get("quantizer", _vq())
        return tuple(name for name in quantizer.needs if values.get(name) is None) if isinstance(quantizer, Quantizer) else ()

    def plan_latent(self, value: Value, site: Site) -> LatentPlan:
        """Adapters and projection, what the quantizer plans, and the prior."""
        for name in Quantizer.options:
            if name in self._origin.fields and name not in self.quantizer.takes:
                site.refuse(self, USELESS, f"`{name}` means nothing to the quantizer {self.quantizer.variant_name()}", name,
                            fix=f"remove {name}")
        flat = self.but(per="sample") if not value.places else self
        steps = to_code(flat, value, site, self.quantizer.features(self))
        plan = self.quantizer.plan_quantizer(self, value, steps, site)
        if isinstance(plan.codes, Tokens):
            plan = replace(plan, codes=_laid_out(plan.codes, steps[-1].output.places))
        return plan.joined(self.prior.serve(self, plan.codes, site, self.learns))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The latent."""
        steps = {name: module for name, module in children.items() if name != "prior"}
        return self.quantizer.build_latent(self, node, steps, children["prior"])


def _laid_out(codes: Tokens, places: tuple[int, ...]) -> Tokens:
    """Indices that know the places that they stand for, raster by raster; several at a place stand one behind the other."""
    several = codes.length // prod(places)
    return Tokens(codes.length, codes.classes, (*places, *((several,) if several > 1 else ()))) if places else codes
