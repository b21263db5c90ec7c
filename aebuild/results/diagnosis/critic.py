"""Discriminators that have won."""

from __future__ import annotations

import math

from aebuild.lang.diagnostics import Hint, Rule
from aebuild.lang.schedule import numbers
from aebuild.results.diagnosis.cause import Cause, Clear, Finding, story
from aebuild.results.diagnosis.evidence import Evidence
from aebuild.results.diagnosis.measurements import prior_mismatch
from aebuild.results.diagnosis.remedies import anew, fixed, rounded
from aebuild.trainer.progress.formatting import number

EVEN = 2 * math.log(2)      # the discriminator's term where it cannot tell codes from draws
WON = 0.25                  # of that: below, it tells them apart
APART = 0.3                 # Kolmogorov-Smirnov distance of codes and draws that nobody takes for one distribution


class SaturatedCritic(Cause):
    """The discriminator tells codes from draws of the prior, and the encoder learns nothing from it any more."""

    rule = Rule("AE589", "saturated critic", story(
        "Reconstructions may be good, but samples are not: what the decoder gets from the prior looks unlike the codes it knows.",
        f"The discriminator's term on the judged split is below {WON:g} of the {EVEN:.3f} nats of one that cannot tell them apart, and "
        f"the codes are far from draws of the prior: the largest Kolmogorov-Smirnov distance of one value is above {APART:g} (0: the "
        "same distribution, 1: no overlap).",
        "Discriminator and generator at the same learning rate, half of the autoencoder's, one step each, so that the generator can "
        "follow.", """\
```yaml
latent: {type: adversarial, dim: 8}
train: {players: {discriminator: {steps: 5, optimizer: {lr: 0.01}}}}
```
```yaml
latent: {type: adversarial, dim: 8}
train: {players: {discriminator: {optimizer: {lr: 5e-4}}, generator: {optimizer: {lr: 5e-4}}}}
```
"""), "warning")
    needs = ("evaluation", "model")
    hides = ("training too short", "too narrow", "learning rate too small")

    def concerns(self, evidence: Evidence) -> bool:
        """Where a discriminator judges the code."""
        return evidence.term("discriminator") is not None and evidence.term("adversarial") is not None

    def look(self, evidence: Evidence) -> Finding | Clear:
        """By its term, and by the codes."""
        terms = evidence.scores.model.terms
        own, apart = terms.get("discriminator", math.nan), prior_mismatch(evidence.model, evidence.model.codes(evidence.judged))
        figures = {"term of the discriminator": own, "that of an even one": EVEN, "distance from the prior": apart,
                   "term of the generator": terms.get("adversarial", math.nan)}
        if not own < WON * EVEN or apart < APART:
            return self.clear(term_of_the_discriminator=f"{number(own)} of {EVEN:.3f}", distance_from_the_prior=number(apart))
        return self.found(f"the discriminator tells codes from draws of the prior (its term is {number(own)} nats, {EVEN:.3f} where it "
                          f"cannot), and they are apart (distance {number(apart)} of 1)", _balanced(evidence), figures)


def _balanced(evidence: Evidence) -> str:
    """The command with discriminator and generator at half the autoencoder's rate, one step each."""
    players = {player.name: player for player in evidence.plan.model_phase.players}
    lr = max(numbers(players["autoencoder"].optimizer.lr)) / 2
    judge = max(numbers(players["discriminator"].optimizer.lr))
    if any(player.optimizer.schedule is not None or not fixed(player.optimizer.lr) for player in players.values()):
        return Hint("discriminator and generator at half the autoencoder's learning rate, one step each")
    settings = [f"train.players.{name}.optimizer.lr={rounded(min(lr, judge / 2))}" for name in ("discriminator", "generator")]
    return anew(evidence.run, *settings, *(["train.players.discriminator.steps=1"] if players["discriminator"].steps > 1 else []))
