"""Codebooks that are not used."""

from __future__ import annotations

import math
from typing import Any

from aebuild.lang.codebook_quantizer import LearnedCodebookQuantizer
from aebuild.lang.diagnostics import Rule
from aebuild.lang.values import elements
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
        "Begin at vectors of the data (`init: kmeans`), and let entries that fall out of use start again (`restart`); both are the "
        "default. Where that is so already, let them do so sooner.", """\
```yaml
latent: {type: codebook, codes: 512, dim: 16, init: normal, restart: none}
```
```yaml
latent: {type: codebook, codes: 512, dim: 16}
```
"""), "warning")
    needs = ("evaluation",)
    hides = ("training too short", "too narrow", "dead units", "learning rate too small", "learning rate too large")
    explains_defeat = True

    def concerns(self, evidence: Evidence) -> bool:
        """Where there is a codebook that is learned entry by entry."""
        return isinstance(getattr(evidence.plan.spec.latent, "quantizer", None), LearnedCodebookQuantizer)

    def look(self, evidence: Evidence) -> Finding | Clear:
        """By the perplexity."""
        latent: Any = evidence.plan.spec.latent
        codes, metrics = int(latent.codes), evidence.scores.model.metrics
        perplexity, usage = metrics.get("perplexity", math.nan), metrics.get("usage", math.nan)
        vectors = elements(evidence.plan.latent.codes) // latent.quantizer.books(latent) * evidence.scores.samples
        could = min(codes, vectors)
        if not perplexity < max(2.0, could * UNUSED) or could < 4:
            return self.clear(perplexity=f"{number(perplexity)} of {codes:,}", usage=f"{usage:.0%}")
        setting = "latent.init=kmeans" if latent.init != "kmeans" else "latent.restart={}" if latent.restart is None \
            else "latent.restart.decay=0.9"
        return self.found(f"the codebook collapsed (perplexity {number(perplexity)} of {codes:,} entries)", anew(evidence.run, setting),
                          {"perplexity": perplexity, "entries": codes, "usage": usage, "vectors of the judged split": vectors}, "certain")
