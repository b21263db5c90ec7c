"""The family of priors, and which of them a latent can have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal, NoReturn

from aebuild.lang.diagnostics import Rule
from aebuild.lang.node import Node, Site
from aebuild.lang.part import Part
from aebuild.lang.terms import Contribution, Provider, Role, TermPlan
from aebuild.lang.values import Tokens, Value, elements

UNSERVED = Rule("AE347", "a prior that cannot serve this latent", """\
A prior is a distribution of codes, and lies where they do: on the sphere for a `hyperspherical` latent, on bits for a `bernoulli` one.
A `gaussian` latent needs one with a density, to which its KL term pulls, or one that is fitted to its
codes or learned from them afterwards; an `adversarial` latent one that can be drawn from and stays as it is; a `continuous` latent one that
is fitted or learned afterwards, since nothing pulls its codes anywhere; a `codebook` needs a distribution of indices, not of vectors; a
`compressed` one the chances of rounded values.

```yaml
latent: {type: gaussian, dim: 2, prior: swiss_roll}
```
```yaml
latent: {type: adversarial, dim: 2, prior: swiss_roll}
```
""")


# Where codes lie: anywhere, on indices, on the unit sphere, in the Poincaré ball, on bits, on one-hot vectors.
Support = Literal["code", "tokens", "sphere", "ball", "bits", "one_hot"]


class Prior(Provider):
    """A distribution of codes: what a KL term or a discriminator pulls to, and what new codes are drawn from.

    The module it builds is a `modules.priors.Prior`. With `density` it has `log_prob(codes)`; `learning` says how its numbers
    are found: not at all, together with the model, fitted to the codes of the training data afterwards, or in a phase of its own; what
    can also be found `otherwise` is where a latent does not take the first way. `serves` are where codes may lie: `code` (anywhere),
    `tokens` (indices), or a part of space, where a prior has a `log_prob` in any case. One that `encodes` is made of posteriors of
    samples, so that it needs a latent with Gaussian ones. A `coded` one gives the chances of rounded codes, with which they are written:
    a `modules.entropy_models.EntropyModel`.
    """

    family = "prior"
    serves: ClassVar[tuple[Support, ...]] = ("code",)
    density: ClassVar[bool] = False
    coded: ClassVar[bool] = False
    learning: ClassVar[Literal["none", "joint", "fitted", "phase"]] = "none"
    otherwise: ClassVar[tuple[str, ...]] = ()
    encodes: ClassVar[bool] = False
    forms: ClassVar[tuple[str, ...]] = ("diagonal",)        # of the posteriors that one that `encodes` can be made of
    bends: ClassVar[bool] = False             # it has a metric of the codes, in which posteriors can move
    simplex: ClassVar[bool] = False           # its draws are one-hot, so the code becomes a softmax
    told: ClassVar[bool] = False              # it depends on conditions
    of_each_sample: ClassVar[bool] = False    # where it is told something, it is a Gaussian of each sample's own

    def plan_prior(self, codes: Value, site: Site) -> Contribution:
        """The prior over codes of this type."""
        return Contribution(node=Node(site.path, f"{self.variant_name()} prior", codes, codes, self, aside=True))

    def plan_on(self, support: Support, options: Mapping[str, Any], codes: Value, site: Site) -> Contribution:
        """The prior over codes that lie on a part of space only; `options` are the latent's `support_options`."""
        plan = self.plan_prior(codes, site)
        return replace(plan, node=replace(plan.node, args={**plan.node.args, "support": support, **options}))

    def plan_for(self, latent: Provider, codes: Value, site: Site, way: str = "none") -> Contribution:
        """The prior over this latent's codes, which it serves, where its numbers are found in this way."""
        support = support_of(latent, codes)
        if support in ("code", "tokens"):
            return self.plan_way(codes, site, way)
        return self.plan_on(support, latent.support_options(), codes, site)  # type: ignore[attr-defined]

    def plan_way(self, codes: Value, site: Site, way: str) -> Contribution:
        """The same where its numbers are found in this way, for one that stores them otherwise then."""
        return self.plan_prior(codes, site)

    @property
    def manner(self) -> str:
        """How it is written to be learned, in words; empty where it is not."""
        return ""

    @property
    def ways(self) -> tuple[str, ...]:
        """How its numbers may be found, the preferred way first."""
        return (self.learning, *self.otherwise)

    def way(self, taken: tuple[str, ...]) -> str | None:
        """The first of its ways that a latent takes."""
        return next((way for way in self.ways if way in taken), None)

    def serve(self, latent: Provider, codes: Value, site: Site, learning: tuple[str, ...], *, density: bool = False, coded: bool = False
              ) -> Contribution:
        """The prior's plan as this latent's; refuses one that cannot serve it. A `density` is needed of one that codes are pulled to."""
        kind, way = support_of(latent, codes), self.way(learning)
        density = density and kind == "code"
        lacking = self.encodes and not _gaussian(latent, self.forms)
        if way is None or kind not in self.serves or lacking or self.coded != coded or (density and way in PULLING and not self.density):
            self._refuse(latent, kind, site, learning, density, coded)
        plan = self.plan_for(latent, codes, site.at("prior"), way)
        if way != "phase":
            return plan
        role = Role("prior", (plan.node.path,), apart=True, through=False, phase="prior")
        return replace(plan, terms=(*plan.terms, TermPlan("prior", role.name, elements(codes))), players=(*plan.players, role))

    def _refuse(self, latent: Provider, kind: str, site: Site, learning: tuple[str, ...], density: bool, coded: bool) -> NoReturn:
        fitting, name = _fitting(latent, kind, learning, density, coded, bool(site.stage.given)), str(latent.variant_name())
        told = f"{'an' if name[0] in 'aeiou' else 'a'} {name} latent cannot have the prior {self.variant_name()}"
        if self.manner and self.variant_name() in fitting:
            site.refuse(self, UNSERVED, f"{told} {self.manner}", "learned", fix="remove learned")
        own = getattr(type(latent).model_fields["prior"].get_default(call_default_factory=True), "variant_name", str)()
        best = own if own in fitting else next(iter(fitting), None)
        what = ", which is made of Gaussian posteriors" if self.encodes and kind == "code" else ""
        site.refuse(latent, UNSERVED, f"{told}{what}; it can have {', '.join(fitting)}", "prior", fix=f"prior: {best}" if best else None)

    def phases_of(self, taken: tuple[str, ...]) -> tuple[str, ...]:
        """The phase `prior`, if it is learned in one where a latent takes these ways."""
        return ("prior",) if self.way(taken) == "phase" else ()


def support_of(latent: Provider, codes: Value) -> Support:
    """Where the codes of a latent lie."""
    found: Support = "tokens" if isinstance(codes, Tokens) else getattr(latent, "support", "code")
    return found


PULLING = ("none", "joint")        # ways of a prior that is there while the model trains


def _gaussian(latent: Provider, forms: tuple[str, ...]) -> bool:
    """True if the latent's posteriors are Gaussians of one of these forms."""
    return getattr(getattr(latent, "posterior", None), "form", "") in forms


def _fitting(latent: Provider, kind: str, learning: tuple[str, ...], density: bool, coded: bool, told: bool) -> list[str]:
    """The priors that a latent can have, by name."""
    found = []
    for name, each in Part.families["prior"].variants.items():
        if not issubclass(each, Prior) or kind not in each.serves or each.coded != coded:
            continue
        if (told or not each.told) and (not each.encodes or _gaussian(latent, each.forms)):
            ways = [way for way in (each.learning, *each.otherwise) if way in learning]
            if ways and (each.density or not density or ways[0] not in PULLING):
                found.append(name)
    return found
