"""The named loss terms: who provides them, who minimises them, and what they weigh."""

from __future__ import annotations

from aebuild.compile.spec import Spec
from aebuild.compile.wording import quoted_from
from aebuild.lang.dataset import DataInfo
from aebuild.lang.diagnostics import Diagnostic, Rule
from aebuild.lang.families import LatentPlan
from aebuild.lang.suggest import closest
from aebuild.lang.terms import OutputPlan, Penalty, TermPlan

UNKNOWN_TERM = Rule("AE312", "a weight for a term that nothing provides", """\
Terms come from parts: `reconstruction` from the likelihood, `kl` from a gaussian latent, `codebook` and `commitment` from a codebook,
`adversarial` and `discriminator` from an adversarial latent, and one from each head under its own name. A weight for any other name would
silently do nothing.

```yaml
latent: {type: continuous, dim: 16}
losses: {kl: 2}
```
```yaml
latent: {type: gaussian, dim: 16}
losses: {kl: 2}
```
""")

OUTSIDE = Rule("AE313", "the likelihood cannot produce these data", """\
A likelihood is defined on certain values: bernoulli on [0, 1], categorical on whole numbers. Outside of them the loss has no meaning and
often no lower bound, and training runs away without an error.

```yaml
data: {type: mnist, scale: standard}
losses: {reconstruction: bernoulli}
```
```yaml
data: {type: mnist, scale: unit}
losses: {reconstruction: bernoulli}
```
""")

UNFIT_PENALTY = Rule("AE314", "a penalty that does not fit the model", """\
Some penalties ask something of the rest: a target rate needs codes in (0, 1), a contrastive loss needs a corruption to make two views.

```yaml
latent: {type: continuous, dim: 20}
losses: {sparsity: {type: kl, target: 0.25}}
```
```yaml
latent: {type: continuous, dim: 20, activation: sigmoid}
losses: {sparsity: {type: kl, target: 0.25}}
```
""")


def plan_terms(spec: Spec, latent: LatentPlan | None, output: OutputPlan | None, heads: tuple[str, ...], info: DataInfo,
               found: list[Diagnostic]) -> tuple[TermPlan, ...]:
    """Every term of the model in a fixed order; reports weights for terms that do not exist."""
    likelihood = spec.losses.reconstruction
    if likelihood.support is not None and not info.target_range.within(*likelihood.support):
        low, high = likelihood.support
        message = f"{likelihood.variant_name()} needs data in [{low:g}, {high:g}], but the data are {info.target_range}"
        found.append(Diagnostic(OUTSIDE, message,
                                spec.losses.place("reconstruction"), "reconstruction: gaussian",
                                notes=("or keep it, and write `scale: unit` under `data`",)))
    terms = [TermPlan("reconstruction", "autoencoder", output.elements if output else 1, likelihood)]
    provided = spec.latent.terms
    planned = {name: (player, count) for name, player, count in latent.terms} if latent else {}
    for name, kind in provided.items():
        if latent and name not in planned:
            continue
        player, count = planned.get(name, ("autoencoder", 1))
        terms.append(TermPlan(name, player, count, spec.losses.terms.get(name) or kind()))
    for name, config in spec.losses.terms.items():
        if isinstance(config, Penalty):
            _check_penalty(spec, name, config, found)
            terms.append(TermPlan(name, "autoencoder", config.elements(latent.code) if latent else 1, config))
        elif name in heads:
            terms.append(TermPlan(name, "autoencoder", 1, config))
        elif not any(term.name == name for term in terms):
            _unknown(spec, name, [term.name for term in terms] + list(heads), found)
    known = {term.name for term in terms}
    return (*terms, *(TermPlan(name, "autoencoder", 1) for name in heads if name not in known))


def _check_penalty(spec: Spec, name: str, config: Penalty, found: list[Diagnostic]) -> None:
    reason = config.check(spec.latent)
    if reason is None and config.views == 2 and not spec.corrupt:
        reason = "its two views are two draws of `corrupt`, and nothing corrupts"
    if reason is not None:
        found.append(Diagnostic(UNFIT_PENALTY, reason, spec.losses.place(name), None, f"losses.{name}"))


def _unknown(spec: Spec, name: str, names: list[str], found: list[Diagnostic]) -> None:
    best, place = closest(name, names), spec.losses.place(name)
    found.append(Diagnostic(UNKNOWN_TERM, f"nothing in this model provides a term {name!r}; its terms are {', '.join(names)}",
                            place, f"{best}: {quoted_from(place)}" if best and place else f"remove {name}", f"losses.{name}"))
