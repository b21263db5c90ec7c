"""The named loss terms: who provides them, who minimises them, and what they weigh."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Seq
from dataclasses import replace

from aebuild.compile.spec import Spec
from aebuild.compile.wording import quoted_from
from aebuild.lang.dataset import DataInfo
from aebuild.lang.diagnostics import Diagnostic, Rule
from aebuild.lang.families import LatentPlan
from aebuild.lang.node import Node, Refusal, Site
from aebuild.lang.part import Part
from aebuild.lang.suggest import closest
from aebuild.lang.terms import AUTOENCODER, Contribution, ModelTypes, OutputPlan, Penalty, TermPlan

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


UNWRITTEN = Rule("AE349", "a loss that reads what nothing writes", """\
Some losses read what another part leaves on the way, such as the mask of a corruption. Without that part they have nothing to read.

```yaml
losses: {reconstruction: masked_mse}
```
```yaml
corrupt: [square_mask]
losses: {reconstruction: masked_mse}
```
""")

UNFIT_BOUND = Rule("AE351", "a bound that cannot combine these terms", """\
A bound combines the terms of each sample before they are averaged, so those it names must be there, one number a sample, and
as they are: free bits, which hold averages over the batch, have no meaning in it.

```yaml
latent: {type: continuous, dim: 8}
losses: {bound: iwae}
```
```yaml
latent: {type: gaussian, dim: 8}
losses: {bound: iwae}
```
""")

NEEDY = Rule("AE385", "a loss that uses what this model cannot do", """\
Some losses ask more of the model than a reconstruction: a VAE/GAN judges decoded draws of the prior, which a decoder that
reads the encoder's outputs through skips cannot make.

```yaml
data: digits
encoder: {layer: conv, width: 8}
latent: {type: gaussian, dim: 2}
decoder: [conv: 8, skip: {from: encoder.0}]
losses: {critic: {type: vae_gan}}
```
```yaml
data: digits
encoder: {layer: conv, width: 8}
latent: {type: gaussian, dim: 2}
decoder: [conv: 8]
losses: {critic: {type: vae_gan}}
```
""")


def plan_terms(spec: Spec, latent: LatentPlan | None, output: OutputPlan | None, losses: Mapping[str, Contribution], info: DataInfo,
               found: list[Diagnostic], encoder: Node | None = None) -> tuple[TermPlan, ...]:
    """Every term of the model in a fixed order; reports weights for terms that do not exist."""
    likelihood, written = spec.losses.reconstruction, spec.losses.terms
    if likelihood.support is not None and info.target.kind in likelihood.judges and not info.target_range.within(*likelihood.support):
        low, high = likelihood.support
        message = f"{likelihood.variant_name()} needs data in [{low:g}, {high:g}], but the data are {info.target_range}"
        found.append(Diagnostic(OUTSIDE, message,
                                spec.losses.place("reconstruction"), "reconstruction: gaussian",
                                notes=("or keep it, and write `scale: unit` under `data`",)))
    own = latent.terms if latent else ()
    terms = [TermPlan("reconstruction", AUTOENCODER, output.elements if output else 1, likelihood)]
    terms += [replace(term, config=written.get(term.name, term.config)) for term in own]
    first = [name for name in written if name in losses]
    for name in (*first, *(name for name in losses if name not in first)):
        terms += [replace(term, config=written.get(term.name, term.config)) for term in losses[name].terms]
    known = [term.name for term in terms]
    unplanned = {name for part in (spec.latent, *spec.latent.parts()) for name in part.terms} if latent is None else set()
    for name, config in written.items():
        if name not in known and name not in unplanned and name not in spec.heads and not isinstance(config, Penalty):
            _unknown(spec, name, [*known, *(name for name in spec.heads if name not in known)], found)
    _check_bound(spec, tuple(terms), latent, encoder, found)
    return tuple(terms)


def _check_bound(spec: Spec, terms: tuple[TermPlan, ...], latent: LatentPlan | None, encoder: Node | None, found: list[Diagnostic]) -> None:
    bound = spec.losses.bound
    if latent is None:
        return
    reason = bound.check(terms)
    if reason is None and bound.balances and encoder is not None and not any(node.own_params for node in encoder.walk()):
        reason = "it compares gradients at the encoder's output, and this encoder has no weights"
    if reason is not None:
        found.append(Diagnostic(UNFIT_BOUND, f"{bound.variant_name()}: {reason}", spec.losses.place("bound"), "bound: sum", "losses.bound"))


def plan_penalty(spec: Spec, name: str, config: Penalty, types: ModelTypes, site: Site) -> Contribution:
    """What a penalty brings in; Refusal if it does not fit the model."""
    reason = config.check(types)
    if reason is None and config.views == 2 and not spec.corrupt:
        reason = "its two views are two draws of `corrupt`, and nothing corrupts"
    if reason is None and config.needs_labels and not types.labelled:
        reason = f"{config.variant_name()} goes by the classes of samples, and these data have no labels"
    if reason is not None:
        raise Refusal(Diagnostic(UNFIT_PENALTY, reason, spec.losses.place(name), None, f"losses.{name}"))
    check_reads(config.reads_context, types.written, config, f"losses.{name}")
    return config.plan_loss(name, types, site)


def check_needs(spec: Spec, refusals: Mapping[str, str], found: list[Diagnostic]) -> None:
    """Reports losses that use an operation which this design refuses."""
    for name, config in spec.losses.terms.items():
        for operation in getattr(config, "needs", ()):
            if operation in refusals:
                found.append(Diagnostic(NEEDY, f"{config.variant_name()} has the model {operation}, which it cannot: {refusals[operation]}",
                                        spec.losses.place(name), f"remove {name}", f"losses.{name}"))


def check_reads(reads: Seq[str], written: Seq[str], part: Part, path: str) -> None:
    """Refusal if a loss reads what nothing in the model writes."""
    for key in reads:
        if key not in written:
            raise Refusal(Diagnostic(UNWRITTEN, f"{part.variant_name()} reads `{key}`, which nothing here writes", part.place("type"),
                                     None, path))


def _unknown(spec: Spec, name: str, names: list[str], found: list[Diagnostic]) -> None:
    best, place = closest(name, names), spec.losses.place(name)
    found.append(Diagnostic(UNKNOWN_TERM, f"nothing in this model provides a term {name!r}; its terms are {', '.join(names)}",
                            place, f"{best}: {quoted_from(place)}" if best and place else f"remove {name}", f"losses.{name}"))
