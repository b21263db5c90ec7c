"""Every cause, in the order in which they are told: what others follow from comes first."""

from __future__ import annotations

from dataclasses import dataclass, field

from aebuild.results.diagnosis.batch_norm import BatchNormGap
from aebuild.results.diagnosis.bottleneck import IdentityBottleneck
from aebuild.results.diagnosis.by_heart import LearnedByHeart
from aebuild.results.diagnosis.capacity import TooNarrow
from aebuild.results.diagnosis.cause import Cause, Clear, Finding
from aebuild.results.diagnosis.codebook import DeadCodebook
from aebuild.results.diagnosis.critic import SaturatedCritic
from aebuild.results.diagnosis.ending import EndedEarly
from aebuild.results.diagnosis.evidence import Evidence
from aebuild.results.diagnosis.leak import LeakedSplit
from aebuild.results.diagnosis.learning_rate import Diverged, RateTooLarge, RateTooSmall
from aebuild.results.diagnosis.length import TooShort
from aebuild.results.diagnosis.posterior import CollapsedPosterior, PriceOfKl
from aebuild.results.diagnosis.scale import DataSize, LikelihoodScale
from aebuild.results.diagnosis.units import DeadUnits

CAUSES: tuple[Cause, ...] = (
    Diverged(), EndedEarly(), LeakedSplit(), DataSize(), LikelihoodScale(), IdentityBottleneck(), CollapsedPosterior(), DeadCodebook(),
    SaturatedCritic(), BatchNormGap(), LearnedByHeart(), TooShort(), RateTooLarge(), DeadUnits(), RateTooSmall(), PriceOfKl(), TooNarrow())


def likeliest(evidence: Evidence) -> Finding | None:
    """The first cause that explains why a baseline is better, by what a training leaves behind."""
    for cause in CAUSES:
        if cause.explains_defeat and not set(cause.needs) & set(evidence.missing) and cause.concerns(evidence):
            looked = cause.look(evidence)
            if isinstance(looked, Finding):
                return looked
    return None


@dataclass
class Examination:
    """What was found, without what follows from something else; what is so with such a model; what was looked for in vain.

    `skipped` holds what could not be looked for, with the reason; `hidden` what follows from something that was found.
    """

    found: list[Finding] = field(default_factory=list)
    remarks: list[Finding] = field(default_factory=list)
    clear: list[Clear] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)

    def take(self, cause: Cause, looked: Finding | Clear) -> None:
        """What a cause says."""
        if isinstance(looked, Clear):
            self.clear.append(looked)
            return
        (self.remarks if looked.harmless else self.found).append(looked)
        self.hidden.update(cause.hides)


def examine(evidence: Evidence) -> Examination:
    """Looks for every cause in turn."""
    done = Examination()
    for cause in CAUSES:
        title = cause.rule.title
        lacking = [need for need in cause.needs if need in evidence.missing]
        if title in done.hidden:
            continue
        if lacking:
            done.skipped[title] = evidence.missing[lacking[0]]
        elif cause.concerns(evidence):
            done.take(cause, cause.look(evidence))
    return done
