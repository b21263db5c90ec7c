"""Codebooks that are not used."""

from __future__ import annotations

import math

from aebuild.lang.diagnostics import Rule
from aebuild.results.diagnosis.cause import Cause, Clear, Finding, story
from aebuild.results.diagnosis.evidence import Evidence
from aebuild.results.diagnosis.remedies import anew
from aebuild.trainer.progress.formatting import number

UNUSED = 1 / 20       # of the entries that could be in use


class DeadCodebook(Cause):
    """A few entries stand for everything."""

    rule = Rule("AE588", "dead codebook", story(
        "Reconstructions are blurred and alike; all samples have much the same code.",
        f"The perplexity on the judged split, exp of the entropy of how often the entries are used, is below a {round(1 / UNUSED)}th "
        "of the entries (or of the vectors that the split has, where these are fewer), or below 2. Entries that begin far from the "
        "encoder's vectors are never the nearest one, so nothing moves them.",
        "Begin at vectors of the data (`init: kmeans`); where that is so already, restart entries that fall out of use.", """\
```yaml
latent: {type: codebook, codes: 512, dim: 16, init: normal}
```
```yaml
latent: {type: codebook, codes: 512, dim: 16, init: kmeans, restart: {below: 0.1}}
```
"""), "warning")
    needs = ("evaluation",)
    hides = ("training too short", "too narrow", "dead units", "learning rate too small", "learning rate too large")
    explains_defeat = True

    def concerns(self, evidence: Evidence) -> bool:
        """Where there is a codebook."""
        return getattr(evidence.plan.spec.latent, "codes", None) is not None

    def look(self, evidence: Evidence) -> Finding | Clear:
        """By the perplexity."""
        latent, metrics = evidence.plan.spec.latent, evidence.scores.model.metrics
        codes = int(latent.codes)                                                   # type: ignore[attr-defined]
        perplexity, usage = metrics.get("perplexity", math.nan), metrics.get("usage", math.nan)
        vectors = round(evidence.plan.latent.bits / math.log2(codes)) * evidence.scores.samples
        could = min(codes, vectors)
        if not perplexity < max(2.0, could * UNUSED) or could < 4:
            return self.clear(perplexity=f"{number(perplexity)} of {codes:,}", usage=f"{usage:.0%}")
        kmeans = getattr(latent, "init", "") == "kmeans"
        setting = "latent.restart.below=0.1" if kmeans else "latent.init=kmeans"
        return self.found(f"the codebook collapsed (perplexity {number(perplexity)} of {codes:,} entries)", anew(evidence.run, setting),
                          {"perplexity": perplexity, "entries": codes, "usage": usage, "vectors of the judged split": vectors}, "certain")
