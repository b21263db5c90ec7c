"""What priors that are learned networks share: when they are learned, what their networks weigh, and which codes they take."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import gcd, prod
from typing import Any, ClassVar, Literal

from aebuild.lang.diagnostics import Rule
from aebuild.lang.lint import Finding, Surroundings, warning
from aebuild.lang.node import Site
from aebuild.lang.part import knob
from aebuild.lang.prior import Prior
from aebuild.lang.values import Tokens, Value, elements

UNSUITED = Rule("AE337", "a prior for another shape of code", """\
Some priors are made for codes of a certain shape: one that goes from place to place needs several places, a PixelCNN a grid of them, a
flow that moves one half of the values by the other at least two values. What is made of the codes of pseudo-inputs or exemplars needs
data of real numbers, and an encoder that is told nothing beside them.

```yaml
data: digits
encoder: {layer: linear, width: 32}
latent: {type: codebook, codes: 64, dim: 8, groups: 4, prior: pixelcnn}         # four indices, but no grid
```
```yaml
data: digits
encoder: {layer: conv, width: 32, stride: 2}
latent: {type: codebook, codes: 64, dim: 8, prior: pixelcnn}
```
""")

HEADS = Rule("AE335", "heads do not divide the width of a prior", """\
The attention of a prior splits its features among the heads, equally many each, so the number of heads must divide the width.

```yaml
latent: {type: codebook, codes: 64, dim: 8, groups: 4, prior: {type: autoregressive, width: 100, heads: 8}}
```
```yaml
latent: {type: codebook, codes: 64, dim: 8, groups: 4, prior: {type: autoregressive, width: 96, heads: 8}}
```
""")

IDLE = Rule("AE336", "an option that the prior has no use for here", """\
Some options of a prior mean something to one of its networks or to one kind of code only: `heads` to a transformer, `top_k` to the indices
of a codebook. An option that would do nothing is refused.

```yaml
latent: {type: codebook, codes: 64, dim: 8, groups: 4, prior: {type: autoregressive, network: gru, heads: 2}}
```
```yaml
latent: {type: codebook, codes: 64, dim: 8, groups: 4, prior: {type: autoregressive, network: gru}}
```
""")

MANY = warning("AE222", "a prior of more samples than there are", """\
A `vamp` prior begins with samples of the training data, and an `exemplar` prior is made of them. Where there are fewer than it wants,
they are repeated: the same components several times, which cost time and say nothing new.

```yaml
data: wine                                     # 178 rows
latent: {type: gaussian, dim: 4, prior: {type: vamp, components: 500}}
```
```yaml
latent: {type: gaussian, dim: 4, prior: {type: vamp, components: 50}}
```
""")

Shapes = dict[str, tuple[int, ...]]


class LearnedPrior(Prior):
    """A prior that can be learned while the model trains, or afterwards."""

    afterwards: ClassVar[Literal["fitted", "phase"]] = "phase"
    learned: Literal["jointly", "afterwards"] | None = knob(
        None, "jointly, as what the `kl` term pulls codes to; or afterwards from the codes of the trained model, which `kl` then pulls "
        "to N(0, I). By default jointly where there is such a term", affects="training")

    density = True
    learning = "joint"

    @property
    def manner(self) -> str:
        """The written time."""
        return f"learned {self.learned}" if self.learned else ""

    @property
    def ways(self) -> tuple[str, ...]:
        """As it is written, if it is."""
        if self.learned is None:
            return (self.learning, *self.otherwise)
        return ("joint",) if self.learned == "jointly" else self.otherwise


def linear(name: str, inputs: int, outputs: int) -> Shapes:
    """The weights of a linear map."""
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def layers(name: str, *widths: int) -> Shapes:
    """The weights of linear maps one after the other with a nonlinearity between them."""
    found: Shapes = {}
    for number, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        found |= linear(f"{name}.{2 * number}", inputs, outputs)
    return found


def transformer(name: str, length: int, width: int, depth: int, *, cross_attention: bool = False) -> Shapes:
    """The weights of a `modules.causal.CausalTransformer`."""
    found: Shapes = {f"{name}.positions.weight": (length, width), f"{name}.norm.weight": (width,), f"{name}.norm.bias": (width,)}
    for number in range(depth):
        block = f"{name}.blocks.{number}"
        for norm in ("attention_norm", *(["cross_attention_norm"] if cross_attention else []), "mlp_norm"):
            found |= {f"{block}.{norm}.weight": (width,), f"{block}.{norm}.bias": (width,)}
        found |= linear(f"{block}.attention.qkv", width, 3 * width) | linear(f"{block}.attention.out", width, width)
        if cross_attention:
            found |= linear(f"{block}.cross_attention.q", width, width) | linear(f"{block}.cross_attention.kv", width, 2 * width)
            found |= linear(f"{block}.cross_attention.out", width, width)
        found |= linear(f"{block}.mlp.expand", width, 4 * width) | linear(f"{block}.mlp.contract", 4 * width, width)
    return found


def transformer_macs(length: int, width: int, depth: int, memory: int = 0) -> int:
    """Multiply-accumulates of its matrix products over a whole sequence, which asks a memory of so many places."""
    cross_attention = 2 * length * width + 2 * memory * width + 2 * length * memory if memory else 0
    return depth * width * (length * (12 * width + 2 * length) + cross_attention)


def gru(name: str, width: int, depth: int) -> Shapes:
    """The weights of a `modules.causal.CausalGru`."""
    found: Shapes = {}
    for number in range(depth):
        for side in ("ih", "hh"):
            found |= {f"{name}.gru.weight_{side}_l{number}": (3 * width, width), f"{name}.gru.bias_{side}_l{number}": (3 * width,)}
    return found


@dataclass(frozen=True)
class Told:
    """What a network that goes from place to place is told of the code above it, in a code in levels: arguments and weights of its map."""

    args: dict[str, Any] = field(default_factory=dict)
    weights: Shapes = field(default_factory=dict)
    macs: int = 0
    reads: tuple[str, ...] = ()


def told_above(codes: Value, width: int, site: Site) -> Told:
    """A map of the code above to `width` features: of each of its places, where it has as many axes as the codes, else of all of it."""
    join = next((join for join in site.stage.given if join.key == "above"), None)
    if join is None or join.value is None:
        return Told()
    join.sites.append(site.path)
    value, own = join.value, codes.layout if isinstance(codes, Tokens) else codes.places
    axes = len(value.places)
    together = bool(axes) and len(own) in ((axes, axes + 1) if isinstance(codes, Tokens) else (axes,))      # several indices at a place
    features = value.features if together else elements(value)
    args = {"shape": value.shape, "axis": value.feature_axis, "places": own[:axes] if together else ()}
    return Told({"above": args}, {"above.weight": (width, features)}, width * elements(value), ("above",))


def require_heads(prior: Prior, width: int, heads: int, site: Site) -> None:
    """Refuses heads that do not divide the width."""
    if width % heads:
        site.refuse(prior, HEADS, f"{heads} heads do not divide {width} features", "heads", "width", fix=f"heads: {gcd(width, heads)}")


def too_many(prior: Prior, name: str, around: Surroundings) -> Iterator[Finding]:
    """Warns where there are fewer training samples than the prior begins with."""
    wanted, train = getattr(prior, name), around.info.counts.get("train")
    if train is not None and wanted > train:
        yield MANY, f"{wanted:,} {name} but only {train:,} training samples", prior.place(name), f"{name}: {max(2, train // 2)}"


def encoder_input(prior: Prior, site: Site) -> Value:
    """What the encoder takes, for a prior made of posteriors; refuses data that it cannot hold, and an encoder that wants to know more."""
    taken, name = site.stage.taken, prior.variant_name()
    assert taken is not None, "it stands behind an encoder"
    if isinstance(taken, Tokens):
        message = f"the prior {name} holds inputs of real numbers, but the data are {taken}"
        site.refuse(prior, UNSUITED, message, "type", fix="prior: mixture")
    if site.stage.joins:
        message = f"the prior {name} encodes inputs of its own, of which the conditions that the encoder is told are not known"
        site.refuse(prior, UNSUITED, message, "type", fix="prior: mixture")
    return taken


def require_places(prior: Prior, codes: Value, site: Site) -> None:
    """Refuses a code of one place."""
    if prod(codes.places) < 2:
        message = f"the prior {prior.variant_name()} goes from place to place, but the code is {codes}, which has one"
        site.refuse(prior, UNSUITED, message, "type", fix="prior: empirical" if isinstance(codes, Tokens) else "prior: flow")
