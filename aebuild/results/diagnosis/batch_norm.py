"""Batch normalisation that is another thing in evaluation."""

from __future__ import annotations

from aebuild.lang.diagnostics import Hint, Rule
from aebuild.lang.families import Layer
from aebuild.results.diagnosis.cause import Cause, Clear, Finding, story
from aebuild.results.diagnosis.evidence import Evidence
from aebuild.results.diagnosis.measurements import has_batch_norm, norm_gaps
from aebuild.results.diagnosis.remedies import anew

APART = 0.25        # of a figure: what differs by more is another model


class BatchNormGap(Cause):
    """The model is another one in training than in evaluation."""

    rule = Rule("AE590", "batch normalisation", story(
        "The figures of training are good and those of evaluation are not, on the very same samples.",
        "KL and squared error of training samples, once with the statistics of their batches and once with the running ones: the KL "
        f"differs, or the error is larger in evaluation, by more than {APART:.0%}. Beside a KL term the noise of batch statistics adds "
        "to that of the posterior, and a sample's posterior depends on the rest of its batch (AE203).",
        "Layer or group normalisation, which do not mix samples; or larger batches and a longer training, which steady the "
        "statistics.", """\
```yaml
encoder: {layer: linear, width: 256, norm: batch}
latent: {type: gaussian, dim: 16}
```
```yaml
encoder: {layer: linear, width: 256, norm: layer}
latent: {type: gaussian, dim: 16}
```
"""), "warning")
    needs = ("data", "model")
    hides = ("learned by heart", "training too short", "too narrow", "price of the KL term", "learning rate too large")

    def concerns(self, evidence: Evidence) -> bool:
        """Where there is one, of numbers."""
        return has_batch_norm(evidence.model.model) and evidence.plan.target.dtype != "int64"

    def look(self, evidence: Evidence) -> Finding | Clear:
        """By both ways to normalise the same samples."""
        gaps = norm_gaps(evidence.plan, evidence.model)
        figures: dict[str, float | int | str] = {}
        for name, gap in gaps.items():
            figures |= {f"{name} by batches": gap.training, f"{name} in evaluation": gap.evaluation}
        worse = [name for name, gap in gaps.items() if name == "kl" or gap.evaluation > gap.training]   # mere noise does no harm
        worst = max(worse, key=lambda name: gaps[name].share, default="")
        if not worst or gaps[worst].share < APART:
            return self.clear(**{f"{name}_differs_by": f"{gap.share:.0%}" for name, gap in gaps.items()})
        gap = gaps[worst]
        beside = ", beside a KL term" if "kl" in gaps else ""
        return self.found(f"batch normalisation{beside}: the {worst} of the same samples is {gap.training:.4g} with the statistics of "
                          f"their batches and {gap.evaluation:.4g} with the running ones", _without(evidence), figures)


def _without(evidence: Evidence) -> str:
    """The command with layer normalisation in each step that has batch normalisation now."""
    settings = []
    for half in ("encoder", "decoder"):
        for number, step in enumerate(getattr(getattr(evidence.plan.spec, half), "steps", ())):
            norm = getattr(step, "norm", None)
            if norm is not None and norm.variant_name() == "batch":
                settings.append(f"{half}.{number}.norm=layer")
            elif norm is None and _nested(step):
                return Hint("norm: layer in the place of each norm: batch")
    return anew(evidence.run, *settings) if settings else Hint("norm: layer in the place of each norm: batch")


def _nested(step: Layer) -> bool:
    return bool(getattr(step, "steps", None))
