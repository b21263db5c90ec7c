"""What is going wrong while a model is trained, found in figures that are there anyway; told once, with the change that helps."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aebuild.lang.diagnostics import Rule
from aebuild.lang.schedule import Ramp, numbers
from aebuild.lang.terms import AUTOENCODER

if TYPE_CHECKING:
    from aebuild.compile.plan import PhasePlan, Plan

COLLAPSED = 0.25                 # nats that tell next to nothing of a sample
UNUSED = 1 / 20                  # of the entries that could be in use
DEAD = 0.5                       # share of a dictionary
WON = 0.1                        # of the term of a critic that cannot tell
EVEN = {"non_saturating": 2 * math.log(2), "hinge": 2.0, "least_squares": 0.5}
TINY, FAINT = 1e-8, 1e-6         # root mean square of a gradient, and its ratio to that of the strongest stage
LEAP, HUGE = 100.0, 1e4          # growth of a gradient from one epoch to the next, and a size that is never sound
WORSE = 1.01                     # times the term of the mean
FALLING = 0.01                   # share of the term of the epoch before by which it must fall to be on its way
SETTLED, HALF = 0.2, 0.5         # shares of a phase behind which a sign counts

VANISHING = Rule("AE597", "vanishing gradients", """\
**Symptom.** Some layers stay as they were drawn; the model behaves as if it had fewer.

**Evidence.** The root mean square of each stage's gradient in the last batch of an epoch (`gradients` in `metrics.jsonl`): below 1e-8, and
a millionth of that of the strongest stage. Adam divides by the size of a gradient, but not below its `eps`.

**Remedy.** An activation that does not saturate, a norm, or residual steps in front of the stage that starves.

```yaml
encoder: {layer: linear, depth: 12, width: 64, activation: sigmoid}
```
```yaml
encoder: {layer: linear, depth: 12, width: 64, norm: layer}
```
""", "warning")
EXPLODING = Rule("AE598", "exploding gradients", """\
**Symptom.** The loss jumps, and may end as NaN.

**Evidence.** The root mean square of a stage's gradient in the last batch of an epoch (`gradients` in `metrics.jsonl`) grew a hundredfold
since the epoch before to more than 1, or is above 10,000, and nothing clips it.

**Remedy.** A largest norm of the gradient (`clip`), or a lower learning rate.

```yaml
train: {optimizer: {type: sgd, lr: 1}}
```
```yaml
train: {clip: 1.0, optimizer: {type: sgd, lr: 0.1}}
```
""", "warning")
WORSE_THAN_MEAN = Rule("AE389", "worse than the mean", """\
**Symptom.** After half of its training the model reconstructs worse than one guess for all samples.

**Evidence.** The reconstruction term on the validation split beside that of the mean of the training samples.

**Remedy.** Look at the scale of the data and at the learning rate; `aebuild doctor RUN` says which cause it has.

```yaml
train: {epochs: 4, optimizer: {type: sgd, lr: 1e-6}}
```
```yaml
train: {epochs: 40, optimizer: {type: adam, lr: 1e-3}}
```
""", "warning")


@dataclass(frozen=True)
class Health:
    """Something that goes wrong: its code and name, what was seen, and the change of the spec that helps."""

    code: str
    name: str
    message: str
    figures: Mapping[str, float]
    fix: str

    def to_json(self) -> dict[str, Any]:
        """As `metrics.jsonl` has it."""
        return {"code": self.code, "name": self.name, "message": self.message, "figures": dict(self.figures), "fix": self.fix}

    def __str__(self) -> str:
        return f"health: {self.name} ({self.code}): {self.message}; helps: {self.fix}"


@dataclass(frozen=True)
class Look:
    """What is known at the end of an epoch; `before` are the figures of the epoch before, `share` how much of the phase is done."""

    plan: Plan
    phase: PhasePlan
    epoch: int
    share: float
    figures: Mapping[str, float]                 # of the validation split where there is one
    training: Mapping[str, float]
    gradients: Mapping[str, float] = field(default_factory=dict)
    before: Mapping[str, float] = field(default_factory=dict)
    training_before: Mapping[str, float] = field(default_factory=dict)
    gradients_before: Mapping[str, float] = field(default_factory=dict)
    mean: Callable[[], float | None] = lambda: None            # the reconstruction term of the mean


def collapsed_posterior(look: Look) -> Health | None:
    """The code is the prior, whatever the sample."""
    term = next((term for term in look.plan.terms if term.name == "kl"), None)
    if term is None or "kl" not in look.figures or not max(numbers(term.config.weight)) or look.share < SETTLED or look.epoch < 3:
        return None
    times = term.elements if term.config.reduction == "mean" else 1
    nats, active = look.figures["kl"] * times, look.figures.get("active_units", math.inf)
    if not (nats < COLLAPSED or active < 1) or nats > 1.05 * look.before.get("kl", math.inf) * times:
        return None
    weight = term.config.weight
    fix = "losses: {kl: {free_bits: 0.1}}"
    if not isinstance(weight, Ramp | list):
        fix = f"losses: {{kl: {{weight: {{from: 0, to: {min(weight, 1.0):g}, over: 50%}}}}}}"
    figures = {"KL in nats": nats, "weight": max(numbers(weight))} | ({"active units": active} if math.isfinite(active) else {})
    return Health("AE587", "collapsed posterior", f"the code carries {nats:.2g} nats" + (
        f", {active:.2g} units are active" if math.isfinite(active) else ""), figures, fix)


def collapsed_codebook(look: Look) -> Health | None:
    """A few entries stand for everything."""
    perplexity = look.training.get("perplexity")
    if perplexity is None or look.epoch < 2 or look.share < SETTLED / 2:
        return None
    latent = look.plan.spec.latent
    codes = getattr(latent, "codes", None)
    if not isinstance(codes, int) or codes < 4:
        return None
    vectors = round(look.plan.latent.bits / math.log2(codes)) * look.phase.batch_size
    if perplexity >= max(2.0, min(codes, vectors) * UNUSED):
        return None
    fix = "latent: {restart: {below: 0.1}}" if getattr(latent, "init", "") == "kmeans" else "latent: {init: kmeans}"
    return Health("AE588", "dead codebook", f"perplexity {perplexity:.3g} of {codes:,} entries",
                  {"perplexity": perplexity, "entries": codes}, fix)


def dead_dictionary(look: Look) -> Health | None:
    """Most units of a sparse code are never in use."""
    dead = look.figures.get("dead", 0.0)
    if dead < DEAD or look.share < SETTLED:
        return None
    return Health("AE593", "dead units", f"{dead:.0%} of the dictionary is not in use", {"share of dead units": dead},
                  "latent: revival of dead units, or a smaller dictionary")


def saturated_critic(look: Look) -> Health | None:
    """A discriminator tells everything apart, and who should fool it learns nothing."""
    for term in look.plan.terms:
        value = look.training.get(term.name)
        if not term.name.endswith("discriminator") or term.player == AUTOENCODER or value is None or look.share < SETTLED:
            continue
        rival = next((each.config for each in look.plan.terms if f"{each.name}_discriminator" == term.name), None)
        even = EVEN.get(getattr(rival, "form", "non_saturating"))
        if even is None or value >= WON * even or look.training_before.get(term.name, math.inf) >= WON * even:
            continue
        player = next(player for player in look.phase.players if term.name in player.terms)
        rate = max(numbers(player.optimizer.lr)) / 2
        return Health("AE589", "saturated critic", f"{term.name} is {value:.2g}, {even:.3g} where it cannot tell", {term.name: value},
                      f"train: {{players: {{{player.name}: {{steps: 1, optimizer: {{lr: {rate:.2g}}}}}}}}}")
    return None


def vanishing(look: Look) -> Health | None:
    """A stage gets next to no gradient."""
    most = max(look.gradients.values(), default=0.0)
    starved = {stage: value for stage, value in look.gradients.items() if value < min(TINY, FAINT * most)}
    if not starved or look.share < SETTLED / 2:
        return None
    stage = min(starved, key=lambda name: starved[name])
    return Health(VANISHING.code, VANISHING.title, f"the gradient of {stage} is {starved[stage]:.2g}, of the strongest stage {most:.2g}",
                  {stage: starved[stage], "strongest": most}, "norm: layer, or residual steps, in front of it")


def exploding(look: Look) -> Health | None:
    """A stage's gradient leaps."""
    if all(player.clip is not None for player in look.phase.players):
        return None
    for stage, value in look.gradients.items():
        before = look.gradients_before.get(stage, math.inf)
        if value > HUGE or value > max(1.0, LEAP * before):
            return Health(EXPLODING.code, EXPLODING.title, f"the gradient of {stage} is {value:.2g}" + (
                f", {before:.2g} in the epoch before" if math.isfinite(before) else ""), {stage: value}, "train: {clip: 1.0}")
    return None


def worse_than_mean(look: Look) -> Health | None:
    """One guess for all samples is better."""
    term, before = look.figures.get("reconstruction"), look.before.get("reconstruction", math.inf)
    if term is None or look.share < HALF or look.epoch < 3 or before - term > FALLING * abs(before):
        return None
    mean = look.mean()
    if mean is None or term - mean <= (WORSE - 1) * abs(mean):
        return None
    return Health(WORSE_THAN_MEAN.code, WORSE_THAN_MEAN.title,
                  f"reconstruction is {term:.4g}, of the mean of the training samples {mean:.4g}",
                  {"reconstruction": term, "of the mean": mean},
                  "data: {scale: standard}, or another learning rate; `aebuild doctor` says more")


CHECKS: tuple[Callable[[Look], Health | None], ...] = (
    collapsed_posterior, collapsed_codebook, dead_dictionary, saturated_critic, vanishing, exploding, worse_than_mean)


def look_at(look: Look, told: Collection[str]) -> list[Health]:
    """What is going wrong and was not told in this phase before."""
    found = [health for check in CHECKS if (health := check(look)) is not None]
    return [health for health in found if health.code not in told]
