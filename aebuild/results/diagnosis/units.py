"""Units that never move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aebuild.lang.diagnostics import Hint, Rule
from aebuild.lang.schedule import numbers
from aebuild.lang.terms import Penalty
from aebuild.results.diagnosis.cause import Cause, Clear, Finding, story
from aebuild.results.diagnosis.evidence import Evidence
from aebuild.results.diagnosis.measurements import STILL, Layer
from aebuild.results.diagnosis.remedies import anew, fixed, rate_of, rounded, usual_rate

DEAD = 0.6            # of a layer's units: with fewer it is narrower, but no failure
FEW = 4               # units: a layer of fewer tells nothing


class DeadUnits(Cause):
    """Most of a layer or of the code is constant."""

    rule = Rule("AE593", "dead units", story(
        "The model behaves like a narrower one; more epochs do not help.",
        f"Outputs behind each nonlinearity and the code, over the whole judged split: at least {DEAD:.0%} of a layer's units never "
        f"move by more than {STILL:g}. A unit behind `relu` whose input is negative for every sample has no gradient and never comes "
        "back; a step that was too large is what usually brings it there. Where no baseline is better than the model, the units that "
        "are left do: that is a remark.",
        "An activation with a gradient everywhere and, where a baseline is better and it was a large one, a tenth of the learning rate; "
        "where a penalty on the code holds it at zero, a tenth of its weight.", """\
```yaml
encoder: [linear: 64]
train: {optimizer: {lr: 0.1}}
```
```yaml
encoder: [linear: {width: 64, activation: leaky_relu}]
train: {optimizer: {lr: 1e-3}}
```
"""), "warning")
    needs = ("model",)
    hides = ("too narrow", "training too short", "learning rate too small")

    def look(self, evidence: Evidence) -> Finding | Clear:
        """By the outputs of each layer."""
        layers = [*evidence.layers, *_code(evidence)]
        judged = [layer for layer in layers if layer.units >= FEW]
        if not judged:
            return self.clear(layers=len(layers))
        worst = max(judged, key=lambda layer: layer.share)
        if worst.share < DEAD:
            return self.clear(most_in_one_layer=f"{worst.dead} of {worst.units}", layer=worst.path)
        examples = tuple({"layer": layer.path, "units": layer.units, "dead": layer.dead} for layer in judged if layer.share >= DEAD)
        found = self.found(f"{worst.dead} of {worst.units} units of {worst.path} never move on the judged split", _remedy(evidence, worst),
                           {layer.path: f"{layer.dead} of {layer.units} dead" for layer in layers}, "certain", examples)
        return found if evidence.verdict is not None else replace(
            found, message=f"{found.message}; no baseline is better for it, but they could be of use", harmless=True)


def _code(evidence: Evidence) -> list[Layer]:
    """The values of a code of numbers that is not drawn; one that is has active units."""
    plan = evidence.plan
    drawn = any(name == "kl" for name in plan.spec.latent.terms)
    if plan.latent.bits != 32 * plan.latent.values or drawn:
        return []
    flat = evidence.model.codes(evidence.judged)
    flat = flat.reshape(len(flat), -1)
    return [Layer("latent", flat.shape[1], int((np.ptp(flat, axis=0) <= STILL).sum()))]


def _remedy(evidence: Evidence, worst: Layer) -> str:
    penalty = next((term for term in evidence.plan.terms if isinstance(term.config, Penalty) and term.player == "autoencoder"), None)
    if worst.path.startswith("latent") and penalty is not None and fixed(penalty.config.weight):
        return anew(evidence.run, f"losses.{penalty.name}.weight={rounded(max(numbers(penalty.config.weight)) / 10)}")
    lr, path = rate_of(evidence.plan)
    usual = usual_rate(evidence.plan)
    too_large = evidence.verdict is not None and lr > usual               # where no baseline is better, the rate has served
    settings = [f"{path}={rounded(max(usual, lr / 10))}"] if path is not None and too_large else []
    settings += _leaky(evidence)
    return anew(evidence.run, *settings) if settings else Hint("activation: leaky_relu in the place of relu, and a smaller learning rate")


def _leaky(evidence: Evidence) -> list[str]:
    """Settings that replace each relu of a half that is written layer by layer."""
    found = []
    for half in ("encoder", "decoder"):
        for index, step in enumerate(getattr(getattr(evidence.plan.spec, half), "steps", ())):
            activation = getattr(step, "activation", None)
            if activation is not None and activation.variant_name() == "relu":
                found.append(f"{half}.{index}.activation=leaky_relu")
    return found
