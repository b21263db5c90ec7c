"""Warnings from the field's knowledge: what builds but will disappoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from aebuild.compile.design_lints import design
from aebuild.compile.plan import Plan
from aebuild.compile.plugins import within
from aebuild.compile.spec import Spec, Train
from aebuild.lang.autoregression import Autoregressive
from aebuild.lang.dataset import DataInfo
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, Span
from aebuild.lang.lint import Finding, Surroundings, warning
from aebuild.lang.part import Part
from aebuild.lang.schedule import numbers
from aebuild.lang.suggest import closest
from aebuild.lang.training import PhasePart
from aebuild.lang.values import elements

WIDTH_IS_DIM = warning("AE201", "the last hidden width equals the code", """\
A stage lists hidden layers only; the latent adds its own projection to the code. A last hidden layer as wide as the code is often a code
written twice: a layer with norm and activation, then another linear map of the same size.

```yaml
encoder: {layer: linear, width: [256, 32]}
latent: {type: continuous, dim: 32}
```
```yaml
encoder: {layer: linear, width: [256]}
latent: {type: continuous, dim: 32}
```
""")

WIDE_CODE = warning("AE202", "the code is as large as the data", """\
A deterministic autoencoder whose code has at least as many numbers as the data can copy its input and learn nothing. A smaller code, a
corruption or a sparsity penalty forces it to find structure.

```yaml
data: wine                                  # 13 numbers
encoder: {layer: linear, width: 64}
latent: {type: continuous, dim: 32}
```
```yaml
latent: {type: continuous, dim: 4}
```
""")

COLLAPSE = warning("AE204", "a decoder that may ignore the code", """\
A decoder that sees the previous true values can predict the next one without the code. With a KL term at full weight from the start,
ignoring the code is the easiest way to lower the loss: the posterior collapses to the prior (Bowman et al., 2015). Raise the weight slowly,
or allow some free bits.

```yaml
data: ecg5000
latent: {type: gaussian, dim: 16}
decoder: [lstm: {width: 128, feed: previous, teacher_forcing: 1.0}]
```
```yaml
losses: {kl: {weight: {from: 0, to: 1, over: 10 epochs}}}
```
""")

TEMPTED = warning("AE250", "an autoregressive decoder beside a KL term", """\
A decoder that sees all values before a place can model the data without any code, and each nat in the code costs a nat of KL: with the term
at full weight from the start the posterior collapses to the prior (Bowman et al., 2016; Chen et al., Variational lossy autoencoder,
2017). Let some bits be free, raise the weight slowly, or hide a share of the values before from the decoder (`input_dropout`).

```yaml
data: sentences
encoder: {layer: gru, width: 64}
latent: {type: gaussian, dim: 16}
decoder: {layer: causal_transformer, width: 64}
losses: {reconstruction: categorical}
```
```yaml
losses: {reconstruction: categorical, kl: {free_bits: 0.25}}
```
""")

UNSCALED = warning("AE208", "data far from unit scale", """\
Networks are initialised for inputs of about unit size. Raw values in the hundreds make the first steps explode or saturate.

```yaml
data: {type: mnist, scale: none}                # 0 … 255
```
```yaml
data: {type: mnist, scale: unit}
```
""")

DEAD_WEIGHT = warning("AE209", "a term of weight zero", """\
A term of weight zero is computed and logged but trains nothing.

```yaml
latent: {type: gaussian, dim: 16}
losses: {kl: 0}
```
```yaml
latent: {type: continuous, dim: 16}            # if no KL is wanted
losses: {reconstruction: mse}
```
""")

BATCH_TOO_LARGE = warning("AE210", "a batch larger than the training data", """\
With a batch larger than the training split each epoch is a single step, and most of the batch size says nothing.

```yaml
data: wine
train: {batch_size: 1024}
```
```yaml
train: {batch_size: 32}
```
""")

ALLOWED_FOR_NOTHING = warning("AE211", "an allowed warning that does not occur", """\
`allow` silences a warning and gives the reason. One that silences nothing is left over from an earlier design, or misspelt.

```yaml
allow: {AE203: batches are large}               # but there is no batch normalisation any more
```
```yaml
allow: {}
```
""")


ONE_HOT = warning("AE369", "a likelihood of numbers for categories", """\
A category is a feature for each of its words, of which one is 1. A likelihood of numbers measures how far each of these is from 0 or 1,
as if a word could be half of another. `mixed` asks for the probability of the word instead, and judges each column once.

```yaml
data: {path: orders.csv, categories: [country]}
losses: {reconstruction: mse}
```
```yaml
data: {path: orders.csv, categories: [country]}
losses: {reconstruction: mixed}
```
""")


IDLE_PATIENCE = warning("AE229", "patience without validation", """\
`patience` ends a phase when validation gets no better. Where `split` keeps no samples for validation, it never does.

```yaml
data: {type: digits, split: {validation: 0}}
train: {patience: 5}
```
```yaml
data: {type: digits, split: {validation: 0.1}}
train: {patience: 5}
```
""", idle=True)


IDLE_RECTIFIER = warning("AE236", "a rectifier on data that are never negative", """\
`relu`, `leaky_relu`, `prelu` and `elu` give what is not negative back as it is. On data of 0 and more, such an activation in front of the
first layer does nothing.

```yaml
data: mnist                                     # 0 … 1
encoder: [activation: leaky_relu, linear: 64]
```
```yaml
encoder: [linear: {width: 64, activation: leaky_relu}]
```
""")


def lint(plan: Plan, info: DataInfo, refused: bool = False) -> list[Diagnostic]:
    """Every warning about this plan, each once at a place: a mirror repeats the encoder's layers.

    What a whole design will come to is not asked of one that is `refused`.
    """
    found: dict[tuple[str, str], Diagnostic] = {}
    for check in _CHECKS if refused else (*_CHECKS, design):
        for rule, message, place, fix in check(plan, info):
            span: Span | None = place.place() if isinstance(place, Part) else place  # type: ignore[assignment]
            found.setdefault((rule.code, str(span) if span else message), Diagnostic(rule, message, span, fix))
    return list(found.values())


def _about_code(plan: Plan, info: DataInfo) -> Iterator[Finding]:
    spec = plan.spec
    last = spec.encoder.steps[-1] if spec.encoder.steps else None
    dim = getattr(spec.latent, "dim", None)
    if last is not None and dim is not None and getattr(last, "width", None) == dim and last.variant_name() == "linear":
        yield (WIDTH_IS_DIM, f"the encoder's last hidden width is {dim}, the same as the code's dim", last,
               Hint("leave the last layer out: the latent projects to the code itself"))
    first = next((node for node in plan.encoder.walk() if not node.children and node.kind != "flatten"), None)
    positive = info.range.low is not None and info.range.low >= 0 and not spec.corrupt
    if first is not None and positive and getattr(first.part, "keeps_positive", False):
        yield (IDLE_RECTIFIER, f"{first.kind} comes first, and the data are {info.range}: it changes nothing", first.part,
               Hint("leave the step out, or put it behind the first layer"))
    regular = spec.corrupt or any(name in spec.losses.terms for name in ("sparsity", "contrastive"))
    if dim is not None and spec.latent.variant_name() == "continuous" and plan.latent.values >= elements(plan.target) and not regular:
        yield (WIDE_CODE, f"the code has {plan.latent.values:,} numbers, the data {elements(plan.target):,}", spec.latent,
               f"dim: {max(1, dim * elements(plan.target) // plan.latent.values // 4)}")


def _about_parts(plan: Plan, info: DataInfo) -> Iterator[Finding]:
    """What parts say of themselves: all of the spec, and those with nodes at the first of a kind."""
    around = Surroundings(info, plan.latent.bits, {term.name: max(map(abs, numbers(term.config.weight))) for term in plan.terms})
    for part in within(plan.spec):
        yield from part.lint(None, around)
    seen: set[tuple[int, str, str]] = set()
    for node in (*plan.encoder.walk(), *plan.decoder.walk()):
        if type(node.part).lint is Part.lint or (node.children and not node.macs):
            continue
        key = id(node.part), node.kind, str(node.args)
        if key not in seen:
            seen.add(key)
            yield from node.part.lint(node, around)


def _about_collapse(plan: Plan, info: DataInfo) -> Iterator[Finding]:
    """Decoders that can do without the code, beside a KL term at full weight from the start."""
    spec, kl = plan.spec, next((term.config for term in plan.terms if term.name == "kl"), None)
    if kl is None or kl.weight != 1 or getattr(kl, "free_bits", False):
        return
    steps = getattr(spec.decoder, "steps", [])
    if any(getattr(step, "feed", None) == "previous" for step in steps):
        yield (COLLAPSE, "the decoder sees previous values and the KL term has full weight from the start", spec.decoder,
               "losses: {kl: {weight: {from: 0, to: 1, over: 10 epochs}}}")
    for step in steps:
        if isinstance(step, Autoregressive) and not step.input_dropout:
            yield (TEMPTED, f"{step.variant_name()} can do without the code, and the KL term has full weight from the start", step,
                   Hint("`losses: {kl: {free_bits: 0.25}}`, a `weight` that rises, or `input_dropout: 0.3` here"))


def _about_training(plan: Plan, info: DataInfo) -> Iterator[Finding]:
    spec, bounds = plan.spec, info.range
    if bounds.high is not None and bounds.low is not None and max(abs(bounds.high), abs(bounds.low)) > 20 and not bounds.integer:
        yield UNSCALED, f"the data are {bounds}", spec.data, "scale: unit"
    coded = [each.name for each in info.target_range.fields if each.kind == "category"]
    if coded and not spec.losses.reconstruction.reads_fields:
        place, fix = spec.losses.place("reconstruction"), "reconstruction: mixed"
        yield (ONE_HOT, f"{spec.losses.reconstruction.variant_name()} takes the categories of {coded[0]} for numbers",
               place or spec.place(), fix if place else f"losses: {{{fix}}}")
    replaced = {name for term in plan.terms for name in getattr(term.config, "replaces", ())}
    for term in plan.terms:
        if not any(numbers(term.config.weight)) and term.name not in replaced:
            yield DEAD_WEIGHT, f"{term.name} has weight 0", spec.losses.place(term.name), f"remove {term.name}"
    train = info.counts.get("train")
    for phase in plan.phases[:1]:
        if train is not None and phase.batch_size > train:
            yield (BATCH_TOO_LARGE, f"batches of {phase.batch_size} but {train} training samples", spec.train.place("batch_size"),
                   f"batch_size: {max(1, train // 10)}")
    owners: tuple[Train | PhasePart, ...] = (spec.train, *spec.train.phases)
    for owner in owners:
        if owner.patience is not None and info.counts.get("validation") == 0:
            yield IDLE_PATIENCE, "nothing validates, so patience never ends a phase", owner.place("patience"), "remove patience"


_CHECKS: tuple[Callable[[Plan, DataInfo], Iterator[Finding]], ...] = (_about_code, _about_parts, _about_collapse, _about_training)

TRAINING = "AE7"         # what only a training can find

# Found after a training, by results/verdict.py; a spec may allow it, so that checking one must know it.
BEATEN = Rule("AE702", "a result that a baseline beats", """\
Beside the model stand two baselines: the mean of the training samples, and PCA with a code of the same size; of tokens one, how often
each stands at its place. A model that is no
better has not learned yet, or cannot. The likeliest cause is read from the curves in `metrics.jsonl`:

- the curve was *still falling*: train longer; the fix is the command, with as many epochs as the last pace needs, and 2,000 steps.
- the values are *far from unit size*: scale the data.
- the code *collapsed* (one entry of a codebook for all, no active unit, a KL near 0): let it be used.
- validation stays far above the training loss, or rises: the few samples are *learned by heart*.
- the curve is *flat*: the learning rate is too large (it goes up and down) or too small, or the layers are too narrow.

A Gaussian code carries only the nats that its KL term lets it, where PCA keeps whole float32 numbers: there the comparison is hard, and
`allow: {AE702: the samples matter, not the reconstructions}` in the spec silences it.

```yaml
data: {type: digits, limit: 100}
train: {steps: 10}                # PCA is better
```
```yaml
data: {type: digits, limit: 100}
train: {steps: 2000}
```
""", "warning")

UNKNOWN_CODE = Rule("AE318", "no such warning to allow", """\
`allow` takes the codes of warnings. Errors cannot be allowed: the model could not be built.

```yaml
allow: {AE999: never mind}
```
```yaml
encoder: {layer: linear, width: 256, norm: batch}
latent: {type: gaussian, dim: 16}
allow: {AE203: a batch is large enough for steady statistics}
```
""")


def allowed(spec: Spec, found: list[Diagnostic]) -> list[Diagnostic]:
    """The findings without the allowed warnings, and with complaints about wrong or needless entries of `allow`."""
    kept = [finding for finding in found if finding.is_error or finding.code not in spec.allow]
    occurring = {finding.code for finding in found}
    for code in spec.allow:
        rule = Rule.catalogue.get(code) or _of_a_part(code)
        if rule is None or rule.severity == "error":
            best = f"remove {code}" if rule else closest(code, _warnings())
            what = "is an error, and errors cannot be allowed" if rule else "is not a diagnostic"
            kept.append(Diagnostic(UNKNOWN_CODE, f"{code} {what}", spec.place("allow"), best, f"allow.{code}"))
        elif not code.startswith(TRAINING) and code not in occurring:
            kept.append(Diagnostic(ALLOWED_FOR_NOTHING, f"{code} does not occur in this spec", spec.place("allow"), f"remove {code}",
                                   f"allow.{code}"))
    return kept


def _of_a_part(code: str) -> Rule | None:
    """A rule that stands beside a part which this spec has no use for, so that its file was not read yet."""
    for family in Part.families.values():
        family.variants.read_all()
    return Rule.catalogue.get(code)


def _warnings() -> Iterator[str]:
    return (known for known, other in Rule.catalogue.items() if other.severity == "warning")
